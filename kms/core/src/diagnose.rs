//! What a key service knows of itself for a person who looks for a fault: the [`Diagnose`] trait. `codec-server doctor`
//! asks, and shows the answers.

use std::time::Duration;

use async_trait::async_trait;

use crate::{KeyDetails, KeyUri, Operation, Protection, ProviderError};

/// A service's knowledge of its credentials, endpoints, permissions, names and prices. Every method has a default for
/// services that have nothing to say.
#[async_trait]
pub trait Diagnose: Send + Sync {
    /// Where credentials come from, as far as that shows without using them. `web` reaches the metadata servers of clouds.
    async fn credentials(&self, key: &KeyUri, web: &dyn Web) -> CredentialsFound {
        let _ = (key, web);
        CredentialsFound::default()
    }

    /// What to do about credentials. `is_refused` is whether there are some, and the service does not accept them.
    fn credentials_remedy(
        &self,
        key: &KeyUri,
        is_refused: bool,
        found: &CredentialsFound,
    ) -> String {
        let _ = (key, is_refused, found);
        "correct the credentials of the service".to_owned()
    }

    /// What a failure says of credentials that were found, where it says more than the error itself. They count as refused
    /// then.
    fn refusal_of_credentials(&self, error: &ProviderError) -> Option<&'static str> {
        let _ = error;
        None
    }

    /// How to permit what was refused.
    fn permission_remedy(
        &self,
        key: &KeyUri,
        operation: Operation,
        found: &CredentialsFound,
    ) -> String {
        let _ = found;
        format!("permit the caller to {} with {key}", operation.name())
    }

    /// Where the service is reached.
    fn endpoint(&self, key: &KeyUri) -> Endpoint {
        let _ = key;
        Endpoint::NotWeb {
            reason: "not known",
            answers: None,
        }
    }

    /// What to do when the service cannot be used although something answers.
    fn unavailable_remedy(&self, error: &ProviderError) -> &'static str {
        let _ = error;
        "try again"
    }

    /// How far this machine's clock may be off until the service refuses calls.
    fn clock_tolerance(&self) -> Duration {
        Duration::from_mins(5)
    }

    /// What is wrong with a key, where the service tells more than that it does not find it.
    fn explain(&self, key: &KeyUri, error: &ProviderError) -> Option<Advice> {
        let _ = (key, error);
        None
    }

    /// The same key in another place, which credentials or variables name.
    fn elsewhere(&self, key: &KeyUri, found: &CredentialsFound) -> Option<Elsewhere> {
        let _ = (key, found);
        None
    }

    /// What is missing when not even the place of a key exists, such as its key ring.
    fn missing_place(&self, key: &KeyUri) -> Option<Advice> {
        let _ = key;
        None
    }

    /// How to look for a key that cannot be found.
    fn where_to_look(&self, key: &KeyUri) -> String {
        let _ = key;
        "correct its name".to_owned()
    }

    /// The part of a key's name that tells it from others in the same place.
    fn short_name<'k>(&self, key: &'k KeyUri) -> &'k str {
        let resource = key.resource();
        resource.rsplit('/').next().unwrap_or(resource)
    }

    /// Where keys of an HSM are, after "found, ".
    fn hsm(&self) -> &'static str {
        "in a hardware security module"
    }

    /// Why the age of a key is not known.
    fn unknown_age(&self) -> &'static str {
        "its age is not known: the service does not tell it"
    }

    /// Whether versions can be disabled and enabled on their own, and not only the whole key.
    fn has_versions(&self) -> bool {
        true
    }

    /// Settings that do not fit the key, which work all the same.
    fn warnings(&self, key: &KeyDetails) -> Vec<Advice> {
        let _ = key;
        Vec::new()
    }

    /// What the service charges; `None` when that is not known.
    fn prices(&self, protection: Option<Protection>) -> Option<Prices> {
        let _ = protection;
        None
    }

    /// The arguments that a command of `codec-server` needs to reach the key, with a space before each.
    fn arguments(&self) -> String {
        String::new()
    }
}

/// Makes small HTTP requests for a diagnosis, with short time limits and without a proxy: to metadata servers, which are on
/// the same machine or not there.
#[async_trait]
pub trait Web: Send + Sync {
    /// The beginning of the answer to a `GET` that succeeds.
    async fn get(&self, url: &str, header: (&'static str, &'static str)) -> Option<String>;

    /// Whether anything answers a `HEAD`.
    async fn answers(&self, url: &str) -> bool;
}

/// What is known of the caller before a call. It holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialsFound {
    /// Where the credentials are from. Empty when the service does not say.
    pub summary: String,
    /// Why there are none.
    pub missing: Option<String>,
    /// Whether what is missing is a setting and not a credential.
    pub is_setting: bool,
    /// Whose they are, in the service's own form.
    pub caller: Option<String>,
    /// The places that they, or variables, name: what names it, and the place.
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

    /// There are none, and why.
    #[must_use]
    pub fn missing(reason: impl Into<String>) -> Self {
        Self {
            missing: Some(reason.into()),
            ..Self::default()
        }
    }

    /// A setting is missing, and which.
    #[must_use]
    pub fn missing_setting(reason: impl Into<String>) -> Self {
        Self {
            is_setting: true,
            ..Self::missing(reason)
        }
    }

    /// Says whose they are.
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

/// Where a service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// Over HTTP.
    Web {
        /// The URL, without a path.
        url: String,
        /// The names of the setting that replaces the public endpoint, where it does.
        setting: Option<&'static str>,
        /// Whether the service refuses to call this URL.
        is_refused: bool,
    },
    /// Not over HTTP, or not known.
    NotWeb {
        /// Why it is not looked at.
        reason: &'static str,
        /// What to say of it once a call has succeeded.
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

/// The same key in another place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Elsewhere {
    /// The key there.
    pub key: KeyUri,
    /// What the places are, such as `project`.
    pub kind: &'static str,
    /// The place in the name that was asked for.
    pub own: String,
    /// The other place.
    pub other: String,
    /// What names the other place.
    pub named_by: String,
}

impl Elsewhere {
    /// `key` is in the place `other`, which `named_by` names. What was asked for is in the place `own`.
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

/// What a service charges for symmetric keys, in US dollars, and where it says so.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prices {
    /// The things that are paid for by the month.
    pub unit: &'static str,
    /// The price of one for a month.
    pub per_unit: f64,
    /// The most that are charged for one key.
    pub max_units: usize,
    /// The price of 10,000 calls.
    pub per_10_000_calls: f64,
    /// The address of the price list.
    pub source: &'static str,
    /// The date at which the price list was read, or from which on it says that it holds.
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

    /// At most so many units are charged for one key.
    #[must_use]
    pub const fn with_max_units(mut self, max_units: usize) -> Self {
        self.max_units = max_units;
        self
    }
}
