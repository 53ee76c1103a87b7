//! A key that does not exist, in words for commands that only use existing keys. A new key would open and verify nothing.

use temporal_kms_codec::{
    Scheme,
    kms::{Kms, ProviderError, ProviderErrorKind as Kind},
};

use super::exit::{Failure, Status};

/// What to do about a key that the command line names.
pub(crate) const WRONG_NAME: &str = "correct the name in --key, or the folder in --keyring";

/// The end of errors about keys of other services.
const CREATE: &str = ", or create it";

/// What is missing, if that is why `error` happened. What to do is left to the caller.
pub(crate) fn what(error: &ProviderError, kms: &Kms) -> Option<String> {
    let key = error.key();
    if error.kind() != Kind::KeyNotFound {
        return None;
    }
    if key.scheme() != Scheme::LOCAL {
        return error.to_string().strip_suffix(CREATE).map(str::to_owned);
    }
    let folder = kms.local_keyring()?;
    if !folder.exists() {
        return Some(format!("no keyring {}", folder.display()));
    }
    // Another part of the key can be missing, such as a version.
    let is_missing = !folder.join(format!("{}.json", key.resource())).exists();
    is_missing.then(|| format!("no key {key} in {}", folder.display()))
}

/// The failure of a command that only uses existing keys. `remedy` is what to do about a wrong name.
pub(crate) fn failure(error: ProviderError, kms: &Kms, remedy: &str) -> Failure {
    match what(&error, kms) {
        Some(what) => Failure::new(
            Status::of_provider(&error),
            format_args!("{what}; {remedy}"),
        ),
        None => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_not_to_be_created() {
        let folder = tempfile::tempdir().unwrap();
        let error = |uri: &str| ProviderError::new(Kind::KeyNotFound, &uri.parse().unwrap());
        let keyring = folder.path().display();
        let kms = Kms::builder().local_keyring(folder.path()).build();
        let local = error("local://a");
        assert_eq!(
            failure(local.clone(), &kms, "correct the name").to_string(),
            format!("no key local://a in {keyring}; correct the name")
        );
        let none = Kms::builder()
            .local_keyring(folder.path().join("none"))
            .build();
        assert_eq!(
            what(&local, &none),
            Some(format!("no keyring {keyring}/none"))
        );
        let remote = error("aws-kms://alias/a");
        let remote = failure(remote, &kms, "correct the name").to_string();
        assert!(remote.contains("key not found"), "{remote}");
        assert!(!remote.contains("create"), "{remote}");

        std::fs::write(folder.path().join("a.json"), "").unwrap();
        assert_eq!(what(&local, &kms), None);
    }
}
