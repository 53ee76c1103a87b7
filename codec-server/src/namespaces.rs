//! From the name of a namespace to the codec that serves it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future;
use lru::LruCache;
use temporal_kms_codec::{
    Codec, Error, KeyUri, Namespace,
    kms::{self, KeyProvider, KmsOptions},
};

use crate::config::{NamespaceConfig, NamespacesConfig, OnUndecodable};

/// The namespace of a request that names none.
const DEFAULT: &str = "default";
/// Codecs kept for namespaces that nobody configured.
const MOST_UNNAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// A namespace that is served.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) codec: Codec,
    pub(crate) on_undecodable: OnUndecodable,
}

/// Keys or settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}{source}", .namespace.as_ref().map(|name| format!("namespaces.{name}: ")).unwrap_or_default())]
pub struct OpenError {
    /// The namespace of a configuration that they belong to.
    pub namespace: Option<Namespace>,
    /// What is wrong with them.
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

/// Why a request's namespace is not served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotServed {
    /// Header and path name two.
    Contradiction,
    /// It is none of the configured ones.
    Unknown(Namespace),
}

/// All that are served.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// The namespace of a request that names none.
    default: Namespace,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Named(BTreeMap<Namespace, Served>),
    Any(Box<Any>),
}

impl Namespaces {
    /// Opens every key, each once.
    pub(crate) async fn open(
        config: &NamespacesConfig,
        options: &KmsOptions,
    ) -> Result<Self, OpenError> {
        let default = Namespace::new(DEFAULT)?;
        let mut opened = BTreeMap::new();
        let kind = match config {
            NamespacesConfig::Named(configs) => {
                let mut named = BTreeMap::new();
                for (namespace, config) in configs {
                    let keys = Keys::open(config, options, &mut opened).await;
                    let served = keys.and_then(|keys| keys.serve(config, namespace, None));
                    let served = served.map_err(|source| OpenError {
                        namespace: Some(namespace.clone()),
                        source,
                    })?;
                    named.insert(namespace.clone(), served);
                }
                Kind::Named(named)
            }
            NamespacesConfig::Any(config) => {
                let keys = Keys::open(config, options, &mut opened).await?;
                Kind::Any(Box::new(Any::new(config.clone(), keys, default.clone())?))
            }
        };
        Ok(Self { default, kind })
    }

    /// The one that a request is for: what its header says, else the segment of its path, else `default`.
    ///
    /// A segment that is not configured is a prefix. Where nothing is configured it could be either.
    pub(crate) fn served(
        &self,
        header: Option<Namespace>,
        segment: Option<Namespace>,
    ) -> Result<Served, NotServed> {
        match &self.kind {
            Kind::Named(named) => {
                let segment = segment.filter(|segment| named.contains_key(segment));
                if let (Some(header), Some(segment)) = (&header, &segment)
                    && header != segment
                {
                    return Err(NotServed::Contradiction);
                }
                let asked = header.or(segment).unwrap_or_else(|| self.default.clone());
                named.get(&asked).cloned().ok_or(NotServed::Unknown(asked))
            }
            Kind::Any(any) => match (header, segment) {
                (Some(namespace), _) => any.served(namespace, None),
                (None, Some(segment)) => any.served(segment, Some(&self.default)),
                (None, None) => any.served(self.default.clone(), None),
            },
        }
    }

    /// Asks every encrypting key whether it can be used.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        match &self.kind {
            Kind::Named(named) => {
                future::try_join_all(named.values().map(|served| served.codec.ready())).await?;
            }
            Kind::Any(any) => any.first.codec.ready().await?,
        }
        Ok(())
    }
}

/// Whatever a request names is served with the same keys.
#[derive(Debug)]
struct Any {
    config: NamespaceConfig,
    keys: Keys,
    first: Served,
    made: Mutex<LruCache<(Namespace, bool), Served>>,
}

impl Any {
    fn new(config: NamespaceConfig, keys: Keys, default: Namespace) -> Result<Self, Error> {
        let first = keys.serve(&config, &default, None)?;
        let mut made = LruCache::new(MOST_UNNAMED);
        made.put((default, false), first.clone());
        Ok(Self {
            config,
            keys,
            first,
            made: Mutex::new(made),
        })
    }

    /// With `or`, payloads of that namespace are decoded too: the name came from a path, and may be a prefix.
    fn served(&self, namespace: Namespace, or: Option<&Namespace>) -> Result<Served, NotServed> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (namespace, or.is_some());
        if let Some(served) = made.get(&name) {
            return Ok(served.clone());
        }
        match self.keys.serve(&self.config, &name.0, or) {
            Ok(served) => {
                made.put(name, served.clone());
                Ok(served)
            }
            Err(error) => {
                tracing::warn!(%error, "a namespace cannot be served");
                Err(NotServed::Unknown(name.0))
            }
        }
    }
}

/// The opened keys of one configuration.
#[derive(Debug)]
pub(crate) struct Keys {
    encrypt: Vec<Arc<dyn KeyProvider>>,
    decrypt: Vec<Arc<dyn KeyProvider>>,
}

impl Keys {
    /// Opens the keys that are not in `opened` yet.
    pub(crate) async fn open(
        config: &NamespaceConfig,
        options: &KmsOptions,
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
                    Entry::Vacant(slot) => slot.insert(kms::open(uri, options).await?).clone(),
                };
                providers.push(key);
            }
        }
        Ok(keys)
    }

    /// A codec with caches of its own.
    pub(crate) fn serve(
        &self,
        config: &NamespaceConfig,
        namespace: &Namespace,
        also_decode: Option<&Namespace>,
    ) -> Result<Served, Error> {
        let mut builder = config.builder(namespace.clone());
        for key in &self.encrypt {
            builder = builder.encrypt_with(key.clone());
        }
        for key in &self.decrypt {
            builder = builder.decrypt_with(key.clone());
        }
        if let Some(namespace) = also_decode {
            builder = builder.also_decode(namespace.clone());
        }
        Ok(Served {
            codec: builder.build()?,
            on_undecodable: config.on_undecodable,
        })
    }
}
