//! Names of key-encryption keys.

pub(crate) mod pkcs11;
mod query;
mod redact;

use std::{fmt, str::FromStr, sync::Arc};

use self::pkcs11::Pkcs11Path;
pub use self::query::is_region;
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

    /// The service whose direct encoding is called so.
    #[must_use]
    pub fn from_direct_encoding(encoding: &str) -> Option<Self> {
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
/// use temporal_kms::{KeyUri, KmsKind};
///
/// let key: KeyUri = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k".parse()?;
/// assert_eq!(key.kms(), KmsKind::GcpKms);
/// assert_eq!(key.resource(), "projects/p/locations/global/keyRings/r/cryptoKeys/k");
///
/// // The forms of Go CDK are read, and written as above.
/// let go: KeyUri = "gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k".parse()?;
/// assert_eq!(go, key);
/// let go: KeyUri = "awskms://alias/workflows?region=eu-west-1".parse()?;
/// assert_eq!(go.to_string(), "aws-kms://alias/workflows?region=eu-west-1");
/// # Ok::<(), temporal_kms::ConfigurationError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyUri {
    kms: KmsKind,
    resource: Arc<str>,
}

impl KeyUri {
    /// The key called `resource` at `kms`. The attributes of a PKCS#11 URI are brought into one order and encoding. At AWS
    /// KMS an alias or a key id may be followed by its region, `alias/NAME?region=REGION`.
    ///
    /// # Errors
    /// When `resource` has not the form that the service uses. The error repeats nothing of it but the names of
    /// parameters.
    pub fn new(kms: KmsKind, resource: &str) -> Result<Self, ConfigurationError> {
        if resource.len() > MAX_LEN || !resource.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "it must be printable ASCII without spaces, at most 2,048 bytes",
            ));
        }
        let form = match kms {
            KmsKind::Local => "local://NAME, where NAME is up to 64 letters, digits, `.`, `_`, `-`",
            KmsKind::GcpKms => {
                "gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version"
            }
            KmsKind::AwsKms => {
                return aws_name(resource).map_err(invalid).map(|name| Self {
                    kms,
                    resource: name.into(),
                });
            }
            KmsKind::Pkcs11 => return Self::pkcs11(&Pkcs11Path::parse(resource).map_err(invalid)?),
        };
        let (name, query) = query::split(resource);
        query::none(query).map_err(invalid)?;
        let valid = match kms {
            KmsKind::Local => is_file_name(name),
            _ => is_gcp_key(name),
        };
        if !valid {
            return Err(invalid(format!("the form is {form}")));
        }
        Ok(Self {
            kms,
            resource: name.into(),
        })
    }

    /// The part of a refused text that may be shown, where the text is a key URI or a web address, or was meant as one:
    /// without PINs, passwords, user names and values of parameters. It is `…` for every other text.
    ///
    /// ```
    /// use temporal_kms::KeyUri;
    ///
    /// let written = "pkcs11:token=prod;object=temporal?pin-value=1234";
    /// assert!(written.parse::<KeyUri>().is_err());
    /// assert_eq!(KeyUri::redact(written), "pkcs11:token=prod;object=temporal?pin-value=…");
    /// ```
    #[must_use]
    pub fn redact(text: &str) -> String {
        redact::redact(text)
    }

    /// The key that `path` names.
    ///
    /// # Errors
    /// When it is longer than any name may be.
    pub fn pkcs11(path: &Pkcs11Path) -> Result<Self, ConfigurationError> {
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
    #[must_use]
    pub fn unnamed_local() -> Self {
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
    let is_part = |part: &&&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
    };
    matches!(
        parts.as_slice(),
        ["projects", p, "locations", l, "keyRings", r, "cryptoKeys", k]
            if [p, l, r, k].iter().all(is_part)
    )
}

/// An ARN, or an alias or key id with or without its region: `alias/NAME?region=REGION`.
fn aws_name(resource: &str) -> Result<String, String> {
    let (name, query) = query::split(resource);
    let region = query::region(query)?;
    let is_made_of = |others: &[u8]| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
    };
    if name.starts_with("arn:") && is_made_of(b":/_-") {
        let own = name.split(':').nth(3);
        if region.is_some_and(|region| own != Some(region)) {
            return Err("the region in its query is not the region of its ARN".to_owned());
        }
        return Ok(name.to_owned());
    }
    let is_alias = name.starts_with("alias/") && is_made_of(b"/_-");
    if !is_alias && !is_aws_key_id(name) {
        return Err(
            "the form is aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID, an alias' ARN, or \
             aws-kms://alias/NAME?region=REGION"
                .to_owned(),
        );
    }
    Ok(match region {
        Some(region) => format!("{name}?region={region}"),
        None => name.to_owned(),
    })
}

/// A UUID, or the id of a multi-region key.
fn is_aws_key_id(name: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(id) = name.strip_prefix("mrk-") {
        return id.len() == 32 && is_hex(id);
    }
    let parts: Vec<_> = name.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.into_iter().all(is_hex)
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
            "aws-kms://alias/workflows?region=eu-west-1",
            "aws-kms://mrk-1234abcd12ab34cd56ef1234567890ab",
            "pkcs11:token=prod;object=temporal",
        ] {
            assert_eq!(uri.parse::<KeyUri>().unwrap().to_string(), uri);
        }
    }

    #[test]
    fn go_cdk_forms_become_the_canonical_ones() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        for (go_cdk, canonical) in [
            (
                "awskms:///arn:aws:kms:us-east-1:1:key/k",
                "aws-kms://arn:aws:kms:us-east-1:1:key/k",
            ),
            (
                "awskms:///arn:aws:kms:us-east-1:1:alias/a?region=us-east-1",
                "aws-kms://arn:aws:kms:us-east-1:1:alias/a",
            ),
            (
                "awskms://alias/a?region=us-east-1",
                "aws-kms://alias/a?region=us-east-1",
            ),
            ("awskms://alias/a", "aws-kms://alias/a"),
            (
                &format!("awskms://{id}?region=us-east-1"),
                &format!("aws-kms://{id}?region=us-east-1"),
            ),
            (
                "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
                "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
            ),
        ] {
            let key: KeyUri = go_cdk.parse().unwrap();
            assert_eq!(key.to_string(), canonical);
            assert_eq!(canonical.parse::<KeyUri>().unwrap(), key);
        }
    }

    #[test]
    fn a_query_is_refused_by_the_names_of_its_parameters() {
        for (uri, reason) in [
            (
                "awskms://alias/a?awssdk=sEcReT&region=us-east-1",
                "`awssdk`",
            ),
            (
                "awskms://alias/a?region=us-east-1&context_env=sEcReT",
                "`context_env`",
            ),
            ("awskms://alias/a?sEcReT", "region=REGION only"),
            ("awskms://alias/a?region=sEcReT", "such as eu-west-1"),
            (
                "aws-kms://arn:aws:kms:us-east-1:1:key/k?region=eu-west-1",
                "region of its ARN",
            ),
            (
                "aws-kms://arn:aws:kms:us-east-1:1:key/k?token=sEcReT",
                "`token`",
            ),
            (
                "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k?key=sEcReT",
                "`key`",
            ),
            ("local://default?password=sEcReT", "`password`"),
            ("pkcs11:token=t;object=o?pin-value=sEcReT", "configuration"),
            ("pkcs11:token=t;object=o;pin-value=sEcReT", "RFC 7512"),
            ("pkcs11:token=t;object=o&pin-value=sEcReT", "percent-encode"),
            ("https://user:sEcReT@example.com", "starts with none"),
            ("sEcReT", "starts with none"),
            ("local://sEcReT/..", "the form is"),
            ("aws-kms://AKIA:sEcReT@alias/a", "the form is"),
            (
                "gcp-kms://user:sEcReT@projects/p/locations/l/keyRings/r/cryptoKeys/k",
                "the form is",
            ),
        ] {
            let error = uri.parse::<KeyUri>().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(reason), "{uri}: {shown}");
            assert!(!shown.contains("sEcReT"), "{uri}: {shown}");
        }
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
            "aws-kms://alias/a b",
            "aws-kms://alias/a?region=",
            "aws-kms://alias/a?region=-evil.example",
            "aws-kms://alias/a@b",
            "aws-kms://mrk-1234",
            "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k#x",
            "gcp-kms://projects/p@q/locations/l/keyRings/r/cryptoKeys/k",
            "pkcs11:",
            "pkcs11:token=a b",
            "pkcs11:token=prod;object=temporal?pin-source=file:/run/pin",
            "https://example.com",
        ] {
            assert!(bad.parse::<KeyUri>().is_err(), "{bad}");
        }
    }
}
