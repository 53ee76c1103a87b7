//! A key that does not exist, in words for commands that only use existing keys.

use std::borrow::Cow;

use temporal_kms_codec::{KeyUri, kms::ProviderError};
use temporal_kms_codec_service::missing_key::with_remedy;

use super::exit::Failure;

/// What to do about a local key that the command line names.
pub(crate) const WRONG_NAME: &str = "correct the name in --key, or the folder in --keyring";

/// The failure of a command that only uses existing keys. `remedy` is what to do about a wrong name of a local key.
pub(crate) fn failure(error: ProviderError, remedy: impl Into<Cow<'static, str>>) -> Failure {
    with_remedy(error, remedy).into()
}

/// As [`failure`], of a command whose input names the keys that it needs. `names` are words such as "the payloads name".
/// `wanted` are those keys. It runs only if a key does not exist.
pub(crate) async fn failure_of_input(
    error: ProviderError,
    remedy: &'static str,
    names: &str,
    wanted: impl Future<Output = Vec<KeyUri>>,
) -> Failure {
    if !error.is_key_missing() {
        return error.into();
    }
    let wanted: Vec<String> = wanted.await.iter().map(ToString::to_string).collect();
    let error = with_remedy(error, remedy);
    if wanted.is_empty() {
        return error.into();
    }
    let remedy = format!("{}: {names} {}", error.remedy(), wanted.join(", "));
    error.with_remedy(remedy).into()
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::kms::ProviderErrorKind as Kind;

    use super::*;

    fn error(kind: Kind, key: &str) -> ProviderError {
        ProviderError::new(kind, &key.parse().unwrap())
    }

    async fn told(key: &str, wanted: &[&str]) -> String {
        let wanted: Vec<KeyUri> = wanted.iter().map(|key| key.parse().unwrap()).collect();
        let wanted = std::future::ready(wanted);
        let error = error(Kind::KeyNotFound, key);
        let failure = failure_of_input(error, "name the key", "the file names", wanted).await;
        failure.to_string()
    }

    #[tokio::test]
    async fn a_missing_key_is_told_with_the_keys_of_the_input() {
        assert_eq!(
            told("local://c", &[]).await,
            "local://c: key not found; name the key"
        );
        assert_eq!(
            told("local://c", &["local://a", "local://b"]).await,
            "local://c: key not found; name the key: the file names local://a, local://b"
        );
        assert_eq!(
            told("aws-kms://alias/a", &["local://a"]).await,
            "aws-kms://alias/a: key not found; check the key's name, its project or account, and its region: \
             the file names local://a"
        );
    }

    #[tokio::test]
    async fn the_input_is_not_read_for_another_error() {
        let refused = error(Kind::PermissionDenied, "aws-kms://alias/a");
        let wanted = std::future::pending();
        let failure = failure_of_input(refused.clone(), "name the key", "it names", wanted).await;
        assert_eq!(failure.to_string(), refused.to_string());
    }
}
