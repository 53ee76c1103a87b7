mod open;
mod seal;

use std::{fmt, sync::Arc};

use futures::{StreamExt as _, future, stream};

use crate::{
    CodecBuilder, Compression, EncryptionContext, Error, Format, KeyUri, Namespace, Payload,
    PayloadError, PlaintextPolicy, Stats,
    dek::{Keyholder, LiveDek},
    encrypting_keys::EncryptingKeys,
    format,
    kms::{KeyProvider, ProviderError, ProviderErrorKind},
    policy::Policy,
    stats::Counters,
};

/// KMS calls that one batch makes at the same time.
const CONCURRENT_CALLS: usize = 16;
/// How often a payload may be encrypted over. A schedule that is edited in the Web UI gains a layer where the editor
/// may not decrypt.
const MAX_NESTING: usize = 8;

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
    pub(crate) encrypting: EncryptingKeys,
    pub(crate) policy: Policy,
    pub(crate) live_v2: Arc<LiveDek>,
    pub(crate) live_v1: Arc<LiveDek>,
    pub(crate) keyholder: Keyholder,
    pub(crate) counters: Arc<Counters>,
}

impl Codec {
    /// Starts to build a codec for `namespace`.
    pub fn builder(namespace: Namespace) -> CodecBuilder {
        CodecBuilder::new(namespace)
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Encrypts payloads: as many as it was given, in order, or none.
    ///
    /// A payload that this codec has encrypted before, and can open, is returned as it is; it is not encrypted twice.
    ///
    /// # Errors
    /// When the KMS refuses or fails, and no data key may be used in its place.
    pub async fn encode(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        let count = payloads.len();
        self.seal_all(payloads)
            .await
            .inspect_err(|_| self.0.counters.rejected.add(count))
    }

    /// Decrypts payloads: as many as it was given, in order, or none.
    ///
    /// # Errors
    /// The first payload's that cannot be decrypted.
    pub async fn decode(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        self.decode_each(payloads).await.into_iter().collect()
    }

    /// Decrypts payloads, each with a result of its own: as many as it was given, in order.
    pub async fn decode_each(&self, payloads: Vec<Payload>) -> Vec<Result<Payload, Error>> {
        stream::iter(payloads)
            .map(|payload| self.decode_one(payload))
            .buffered(CONCURRENT_CALLS)
            .collect()
            .await
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

    /// Asks every encrypting key's service whether the key can be used. Where the caller may not ask, as with Cloud KMS's
    /// role for encrypting and decrypting, a data key is wrapped for trial.
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
        let checks = self
            .0
            .encrypting
            .iter()
            .map(|key| async { (key.uri().clone(), can_encrypt(&**key).await) });
        future::join_all(checks).await
    }

    async fn decode_one(&self, payload: Payload) -> Result<Payload, Error> {
        let result = self.decode_layers(payload).await;
        if let Err(error) = &result {
            self.0.counters.rejected.add(1);
            tracing::debug!(%error, "a payload was not decoded");
        }
        result
    }

    async fn decode_layers(&self, mut payload: Payload) -> Result<Payload, Error> {
        if !format::is_marked(&payload) {
            if self.0.policy.plaintext == PlaintextPolicy::Reject {
                return Err(PayloadError::PlaintextRefused.into());
            }
            self.0.counters.passed_through.add(1);
            return Ok(payload);
        }
        payload = self.open(format::parse(payload)?).await?;

        // What is inside is authentic, whatever it says of itself. Where it is marked as encrypted but is nothing that can
        // be opened here, it is what the caller of `encode` had.
        let mut layers = 1;
        while format::is_marked(&payload) {
            if layers == MAX_NESTING {
                return Err(PayloadError::NestedTooDeep(MAX_NESTING).into());
            }
            let opened = match format::parse(payload.clone()) {
                Ok(sealed) => self.open(sealed).await,
                Err(error) => Err(error.into()),
            };
            match opened {
                Ok(inner) => payload = inner,
                Err(Error::Payload(_)) => break,
                Err(error) => return Err(error),
            }
            layers += 1;
        }
        self.0.counters.opened.add(1);
        Ok(payload)
    }
}

async fn can_encrypt(key: &dyn KeyProvider) -> Result<(), ProviderError> {
    match key.describe().await {
        Err(error) if error.kind() == ProviderErrorKind::PermissionDenied => {
            let trial = key.generate_dek(&EncryptionContext::empty()).await;
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
                &self
                    .0
                    .encrypting
                    .iter()
                    .map(|key| key.uri())
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
