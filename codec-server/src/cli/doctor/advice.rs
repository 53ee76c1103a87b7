//! What to do about an error: the name of the command, the setting or the role.

use temporal_kms_codec::{
    KeyUri, KmsKind,
    kms::{Cause, KmsOptions, ProviderError, ProviderErrorKind as Kind},
};

use super::{super::exit::Status, credentials::Source, finding::Check};

/// What is tried with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    Wrap,
    Unwrap,
    Encrypt,
    Decrypt,
}

impl Tried {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
        }
    }
}

/// The error without the key's name, which the heading has.
pub(super) fn words(error: &ProviderError) -> String {
    error.message()
}

/// Which check an error belongs to.
pub(super) fn check(error: &ProviderError) -> Check {
    match (error.cause(), error.kind()) {
        (
            Some(Cause::NoCredentials | Cause::UnusableCredentials | Cause::RefusedCredentials),
            _,
        ) => Check::Credentials,
        (Some(Cause::Clock), _) => Check::Clock,
        (Some(Cause::NoConnection | Cause::Module | Cause::Proxy), _) => Check::Endpoint,
        (Some(Cause::ServiceDisabled | Cause::Project | Cause::QuotaProject), _) => Check::Key,
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
pub(super) fn keys(verb: &str, key: &KeyUri, rest: &str, options: &KmsOptions) -> String {
    let keyring = match (key.kms(), &options.local_keyring) {
        (KmsKind::Local, Some(folder)) => format!(" --keyring {}", folder.display()),
        _ => String::new(),
    };
    let quote = if key.kms() == KmsKind::Pkcs11 {
        "'"
    } else {
        ""
    };
    format!("codec-server keys {verb} {quote}{key}{quote}{rest}{keyring}")
}

/// How to permit what was refused.
pub(super) fn permission(key: &KeyUri, tried: Tried, source: &Source) -> String {
    match key.kms() {
        KmsKind::GcpKms => {
            let role = match tried {
                Tried::Wrap | Tried::Encrypt => "roles/cloudkms.cryptoKeyEncrypter",
                Tried::Unwrap | Tried::Decrypt => "roles/cloudkms.cryptoKeyDecrypter",
            };
            let member = source
                .caller
                .as_deref()
                .unwrap_or("serviceAccount:NAME@PROJECT.iam.gserviceaccount.com");
            format!(
                "grant {role}: gcloud kms keys add-iam-policy-binding {} --member={member} --role={role}",
                gcloud(key)
            )
        }
        KmsKind::AwsKms => {
            let operation = match tried {
                Tried::Wrap => "GenerateDataKey",
                Tried::Encrypt => "Encrypt",
                Tried::Unwrap | Tried::Decrypt => "Decrypt",
            };
            let caller = source
                .caller
                .as_deref()
                .unwrap_or("arn:aws:iam::ACCOUNT:role/ROLE");
            let (id, region) = aws(key);
            format!(
                "allow kms:{operation} in the key policy, or: aws kms create-grant --key-id {id}{region} \
                 --grantee-principal {caller} --operations {operation}"
            )
        }
        KmsKind::Pkcs11 => {
            let attribute = match tried {
                Tried::Wrap | Tried::Encrypt => "CKA_ENCRYPT or CKA_WRAP",
                Tried::Unwrap | Tried::Decrypt => "CKA_DECRYPT or CKA_UNWRAP",
            };
            format!(
                "give the key object {attribute} with the token's own tool, and log in with the PIN of its user"
            )
        }
        _ => {
            "let this user read the keyset's file and its folder: chown and chmod 600 it".to_owned()
        }
    }
}

/// What to do about credentials.
pub(super) fn credentials(key: &KeyUri, cause: Option<Cause>, source: &Source) -> String {
    let refused = cause == Some(Cause::RefusedCredentials);
    match (key.kms(), refused) {
        (KmsKind::GcpKms, false) => {
            "set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, run `gcloud auth application-default login`, or give \
             the machine a service account"
                .to_owned()
        }
        (KmsKind::GcpKms, true) => match &source.caller {
            Some(caller) => format!(
                "see whether {caller} is disabled or its key deleted (gcloud iam service-accounts keys list), and make a new \
                 credentials file"
            ),
            None => {
                "run `gcloud auth application-default login` again, or make a new credentials file".to_owned()
            }
        },
        (KmsKind::AwsKms, false) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, \
             or give the machine a role"
                .to_owned()
        }
        (KmsKind::AwsKms, true) => {
            "try `aws sts get-caller-identity` with the same settings; renew the access key or the token, and let the role's \
             trust policy permit the caller"
                .to_owned()
        }
        (KmsKind::Pkcs11, false) => {
            "set PKCS11_PIN_FILE to a file with the PIN of the token's user that only this user can read (chmod 600)".to_owned()
        }
        (KmsKind::Pkcs11, true) => {
            "put the right PIN of the token's user into PKCS11_PIN_FILE; do not try many, tokens lock themselves".to_owned()
        }
        _ => "set TEMPORAL_CODEC_KEYRING, or local_keyring in [keys], to the folder of the keys".to_owned(),
    }
}

/// `K --keyring=R --location=L --project=P`.
pub(super) fn gcloud(key: &KeyUri) -> String {
    let mut parts = key.resource().split('/').skip(1).step_by(2);
    let mut next = || parts.next().unwrap_or_default();
    let (project, location, ring, name) = (next(), next(), next(), next());
    format!("{name} --keyring={ring} --location={location} --project={project}")
}

fn aws(key: &KeyUri) -> (String, String) {
    let resource = key.resource();
    if !resource.starts_with("arn:") || resource.contains(":alias/") {
        return (
            format!("ARN_OF_{}", resource.rsplit(':').next().unwrap_or_default()),
            String::new(),
        );
    }
    let region = resource.split(':').nth(3).unwrap_or_default();
    (resource.to_owned(), format!(" --region {region}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uri: &str) -> KeyUri {
        uri.parse().unwrap()
    }

    #[test]
    fn the_command_grants_what_was_refused() {
        let gcp = key("gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k");
        let source = Source {
            caller: Some("serviceAccount:a@p.iam.gserviceaccount.com".to_owned()),
            ..Source::default()
        };
        assert_eq!(
            permission(&gcp, Tried::Unwrap, &source),
            "grant roles/cloudkms.cryptoKeyDecrypter: gcloud kms keys add-iam-policy-binding k --keyring=r --location=l \
             --project=p --member=serviceAccount:a@p.iam.gserviceaccount.com --role=roles/cloudkms.cryptoKeyDecrypter"
        );
        let aws = key("aws-kms://arn:aws:kms:eu-west-1:111122223333:key/k");
        let remedy = permission(&aws, Tried::Wrap, &Source::default());
        assert!(
            remedy.ends_with(
                "--key-id arn:aws:kms:eu-west-1:111122223333:key/k --region eu-west-1 \
                 --grantee-principal arn:aws:iam::ACCOUNT:role/ROLE --operations GenerateDataKey"
            ),
            "{remedy}"
        );
    }

    #[test]
    fn every_error_belongs_to_a_check() {
        let error = |kind, cause| ProviderError::new(kind, &key("local://a")).with_cause(cause);
        for (kind, cause, expected, status) in [
            (
                Kind::Misconfigured,
                Some(Cause::NoCredentials),
                Check::Credentials,
                Status::NoPermission,
            ),
            (
                Kind::Misconfigured,
                Some(Cause::RefusedCredentials),
                Check::Credentials,
                Status::NoPermission,
            ),
            (
                Kind::Misconfigured,
                Some(Cause::Clock),
                Check::Clock,
                Status::Configuration,
            ),
            (
                Kind::Misconfigured,
                Some(Cause::ServiceDisabled),
                Check::Key,
                Status::Configuration,
            ),
            (
                Kind::Misconfigured,
                Some(Cause::QuotaProject),
                Check::Key,
                Status::Configuration,
            ),
            (
                Kind::Integrity,
                Some(Cause::Proxy),
                Check::Endpoint,
                Status::Unavailable,
            ),
            (
                Kind::Unavailable,
                Some(Cause::NoConnection),
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
