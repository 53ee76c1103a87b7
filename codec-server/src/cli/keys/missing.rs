//! Errors about a key or a version that does not exist, for commands that only use existing keys.

use temporal_kms_codec::{
    KeyUri,
    kms::{Kms, ProviderError, ProviderErrorKind},
};
use temporal_kms_codec_service::missing_key::with_remedy;

use super::super::exit::Failure;

/// The failure of a command that only uses existing keys. A new key would not help, so no error advises to create one.
pub(super) fn failure(error: ProviderError, kms: &Kms) -> Failure {
    if !error.is_key_missing() {
        return error.into();
    }
    let key = error.key();
    let Ok(service) = kms.diagnose(key) else {
        return error.into();
    };
    let remedy = if service.missing_place(key).is_some() {
        "correct the name of the folder".to_owned()
    } else {
        let arguments = service.arguments();
        format!("correct the name, or list the keys: codec-server keys list local://{arguments}")
    };
    with_remedy(error, remedy).into()
}

/// As [`failure`], for a command that names a version.
pub(super) fn failure_of_version(
    error: ProviderError,
    version: Option<&str>,
    kms: &Kms,
) -> Failure {
    // As a provider says it that adds no detail.
    let unnamed =
        ProviderError::new(ProviderErrorKind::KeyNotFound, error.key()).with_missing_version();
    let is_version_missing = error.kind() == unnamed.kind() && !error.is_key_missing();
    match version {
        Some(version) if is_version_missing && error.summary() == unnamed.summary() => {
            let text = no_version(error.key(), version);
            error.with_explanation(text).into()
        }
        _ => failure(error, kms),
    }
}

fn no_version(key: &KeyUri, version: &str) -> String {
    format!("{key}: the key has no version {version:?}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn missing(key: &str) -> ProviderError {
        ProviderError::new(ProviderErrorKind::KeyNotFound, &key.parse().unwrap())
    }

    #[test]
    fn a_missing_local_key_is_looked_for_in_its_keyring() {
        let folder = tempfile::tempdir().unwrap();
        let (keyring, none) = (folder.path(), folder.path().join("none"));
        let told = |keyring: &Path| {
            let kms = Kms::builder().local_keyring(keyring).build();
            failure(missing("local://a"), &kms).to_string()
        };
        assert_eq!(
            told(keyring),
            format!(
                "local://a: key not found; correct the name, or list the keys: codec-server keys list local:// --keyring {}",
                keyring.display()
            )
        );
        assert_eq!(
            told(&none),
            "local://a: key not found; correct the name of the folder"
        );
    }

    #[test]
    fn a_missing_version_is_named_as_it_was_typed() {
        let kms = Kms::builder().build();
        let error = missing("aws-kms://alias/a").with_missing_version();
        let told = |error, version| failure_of_version(error, version, &kms).to_string();
        let shown = told(error.clone(), Some("12345"));
        let expected = "aws-kms://alias/a: the key has no version \"12345\"; ";
        assert!(shown.starts_with(expected), "{shown}");
        assert_eq!(told(error.clone(), None), error.to_string());
        let detailed = error.with_detail("\"01\" is not a number");
        assert_eq!(told(detailed.clone(), Some("01")), detailed.to_string());
    }
}
