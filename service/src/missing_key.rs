//! A key that does not exist, for programs that only use existing keys. A new key would open and verify nothing, so the
//! advice to create the key does not help.

use std::borrow::Cow;

use temporal_kms_codec::{Scheme, kms::ProviderError};

/// What to do about a local key that is only used to decrypt.
pub const OF_DECRYPTION: &str = "correct the name or the folder: a new key would open nothing";

/// `error`, with what to do if the key itself does not exist. For a local key this is `local_remedy`, which says where the
/// program reads the name and the folder of the key. Other errors are unchanged.
#[must_use]
pub fn with_remedy(
    error: ProviderError,
    local_remedy: impl Into<Cow<'static, str>>,
) -> ProviderError {
    if !error.is_key_missing() {
        return error;
    }
    let remedy = match error.key().scheme() {
        Scheme::LOCAL => local_remedy.into(),
        Scheme::PKCS11 => "check the label in the key's URI, and that the PIN is named".into(),
        _ => "check the key's name, its project or account, and its region".into(),
    };
    error.with_remedy(remedy)
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
    }

    #[test]
    fn a_keyring_is_named_for_local_keys_only() {
        let region = "check the key's name, its project or account, and its region";
        for (key, remedy) in [
            ("aws-kms://alias/a", region),
            (
                "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
                region,
            ),
            (
                "pkcs11:token=t;object=k",
                "check the label in the key's URI, and that the PIN is named",
            ),
        ] {
            let missing = ProviderError::new(ProviderErrorKind::KeyNotFound, &key.parse().unwrap());
            assert_eq!(told(missing), format!("{key}: key not found; {remedy}"));
        }
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
