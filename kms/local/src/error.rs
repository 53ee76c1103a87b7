//! Errors of keysets as errors of key services.

use std::{io, path::Path};

use temporal_kms::{
    KeyPurpose, KeyUri, ProviderError, ProviderErrorKind as Kind, support::shell_path,
};

use super::{
    file::{self, FileError},
    keyset::KeysetError,
};

/// The folder or the file cannot be used. The remedy for a missing key creates one that encrypts.
pub(super) fn file_error(uri: &KeyUri, path: &Path, error: &FileError) -> ProviderError {
    file_error_of(KeyPurpose::Encrypt, uri, path, error)
}

/// The folder or the file cannot be used. The remedy for a missing key creates one for `purpose`.
pub(super) fn file_error_of(
    purpose: KeyPurpose,
    uri: &KeyUri,
    path: &Path,
    error: &FileError,
) -> ProviderError {
    let kind = match error {
        FileError::NoFolder(_) | FileError::NoFile(_) => Kind::KeyNotFound,
        FileError::Io { kind, .. } if *kind == io::ErrorKind::PermissionDenied => {
            Kind::PermissionDenied
        }
        _ => Kind::Misconfigured,
    };
    let folder = file::folder_of(path);
    let option = match purpose {
        KeyPurpose::Encrypt => String::new(),
        purpose => format!(" --purpose {purpose}"),
    };
    let create = format!(
        "codec-server keys create {uri}{option} --keyring {}",
        shell_path(folder)
    );
    let happened = match error {
        FileError::NoFolder(missing) => format!("no keyring {}", missing.display()),
        FileError::NoFile(_) => format!("no key {uri} in {}", folder.display()),
        _ => error.to_string(),
    };
    ProviderError::new(kind, uri)
        .with_explanation(happened)
        .with_remedy(error.remedy(&create))
}

/// The file exists, but its content cannot be used.
pub(super) fn keyset_error(uri: &KeyUri, path: &Path, error: &KeysetError) -> ProviderError {
    let kind = match error {
        KeysetError::PrimaryNotEnabled { .. }
        | KeysetError::NotEnabled { .. }
        | KeysetError::IsDestroyed(_) => Kind::KeyDisabled,
        KeysetError::NoSuchKey(_) => Kind::KeyNotFound,
        KeysetError::NoRandomness(_) => Kind::Unavailable,
        _ => Kind::Misconfigured,
    };
    if let KeysetError::NoSuchKey(_) = error {
        let (remedy, folder) = (error.remedy(), shell_path(file::folder_of(path)));
        return ProviderError::new(kind, uri)
            .with_missing_version()
            .with_explanation(format!("{uri}: {error}"))
            .with_remedy(format!(
                "{remedy}: codec-server keys versions {uri} --keyring {folder}"
            ));
    }
    ProviderError::new(kind, uri)
        .with_explanation(format!("{}: {error}", path.display()))
        .with_remedy(error.remedy())
}
