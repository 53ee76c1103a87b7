//! A key that does not exist, for programs that only use existing keys. A new key would open and verify nothing, so the
//! advice to create the key does not help.

use std::borrow::Cow;

use temporal_kms_codec::kms::ProviderError;

/// `error`, with `remedy` as what to do if the key itself does not exist. Other errors are unchanged.
#[must_use]
pub fn with_remedy(error: ProviderError, remedy: impl Into<Cow<'static, str>>) -> ProviderError {
    if error.is_key_missing() {
        error.with_remedy(remedy)
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use temporal_kms_codec::{
        KeyUri,
        kms::{Kms, ProviderErrorKind},
    };

    use super::*;

    fn told(error: ProviderError) -> String {
        with_remedy(error, "correct the name").to_string()
    }

    async fn local(keyring: &Path) -> ProviderError {
        let kms = Kms::builder().local_keyring(keyring).build();
        let key: KeyUri = "local://a".parse().unwrap();
        kms.key(&key).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_missing_key_is_not_to_be_created() {
        let folder = tempfile::tempdir().unwrap();
        let (keyring, none) = (folder.path(), folder.path().join("none"));
        assert_eq!(
            told(local(keyring).await),
            format!(
                "no key local://a in {}; correct the name",
                keyring.display()
            )
        );
        assert_eq!(
            told(local(&none).await),
            format!("no keyring {}; correct the name", none.display())
        );
        let remote = "aws-kms://alias/a".parse().unwrap();
        let remote = ProviderError::new(ProviderErrorKind::KeyNotFound, &remote);
        assert_eq!(
            told(remote),
            "aws-kms://alias/a: key not found; correct the name"
        );
    }

    #[test]
    fn other_errors_keep_their_advice() {
        let key: KeyUri = "local://a".parse().unwrap();
        let version =
            ProviderError::new(ProviderErrorKind::KeyNotFound, &key).with_missing_version();
        let refused = ProviderError::new(ProviderErrorKind::PermissionDenied, &key);
        for error in [version, refused] {
            assert_eq!(told(error.clone()), error.to_string());
        }
    }
}
