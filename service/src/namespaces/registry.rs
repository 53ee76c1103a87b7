//! From the name of a namespace to its codec.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    num::NonZeroUsize,
    sync::Arc,
};

use futures::future;
use lru::LruCache;
use parking_lot::Mutex;
use temporal_kms_codec::{
    Codec, Error, KeyUri, Namespace,
    kms::{KeyProvider, Kms, ProviderError},
};

use super::{DEFAULT_NAMESPACE, NamespaceConfig, NamespacesConfig, OnUndecodable};

/// Codecs kept for namespaces that are not configured.
const MOST_ON_DEMAND: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// The codec of one namespace.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NamespaceCodec {
    /// The codec.
    pub codec: Codec,
    /// What happens to a payload that it cannot decode.
    pub on_undecodable: OnUndecodable,
}

impl NamespaceCodec {
    /// A codec, and what happens to a payload that it cannot decode.
    #[must_use]
    pub const fn new(codec: Codec, on_undecodable: OnUndecodable) -> Self {
        Self {
            codec,
            on_undecodable,
        }
    }
}

/// A key cannot be opened, or the settings of a namespace cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("{}{source}", .namespace.as_ref().map(|name| format!("namespaces.{name}: ")).unwrap_or_default())]
pub struct OpenError {
    /// The namespace of the configuration, if it has names.
    pub namespace: Option<Namespace>,
    /// What is wrong.
    pub source: Error,
}

impl<E: Into<Error>> From<E> for OpenError {
    fn from(source: E) -> Self {
        Self {
            namespace: None,
            source: source.into(),
        }
    }
}

/// The namespace is not configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the namespace {0} is not configured; add a section [namespaces.\"{0}\"]")]
pub struct UnknownNamespace(pub Namespace);

/// A codec for each namespace that is served.
#[derive(Debug)]
pub struct Namespaces(Kind);

#[derive(Debug)]
enum Kind {
    Named(BTreeMap<Namespace, NamespaceCodec>),
    Any(Box<OnDemand>),
}

impl Namespaces {
    /// Opens every key, each once.
    ///
    /// # Errors
    /// When a key cannot be opened, or a namespace's settings cannot work.
    pub async fn open(config: &NamespacesConfig, kms: &Kms) -> Result<Self, OpenError> {
        let mut opened = BTreeMap::new();
        let kind = match config {
            NamespacesConfig::Named(configs) => {
                let mut named = BTreeMap::new();
                for (namespace, config) in configs {
                    let keys = Keys::open(config, kms, &mut opened).await;
                    let codec = keys.and_then(|keys| keys.codec(config, namespace, None));
                    let codec = codec.map_err(|source| OpenError {
                        namespace: Some(namespace.clone()),
                        source,
                    })?;
                    named.insert(namespace.clone(), codec);
                }
                Kind::Named(named)
            }
            NamespacesConfig::Any(config) => {
                let keys = Keys::open(config, kms, &mut opened).await?;
                Kind::Any(Box::new(OnDemand::new(config.clone(), keys)?))
            }
        };
        Ok(Self(kind))
    }

    /// Named namespaces, each with its codec.
    #[must_use]
    pub fn named(codecs: impl IntoIterator<Item = NamespaceCodec>) -> Self {
        let named = codecs
            .into_iter()
            .map(|codec| (codec.codec.namespace().clone(), codec));
        Self(Kind::Named(named.collect()))
    }

    /// The configured namespaces; `None` where any namespace is served.
    #[must_use]
    pub fn names(&self) -> Option<Vec<&Namespace>> {
        match &self.0 {
            Kind::Named(named) => Some(named.keys().collect()),
            Kind::Any(_) => None,
        }
    }

    /// The codec of each configured namespace. Where any namespace is served, it is that of `default`.
    #[must_use]
    pub fn codecs(&self) -> Vec<&NamespaceCodec> {
        match &self.0 {
            Kind::Named(named) => named.values().collect(),
            Kind::Any(any) => vec![&any.first],
        }
    }

    /// The codec of a namespace.
    ///
    /// # Errors
    /// When it is not configured.
    pub fn resolve(&self, namespace: Namespace) -> Result<NamespaceCodec, UnknownNamespace> {
        match &self.0 {
            Kind::Named(named) => named
                .get(&namespace)
                .cloned()
                .ok_or(UnknownNamespace(namespace)),
            Kind::Any(any) => any.resolve(namespace, None),
        }
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
        match &self.0 {
            Kind::Named(_) => self.resolve(namespace),
            Kind::Any(any) => any.resolve(namespace, Some(other)),
        }
    }

    /// Asks every encrypting key whether it can be used.
    pub async fn check_keys(&self) -> BTreeMap<KeyUri, Result<(), ProviderError>> {
        let codecs = self.codecs().into_iter();
        let checked = codecs.map(|named| named.codec.check_keys());
        future::join_all(checked)
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Codecs that are made when a request names their namespace, all with the same keys.
#[derive(Debug)]
struct OnDemand {
    config: NamespaceConfig,
    keys: Keys,
    first: NamespaceCodec,
    /// By the namespace, and the further namespace whose payloads are decoded.
    made: Mutex<LruCache<(Namespace, Option<Namespace>), NamespaceCodec>>,
}

impl OnDemand {
    fn new(config: NamespaceConfig, keys: Keys) -> Result<Self, Error> {
        let default = Namespace::new(DEFAULT_NAMESPACE)?;
        let first = keys.codec(&config, &default, None)?;
        let mut made = LruCache::new(MOST_ON_DEMAND);
        made.put((default, None), first.clone());
        Ok(Self {
            config,
            keys,
            first,
            made: Mutex::new(made),
        })
    }

    fn resolve(
        &self,
        namespace: Namespace,
        other: Option<&Namespace>,
    ) -> Result<NamespaceCodec, UnknownNamespace> {
        let mut made = self.made.lock();
        let name = (namespace, other.cloned());
        if let Some(codec) = made.get(&name) {
            return Ok(codec.clone());
        }
        match self.keys.codec(&self.config, &name.0, other) {
            Ok(codec) => {
                made.put(name, codec.clone());
                Ok(codec)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot make the codec of a namespace");
                Err(UnknownNamespace(name.0))
            }
        }
    }
}

/// The opened keys of one configuration.
#[derive(Debug)]
pub struct Keys {
    encrypt: Vec<Arc<dyn KeyProvider>>,
    decrypt: Vec<Arc<dyn KeyProvider>>,
}

impl Keys {
    /// Opens the keys that are not in `opened` yet.
    ///
    /// # Errors
    /// When a key cannot be opened.
    pub async fn open(
        config: &NamespaceConfig,
        kms: &Kms,
        opened: &mut BTreeMap<KeyUri, Arc<dyn KeyProvider>>,
    ) -> Result<Self, Error> {
        let mut keys = Self {
            encrypt: Vec::new(),
            decrypt: Vec::new(),
        };
        for (uris, providers) in [
            (&config.encrypt, &mut keys.encrypt),
            (&config.decrypt, &mut keys.decrypt),
        ] {
            for uri in uris {
                let key = match opened.entry(uri.clone()) {
                    Entry::Occupied(key) => key.get().clone(),
                    Entry::Vacant(slot) => slot.insert(kms.key(uri).await?).clone(),
                };
                providers.push(key);
            }
        }
        Ok(keys)
    }

    /// The codec of `namespace`, with its own caches. Payloads of `also_decode` are decoded too.
    ///
    /// # Errors
    /// When the settings cannot work together.
    pub fn codec(
        &self,
        config: &NamespaceConfig,
        namespace: &Namespace,
        also_decode: Option<&Namespace>,
    ) -> Result<NamespaceCodec, Error> {
        let mut builder = config.builder(namespace.clone());
        for key in &self.encrypt {
            builder = builder.encrypt_with(key.clone());
        }
        for key in &self.decrypt {
            builder = builder.decrypt_with(key.clone());
        }
        if let Some(namespace) = also_decode {
            builder = builder.accept_namespace(namespace.clone());
        }
        Ok(NamespaceCodec {
            codec: builder.build()?,
            on_undecodable: config.on_undecodable,
        })
    }
}
