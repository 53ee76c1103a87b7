pub(crate) mod pkcs11;

use std::{fmt, str::FromStr, sync::Arc};

use self::pkcs11::Pkcs11Path;
use crate::ConfigurationError;

/// Longer than any resource name of the supported services.
const MAX_LEN: usize = 2048;

/// The key management services that a [`KeyUri`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KmsKind {
    /// A Tink keyset in a folder, for development: `local://NAME`.
    Local,
    /// Google Cloud KMS: `gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`.
    GcpKms,
    /// AWS KMS: `aws-kms://arn:aws:kms:…`.
    AwsKms,
    /// A PKCS#11 token: `pkcs11:token=…;object=…` (RFC 7512).
    Pkcs11,
}

impl KmsKind {
    const ALL: [Self; 4] = [Self::Local, Self::GcpKms, Self::AwsKms, Self::Pkcs11];

    /// The scheme of its key URIs, without what separates it from the resource.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::GcpKms => "gcp-kms",
            Self::AwsKms => "aws-kms",
            Self::Pkcs11 => "pkcs11",
        }
    }

    /// The `encoding` of payloads that this service encrypted directly.
    #[must_use]
    pub const fn direct_encoding(self) -> &'static str {
        match self {
            Self::Local => "binary/local-kms",
            Self::GcpKms => "binary/gcp-kms",
            Self::AwsKms => "binary/aws-kms",
            Self::Pkcs11 => "binary/pkcs11-kms",
        }
    }

    pub(crate) fn from_direct_encoding(encoding: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.direct_encoding() == encoding)
    }

    const fn separator(self) -> &'static str {
        match self {
            Self::Pkcs11 => ":",
            _ => "://",
        }
    }
}

/// The name of a key-encryption key: which service holds it, and what it is called there.
///
/// ```
/// use temporal_kms_codec::{KeyUri, KmsKind};
///
/// let key: KeyUri = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k".parse()?;
/// assert_eq!(key.kms(), KmsKind::GcpKms);
/// assert_eq!(key.resource(), "projects/p/locations/global/keyRings/r/cryptoKeys/k");
///
/// // The forms of Go CDK are read, and written as above.
/// let go: KeyUri = "gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k".parse()?;
/// assert_eq!(go, key);
/// # Ok::<(), temporal_kms_codec::ConfigurationError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyUri {
    kms: KmsKind,
    resource: Arc<str>,
}

impl KeyUri {
    /// The key called `resource` at `kms`. The attributes of a PKCS#11 URI are brought into one order and encoding.
    ///
    /// # Errors
    /// When `resource` has not the form that the service uses.
    pub fn new(kms: KmsKind, resource: &str) -> Result<Self, ConfigurationError> {
        if resource.len() > MAX_LEN || !resource.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "it must be printable ASCII without spaces, at most 2,048 bytes",
            ));
        }
        let expected = match kms {
            KmsKind::Local if is_file_name(resource) => None,
            KmsKind::Local => {
                Some("local://NAME, where NAME is up to 64 letters, digits, `.`, `_`, `-`")
            }
            KmsKind::GcpKms if is_gcp_key(resource) => None,
            KmsKind::GcpKms => {
                Some("gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version")
            }
            KmsKind::AwsKms if resource.starts_with("arn:") || resource.starts_with("alias/") => {
                None
            }
            KmsKind::AwsKms => {
                Some("aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID, or an alias' ARN")
            }
            KmsKind::Pkcs11 => return Self::pkcs11(&Pkcs11Path::parse(resource).map_err(invalid)?),
        };
        match expected {
            Some(form) => Err(invalid(format!("the form is {form}"))),
            None => Ok(Self {
                kms,
                resource: resource.into(),
            }),
        }
    }

    /// The key that `path` names.
    pub(crate) fn pkcs11(path: &Pkcs11Path) -> Result<Self, ConfigurationError> {
        let resource = path.to_string();
        if resource.len() > MAX_LEN {
            return Err(invalid("it has more than 2,048 bytes"));
        }
        Ok(Self {
            kms: KmsKind::Pkcs11,
            resource: resource.into(),
        })
    }

    /// Stands in errors for a local key whose name is none.
    pub(crate) fn unnamed_local() -> Self {
        Self {
            kms: KmsKind::Local,
            resource: "?".into(),
        }
    }

    /// The service that holds the key.
    #[must_use]
    pub const fn kms(&self) -> KmsKind {
        self.kms
    }

    /// What the service calls the key.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

impl FromStr for KeyUri {
    type Err = ConfigurationError;

    fn from_str(uri: &str) -> Result<Self, Self::Err> {
        let go_cdk = [
            ("gcpkms://", KmsKind::GcpKms),
            ("awskms://", KmsKind::AwsKms),
        ];
        for (prefix, kms) in go_cdk {
            if let Some(resource) = uri.strip_prefix(prefix) {
                return Self::new(kms, resource.trim_start_matches('/'));
            }
        }
        for kms in KmsKind::ALL {
            let resource = uri
                .strip_prefix(kms.scheme())
                .and_then(|rest| rest.strip_prefix(kms.separator()));
            if let Some(resource) = resource {
                return Self::new(kms, resource);
            }
        }
        Err(invalid(
            "it starts with none of local://, gcp-kms://, aws-kms://, pkcs11:",
        ))
    }
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{}",
            self.kms.scheme(),
            self.kms.separator(),
            self.resource
        )
    }
}

impl fmt::Debug for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn invalid(reason: impl Into<String>) -> ConfigurationError {
    ConfigurationError::invalid("key URI", reason)
}

/// Keeps `local://` inside its folder.
fn is_file_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_gcp_key(resource: &str) -> bool {
    let parts: Vec<&str> = resource.split('/').collect();
    matches!(
        parts.as_slice(),
        ["projects", p, "locations", l, "keyRings", r, "cryptoKeys", k]
            if [p, l, r, k].iter().all(|part| !part.is_empty())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_every_form() {
        for uri in [
            "local://default",
            "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k",
            "aws-kms://arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "aws-kms://alias/workflows",
            "pkcs11:token=prod;object=temporal",
        ] {
            assert_eq!(uri.parse::<KeyUri>().unwrap().to_string(), uri);
        }
    }

    #[test]
    fn go_cdk_forms_become_the_canonical_ones() {
        let key: KeyUri = "awskms:///arn:aws:kms:us-east-1:1:key/k".parse().unwrap();
        assert_eq!(key.to_string(), "aws-kms://arn:aws:kms:us-east-1:1:key/k");
    }

    #[test]
    fn one_object_of_a_token_has_one_name() {
        let key: KeyUri = "pkcs11:object=a,b;token=%70rod".parse().unwrap();
        assert_eq!(key.to_string(), "pkcs11:token=prod;object=a%2Cb");
    }

    #[test]
    fn refuses_names_that_leave_the_folder_or_pin_a_version() {
        for bad in [
            "",
            "default",
            "local://",
            "local://../etc/passwd",
            "local://a/b",
            "local://.hidden",
            "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            "gcp-kms://projects//locations/l/keyRings/r/cryptoKeys/k",
            "aws-kms://key",
            "pkcs11:",
            "pkcs11:token=a b",
            "pkcs11:token=prod;object=temporal?pin-source=file:/run/pin",
            "https://example.com",
        ] {
            assert!(bad.parse::<KeyUri>().is_err(), "{bad}");
        }
    }
}
