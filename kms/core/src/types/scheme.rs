//! The name of a key management service, with which a key URI begins.

use std::fmt;

use super::configuration_error::ConfigurationError;

const MAX_LEN: usize = 32;
/// The end of the `encoding` of every payload that a service encrypted itself.
const DIRECT_SUFFIX: &str = "-kms";

/// The scheme of a [`KeyUri`](crate::KeyUri): the service that holds the key. It is an open set of names, so third
/// parties can add services.
///
/// ```
/// use temporal_kms::{KeyUri, Scheme};
///
/// let key: KeyUri = "vault://transit/payloads".parse()?;
/// assert_eq!(key.scheme(), Scheme::new("vault")?);
/// assert_eq!(Scheme::GCP_KMS.as_str(), "gcp-kms");
/// # Ok::<(), temporal_kms::ConfigurationError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scheme {
    /// Zeros after the name.
    bytes: [u8; MAX_LEN],
    len: u8,
}

impl Scheme {
    /// A Tink keyset in a folder, for development: `local://NAME`.
    pub const LOCAL: Self = Self::known("local");
    /// Google Cloud KMS: `gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K`.
    pub const GCP_KMS: Self = Self::known("gcp-kms");
    /// AWS KMS: `aws-kms://arn:aws:kms:…`.
    pub const AWS_KMS: Self = Self::known("aws-kms");
    /// A PKCS#11 token: `pkcs11:token=…;object=…` (RFC 7512).
    pub const PKCS11: Self = Self::known("pkcs11");

    /// Schemes for which this crate checks the form of a key's name.
    pub(crate) const KNOWN: [Self; 4] = [Self::LOCAL, Self::GCP_KMS, Self::AWS_KMS, Self::PKCS11];

    /// The scheme called `name`.
    ///
    /// # Errors
    /// When `name` is not a lowercase letter followed by up to 31 lowercase letters, digits and hyphens, or is the
    /// scheme of a web address or a file.
    pub fn new(name: &str) -> Result<Self, ConfigurationError> {
        let invalid = |reason| Err(ConfigurationError::invalid("scheme of a key URI", reason));
        if !is_scheme(name.as_bytes()) {
            return invalid(
                "it must be a lowercase letter and up to 31 lowercase letters, digits and hyphens",
            );
        }
        if matches!(name, "http" | "https" | "file") {
            return invalid("it must not be the scheme of a web address or a file");
        }
        Ok(Self::known(name))
    }

    /// The scheme called `name`, for a constant. A constant does not compile with a name whose characters
    /// [`new`](Self::new) refuses.
    ///
    /// # Panics
    /// When `name` is such a name and the call is not evaluated at compile time.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(
            is_scheme(name.as_bytes()),
            "a scheme has up to 32 lowercase letters, digits and hyphens"
        );
        Self::known(name)
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "a `const fn` has nothing else, and the length is checked before"
    )]
    const fn known(name: &str) -> Self {
        let mut bytes = [0; MAX_LEN];
        let mut index = 0;
        while index < name.len() {
            bytes[index] = name.as_bytes()[index];
            index += 1;
        }
        Self {
            bytes,
            len: index as u8,
        }
    }

    /// The name, without the separator that follows it in a URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let name = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// The `encoding` of payloads that the service encrypted directly: `binary/`, the scheme, and `-kms` unless the scheme
    /// ends in that.
    #[must_use]
    pub fn direct_encoding(&self) -> String {
        let name = self.as_str();
        let suffix = if name.ends_with(DIRECT_SUFFIX) {
            ""
        } else {
            DIRECT_SUFFIX
        };
        format!("binary/{name}{suffix}")
    }

    /// The service whose payloads of direct mode have this `encoding`. `None` for services that this crate does not
    /// know, because their payloads cannot be distinguished from those of other programs.
    #[must_use]
    pub fn from_direct_encoding(encoding: &str) -> Option<Self> {
        let name = encoding.strip_prefix("binary/")?;
        let short = name.strip_suffix(DIRECT_SUFFIX)?;
        Self::KNOWN.into_iter().find(|known| {
            let known = known.as_str();
            known == name || (known == short && !known.ends_with(DIRECT_SUFFIX))
        })
    }

    /// Whether codecs recognise payloads that the service encrypted directly. Keys of other services wrap data keys only.
    #[must_use]
    pub fn has_direct_mode(&self) -> bool {
        Self::KNOWN.contains(self)
    }

    pub(crate) const fn separator(self) -> &'static str {
        match self {
            Self::PKCS11 => ":",
            _ => "://",
        }
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "a `const fn` has nothing else, and the length is checked"
)]
const fn is_scheme(name: &[u8]) -> bool {
    if name.is_empty() || name.len() > MAX_LEN || !name[0].is_ascii_lowercase() {
        return false;
    }
    let mut index = 0;
    while index < name.len() {
        let byte = name[index];
        if !(byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return false;
        }
        index += 1;
    }
    true
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direct_encodings_of_the_known_services_are_those_on_the_wire() {
        for (scheme, encoding) in [
            (Scheme::LOCAL, "binary/local-kms"),
            (Scheme::GCP_KMS, "binary/gcp-kms"),
            (Scheme::AWS_KMS, "binary/aws-kms"),
            (Scheme::PKCS11, "binary/pkcs11-kms"),
        ] {
            assert_eq!(scheme.direct_encoding(), encoding);
            assert_eq!(Scheme::from_direct_encoding(encoding), Some(scheme));
        }
        for other in [
            "binary/envelope-kms",
            "binary/gcp-kms-kms",
            "binary/gcp",
            "binary/pkcs11",
            "binary/vault-kms",
            "gcp-kms",
            "",
        ] {
            assert_eq!(Scheme::from_direct_encoding(other), None, "{other}");
        }
    }

    #[test]
    fn a_scheme_is_a_short_lowercase_name() {
        for good in ["vault", "azure-keyvault", "a", "kmip2"] {
            assert_eq!(Scheme::new(good).unwrap().as_str(), good);
            assert_eq!(Scheme::from_static(good).as_str(), good);
        }
        let long = "a".repeat(MAX_LEN + 1);
        for bad in ["", "-a", "1a", "Vault", "a b", "a:b", "é", "https", &long] {
            assert!(Scheme::new(bad).is_err(), "{bad}");
        }
    }
}
