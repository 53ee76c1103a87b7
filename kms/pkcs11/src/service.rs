//! PKCS#11 tokens as a [`KeyService`].

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use temporal_kms::{
    ConfigurationError, Diagnose, KeyAdmin, KeyProvider, KeyService, KeyUri, ProviderError, Scheme,
    Setting, SettingValue, Signer, Variables,
};

use super::{PinSource, Pkcs11Kms, Pkcs11Options, settings::SETTINGS, wrapped::Wrapped};

#[async_trait]
impl KeyService for Pkcs11Kms {
    fn scheme(&self) -> Scheme {
        Scheme::PKCS11
    }

    fn key_forms(&self) -> Vec<String> {
        vec!["pkcs11:token=LABEL;object=LABEL".to_owned()]
    }

    fn place_form(&self) -> Option<&'static str> {
        Some("pkcs11:token=LABEL")
    }

    fn settings(&self) -> Vec<&'static Setting> {
        SETTINGS.settings()
    }

    fn with_variables(
        &self,
        variable: Variables<'_>,
    ) -> Result<Option<Arc<dyn KeyService>>, ConfigurationError> {
        Ok(Some(Arc::new(Self::new(Pkcs11Options::from_variables(
            variable,
        )?))))
    }

    fn with_setting(&self, name: &str, value: SettingValue) -> Option<Arc<dyn KeyService>> {
        let options = SETTINGS.changed(self.options(), name, value)?;
        Some(Arc::new(Self::new(options)))
    }

    fn has_settings_in_uris(&self) -> bool {
        true
    }

    fn read_key(
        &self,
        uri: &str,
    ) -> Result<(KeyUri, Option<Arc<dyn KeyService>>), ConfigurationError> {
        let mut options = self.options().clone();
        let key = options.read_key(uri)?;
        let is_changed = options != *self.options();
        let changed = is_changed.then(|| -> Arc<dyn KeyService> { Arc::new(Self::new(options)) });
        Ok((key, changed))
    }

    fn version_in(&self, ciphertext: &[u8]) -> Option<String> {
        Wrapped::parse(ciphertext)
            .ok()
            .map(|wrapped| hex::encode(wrapped.key_id))
    }

    fn key_in(&self, place: &str) -> Option<String> {
        let is_token = place.contains("token=") && !place.contains("object=");
        is_token.then(|| format!("{place};object=any"))
    }

    fn check_key(&self, _key: &KeyUri) -> Result<(), ConfigurationError> {
        if self.options().module.is_some() {
            return Ok(());
        }
        Err(ConfigurationError::invalid(
            "pkcs11_module",
            "name the vendor's library: pkcs11_module under [keys], or PKCS11_MODULE",
        ))
    }

    fn other_files(&self) -> Vec<PathBuf> {
        let files = self.options().keys.values().flat_map(|access| {
            let pin = match &access.pin {
                Some(PinSource::File(path)) => Some(path),
                _ => None,
            };
            pin.into_iter().chain(&access.module).cloned()
        });
        files.collect()
    }

    fn missing_files(&self) -> Vec<ConfigurationError> {
        let options = self.options();
        let pin = match &options.pin {
            Some(PinSource::File(path)) => Some(path),
            _ => None,
        };
        let files = [
            ("pkcs11_module", options.module.as_ref()),
            ("pkcs11_pin_file", pin),
        ];
        let faults = files
            .into_iter()
            .filter_map(|(name, path)| ConfigurationError::missing_file(name, path?));
        faults.collect()
    }

    async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        self.key(uri).await
    }

    async fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        self.signer(uri).await
    }

    async fn admin(&self, uri: &KeyUri) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        self.admin(uri).await
    }

    fn diagnose(&self) -> &dyn Diagnose {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pin_of_one_key_is_a_file_to_look_at() {
        let service = Pkcs11Kms::default();
        assert!(service.other_files().is_empty());
        let uri = "pkcs11:token=t;object=o?pin-source=file:/run/pin&module-path=/lib/m.so";
        let (_, service) = service.read_key(uri).unwrap();
        let files = service.unwrap().other_files();
        assert_eq!(files, ["/run/pin", "/lib/m.so"].map(PathBuf::from));
    }

    #[test]
    fn a_token_is_a_place_of_keys() {
        let key_in = |place: &str| Pkcs11Kms::default().key_in(place);
        assert_eq!(
            key_in("pkcs11:token=t").as_deref(),
            Some("pkcs11:token=t;object=any")
        );
        for other in ["pkcs11:", "pkcs11:token=t;object=k"] {
            assert_eq!(key_in(other), None, "{other}");
        }
    }
}
