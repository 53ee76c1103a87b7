//! Cloud KMS as a [`KeyService`].

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use temporal_kms::{
    ConfigurationError, Diagnose, KeyAdmin, KeyProvider, KeyService, KeySetup, KeyUri,
    ProviderError, Scheme, Setting, SettingValue, SetupPlan, Signer, Variables, endpoint,
    support::variable,
};

use super::{
    GcpKms, GcpOptions, commands, credentials,
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

    /// A credentials file that is damaged when a server reads its configuration again must not replace one that works.
    fn missing_files(&self) -> Vec<ConfigurationError> {
        let fault = credentials::fault(self.options(), &variable);
        fault.into_iter().collect()
    }

    /// Where Google's library finds credentials without any setting.
    fn other_files(&self) -> Vec<PathBuf> {
        let file = credentials::default_file(self.options(), &variable);
        file.into_iter().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_without_the_form_of_one_is_told_before_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gcp.json");
        let kms = GcpKms::new(GcpOptions::default().with_credentials(&file));
        let told = || kms.missing_files().first().map(ToString::to_string);
        assert!(told().unwrap().contains("there is no file"));
        for content in ["", "sk-secret", r#"{"type":"sk-secret"}"#] {
            std::fs::write(&file, content).unwrap();
            let told = told().unwrap();
            assert!(told.starts_with("gcp_credentials: "), "{told}");
            assert!(told.contains("does not have the form"), "{told}");
            assert!(
                told.ends_with("; download it again, or name another file"),
                "{told}"
            );
            assert!(!told.contains("sk-secret"), "{told}");
        }
        std::fs::write(&file, r#"{"type":"authorized_user"}"#).unwrap();
        assert_eq!(told(), None);
    }
}
