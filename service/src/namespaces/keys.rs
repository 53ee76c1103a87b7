//! The opened keys of one namespace, and the codecs that are made of them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    num::NonZeroUsize,
    sync::{Arc, LazyLock},
    thread,
};

use temporal_kms_codec::{
    Codec, CodecBuilder, CompressionTurns, Error, KeyUri, Namespace, StaticKeys,
    kms::{KeyProvider, Kms},
};

use super::NamespaceConfig;

/// Large payloads that are compressed, or decompressed, at the same time: as many as the process has threads for requests. The
/// memory of each is held while other requests run, or while it waits for a key service, and no limit of a server counts it.
static TURNS: LazyLock<CompressionTurns> = LazyLock::new(|| {
    let threads = thread::available_parallelism();
    CompressionTurns::new(threads.unwrap_or(NonZeroUsize::MIN))
});

/// The opened keys of one configuration. Clones share them.
#[derive(Clone, Debug)]
pub struct Keys {
    encrypt: Vec<Arc<dyn KeyProvider>>,
    decrypt: Vec<Arc<dyn KeyProvider>>,
    of_other_codecs: StaticKeys,
}

impl Keys {
    /// Opens the keys that are not in `opened` yet.
    ///
    /// # Errors
    /// When a key cannot be opened, or the file of a static key cannot be read.
    pub async fn open(
        config: &NamespaceConfig,
        kms: &Kms,
        opened: &mut BTreeMap<KeyUri, Arc<dyn KeyProvider>>,
    ) -> Result<Self, Error> {
        let mut keys = Self {
            encrypt: Vec::new(),
            decrypt: Vec::new(),
            of_other_codecs: StaticKeys::new(),
        };
        for (id, source) in &config.static_keys {
            keys.of_other_codecs = keys.of_other_codecs.with(id, source.load()?);
        }
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
    ) -> Result<Codec, Error> {
        self.builder(config, namespace, also_decode).build()
    }

    /// As [`codec`](Self::codec), for a codec with further settings.
    pub(super) fn builder(
        &self,
        config: &NamespaceConfig,
        namespace: &Namespace,
        also_decode: Option<&Namespace>,
    ) -> CodecBuilder {
        let builder = config.builder(namespace.clone());
        let mut builder = builder
            .static_keys(self.of_other_codecs.clone())
            .compression_turns(&TURNS);
        for key in &self.encrypt {
            builder = builder.encrypt_with(key.clone());
        }
        for key in &self.decrypt {
            builder = builder.decrypt_with(key.clone());
        }
        if let Some(namespace) = also_decode {
            builder = builder.accept_namespace(namespace.clone());
        }
        builder
    }
}
