//! From a configuration to the namespaces that are served: opens keys, and keeps codecs that need not change.

use std::{collections::BTreeMap, sync::Arc};

use temporal_kms_codec::{
    Error, KeyUri, Namespace,
    kms::{KeyProvider, Kms},
};

use super::{
    DEFAULT_NAMESPACE, NamedNamespaces, NamespaceConfig, NamespacesConfig,
    keys::Keys,
    on_demand::OnDemand,
    registry::{Kind, NamespaceCodec, Namespaces, Several, Single},
};
use crate::keys::Clients;

/// A key cannot be opened, or the settings of a namespace cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("{}{source}", .section.as_ref().map(|name| format!("namespaces.{name}: ")).unwrap_or_default())]
pub struct OpenError {
    /// The namespace or the pattern of the configuration, if it has names.
    pub section: Option<String>,
    /// What is wrong.
    pub source: Error,
}

impl<E: Into<Error>> From<E> for OpenError {
    fn from(source: E) -> Self {
        Self {
            section: None,
            source: source.into(),
        }
    }
}

/// What the codecs of a new configuration take over from those that are served.
#[derive(Clone, Copy, Debug)]
pub struct Reuse<'r> {
    /// What is served.
    pub served: &'r Namespaces,
    /// What the clients of its keys were made from.
    pub clients: &'r Clients,
    /// What the clients of the new keys are made from.
    pub new_clients: &'r Clients,
}

impl Namespaces {
    /// Opens every key, each once.
    ///
    /// # Errors
    /// When a key cannot be opened, or a namespace's settings cannot work.
    pub async fn open(config: &NamespacesConfig, kms: &Kms) -> Result<Self, OpenError> {
        Opening::new(kms, None).open(config).await
    }

    /// As [`open`](Self::open). A namespace keeps its codec, and with it the data keys in memory, when nothing has changed
    /// that the codec depends on.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn reopen(
        config: &NamespacesConfig,
        kms: &Kms,
        reuse: Reuse<'_>,
    ) -> Result<Self, OpenError> {
        Opening::new(kms, Some(reuse)).open(config).await
    }
}

/// Opens the namespaces of a configuration.
struct Opening<'o> {
    kms: &'o Kms,
    reuse: Option<Reuse<'o>>,
    opened: BTreeMap<KeyUri, Arc<dyn KeyProvider>>,
}

impl<'o> Opening<'o> {
    fn new(kms: &'o Kms, reuse: Option<Reuse<'o>>) -> Self {
        Self {
            kms,
            reuse,
            opened: BTreeMap::new(),
        }
    }

    async fn open(mut self, config: &NamespacesConfig) -> Result<Namespaces, OpenError> {
        Ok(Namespaces(match config {
            NamespacesConfig::Named(named) => self.named(named).await?,
            NamespacesConfig::Any(config) => {
                let keys = Keys::open(config, self.kms, &mut self.opened).await?;
                let trial = Namespace::new(DEFAULT_NAMESPACE)?;
                Kind::Any(Box::new(Several {
                    codecs: OnDemand::new(config, keys, &trial)?,
                    config: config.clone(),
                }))
            }
        }))
    }

    async fn named(&mut self, config: &NamedNamespaces) -> Result<Kind, OpenError> {
        let mut exact = Vec::with_capacity(config.exact.len());
        for (name, config) in &config.exact {
            let single = self.single(name, config).await;
            let single = single.map_err(in_section(name.as_str()))?;
            exact.push((name.clone(), single));
        }
        let mut patterns = Vec::new();
        for (pattern, config) in config.patterns.iter() {
            let several = self.several(pattern.as_str(), config).await;
            let several = several.map_err(in_section(pattern.as_str()))?;
            patterns.push((pattern.clone(), several));
        }
        Ok(Kind::Named {
            exact: exact.into_iter().collect(),
            patterns: patterns.into_iter().collect(),
        })
    }

    async fn single(
        &mut self,
        name: &Namespace,
        config: &NamespaceConfig,
    ) -> Result<Single, Error> {
        let known = self.reuse.and_then(|reuse| reuse.served.single(name));
        if let Some(Single {
            made_from: Some((made_from, keys)),
            served,
        }) = known
            && self.keeps(made_from, config)
        {
            return Ok(Single {
                served: NamespaceCodec::of(config, served.codec.clone()),
                made_from: Some((config.clone(), keys.clone())),
            });
        }
        let keys = Keys::open(config, self.kms, &mut self.opened).await?;
        Single::new(config, name, keys)
    }

    async fn several(&mut self, pattern: &str, config: &NamespaceConfig) -> Result<Several, Error> {
        let known = self.reuse.and_then(|reuse| reuse.served.several(pattern));
        if let Some(known) = known.filter(|known| self.keeps(&known.config, config)) {
            return Ok(Several {
                codecs: known.codecs.clone(),
                config: config.clone(),
            });
        }
        let keys = Keys::open(config, self.kms, &mut self.opened).await?;
        Ok(Several {
            codecs: OnDemand::new(config, keys, &Namespace::new(pattern)?)?,
            config: config.clone(),
        })
    }

    /// Whether a codec of `known` does what one of `config` would do.
    fn keeps(&self, known: &NamespaceConfig, config: &NamespaceConfig) -> bool {
        let Some(reuse) = self.reuse else {
            return false;
        };
        let mut keys = config.encrypt.iter().chain(&config.decrypt);
        // The file of a static key can have changed.
        config.static_keys.is_empty()
            && config.has_codec_of(known)
            && keys.all(|key| reuse.clients.are_equal(reuse.new_clients, key.scheme()))
    }
}

fn in_section(name: &str) -> impl FnOnce(Error) -> OpenError {
    let section = Some(name.to_owned());
    move |source| OpenError { section, source }
}

#[cfg(test)]
mod tests;
