//! Cloud KMS as a [`KeyService`].

use std::sync::Arc;

use async_trait::async_trait;
use temporal_kms::{
    ConfigurationError, Diagnose, KeyAdmin, KeyProvider, KeyService, KeySetup, KeyUri,
    ProviderError, Scheme, Setting, SettingValue, SetupPlan, Signer, Variables, endpoint,
};

use super::{
    GcpKms, GcpOptions, commands,
    endpoint::{REFUSED, REMEDY, Target},
    settings::{self, SETTINGS},
};

#[async_trait]
impl KeyService for GcpKms {
    fn scheme(&self) -> Scheme {
        Scheme::GCP_KMS
    }

    fn key_forms(&self) -> Vec<String> {
        vec!["gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K".to_owned()]
    }

    fn place_form(&self) -> Option<&'static str> {
        Some("gcp-kms://projects/P/locations/L/keyRings/R")
    }

    fn settings(&self) -> Vec<&'static Setting> {
        SETTINGS.settings()
    }

    fn with_variables(
        &self,
        variable: Variables<'_>,
    ) -> Result<Option<Arc<dyn KeyService>>, ConfigurationError> {
        Ok(Some(Arc::new(Self::new(GcpOptions::from_variables(
            variable,
        )?))))
    }

    fn with_setting(&self, name: &str, value: SettingValue) -> Option<Arc<dyn KeyService>> {
        let options = SETTINGS.changed(self.options(), name, value)?;
        Some(Arc::new(Self::new(options)))
    }

    fn library_settings(&self) -> &'static [Setting] {
        settings::LIBRARY
    }

    fn provider_name(&self) -> Option<&'static str> {
        Some(settings::PROVIDER_NAME)
    }

    fn key_settings(&self) -> &'static [Setting] {
        settings::KEY
    }

    fn named_key(&self, variable: Variables<'_>) -> Result<Option<KeyUri>, ConfigurationError> {
        settings::named_key(variable)
    }

    fn key_in(&self, place: &str) -> Option<String> {
        let is_ring = place.contains("/keyRings/") && !place.contains("/cryptoKeys");
        is_ring.then(|| format!("{place}/cryptoKeys/any"))
    }

    fn check(&self) -> Vec<ConfigurationError> {
        let url = self.options().endpoint.as_deref();
        let reason = url.and_then(|url| match endpoint::check(url) {
            Err(reason) => Some(reason),
            Ok(()) => Target::of(Some(url)).is_none().then_some(REFUSED),
        });
        let fault = reason.map(|reason| {
            ConfigurationError::invalid("gcp_endpoint", format!("{reason}; {REMEDY}"))
        });
        fault.into_iter().collect()
    }

    fn missing_files(&self) -> Vec<ConfigurationError> {
        let file = self.options().credentials.as_deref();
        let fault = file.and_then(|file| ConfigurationError::missing_file("gcp_credentials", file));
        fault.into_iter().collect()
    }

    async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        self.key(uri)
    }

    async fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        self.signer(uri)
    }

    async fn admin(&self, uri: &KeyUri) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        self.admin(uri)
    }

    fn setup_commands(&self, tool: &str, plan: &SetupPlan) -> Result<String, ProviderError> {
        commands::of(tool, plan)
    }

    fn setup(&self) -> &dyn KeySetup {
        self
    }

    fn diagnose(&self) -> &dyn Diagnose {
        self
    }
}
