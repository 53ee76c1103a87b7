//! [`Kms`]: every key service that a program uses, with its settings and its client.

use std::{any::Any, fmt, sync::Arc};

use super::{
    CallLayer, CallObserver, CallPolicy, Diagnose, KeyAdmin, KeyProvider, KeyService, KeySetup,
    KmsMetrics, ProviderError, ProviderErrorKind, Setting, SettingValue, Signer, built_in,
};
use crate::{ConfigurationError, KeyUri, Scheme};

/// Every key service that a program uses: their settings, one client each, the policy of calls, and the numbers of all
/// calls. Clones share the clients, and with them connections, credentials and sessions.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use temporal_kms_codec::kms::Kms;
///
/// let kms = Kms::from_env()?;
/// let key = kms.key(&"aws-kms://alias/workflows".parse()?).await?;
/// key.check_usable().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Kms {
    services: Vec<Arc<dyn KeyService>>,
    calls: CallPolicy,
    metrics: Arc<KmsMetrics>,
    observer: Option<Arc<dyn CallObserver>>,
}

impl Default for Kms {
    /// The services of this build with their default settings.
    fn default() -> Self {
        Self {
            services: built_in::services(),
            calls: CallPolicy::default(),
            metrics: Arc::default(),
            observer: None,
        }
    }
}

impl Kms {
    /// Reads a key URI as a configuration has it. What it says beyond the key's name, such as the `module-path` of a token,
    /// is kept here.
    ///
    /// # Errors
    /// When the URI is not valid, or there is no such service. The error does not repeat it.
    pub fn read_key(&mut self, uri: &str) -> Result<KeyUri, ConfigurationError> {
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
        let service = scheme
            .and_then(|name| Scheme::new(name).ok())
            .and_then(|scheme| self.service(scheme).cloned());
        let Some(service) = service else {
            let key: KeyUri = uri.parse()?;
            let scheme = key.scheme();
            // A misspelt scheme. One that is known and not in this build is told when the key is opened.
            if !built_in::has_feature(scheme) {
                return Err(self.no_service(scheme));
            }
            return Ok(key);
        };
        let (key, changed) = service.read_key(uri)?;
        if let Some(service) = changed {
            self.put(service);
        }
        Ok(key)
    }

    /// Opens the key that `uri` names.
    ///
    /// # Errors
    /// When the key's settings are incomplete, or there is no such service. Whether the service knows the key and the caller
    /// may use it turns out with the first call; ask [`KeyProvider::check_usable`].
    pub async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        let service = self.service_of(uri)?;
        let key = self.layer(&**service).key(service.key(uri).await?);
        key.map_err(|error| wrong_limits(uri, &error))
    }

    /// Opens the signing key that `uri` names.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub async fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        let service = self.service_of(uri)?;
        let key = self.layer(&**service).signer(service.signer(uri).await?);
        key.map_err(|error| wrong_limits(uri, &error))
    }

    /// Opens the service that `uri` names for creating keys and looking after them. The key itself need not exist.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub async fn admin(&self, uri: &KeyUri) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        let service = self.service_of(uri)?;
        Ok(self.layer(&**service).admin(service.admin(uri).await?))
    }

    /// What the service of `uri` knows of itself, for a person who looks for a fault.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn diagnose(&self, uri: &KeyUri) -> Result<&dyn Diagnose, ProviderError> {
        Ok(self.service_of(uri)?.diagnose())
    }

    /// What the service of `uri` knows about keys that are to be created.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn setup(&self, uri: &KeyUri) -> Result<&dyn KeySetup, ProviderError> {
        Ok(self.service_of(uri)?.setup())
    }

    /// Whether the settings are enough for `uri`. Nothing is read or called.
    ///
    /// # Errors
    /// The setting that is missing, and where to set it.
    pub fn check_key(&self, uri: &KeyUri) -> Result<(), ConfigurationError> {
        match self.service(uri.scheme()) {
            Some(service) => service.check_key(uri),
            None => Err(self.no_service(uri.scheme())),
        }
    }

    /// The services, in the order of the documentation.
    pub fn services(&self) -> impl Iterator<Item = &Arc<dyn KeyService>> {
        self.services.iter()
    }

    /// The service whose keys have this scheme.
    #[must_use]
    pub fn service(&self, scheme: Scheme) -> Option<&Arc<dyn KeyService>> {
        self.services
            .iter()
            .find(|service| service.scheme() == scheme)
    }

    /// The service of this type.
    #[must_use]
    pub fn get<S: KeyService>(&self) -> Option<&S> {
        self.services.iter().find_map(|service| {
            let service: &dyn Any = &**service;
            service.downcast_ref()
        })
    }

    /// Everything that can be set at the services.
    #[must_use]
    pub fn settings(&self) -> Vec<&'static Setting> {
        self.services
            .iter()
            .flat_map(|service| service.settings())
            .collect()
    }

    /// Gives the setting called `name` a value, at the service that has it. That service gets a new client.
    ///
    /// # Errors
    /// When no service has such a setting.
    pub fn set(&mut self, name: &str, value: SettingValue) -> Result<(), ConfigurationError> {
        let has_it = |service: &&Arc<dyn KeyService>| {
            let mut settings = service.settings().into_iter();
            settings.any(|setting| setting.name() == name)
        };
        let service = self.services.iter().find(has_it);
        match service.and_then(|service| service.with_setting(name, value)) {
            Some(service) => {
                self.put(service);
                Ok(())
            }
            None => Err(ConfigurationError::invalid(
                name,
                "no key service of this build has such a setting",
            )),
        }
    }

    /// Deadlines, retries and limits of calls.
    #[must_use]
    pub fn calls(&self) -> &CallPolicy {
        &self.calls
    }

    /// Replaces [`calls`](Self::calls).
    pub fn set_calls(&mut self, calls: CallPolicy) {
        self.calls = calls;
    }

    /// The numbers of all calls. Clones share them.
    #[must_use]
    pub fn metrics(&self) -> &Arc<KmsMetrics> {
        &self.metrics
    }

    pub(super) fn set_metrics(&mut self, metrics: Arc<KmsMetrics>) {
        self.metrics = metrics;
    }

    /// Who is told of every call of a key and of every change of a key.
    #[must_use]
    pub fn observer(&self) -> Option<&Arc<dyn CallObserver>> {
        self.observer.as_ref()
    }

    /// Tells `observer` of every call and every change of the keys that are opened from now on.
    pub fn set_observer(&mut self, observer: Option<Arc<dyn CallObserver>>) {
        self.observer = observer;
    }

    /// Adds a service, or replaces the one with the same scheme.
    pub(super) fn put(&mut self, service: Arc<dyn KeyService>) {
        let scheme = service.scheme();
        let known = self.services.iter_mut();
        match known.into_iter().find(|known| known.scheme() == scheme) {
            Some(known) => *known = service,
            None => self.services.push(service),
        }
    }

    fn layer(&self, service: &dyn KeyService) -> CallLayer {
        let layer = if service.is_in_process() {
            CallLayer::in_process(&self.metrics)
        } else {
            CallLayer::new(&self.calls, &self.metrics)
        };
        layer.with_observer(self.observer.clone())
    }

    fn service_of(&self, uri: &KeyUri) -> Result<&Arc<dyn KeyService>, ProviderError> {
        self.service(uri.scheme()).ok_or_else(|| {
            let (detail, remedy) = built_in::missing(uri.scheme(), &self.services);
            misconfigured(uri, detail).with_remedy(remedy)
        })
    }

    fn no_service(&self, scheme: Scheme) -> ConfigurationError {
        let (reason, remedy) = built_in::missing(scheme, &self.services);
        ConfigurationError::invalid("key URI", format!("{reason}; {remedy}"))
    }
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kms")
            .field("services", &self.services)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// The limits of calls cannot work.
fn wrong_limits(uri: &KeyUri, error: &ConfigurationError) -> ProviderError {
    misconfigured(uri, error.to_string()).with_remedy("correct the limits of calls")
}

fn misconfigured(uri: &KeyUri, detail: String) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Misconfigured, uri).with_detail(detail)
}

#[cfg(test)]
mod tests;
