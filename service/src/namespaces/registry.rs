//! From the name of a namespace to its codec.

use std::collections::{BTreeMap, BTreeSet};

use futures::future;
use temporal_kms_codec::{
    Codec, DataKeyState, Error, KeyUri, Namespace, Stats, kms::ProviderError,
};

use super::{
    NamespaceConfig, NamespaceLimits, OnUndecodable, Patterns, exact::Exact, keys::Keys,
    on_demand::OnDemand,
};

/// The codec of one namespace.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NamespaceCodec {
    /// The codec.
    pub codec: Codec,
    /// What happens to a payload that it cannot decode.
    pub on_undecodable: OnUndecodable,
    /// Limits of the namespace's requests.
    pub limits: NamespaceLimits,
    /// Whether the namespace has a key to encrypt with.
    pub encrypts: bool,
}

impl NamespaceCodec {
    /// A codec that encrypts and decrypts, and what happens to a payload that it cannot decode.
    #[must_use]
    pub fn new(codec: Codec, on_undecodable: OnUndecodable) -> Self {
        Self {
            codec,
            on_undecodable,
            limits: NamespaceLimits::default(),
            encrypts: true,
        }
    }

    pub(super) fn of(config: &NamespaceConfig, codec: Codec) -> Self {
        Self {
            codec,
            on_undecodable: config.on_undecodable,
            limits: config.limits.clone(),
            encrypts: !config.encrypt.is_empty(),
        }
    }
}

/// A namespace, what its codecs have done, and their data keys.
pub(crate) type Activity = (Namespace, Stats, DataKeyState);

/// The namespace is not configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the namespace {0} is not configured; add a section [namespaces.\"{0}\"]")]
pub struct UnknownNamespace(pub Namespace);

/// A codec for each namespace that is served.
#[derive(Debug)]
pub struct Namespaces(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    Named {
        exact: Exact<Single>,
        patterns: Patterns<Several>,
    },
    Any(Box<Several>),
}

/// A namespace with a codec of its own.
#[derive(Clone, Debug)]
pub(super) struct Single {
    /// `None` for a codec that came from elsewhere.
    pub(super) made_from: Option<(NamespaceConfig, Keys)>,
    pub(super) served: NamespaceCodec,
}

/// Namespaces with the same settings.
#[derive(Clone, Debug)]
pub(super) struct Several {
    pub(super) config: NamespaceConfig,
    pub(super) codecs: OnDemand,
}

impl Namespaces {
    /// The same namespaces and keys without any data key in memory. No service is called.
    ///
    /// # Errors
    /// When a codec cannot be made. It could be made before, so this does not happen.
    pub fn emptied(&self) -> Result<Self, Error> {
        let several = |several: &Several| {
            Ok::<_, Error>(Several {
                codecs: several.codecs.emptied(&several.config)?,
                config: several.config.clone(),
            })
        };
        Ok(Self(match &self.0 {
            Kind::Named { exact, patterns } => Kind::Named {
                exact: exact
                    .iter()
                    .map(|(name, single)| Ok((name.clone(), single.emptied(name)?)))
                    .collect::<Result<_, Error>>()?,
                patterns: patterns
                    .iter()
                    .map(|(pattern, found)| Ok((pattern.clone(), several(found)?)))
                    .collect::<Result<_, Error>>()?,
            },
            Kind::Any(any) => Kind::Any(Box::new(several(any)?)),
        }))
    }

    /// Named namespaces, each with its codec.
    #[must_use]
    pub fn named(codecs: impl IntoIterator<Item = NamespaceCodec>) -> Self {
        let exact = codecs.into_iter().map(|served| {
            let name = served.codec.namespace().clone();
            (name, Single::of_codec(served))
        });
        Self(Kind::Named {
            exact: exact.collect(),
            patterns: Patterns::default(),
        })
    }

    /// Whether any namespace is served.
    #[must_use]
    pub fn serves_any(&self) -> bool {
        matches!(self.0, Kind::Any(_))
    }

    /// Whether a namespace has this name and is configured by it, or by a pattern.
    #[must_use]
    pub fn serves(&self, name: &str) -> bool {
        match &self.0 {
            Kind::Named { exact, patterns } => exact.has(name) || patterns.get(name).is_some(),
            Kind::Any(_) => true,
        }
    }

    /// The namespaces that are configured by their names.
    #[must_use]
    pub fn exact_names(&self) -> Vec<Namespace> {
        match &self.0 {
            Kind::Named { exact, .. } => exact.names().cloned().collect(),
            Kind::Any(_) => Vec::new(),
        }
    }

    /// Whether a section has exactly this name.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        matches!(&self.0, Kind::Named { exact, .. } if exact.has(name))
    }

    /// As [`names`](Self::names), for readers that ignore case.
    #[must_use]
    pub fn names_ignoring_case(&self, name: &str) -> bool {
        matches!(&self.0, Kind::Named { exact, .. } if exact.has_ignoring_case(name))
    }

    /// As [`serves`](Self::serves), for readers that ignore case, as many proxies do.
    #[must_use]
    pub fn resembles(&self, name: &str) -> bool {
        match &self.0 {
            Kind::Named { patterns, .. } => {
                let mut patterns = patterns.iter();
                self.names_ignoring_case(name)
                    || patterns.any(|(pattern, _)| pattern.resembles(name))
            }
            Kind::Any(_) => true,
        }
    }

    /// The codecs whose data keys are shown to operators: one for each namespace with settings of its own, and one for each
    /// pattern.
    #[must_use]
    pub fn codecs(&self) -> Vec<&Codec> {
        let configured = self.configured().into_iter();
        configured.map(|(codec, _)| codec).collect()
    }

    /// The same, each with its settings where they are known.
    fn configured(&self) -> Vec<(&Codec, Option<&NamespaceConfig>)> {
        match &self.0 {
            Kind::Named { exact, patterns } => {
                let exact = exact.values().map(Single::configured);
                let patterns = patterns.iter().map(|(_, found)| found.configured());
                exact.chain(patterns).collect()
            }
            Kind::Any(any) => vec![any.configured()],
        }
    }

    /// What the codecs of each namespace and of each pattern have done, and their data keys. The name is that of the
    /// namespace, or one that the pattern matches.
    pub(crate) fn activity(&self) -> Vec<Activity> {
        let of = |codec: &Codec, data_keys| (codec.namespace().clone(), codec.stats(), data_keys);
        let several = |several: &Several| {
            let codecs = &several.codecs;
            of(codecs.trial(), codecs.data_key_state())
        };
        match &self.0 {
            Kind::Named { exact, patterns } => {
                let exact = exact.values().map(|single| &single.served.codec);
                let exact = exact.map(|codec| of(codec, codec.data_key_state()));
                let patterns = patterns.iter().map(|(_, found)| several(found));
                exact.chain(patterns).collect()
            }
            Kind::Any(any) => vec![several(any)],
        }
    }

    /// The data keys of a section: of a namespace, or of all the namespaces that its pattern has served. Where any namespace
    /// is served, they are those of all of them. `None` when no section has this name.
    #[must_use]
    pub fn data_keys(&self, section: &str) -> Option<DataKeyState> {
        match &self.0 {
            Kind::Named { exact, .. } => {
                let single = exact.get(section);
                let single = single.map(|single| single.served.codec.data_key_state());
                single.or_else(|| Some(self.several(section)?.codecs.data_key_state()))
            }
            Kind::Any(any) => Some(any.codecs.data_key_state()),
        }
    }

    /// The codec of a namespace.
    ///
    /// # Errors
    /// When it is not configured.
    pub fn resolve(&self, namespace: Namespace) -> Result<NamespaceCodec, UnknownNamespace> {
        let served = match &self.0 {
            Kind::Named { exact, patterns } => match exact.get(namespace.as_str()) {
                Some(single) => Some(single.served.clone()),
                None => patterns
                    .get(namespace.as_str())
                    .and_then(|(_, several)| several.codec(&namespace, None)),
            },
            Kind::Any(any) => any.codec(&namespace, None),
        };
        served.ok_or(UnknownNamespace(namespace))
    }

    /// As [`resolve`](Self::resolve). Where any namespace is served, payloads of `other` are decoded too: for a name
    /// that may not be a namespace.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_with(
        &self,
        namespace: Namespace,
        other: &Namespace,
    ) -> Result<NamespaceCodec, UnknownNamespace> {
        let Kind::Any(any) = &self.0 else {
            return self.resolve(namespace);
        };
        let served = any.codec(&namespace, Some(other));
        served.ok_or(UnknownNamespace(namespace))
    }

    /// Asks every encrypting key whether it can be used. Sections that name the same keys ask them once.
    pub async fn check_keys(&self) -> BTreeMap<KeyUri, Result<(), ProviderError>> {
        let mut configured = self.configured();
        // The codec that encrypts with a key asks it more than one that only decrypts.
        configured
            .sort_by_key(|(_, config)| config.is_some_and(|config| config.encrypt.is_empty()));
        let mut asked = BTreeSet::new();
        configured.retain(|(_, config)| {
            config.is_none_or(|config| {
                let keys = match config.encrypt.as_slice() {
                    [] => &config.decrypt,
                    _ => &config.encrypt,
                };
                keys.iter().filter(|key| asked.insert(*key)).count() > 0
            })
        });
        let checked = configured.into_iter().map(|(codec, _)| codec.check_keys());
        future::join_all(checked)
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    pub(super) fn single(&self, name: &Namespace) -> Option<&Single> {
        match &self.0 {
            Kind::Named { exact, .. } => exact.get(name.as_str()),
            Kind::Any(_) => None,
        }
    }

    pub(super) fn several(&self, pattern: &str) -> Option<&Several> {
        let Kind::Named { patterns, .. } = &self.0 else {
            return None;
        };
        let mut patterns = patterns.iter();
        let found = patterns.find(|(known, _)| known.as_str() == pattern);
        found.map(|(_, several)| several)
    }
}

impl Single {
    fn configured(&self) -> (&Codec, Option<&NamespaceConfig>) {
        let config = self.made_from.as_ref().map(|(config, _)| config);
        (&self.served.codec, config)
    }

    fn of_codec(served: NamespaceCodec) -> Self {
        Self {
            made_from: None,
            served,
        }
    }

    pub(super) fn new(
        config: &NamespaceConfig,
        name: &Namespace,
        keys: Keys,
    ) -> Result<Self, Error> {
        Ok(Self {
            served: NamespaceCodec::of(config, keys.codec(config, name, None)?),
            made_from: Some((config.clone(), keys)),
        })
    }

    fn emptied(&self, name: &Namespace) -> Result<Self, Error> {
        match &self.made_from {
            Some((config, keys)) => Self::new(config, name, keys.clone()),
            None => Ok(self.clone()),
        }
    }
}

impl Several {
    fn configured(&self) -> (&Codec, Option<&NamespaceConfig>) {
        (self.codecs.trial(), Some(&self.config))
    }

    fn codec(&self, namespace: &Namespace, other: Option<&Namespace>) -> Option<NamespaceCodec> {
        let codec = self.codecs.codec(&self.config, namespace, other)?;
        Some(NamespaceCodec::of(&self.config, codec))
    }
}
