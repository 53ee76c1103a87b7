//! The key that variables name in parts, in place of its URI.

use super::{Kms, Variables};
use crate::{ConfigurationError, KeyUri};

/// The variable that chooses the service.
const PROVIDER: &str = "KMS_PROVIDER";

impl Kms {
    /// The key that variables name in parts, where `TEMPORAL_CODEC_KEY` is not set. `None` when they name none. Without
    /// `KMS_PROVIDER`, the first service counts whose parts are set.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `KMS_PROVIDER` | the service of the key, where `TEMPORAL_CODEC_KEY` is not set: `gcp`, `aws` or `local` | the first one whose key is named |
    ///
    /// # Errors
    /// When a part is missing or not valid, or `KMS_PROVIDER` names a service that this build does not have.
    pub fn named_key(&self, variable: Variables<'_>) -> Result<Option<KeyUri>, ConfigurationError> {
        let Some(provider) = variable(PROVIDER) else {
            let mut named = self.services().map(|service| service.named_key(variable));
            // An error is an answer, too: it is about parts of a key that are set.
            let found = named.find(|named| !matches!(named, Ok(None)));
            return found.unwrap_or(Ok(None));
        };
        let mut services = self.services();
        let chosen = services.find(|service| service.provider_name() == Some(provider.as_str()));
        match chosen {
            Some(service) => service.named_key(variable),
            None => Err(ConfigurationError::invalid(PROVIDER, self.providers())),
        }
    }

    /// Whether variables name a key, or the service of a key, in place of a URI. The key may be incomplete.
    #[must_use]
    pub fn has_named_key(&self, variable: Variables<'_>) -> bool {
        variable(PROVIDER).is_some() || !matches!(self.named_key(variable), Ok(None))
    }

    /// What `KMS_PROVIDER` may be.
    fn providers(&self) -> String {
        let names = self
            .services()
            .filter_map(|service| service.provider_name());
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        format!(
            "it must be one of {}, which this build has",
            names.join(", ")
        )
    }
}

#[cfg(test)]
#[cfg(feature = "local")]
mod tests {
    use super::*;

    fn named(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let mut found = variables.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        let kms = Kms::default();
        let key = kms.named_key(&variable);
        assert_eq!(
            kms.has_named_key(&variable),
            variable(PROVIDER).is_some() || key != Ok(None)
        );
        key.map(|key| key.map(|key| key.to_string()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_named_only_where_a_service_finds_its_parts() {
        assert_eq!(named(&[]), Ok(None));
        let local = named(&[(PROVIDER, "local")]);
        assert_eq!(local, Ok(Some("local://default".to_owned())));
        let error = named(&[(PROVIDER, "azure")]).unwrap_err();
        assert!(
            error.starts_with("KMS_PROVIDER: it must be one of `local`"),
            "{error}"
        );
    }

    #[cfg(all(feature = "aws-kms", feature = "gcp-kms"))]
    #[test]
    fn the_provider_decides_between_two_keys_that_are_named() {
        let parts = [
            ("PROJECT_ID", "p"),
            ("KMS_KEY_RING", "r"),
            ("KMS_KEY_NAME", "k"),
            ("KMS_KEY_ALIAS", "alias/k"),
        ];
        let scheme = |further: &[(&str, &str)]| {
            let key = named(&[further, &parts].concat()).unwrap().unwrap();
            key.split(':').next().unwrap_or_default().to_owned()
        };
        assert_eq!(scheme(&[]), "gcp-kms");
        assert_eq!(scheme(&[(PROVIDER, "aws")]), "aws-kms");
        assert_eq!(scheme(&[(PROVIDER, "local")]), "local");
    }
}
