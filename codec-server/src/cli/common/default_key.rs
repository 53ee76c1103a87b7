//! The local key that every command uses by default.

use std::{env, path::PathBuf};

use temporal_kms_codec::KeyUri;
pub(crate) use temporal_kms_codec_service::arguments::DEFAULT_LOCAL_KEY as DEFAULT_KEY;

use super::exit::{Failure, Status};

pub(crate) fn default_key() -> Result<KeyUri, Failure> {
    DEFAULT_KEY
        .parse()
        .map_err(|error| Failure::new(Status::Usage, error))
}

/// Where the default key is stored. It does not depend on the working directory, so that every command finds it.
pub(crate) fn default_keyring() -> Result<PathBuf, Failure> {
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
