//! A key management service as a program uses it: the [`KeyService`] trait.

use std::{any::Any, fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;

use crate::{
    ConfigurationError, Diagnose, KeyAdmin, KeyProvider, KeySetup, KeyUri, ProviderError,
    ProviderErrorKind, Scheme, Setting, SettingValue, SetupPlan, Signer, Variables,
    key_setup::PlainKeys,
};

/// A key management service: its settings, its client, and the keys that it opens.
///
/// A value has one set of settings and one client. The keys that it opens share connections, credentials and sessions.
/// Changing a setting gives a new value.
#[async_trait]
pub trait KeyService: Any + Send + Sync + fmt::Debug {
    /// The scheme of its keys' URIs.
    fn scheme(&self) -> Scheme;

    /// How its keys are named, for help: one text for each form, such as `local://NAME`. By default the general form.
    fn key_forms(&self) -> Vec<String> {
        vec![format!("{}://NAME", self.scheme())]
    }

    /// How a place of keys is named, for help. [`key_in`](Self::key_in) reads it. `None` when its keys are in no place that
    /// has a name.
    fn place_form(&self) -> Option<&'static str> {
        None
    }

    /// All settings, in the order of the documentation.
    fn settings(&self) -> Vec<&'static Setting> {
        Vec::new()
    }

    /// The service with settings from environment variables, and defaults for the rest. `None` when the service reads
    /// no variables.
    ///
    /// # Errors
    /// When the value of a variable is not valid.
    fn with_variables(
        &self,
        variable: Variables<'_>,
    ) -> Result<Option<Arc<dyn KeyService>>, ConfigurationError> {
        let _ = variable;
        Ok(None)
    }

    /// The service with another value of the setting called `name`. `None` when the service does not have that setting.
    fn with_setting(&self, name: &str, value: SettingValue) -> Option<Arc<dyn KeyService>> {
        let _ = (name, value);
        None
    }

    /// What the service's own library reads from variables by itself, such as credentials: settings that no other place can
    /// hold.
    fn library_settings(&self) -> &'static [Setting] {
        &[]
    }

    /// What `KMS_PROVIDER` calls the service. `None` when its keys are named by URIs only.
    fn provider_name(&self) -> Option<&'static str> {
        None
    }

    /// The parts of a key's name that variables can hold in place of its URI. [`named_key`](Self::named_key) reads them.
    fn key_settings(&self) -> &'static [Setting] {
        &[]
    }

    /// The key that variables name in place of its URI. `None` when they name none of this service. `KMS_PROVIDER` is not
    /// set, or names this service.
    ///
    /// # Errors
    /// When a part of the name is missing or not valid.
    fn named_key(&self, variable: Variables<'_>) -> Result<Option<KeyUri>, ConfigurationError> {
        let _ = variable;
        Ok(None)
    }

    /// Whether the URI of a key in a configuration can say how to reach the key, such as a module or a file. A URI from a
    /// stranger's file is then refused.
    fn has_settings_in_uris(&self) -> bool {
        false
    }

    /// Reads a key URI from a configuration. The URI may also say how to reach the key. That part goes into the
    /// returned service, and not into the key's name.
    ///
    /// # Errors
    /// When `uri` is not valid. The error does not repeat it.
    fn read_key(
        &self,
        uri: &str,
    ) -> Result<(KeyUri, Option<Arc<dyn KeyService>>), ConfigurationError> {
        Ok((uri.parse()?, None))
    }

    /// The version of the key that sealed `ciphertext`, as [`KeyAdmin::versions`] names it. `None` where the bytes do not
    /// tell it. They are not authenticated.
    fn version_in(&self, ciphertext: &[u8]) -> Option<String> {
        let _ = ciphertext;
        None
    }

    /// The name of any key in `place`, for listing the keys there. A place has the form of a key's name without the
    /// part that distinguishes keys, and without slashes at its end. `None` when `place` is not a place of this
    /// service.
    fn key_in(&self, place: &str) -> Option<String> {
        let _ = place;
        None
    }

    /// The settings that cannot work, with their names. This reads no file and calls no service.
    fn check(&self) -> Vec<ConfigurationError> {
        Vec::new()
    }

    /// Whether the settings are enough for `key`. This reads no file and calls no service.
    ///
    /// # Errors
    /// The setting that is missing, and where to set it.
    fn check_key(&self, key: &KeyUri) -> Result<(), ConfigurationError> {
        let _ = key;
        Ok(())
    }

    /// The files that are missing, or that do not have the form that they need. Each error has the name of the setting
    /// that names the file. A file that the service's own library finds has another name, such as that of a variable. Such
    /// errors count only where keys of this service are used.
    fn missing_files(&self) -> Vec<ConfigurationError> {
        Vec::new()
    }

    /// The files that decide how keys are reached and that no setting names: those in the URIs of single keys, as
    /// [`read_key`](Self::read_key) has read them, and those that the service's own library looks for. A server opens keys
    /// again when one of them changes. They need not exist.
    fn other_files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether `key` can exist, as far as this can be known without a call.
    ///
    /// # Errors
    /// An error that names the setting with the key's place, and the command that creates the key.
    fn check_key_file(&self, key: &KeyUri) -> Result<(), ConfigurationError> {
        let _ = key;
        Ok(())
    }

    /// Whether calls stay inside this process, so that they need neither deadlines nor retries.
    fn is_in_process(&self) -> bool {
        false
    }

    /// Opens a key to wrap data keys with.
    ///
    /// # Errors
    /// When the settings are wrong for the key. Only the first call shows whether the key exists.
    async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError>;

    /// Opens a key to sign with.
    ///
    /// # Errors
    /// As [`key`](Self::key), and [`ProviderErrorKind::Unsupported`] when the service does not sign.
    async fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        Err(ProviderError::new(ProviderErrorKind::Unsupported, uri)
            .with_detail("its keys do not sign"))
    }

    /// Opens key management. `uri` need not exist.
    ///
    /// # Errors
    /// As [`key`](Self::key), and [`ProviderErrorKind::Unsupported`] when keys are managed by other means.
    async fn admin(&self, uri: &KeyUri) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        Err(ProviderError::new(ProviderErrorKind::Unsupported, uri)
            .with_remedy("create and change its keys with the service's own tool"))
    }

    /// Writes the commands of `tool` that do what `plan` says, for people who run them themselves. Nothing is called.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Unsupported`] for a tool that is not for this service, or a plan that the service cannot do. The
    /// error names the tools.
    fn setup_commands(&self, tool: &str, plan: &SetupPlan) -> Result<String, ProviderError> {
        let _ = tool;
        Err(
            ProviderError::new(ProviderErrorKind::Unsupported, &plan.key)
                .with_detail("no commands can be printed for this service")
                .with_remedy("create the key with the service's own tool"),
        )
    }

    /// What the service knows about keys that are to be created.
    fn setup(&self) -> &dyn KeySetup {
        &PlainKeys
    }

    /// What the service can tell a person who looks for a fault.
    fn diagnose(&self) -> &dyn Diagnose {
        &NothingKnown
    }
}

/// A service that tells nothing.
struct NothingKnown;

impl Diagnose for NothingKnown {}
