//! Encodes and decodes the payloads of one namespace.

pub(crate) mod builder;
pub(crate) mod content;
pub(crate) mod decode;
mod decompression;
mod encode;
pub(crate) mod env;
pub(crate) mod known;
pub(crate) mod message;
pub(crate) mod policy;
pub(crate) mod turns;

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;
use futures::future;

use self::{known::ReadEnvelope, policy::Policy, turns::CompressionTurns};
use crate::{
    Compression, EncryptionContext, Error, Format, KeyUri, Namespace, StaticKeys,
    dek::{ActiveDek, OpeningKeys, Rest, SealingKeys},
    kms::{KeyProvider, ProviderError, ProviderErrorKind},
    stats::{Counters, DataKeyState, Stats},
};

/// KMS calls that one batch makes at the same time.
const CONCURRENT_CALLS: usize = 16;
/// How much work a call does before it lets other tasks run. The unit is the work for a byte that is encrypted.
pub(crate) const STEP: usize = 1 << 20;

/// Encrypts and decrypts the payloads of one namespace.
///
/// A codec is cheap to clone; clones share keys, caches and counters.
#[derive(Clone)]
pub struct Codec(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) namespace: Namespace,
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    pub(crate) max_decompressed: usize,
    pub(crate) max_decompressed_total: usize,
    pub(crate) turns: Option<CompressionTurns>,
    pub(crate) opening: OpeningKeys,
    pub(crate) static_keys: StaticKeys,
    pub(crate) policy: Policy,
    /// `None` where nothing is encrypted.
    pub(crate) encryption: Option<Encryption>,
    pub(crate) counters: Arc<Counters>,
    /// The envelope that was opened last.
    pub(crate) last_envelope: ArcSwapOption<ReadEnvelope>,
}

/// The keys that encrypt, and the data keys that they wrap.
pub(crate) struct Encryption {
    pub(crate) sealing: SealingKeys,
    pub(crate) active_v2: Arc<ActiveDek>,
    pub(crate) active_v1: Arc<ActiveDek>,
    /// Of the first encrypting key, in direct mode.
    pub(crate) directly: Rest,
}

impl Codec {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The namespace whose payloads this codec encrypts.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// What this codec and its clones have done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot()
    }

    /// The data keys that are in memory now.
    #[must_use]
    pub fn data_key_state(&self) -> DataKeyState {
        let sealing = self.0.encryption.as_ref();
        DataKeyState {
            cached: self.0.opening.cache.len(),
            sealing_age: sealing.and_then(|sealing| {
                let (v2, v1) = (sealing.active_v2.age(), sealing.active_v1.age());
                v2.max(v1)
            }),
        }
    }

    /// Whether this codec only decrypts.
    #[must_use]
    pub fn is_decrypt_only(&self) -> bool {
        self.0.encryption.is_none()
    }

    /// Asks every encrypting key's service whether the key can be used. Where the caller may not ask, as with Cloud KMS's
    /// role for encrypting and decrypting, a data key is wrapped for trial, under the context that payloads have.
    ///
    /// A codec that only decrypts asks for its decrypting keys. Where the caller may not ask, nothing is tried.
    ///
    /// # Errors
    /// The first key's that cannot.
    pub async fn ready(&self) -> Result<(), Error> {
        for (_, checked) in self.check_keys().await {
            checked?;
        }
        Ok(())
    }

    /// Asks as [`ready`](Self::ready) does, and returns what each key said: one that fails hides no other.
    pub async fn check_keys(&self) -> Vec<(KeyUri, Result<(), ProviderError>)> {
        let Some(encryption) = &self.0.encryption else {
            let keys = self.0.opening.decryption.keys();
            let checks =
                keys.map(|key| async { (key.uri().clone(), key.check_usable().await.map(drop)) });
            return future::join_all(checks).await;
        };
        let context = if self.0.format.binds_context() {
            encryption.active_v2.context()
        } else {
            encryption.active_v1.context()
        };
        let checks = encryption
            .sealing
            .encrypting
            .iter()
            .map(|key| async { (key.uri().clone(), can_encrypt(&**key, context).await) });
        future::join_all(checks).await
    }

    pub(crate) fn encryption(&self) -> Result<&Encryption, Error> {
        self.0.encryption.as_ref().ok_or(Error::DecryptOnly)
    }
}

async fn can_encrypt(
    key: &dyn KeyProvider,
    context: &EncryptionContext,
) -> Result<(), ProviderError> {
    match key.check_usable().await {
        Err(error) if error.kind() == ProviderErrorKind::PermissionDenied => {
            let trial = key.generate_dek(context).await;
            trial.map(drop)
        }
        described => described.map(drop),
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("namespace", &self.0.namespace)
            .field("format", &self.0.format)
            .field(
                "encrypting",
                &self.0.encryption.as_ref().map(|it| &it.sealing.encrypting),
            )
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
