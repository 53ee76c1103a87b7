//! Names of key-encryption keys.

pub(crate) mod pkcs11;
mod query;
mod redact;

use std::{fmt, str::FromStr, sync::Arc};

use self::pkcs11::Pkcs11Path;
pub use self::query::is_region;
use super::scheme::Scheme;
use crate::ConfigurationError;

/// Longer than any resource name of the supported services.
const MAX_LEN: usize = 2048;

/// The name of a key-encryption key: which service holds it, and what it is called there.
///
/// ```
/// use temporal_kms::{KeyUri, Scheme};
///
/// let key: KeyUri = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k".parse()?;
/// assert_eq!(key.scheme(), Scheme::GCP_KMS);
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
    scheme: Scheme,
    resource: Arc<str>,
}

impl KeyUri {
    /// The key called `resource` at the service `scheme`. The attributes of a PKCS#11 URI are brought into one order and
    /// encoding. At AWS KMS an alias or a key id may be followed by its region, `alias/NAME?region=REGION`. The name at a
    /// service that this crate does not know is kept as it is.
    ///
    /// # Errors
    /// When `resource` does not have the form that the service uses: for unknown services printable ASCII without spaces,
    /// `?`, `#` and `@`. The error repeats nothing of it but the names of parameters.
    pub fn new(scheme: Scheme, resource: &str) -> Result<Self, ConfigurationError> {
        if resource.len() > MAX_LEN || !resource.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "it must be printable ASCII without spaces, at most 2,048 bytes",
            ));
        }
        let resource = match scheme {
            Scheme::AWS_KMS => aws_name(resource).map_err(invalid)?,
            Scheme::PKCS11 => {
                return Self::pkcs11(&Pkcs11Path::parse(resource).map_err(invalid)?);
            }
            _ => name_without_query(scheme, resource)?,
        };
        Ok(Self {
            scheme,
            resource: resource.into(),
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
            scheme: Scheme::PKCS11,
            resource: resource.into(),
        })
    }

    /// For errors about a local key whose name is not valid.
    #[must_use]
    pub fn unnamed_local() -> Self {
        Self {
            scheme: Scheme::LOCAL,
            resource: "?".into(),
        }
    }

    /// The service that holds the key.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
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
            ("gcpkms://", Scheme::GCP_KMS),
            ("awskms://", Scheme::AWS_KMS),
        ];
        for (prefix, scheme) in go_cdk {
            if let Some(resource) = uri.strip_prefix(prefix) {
                return Self::new(scheme, resource.trim_start_matches('/'));
            }
        }
        let (name, rest) = uri.split_once(':').unwrap_or_default();
        if let Ok(scheme) = Scheme::new(name)
            && let Some(resource) = rest.strip_prefix(scheme.separator().trim_start_matches(':'))
        {
            return Self::new(scheme, resource);
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
            self.scheme,
            self.scheme.separator(),
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

/// A name that nothing follows.
fn name_without_query(scheme: Scheme, resource: &str) -> Result<String, ConfigurationError> {
    let (name, query) = query::split(resource);
    query::none(query).map_err(invalid)?;
    let (valid, form) = match scheme {
        Scheme::LOCAL => (
            is_file_name(name),
            "local://NAME, where NAME is up to 64 letters, digits, `.`, `_`, `-`",
        ),
        Scheme::GCP_KMS => (
            is_gcp_key(name),
            "gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version",
        ),
        // A user name with a password would be shown wherever the key is named.
        _ => (
            !name.is_empty() && !name.contains(['#', '@']),
            "SCHEME://NAME, where NAME has no `?`, `#` and `@`",
        ),
    };
    if !valid {
        return Err(invalid(format!("the form is {form}")));
    }
    Ok(name.to_owned())
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
    fn a_service_that_is_not_known_here_has_names_too() {
        let uri = "vault://transit/payloads:1";
        let key: KeyUri = uri.parse().unwrap();
        assert_eq!(
            (key.scheme().as_str(), key.resource()),
            ("vault", "transit/payloads:1")
        );
        assert_eq!(key.to_string(), uri);
        for bad in [
            "vault://",
            "vault:transit",
            "vault://a?token=sEcReT",
            "vault://user:sEcReT@host/key",
            "vault://a#sEcReT",
            "vault://a b",
            "Vault://a",
            "file:///etc/passwd",
        ] {
            let error = bad.parse::<KeyUri>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("sEcReT"), "{bad}");
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
