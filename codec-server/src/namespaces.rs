//! From the name of a namespace to the codec that serves it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future;
use lru::LruCache;
use percent_encoding::percent_decode_str;
use temporal_kms_codec::{
    Codec, Error, KeyUri, Namespace,
    kms::{self, KeyProvider, KmsOptions, ProviderError},
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
    /// The header's, or the one for requests that name none, is not configured.
    Unknown(Namespace),
    /// The path's is not configured, and the path is not a configured prefix.
    UnknownInPath(String),
}

/// All that are served.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// The namespace of a request that names none.
    default: Namespace,
    kind: Kind,
    /// Paths that name no namespace.
    prefixes: Vec<Folder>,
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
        Ok(Self {
            default,
            kind,
            prefixes: Vec::new(),
        })
    }

    /// With paths before the operations that name no namespace.
    pub(crate) fn with_path_prefixes(mut self, prefixes: Vec<Folder>) -> Self {
        self.prefixes = prefixes;
        self
    }

    /// The one that a request is for: what its header says, else the last segment of its path, else `default`.
    ///
    /// Where namespaces are configured, everything in the path that names one of them must agree with that. A rule of a
    /// proxy about paths then cannot be circumvented by a header.
    pub(crate) fn served(
        &self,
        header: Option<Namespace>,
        folder: Option<&Folder>,
    ) -> Result<Served, NotServed> {
        match &self.kind {
            Kind::Named(named) => {
                let wanted = match header {
                    Some(header) => header,
                    None => self.named_by(folder, named)?,
                };
                let mut others = folder.into_iter().flat_map(Folder::names);
                if others.any(|name| contradicts(name, &wanted, named)) {
                    return Err(NotServed::Contradiction);
                }
                named
                    .get(&wanted)
                    .cloned()
                    .ok_or(NotServed::Unknown(wanted))
            }
            Kind::Any(any) => match (header, folder.and_then(Folder::last).map(Namespace::new)) {
                (Some(namespace), _) => any.served(namespace, None),
                (None, Some(Ok(segment))) => any.served(segment, Some(&self.default)),
                (None, _) => any.served(self.default.clone(), None),
            },
        }
    }

    fn named_by(
        &self,
        folder: Option<&Folder>,
        named: &BTreeMap<Namespace, Served>,
    ) -> Result<Namespace, NotServed> {
        let folder = folder.filter(|folder| !self.prefixes.contains(folder));
        let Some(segment) = folder.and_then(Folder::last) else {
            return Ok(self.default.clone());
        };
        let namespace = Namespace::new(segment).ok();
        namespace
            .filter(|namespace| named.contains_key(namespace))
            .ok_or_else(|| NotServed::UnknownInPath(segment.to_owned()))
    }

    /// Asks every encrypting key whether it can be used.
    pub(crate) async fn check_keys(&self) -> BTreeMap<KeyUri, Result<(), ProviderError>> {
        let codecs: Vec<&Codec> = match &self.kind {
            Kind::Named(named) => named.values().map(|served| &served.codec).collect(),
            Kind::Any(any) => vec![&any.first.codec],
        };
        let checked = codecs.into_iter().map(Codec::check_keys);
        future::join_all(checked)
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Whether a segment of the path means another namespace than `asked`. A proxy may compare without regard to case.
fn contradicts(name: &str, asked: &Namespace, named: &BTreeMap<Namespace, Served>) -> bool {
    if name == asked.as_str() {
        return false;
    }
    let is = |namespace: &Namespace| namespace.as_str() == name;
    let resembles = |namespace: &Namespace| namespace.as_str().eq_ignore_ascii_case(name);
    named.keys().any(is) || (named.keys().any(resembles) && !resembles(asked))
}

/// What stands before the operation in a request's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Decoded; empty ones are left out.
    segments: Vec<String>,
    /// Whether the one before the operation is empty, as in `//decode`.
    ends_empty: bool,
}

impl Folder {
    /// Parses a path in its encoded form, such as `/codec/prod`.
    pub(crate) fn parse(path: &str) -> Self {
        let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        Self {
            segments: path
                .split('/')
                .filter(|segment| !segment.is_empty())
                .map(decoded)
                .collect(),
            ends_empty: path.is_empty() || path.ends_with('/'),
        }
    }

    /// The segment before the operation.
    fn last(&self) -> Option<&str> {
        let last = self.segments.last().filter(|_| !self.ends_empty);
        last.map(String::as_str)
    }

    /// Everything that could name a namespace. For many proxies an encoded slash is a slash.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.segments
            .iter()
            .flat_map(|segment| std::iter::once(segment.as_str()).chain(segment.split('/')))
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

#[cfg(test)]
mod tests;
