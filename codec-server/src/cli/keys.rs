//! The local key of `dev`, `encode` and `decode`.

use std::{env, path::PathBuf};

use temporal_kms_codec::KeyUri;

use super::exit::{Failure, Status};

const DEFAULT_KEY: &str = "local://default";

pub(super) fn default_key() -> Result<KeyUri, Failure> {
    DEFAULT_KEY
        .parse()
        .map_err(|error| Failure::new(Status::Usage, error))
}

/// Where `dev` keeps its keyset, wherever it is started: what it encrypted yesterday is to be read today.
pub(super) fn default_keyring() -> Result<PathBuf, Failure> {
    let folder = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    folder("XDG_DATA_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("temporal-kms-codec/keyring"))
        .ok_or_else(|| {
            Failure::new(
                Status::Usage,
                "name the folder of the local key with --keyring DIR",
            )
        })
}
