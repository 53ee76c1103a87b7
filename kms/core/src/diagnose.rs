//! What a key service can tell a person who looks for a fault: the [`Diagnose`] trait. `codec-server doctor` shows the
//! answers.

use std::time::Duration;

use async_trait::async_trait;

use crate::{KeyDetails, KeyUri, Operation, Protection, ProviderError};

/// What a service knows about its credentials, endpoints, permissions, names and prices. Every method has a default,
/// for services that know nothing about the subject.
#[async_trait]
pub trait Diagnose: Send + Sync {
    /// Where credentials come from, as far as this can be seen without using them. `web` reaches the metadata servers
    /// of clouds.
    async fn credentials(&self, key: &KeyUri, web: &dyn Web) -> CredentialsFound {
        let _ = (key, web);
        CredentialsFound::default()
    }

    /// What to do about credentials. `is_refused` means that credentials exist, but the service does not accept them.
    fn credentials_remedy(
        &self,
        key: &KeyUri,
        is_refused: bool,
        found: &CredentialsFound,
    ) -> String {
        let _ = (key, is_refused, found);
        "correct the credentials of the service".to_owned()
    }

    /// What a failure tells about the credentials that were found, where this is more than the error says. The
    /// credentials then count as refused.
    fn refusal_of_credentials(&self, error: &ProviderError) -> Option<&'static str> {
        let _ = error;
        None
    }

    /// How to grant what was refused.
    fn permission_remedy(
        &self,
        key: &KeyUri,
        operation: Operation,
        found: &CredentialsFound,
    ) -> String {
        let _ = found;
        format!("permit the caller to {} with {key}", operation.as_str())
    }

    /// The endpoint of the service.
    fn endpoint(&self, key: &KeyUri) -> Endpoint {
        let _ = key;
        Endpoint::NotWeb {
            reason: "not known",
            answers: None,
        }
    }

    /// What to do when the endpoint answers, but the service cannot be used.
    fn unavailable_remedy(&self, error: &ProviderError) -> &'static str {
        let _ = error;
        "try again"
    }

    /// How far this machine's clock may be off before the service refuses calls.
    fn clock_tolerance(&self) -> Duration {
        Duration::from_mins(5)
    }

    /// What is wrong with a key, where the service tells more than "not found".
    fn explain(&self, key: &KeyUri, error: &ProviderError) -> Option<Advice> {
        let _ = (key, error);
        None
    }

    /// The same key in another place that credentials or variables name.
    fn in_other_place(&self, key: &KeyUri, found: &CredentialsFound) -> Option<KeyInOtherPlace> {
        let _ = (key, found);
        None
    }

    /// What is missing when the place of the key does not exist, such as its key ring.
    fn missing_place(&self, key: &KeyUri) -> Option<Advice> {
        let _ = key;
        None
    }

    /// How to look for a key that cannot be found.
    fn where_to_look(&self, key: &KeyUri) -> String {
        let _ = key;
        "correct its name".to_owned()
    }

    /// The part of a key's name that distinguishes it from other keys in the same place.
    fn short_name<'k>(&self, key: &'k KeyUri) -> &'k str {
        let resource = key.resource();
        resource.rsplit('/').next().unwrap_or(resource)
    }

    /// The words for keys in an HSM, after "found, ".
    fn hsm(&self) -> &'static str {
        "in a hardware security module"
    }

    /// Why the age of a key is unknown.
    fn unknown_age(&self) -> &'static str {
        "its age is not known: the service does not tell it"
    }

    /// Whether single versions can be disabled and enabled, and not only the whole key.
    fn has_versions(&self) -> bool {
        true
    }

    /// Settings that do not fit the key, but do no harm.
    fn warnings(&self, key: &KeyDetails) -> Vec<Advice> {
        let _ = key;
        Vec::new()
    }

    /// What the service charges. `None` when this is unknown.
    fn prices(&self, protection: Option<Protection>) -> Option<Prices> {
        let _ = protection;
        None
    }

    /// The arguments with which a command of `codec-server` reaches the key, with a space before each.
    fn arguments(&self) -> String {
        String::new()
    }
}

/// Makes small HTTP requests for a diagnosis, with short time limits and without a proxy. They go to metadata servers,
/// which are on the same machine or do not exist.
#[async_trait]
pub trait Web: Send + Sync {
    /// The beginning of the answer to a successful `GET`.
    async fn get(&self, url: &str, header: (&'static str, &'static str)) -> Option<String>;

    /// Whether a `HEAD` gets any answer.
    async fn answers(&self, url: &str) -> bool;
}

/// What is known about the caller before a call. It holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialsFound {
    /// The source of the credentials. Empty when the service does not tell.
    pub summary: String,
    /// Why credentials are missing.
    pub missing: Option<String>,
    /// Whether a setting is missing, and not a credential.
    pub is_setting: bool,
    /// The owner of the credentials, in the service's own form.
    pub caller: Option<String>,
    /// The places that credentials or variables name. Each has its source and the place.
    pub places: Vec<(String, String)>,
}

impl CredentialsFound {
    /// Credentials from the source that `summary` names.
    #[must_use]
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            ..Self::default()
        }
    }

    /// Credentials are missing, for this reason.
    #[must_use]
    pub fn missing(reason: impl Into<String>) -> Self {
        Self {
            missing: Some(reason.into()),
            ..Self::default()
        }
    }

    /// A setting is missing, and which one.
    #[must_use]
    pub fn missing_setting(reason: impl Into<String>) -> Self {
        Self {
            is_setting: true,
            ..Self::missing(reason)
        }
    }

    /// Adds the owner of the credentials.
    #[must_use]
    pub fn with_caller(mut self, caller: Option<String>) -> Self {
        self.caller = caller;
        self
    }

    /// Adds a place that `source` names.
    #[must_use]
    pub fn with_place(mut self, source: impl Into<String>, place: impl Into<String>) -> Self {
        self.places.push((source.into(), place.into()));
        self
    }
}

/// The endpoint of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// An HTTP endpoint.
    Web {
        /// The URL, without a path.
        url: String,
        /// The names of the setting that replaces the public endpoint, if one does.
        setting: Option<&'static str>,
        /// Whether the service refuses to call this URL.
        is_refused: bool,
    },
    /// The service is not reached over HTTP, or its endpoint is unknown.
    NotWeb {
        /// Why the endpoint is not checked.
        reason: &'static str,
        /// What to report once a call has succeeded.
        answers: Option<&'static str>,
    },
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// What is wrong.
    pub summary: String,
    /// What to do.
    pub remedy: String,
}

impl Advice {
    /// What is wrong, and what to do.
    #[must_use]
    pub fn new(summary: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            remedy: remedy.into(),
        }
    }
}

/// A key of the same name in another place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInOtherPlace {
    /// The key there.
    pub key: KeyUri,
    /// The kind of place, such as `project`.
    pub kind: &'static str,
    /// The place in the requested name.
    pub own: String,
    /// The other place.
    pub other: String,
    /// What names the other place.
    pub named_by: String,
}

impl KeyInOtherPlace {
    /// `key` is in the place `other`, which `named_by` names. The requested key is in the place `own`.
    #[must_use]
    pub fn new(
        key: KeyUri,
        kind: &'static str,
        own: impl Into<String>,
        other: impl Into<String>,
        named_by: impl Into<String>,
    ) -> Self {
        Self {
            key,
            kind,
            own: own.into(),
            other: other.into(),
            named_by: named_by.into(),
        }
    }
}

/// What a service charges for symmetric keys, in US dollars, and where it publishes this.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prices {
    /// The unit that is paid for by the month.
    pub unit: &'static str,
    /// The price of one unit for a month.
    pub per_unit: f64,
    /// The most units that are charged for one key.
    pub max_units: usize,
    /// The price of 10,000 calls.
    pub per_10_000_calls: f64,
    /// The address of the price list.
    pub source: &'static str,
    /// The date at which the price list was read, or the date from which it is valid.
    pub as_of: &'static str,
}

impl Prices {
    /// `per_unit` dollars a month for each `unit`, and `per_10_000_calls` dollars, as `source` says on the day `as_of`.
    #[must_use]
    pub const fn new(
        unit: &'static str,
        per_unit: f64,
        per_10_000_calls: f64,
        source: &'static str,
        as_of: &'static str,
    ) -> Self {
        Self {
            unit,
            per_unit,
            max_units: usize::MAX,
            per_10_000_calls,
            source,
            as_of,
        }
    }

    /// Sets the most units that are charged for one key.
    #[must_use]
    pub const fn with_max_units(mut self, max_units: usize) -> Self {
        self.max_units = max_units;
        self
    }
}
