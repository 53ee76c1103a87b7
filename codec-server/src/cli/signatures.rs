//! `sign` and `verify`: signatures of files, by keys of any key service.

pub(super) mod sign;
pub(super) mod verify;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use temporal_kms_codec::{
    KeyUri,
    kms::{Kms, SignatureAlgorithm},
};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{
    audit_log::CommandLog,
    exit::{Failure, Status},
    kms_args::KmsArgs,
    output::is_standard,
};

/// A service signs what it gets in one call, so the file is in memory.
const MAX_FILE: u64 = 64 << 20;
const SUFFIX: &str = "sig";

/// What `sign` writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    key: String,
    #[serde(default)]
    version: Option<String>,
    algorithm: SignatureAlgorithm,
    /// In base64.
    signature: String,
}

fn open(args: &KmsArgs, uri: &str, log: &CommandLog) -> Result<(Kms, KeyUri), Failure> {
    let mut kms = args.options()?;
    log.observe(&mut kms);
    let key = kms
        .read_key(uri)
        .map_err(|error| Failure::new(Status::Usage, format_args!("--key: {error}")))?;
    Ok((kms, key))
}

/// Where the signature of a file is.
fn beside(file: &Path) -> PathBuf {
    if is_standard(file) {
        return file.to_owned();
    }
    let mut name = file.to_owned().into_os_string();
    name.push(".");
    name.push(SUFFIX);
    name.into()
}

async fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Status::NoInput,
            format_args!("{}: cannot read the file: {error}", path.display()),
        )
    };
    if is_standard(path) {
        return take(tokio::io::stdin(), path, limit).await;
    }
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    if file.metadata().await.map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    take(file, path, limit).await
}

async fn take(input: impl AsyncRead + Unpin, path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = input.take(limit + 1).read_to_end(&mut bytes).await;
    let len = read.map_err(|error| Failure::io(&path.display().to_string(), &error))?;
    if len as u64 > limit {
        return Err(Failure::new(
            Status::Data,
            format_args!(
                "{}: it is larger than {} MiB; sign a file of its SHA-256 digest: sha256sum FILE > FILE.sha256",
                path.display(),
                limit.div_ceil(1 << 20),
            ),
        ));
    }
    Ok(bytes)
}
