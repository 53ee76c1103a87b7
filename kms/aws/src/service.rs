//! AWS KMS as a [`KeyService`].

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use temporal_kms::{
    ConfigurationError, Diagnose, KeyAdmin, KeyProvider, KeyService, KeySetup, KeyUri,
    ProviderError, Scheme, Setting, SettingValue, SetupPlan, Signer, Variables, endpoint,
    support::variable,
};

use super::{AwsKms, AwsOptions, client, commands, credentials, settings::SETTINGS, variables};

#[async_trait]
impl KeyService for AwsKms {
    fn scheme(&self) -> Scheme {
        Scheme::AWS_KMS
    }

    fn key_forms(&self) -> Vec<String> {
        let forms = [
            "aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID",
            "aws-kms://alias/NAME",
        ];
        forms.map(str::to_owned).to_vec()
    }

    fn place_form(&self) -> Option<&'static str> {
        Some("aws-kms://, with a region")
    }

    fn settings(&self) -> Vec<&'static Setting> {
        SETTINGS.settings()
    }

    fn with_variables(
        &self,
        variable: Variables<'_>,
    ) -> Result<Option<Arc<dyn KeyService>>, ConfigurationError> {
        variables::refuse_idle(variable)?;
        Ok(Some(Arc::new(Self::new(AwsOptions::from_variables(
            variable,
        )?))))
    }

    fn with_setting(&self, name: &str, value: SettingValue) -> Option<Arc<dyn KeyService>> {
        let options = SETTINGS.changed(self.options(), name, value)?;
        Some(Arc::new(Self::new(options)))
    }

    fn library_settings(&self) -> &'static [Setting] {
        variables::LIBRARY
    }

    fn provider_name(&self) -> Option<&'static str> {
        Some(variables::PROVIDER_NAME)
    }

    fn key_settings(&self) -> &'static [Setting] {
        variables::KEY
    }

    fn named_key(&self, variable: Variables<'_>) -> Result<Option<KeyUri>, ConfigurationError> {
        variables::named_key(variable)
    }

    fn key_in(&self, place: &str) -> Option<String> {
        (place == "aws-kms:").then(|| "aws-kms://alias/any".to_owned())
    }

    fn check(&self) -> Vec<ConfigurationError> {
        let options = self.options();
        let urls = [
            ("aws_endpoint", &options.endpoint),
            ("aws_sts_endpoint", &options.sts_endpoint),
        ];
        let faults = urls.into_iter().filter_map(|(name, url)| {
            let reason = endpoint::check(url.as_deref()?).err()?;
            let reason = format!("{reason}; {}", client::ENDPOINT_REMEDY);
            Some(ConfigurationError::invalid(name, reason))
        });
        faults.collect()
    }

    /// A file that is damaged when a server reads its configuration again must not replace one that works.
    fn missing_files(&self) -> Vec<ConfigurationError> {
        credentials::damaged_files(self.options(), &variable)
    }

    fn other_files(&self) -> Vec<PathBuf> {
        credentials::default_files(self.options(), &variable)
    }

    async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        self.key(uri).await
    }

    async fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        self.signer(uri).await
    }

    async fn admin(&self, _uri: &KeyUri) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        Ok(self.admin())
    }

    fn setup_commands(&self, tool: &str, plan: &SetupPlan) -> Result<String, ProviderError> {
        commands::of(tool, plan, self)
    }

    fn setup(&self) -> &dyn KeySetup {
        self
    }

    fn diagnose(&self) -> &dyn Diagnose {
        self
    }
}
