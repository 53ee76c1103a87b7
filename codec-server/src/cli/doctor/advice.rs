//! What to do about an error: the check that it belongs to, and the command.

use temporal_kms_codec::{
    KeyUri,
    kms::{Diagnose, FailureCause, Kms, ProviderError, ProviderErrorKind as Kind},
};

use super::{super::exit::Status, finding::Check};

/// Which check an error belongs to.
pub(super) fn check(error: &ProviderError) -> Check {
    match (error.cause(), error.kind()) {
        (
            Some(
                FailureCause::NoCredentials
                | FailureCause::UnusableCredentials
                | FailureCause::RefusedCredentials,
            ),
            _,
        ) => Check::Credentials,
        (Some(FailureCause::Clock), _) => Check::Clock,
        (Some(FailureCause::NoConnection | FailureCause::Module | FailureCause::Proxy), _) => {
            Check::Endpoint
        }
        (
            Some(
                FailureCause::ServiceDisabled
                | FailureCause::Project
                | FailureCause::QuotaProject
                | FailureCause::Perimeter,
            ),
            _,
        ) => Check::Key,
        (_, Kind::PermissionDenied) => Check::Permission,
        (_, Kind::KeyDisabled | Kind::KeyVersionGone) => Check::Versions,
        (_, kind) if kind.is_transient() => Check::Endpoint,
        _ => Check::Key,
    }
}

pub(super) fn exit(error: &ProviderError) -> Status {
    Status::of_provider(error)
}

/// What to do when something else than the service answers. That says nothing of the key and of permissions.
pub(super) const PROXY: &str = "find out what answers in place of the service: look at HTTPS_PROXY, NO_PROXY and the \
                                configured endpoint, and let calls of the service pass";

/// A command of this program.
pub(super) fn keys(verb: &str, key: &KeyUri, rest: &str, kms: &Kms) -> String {
    let arguments = kms
        .diagnose(key)
        .map_or_else(|_| String::new(), Diagnose::arguments);
    // A shell would end the command there.
    let quote = if key.resource().contains(';') {
        "'"
    } else {
        ""
    };
    format!("codec-server keys {verb} {quote}{key}{quote}{rest}{arguments}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uri: &str) -> KeyUri {
        uri.parse().unwrap()
    }

    #[test]
    fn a_command_has_what_a_shell_and_the_key_need() {
        let kms = Kms::builder().local_keyring("/keys").build();
        assert_eq!(
            keys("rotate", &key("local://a"), "", &kms),
            "codec-server keys rotate local://a --keyring /keys"
        );
        assert_eq!(
            keys("enable", &key("vault://t;k"), " --version 1", &kms),
            "codec-server keys enable 'vault://t;k' --version 1"
        );
    }

    #[test]
    fn every_error_belongs_to_a_check() {
        let error = |kind, cause| ProviderError::new(kind, &key("local://a")).with_cause(cause);
        for (kind, cause, expected, status) in [
            (
                Kind::Misconfigured,
                Some(FailureCause::NoCredentials),
                Check::Credentials,
                Status::NoPermission,
            ),
            (
                Kind::Misconfigured,
                Some(FailureCause::RefusedCredentials),
                Check::Credentials,
                Status::NoPermission,
            ),
            (
                Kind::Misconfigured,
                Some(FailureCause::Clock),
                Check::Clock,
                Status::Configuration,
            ),
            (
                Kind::Misconfigured,
                Some(FailureCause::ServiceDisabled),
                Check::Key,
                Status::Configuration,
            ),
            (
                Kind::Misconfigured,
                Some(FailureCause::QuotaProject),
                Check::Key,
                Status::Configuration,
            ),
            (
                Kind::Integrity,
                Some(FailureCause::Proxy),
                Check::Endpoint,
                Status::Unavailable,
            ),
            (
                Kind::Unavailable,
                Some(FailureCause::NoConnection),
                Check::Endpoint,
                Status::Unavailable,
            ),
            (Kind::Throttled, None, Check::Endpoint, Status::Unavailable),
            (
                Kind::PermissionDenied,
                None,
                Check::Permission,
                Status::NoPermission,
            ),
            (
                Kind::KeyDisabled,
                None,
                Check::Versions,
                Status::Configuration,
            ),
            (Kind::KeyNotFound, None, Check::Key, Status::Configuration),
        ] {
            let error = error(kind, cause);
            assert_eq!(
                (check(&error), exit(&error)),
                (expected, status),
                "{kind:?} {cause:?}"
            );
        }
    }
}
