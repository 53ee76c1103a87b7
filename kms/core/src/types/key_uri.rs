//! Names of key-encryption keys.

mod form;
mod query;
mod redact;
pub(crate) mod token;

use std::{fmt, str::FromStr, sync::Arc};

pub use self::query::is_region;
use super::{configuration_error::ConfigurationError, scheme::Scheme};

/// Longer than any resource name of the supported services.
const MAX_LEN: usize = 2048;

/// The name of a key-encryption key: the service that holds it, and its name there.
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
pub struct KeyUri(Arc<Parts>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    scheme: Scheme,
    resource: Box<str>,
}

impl KeyUri {
    /// The key called `resource` at the service `scheme`. The attributes of an object in a token are written in one
    /// order and encoding. At AWS KMS, an alias or a key id may be followed by its region, `alias/NAME?region=REGION`.
    /// For a service that this crate does not know, the name is kept unchanged.
    ///
    /// # Errors
    /// When `resource` does not have the form that the service uses. For unknown services, this is printable ASCII
    /// without spaces, `?`, `#` and `@`. The error repeats only the names of parameters.
    pub fn new(scheme: Scheme, resource: &str) -> Result<Self, ConfigurationError> {
        if resource.len() > MAX_LEN || !resource.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "it must be printable ASCII without spaces, at most 2,048 bytes",
            ));
        }
        let resource = form::canonical(scheme, resource).map_err(invalid)?;
        if resource.len() > MAX_LEN {
            return Err(invalid("it has more than 2,048 bytes"));
        }
        Ok(Self(Arc::new(Parts {
            scheme,
            resource: resource.into(),
        })))
    }

    /// The part of a refused text that may be shown, without PINs, passwords, user names and values of parameters. This
    /// works for key URIs and web addresses, also with mistakes in them. Every other text becomes `…`.
    ///
    /// ```
    /// use temporal_kms::KeyUri;
    ///
    /// let written = "aws-kms://alias/workflows?password=1234";
    /// assert!(written.parse::<KeyUri>().is_err());
    /// assert_eq!(KeyUri::redact(written), "aws-kms://alias/workflows?password=…");
    /// ```
    #[must_use]
    pub fn redact(text: &str) -> String {
        redact::redact(text)
    }

    /// For errors about a local key whose name is not valid.
    #[must_use]
    pub fn unnamed_local() -> Self {
        Self(Arc::new(Parts {
            scheme: Scheme::LOCAL,
            resource: "?".into(),
        }))
    }

    /// The service that holds the key.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The key's name at the service.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.0.resource
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
        let known = Scheme::KNOWN.map(|scheme| format!("{scheme}{}", scheme.separator()));
        Err(invalid(format!(
            "it starts with none of {}",
            known.join(", ")
        )))
    }
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{}",
            self.0.scheme,
            self.0.scheme.separator(),
            self.0.resource
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

#[cfg(test)]
mod tests;
