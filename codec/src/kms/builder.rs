//! From settings to a [`Kms`].

use std::sync::Arc;

use super::{CallObserver, CallPolicy, KeyService, Kms, KmsMetrics, SettingValue, Variables};
use crate::ConfigurationError;

/// Puts a [`Kms`] together.
///
/// ```
/// use std::time::Duration;
/// use temporal_kms_codec::kms::{CallPolicy, Kms};
///
/// let kms = Kms::builder()
///     .calls(CallPolicy::once())
///     .build();
/// # drop(kms);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct KmsBuilder {
    kms: Kms,
}

impl Kms {
    /// Starts with the services of this build and their default settings.
    pub fn builder() -> KmsBuilder {
        KmsBuilder {
            kms: Self::default(),
        }
    }

    /// Starts with this value. What is not changed is shared with it.
    pub fn to_builder(&self) -> KmsBuilder {
        KmsBuilder { kms: self.clone() }
    }

    /// The services as environment variables describe them.
    ///
    /// # Errors
    /// When a variable has a value that it cannot have.
    pub fn from_env() -> Result<Self, ConfigurationError> {
        Self::from_variables(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`from_env`](Self::from_env), of other variables than the process's. None of them may be empty.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(variable: Variables<'_>) -> Result<Self, ConfigurationError> {
        Ok(Self::builder().variables(variable)?.build())
    }
}

impl KmsBuilder {
    /// Adds a service, or replaces the one with the same scheme: one of another crate, or one of this build with settings
    /// of its own.
    pub fn with_service(mut self, service: impl KeyService) -> Self {
        self.kms.put(Arc::new(service));
        self
    }

    /// Gives the setting called `name` a value, at the service that has it.
    ///
    /// # Errors
    /// When no service has such a setting, or it has values of another kind.
    pub fn setting(mut self, name: &str, value: SettingValue) -> Result<Self, ConfigurationError> {
        self.kms.set(name, value)?;
        Ok(self)
    }

    /// Replaces the settings of all services by those of environment variables: the ones that
    /// [`settings`](Kms::settings) lists. None of them may be empty.
    ///
    /// # Errors
    /// When a variable has a value that it cannot have, or asks for a service that is not used.
    pub fn variables(mut self, variable: Variables<'_>) -> Result<Self, ConfigurationError> {
        for service in self.kms.services().cloned().collect::<Vec<_>>() {
            if let Some(service) = service.with_variables(variable)? {
                self.kms.put(service);
            }
        }
        Ok(self)
    }

    /// Deadlines, retries and limits of calls of a service. Local keys are files, and none of it applies to them.
    pub fn calls(mut self, calls: CallPolicy) -> Self {
        self.kms.set_calls(calls);
        self
    }

    /// Counts the calls in `metrics`.
    pub fn metrics(mut self, metrics: Arc<KmsMetrics>) -> Self {
        self.kms.set_metrics(metrics);
        self
    }

    /// Tells `observer` of every call of a key and of every change of a key, also of local keys: an audit log, such as
    /// `AuditLog` of the crate `temporal-kms-audit`.
    pub fn observer(mut self, observer: Arc<dyn CallObserver>) -> Self {
        self.kms.set_observer(Some(observer));
        self
    }

    /// The value. Nothing is opened or called yet. Limits that cannot work are reported when a key is opened.
    #[must_use]
    pub fn build(self) -> Kms {
        self.kms
    }
}
