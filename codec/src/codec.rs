//! Encodes and decodes the payloads of one namespace.

pub(crate) mod builder;
pub(crate) mod content;
pub(crate) mod env;
pub(crate) mod message;
mod open;
pub(crate) mod policy;
mod seal;
pub(crate) mod stats;

use std::{fmt, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, future, stream};

use crate::{
    CodecBuilder, Compression, EncryptionContext, Error, Format, KeyUri, Namespace, Payload,
    PayloadError, PlaintextPolicy, Stats,
    codec::{policy::Policy, stats::Counters},
    dek::{Budget, EncryptingKeys, Keyholder, LiveDek, Rest},
    format::Marker,
    kms::{KeyProvider, ProviderError, ProviderErrorKind},
};

/// KMS calls that one batch makes at the same time.
const CONCURRENT_CALLS: usize = 16;
/// How many layers of encryption are opened. Earlier versions of this codec, and other codecs, add a layer each time a
/// schedule is edited in the Web UI.
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
    /// Of the first encrypting key, in direct mode.
    pub(crate) encrypting_directly: Rest,
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
    /// No payload is encrypted twice. A payload that is encrypted for this codec already is returned unchanged: the Web UI
    /// sends such payloads when a schedule is edited. It must have a format, a namespace, a context and a key that this
    /// codec decodes. It is returned even when the KMS may not, or cannot, open it now.
    ///
    /// # Errors
    /// [`Error::Payload`] when a payload is marked as encrypted, and this codec would not decode it: it is malformed,
    /// not authentic, or meant for another namespace, key or format. Encrypting it again would hide that from its
    /// reader, who would get ciphertext for a value. Also when a payload exceeds a limit.
    ///
    /// [`Error::Provider`] when the KMS refuses or fails, and no data key may be used in its place. Also when an
    /// encrypted payload needs a key version that is gone.
    pub async fn encode(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        let count = payloads.len();
        self.seal_all(payloads)
            .await
            .inspect_err(|_| self.0.counters.rejected.add(count))
    }

    /// Decrypts payloads: as many as it was given, in order, or none.
    ///
    /// # Errors
    /// The first payload's that cannot be decrypted. The payloads after it are not decrypted.
    pub async fn decode(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        let budget = &self.0.keyholder.budget();
        stream::iter(payloads)
            .map(|payload| self.decode_one(payload, budget))
            .buffered(CONCURRENT_CALLS)
            .try_collect()
            .await
    }

    /// Decrypts payloads, each with a result of its own: as many as it was given, in order.
    pub async fn decode_each(&self, payloads: Vec<Payload>) -> Vec<Result<Payload, Error>> {
        self.decoder().decode_each(payloads).await
    }

    /// Starts to decode the payloads of one request in several steps.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        Decoder {
            codec: self.clone(),
            budget: self.0.keyholder.budget(),
        }
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
    /// role for encrypting and decrypting, a data key is wrapped for trial, under the context that payloads have.
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
        let context = if self.0.format.binds_context() {
            self.0.live_v2.context()
        } else {
            self.0.live_v1.context()
        };
        let checks = self
            .0
            .encrypting
            .iter()
            .map(|key| async { (key.uri().clone(), can_encrypt(&**key, context).await) });
        future::join_all(checks).await
    }

    async fn decode_one(&self, payload: Payload, budget: &Budget) -> Result<Payload, Error> {
        let result = self.decode_layers(payload, budget).await;
        if let Err(error) = &result {
            self.0.counters.rejected.add(1);
            tracing::debug!(%error, "a payload was not decoded");
        }
        result
    }

    async fn decode_layers(&self, payload: Payload, budget: &Budget) -> Result<Payload, Error> {
        let Some(marker) = Marker::of(&payload) else {
            return self.pass(payload);
        };
        let limit = self.0.max_decompressed;
        let mut payload = self
            .open(self.read(marker, payload)?, limit, budget)
            .await?;

        // The content is authentic. If it is marked as encrypted and cannot be opened here, it is what the caller of
        // `encode` had.
        let mut layers = 1;
        while let Some(marker) = Marker::of(&payload) {
            if layers == MAX_NESTING {
                return Err(PayloadError::NestedTooDeep(MAX_NESTING).into());
            }
            let opened = match self.read(marker, payload.clone()) {
                Ok(sealed) => self.open(sealed, limit, budget).await,
                Err(error) => Err(error.into()),
            };
            match opened {
                Ok(inner) => payload = inner,
                Err(Error::Payload(error)) if may_be_a_value(&error) => break,
                Err(error) => return Err(error),
            }
            layers += 1;
        }
        self.0.counters.opened.add(1);
        Ok(payload)
    }

    /// What happens to a payload that is not encrypted.
    fn pass(&self, payload: Payload) -> Result<Payload, Error> {
        if self.0.policy.plaintext == PlaintextPolicy::Reject {
            return Err(PayloadError::PlaintextRefused.into());
        }
        self.0.counters.passed_through.add(1);
        Ok(payload)
    }
}

/// Whether content that is marked as encrypted may be what the caller of `encode` had: it was never encrypted for this
/// codec. Content that a limit keeps from being opened may have been, and must not pass for a value.
const fn may_be_a_value(error: &PayloadError) -> bool {
    match error {
        PayloadError::Malformed(_)
        | PayloadError::NotAuthentic
        | PayloadError::ForeignNamespace { .. }
        | PayloadError::ForeignContext(_)
        | PayloadError::MissingContext(_)
        | PayloadError::KeyNotAllowed { .. }
        | PayloadError::FormatNotAllowed { .. } => true,
        PayloadError::PlaintextRefused
        | PayloadError::TooLarge { .. }
        | PayloadError::NestedTooDeep(_)
        | PayloadError::NotTried
        | PayloadError::NoRandomness
        | PayloadError::Unsupported(_) => false,
    }
}

/// Decodes the payloads of one request in several steps; made by [`Codec::decoder`].
///
/// A payload that cannot be opened may cost a call of the KMS. The calls that one request may waste are bounded, and a
/// decoder counts them over all its steps. After that it does not try payloads with an unknown data key
/// ([`PayloadError::NotTried`]). Payloads with a known data key are always opened.
pub struct Decoder {
    codec: Codec,
    budget: Budget,
}

impl Decoder {
    /// Decrypts one payload.
    ///
    /// # Errors
    /// When it cannot be decrypted, or is not tried any more.
    pub async fn decode(&self, payload: Payload) -> Result<Payload, Error> {
        self.codec.decode_one(payload, &self.budget).await
    }

    /// As [`Codec::decode_each`].
    pub async fn decode_each(&self, payloads: Vec<Payload>) -> Vec<Result<Payload, Error>> {
        stream::iter(payloads)
            .map(|payload| self.decode(payload))
            .buffered(CONCURRENT_CALLS)
            .collect()
            .await
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoder").field(&self.codec).finish()
    }
}

async fn can_encrypt(
    key: &dyn KeyProvider,
    context: &EncryptionContext,
) -> Result<(), ProviderError> {
    match key.describe().await {
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
            .field("encrypting", &self.0.encrypting)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
