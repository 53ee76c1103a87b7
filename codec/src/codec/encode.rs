//! Encoding: a batch under one data key, or one KMS call for each payload.

use std::{sync::Arc, vec};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use temporal_kms::support::SecretVec;
use temporal_kms_codec_proto::{Data, OncePerMetadata, PayloadParts, Room, SharedPayload};
use tokio::task::yield_now;

use super::{
    CONCURRENT_CALLS, Codec, Encryption, STEP,
    content::{self, serialized},
    decode::Decrypted,
    message::{self, BatchSealer},
};
use crate::{
    Error, Format, Payload, PayloadError,
    dek::{ActiveDek, ActiveKey, Budget},
    format::{
        Marker,
        direct::{self, Direct},
    },
    kms::{ProviderError, ProviderErrorKind},
    payload::{Erase, Plain},
};

/// A payload in its place among the others.
enum Slot {
    ToSeal(Plain<Payload>),
    /// Encrypted already.
    Sealed(Payload),
}

/// How a step of sealing ended.
enum SealStep<P: Erase> {
    Ended,
    /// Others may run first.
    Pause,
    /// A payload is compressed in steps of its own.
    Large(Plain<P>),
}

impl Codec {
    /// Room around the data of payloads in which [`encode_shared`](Self::encode_shared) encrypts them where they are. Payloads
    /// with less room, or more metadata than usual, are copied.
    pub const SEALING_ROOM: Room = message::SEALING_ROOM;

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
    /// [`Error::DecryptOnly`] when this codec only decrypts.
    ///
    /// [`Error::Provider`] when the KMS refuses or fails, and no data key may be used in its place. Also when an
    /// encrypted payload needs a key version that is gone.
    pub async fn encode(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        let count = payloads.len();
        self.seal_all(payloads)
            .await
            .inspect_err(|_| self.0.counters.rejected.add(count))
    }

    /// As [`encode`](Self::encode), for payloads that may share their metadata. Encrypted payloads share theirs, which are
    /// those of one data key.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub async fn encode_shared(
        &self,
        payloads: Vec<SharedPayload>,
    ) -> Result<Vec<SharedPayload>, Error> {
        if self.0.format != Format::Envelope || !self.are_all_new(&payloads) {
            let payloads = payloads.into_iter().map(SharedPayload::into_payload);
            let sealed = self.encode(payloads.collect()).await?;
            return Ok(sealed.into_iter().map(SharedPayload::from).collect());
        }
        let count = payloads.len();
        let sealed = self.seal_new(payloads).await;
        sealed.inspect_err(|_| self.0.counters.rejected.add(count))
    }

    async fn seal_all(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        if self.0.format == Format::Envelope && self.are_all_new(&payloads) {
            let sealed = self.seal_new(payloads).await?;
            return Ok(sealed
                .into_iter()
                .map(SharedPayload::into_payload)
                .collect());
        }
        let slots = self.partition_already_encrypted(payloads).await?;
        let count = slots
            .iter()
            .filter(|slot| matches!(slot, Slot::ToSeal(_)))
            .count();
        let sealed = match self.0.format {
            _ if count == 0 => slots.into_iter().map(Slot::into_payload).collect(),
            Format::EnvelopeV1 => self.seal_v1(self.encryption()?, slots).await?,
            Format::Direct => self.encrypt_directly(slots).await?,
            // The builder refuses to write the formats of others.
            _ => self.seal_v2(self.encryption()?, slots).await?,
        };
        self.0.counters.sealed.add(count);
        Ok(sealed)
    }

    /// Whether every payload is sealed, and none is encrypted already or above a limit. Then nothing has to be opened.
    fn are_all_new(&self, payloads: &[impl PayloadParts]) -> bool {
        let mut marked = OncePerMetadata::default();
        !payloads.is_empty()
            && payloads.iter().all(|payload| {
                let metadata = payload.metadata();
                let is_marked = marked.get(metadata, || Marker::is_in(metadata));
                let is_sealed = is_marked && self.marker_of_sealed(payload).is_some();
                !is_sealed && content::check(payload).is_ok()
            })
    }

    /// Seals a batch of new payloads under one data key.
    async fn seal_new<P: PayloadParts + Erase>(
        &self,
        payloads: Vec<P>,
    ) -> Result<Vec<SharedPayload>, Error> {
        let payloads = Plain::new(payloads.into_iter());
        let active = &self.encryption()?.active_v2;
        let count = payloads.as_slice().len();
        let bytes = serialized::total_len(payloads.as_slice());
        let key = active.acquire(count as u64, bytes).await?;
        let sealed = self.seal_in_steps(active, &key, payloads).await?;
        self.0.counters.sealed.add(sealed.len());
        Ok(sealed)
    }

    /// Seals payloads under one data key, and lets other tasks run after each step.
    async fn seal_in_steps<P: PayloadParts + Erase>(
        &self,
        active: &ActiveDek,
        key: &ActiveKey,
        mut payloads: Plain<vec::IntoIter<P>>,
    ) -> Result<Vec<SharedPayload>, Error> {
        let mut sealed = Vec::with_capacity(payloads.as_slice().len());
        loop {
            match self.seal_step(active, key, &mut payloads, &mut sealed)? {
                SealStep::Ended => return Ok(sealed),
                SealStep::Pause => yield_now().await,
                SealStep::Large(payload) => {
                    let compressed = self.compress(&*payload).await;
                    let mut batch = self.sealer(active, key, 1);
                    let seal = |payload: &mut P| batch.seal_with(payload, compressed);
                    sealed.push(seal_one(key, payload, seal)?);
                }
            }
        }
    }

    /// Seals the next payloads, as many as make a step. The ids of their messages must not be kept while the task waits.
    fn seal_step<P: PayloadParts + Erase>(
        &self,
        active: &ActiveDek,
        key: &ActiveKey,
        payloads: &mut Plain<vec::IntoIter<P>>,
        sealed: &mut Vec<SharedPayload>,
    ) -> Result<SealStep<P>, PayloadError> {
        let mut batch = self.sealer(active, key, payloads.as_slice().len());
        while let Some(payload) = payloads.next().map(Plain::new) {
            let compressible = batch.compressible_len(&*payload);
            if batch.takes_steps(compressible) {
                return Ok(SealStep::Large(payload));
            }
            let seal = |payload: &mut P| batch.seal_measured(payload, compressible);
            sealed.push(seal_one(key, payload, seal)?);
            if batch.work() >= STEP && !payloads.as_slice().is_empty() {
                return Ok(SealStep::Pause);
            }
        }
        Ok(SealStep::Ended)
    }

    /// Compresses a large payload, and lets other tasks run meanwhile. `None` when it does not become shorter.
    async fn compress(&self, payload: &impl PayloadParts) -> Option<SecretVec> {
        let _turn = match &self.0.turns {
            Some(turns) => turns.compressing().await,
            None => None,
        };
        let mut compressing = self.0.compression.start(serialized::to_vec(payload))?;
        loop {
            yield_now().await;
            if compressing.step()? {
                return Some(compressing.into_compressed());
            }
        }
    }

    /// Tells the payloads that are encrypted already from the others.
    async fn partition_already_encrypted(
        &self,
        payloads: Vec<Payload>,
    ) -> Result<Vec<Slot>, Error> {
        let budget = &self.0.opening.decryption.budget();
        stream::iter(Plain::new(payloads.into_iter()).map(Plain::new))
            .map(|payload| async move {
                match self.marker_of_sealed(&*payload) {
                    None => {
                        content::check(&*payload)?;
                        Ok(Slot::ToSeal(payload))
                    }
                    Some(marker) => {
                        let copy = Plain::new(payload.clone());
                        self.check_sealed(marker, copy, budget).await?;
                        Ok(Slot::Sealed(payload.into_inner()))
                    }
                }
            })
            .buffered(CONCURRENT_CALLS)
            .try_collect()
            .await
    }

    /// Whether this codec would decode an encrypted payload, as far as the KMS tells now.
    ///
    /// A KMS that refuses or fails proves nothing against the payload: the caller may encrypt only, or the service is
    /// unreachable. The same holds for an authentic payload that this codec cannot read, such as one above its limits.
    /// Its readers decide. A payload of a key version that is gone has no readers, and an altered one may name any.
    async fn check_sealed(
        &self,
        marker: Marker,
        payload: Plain<Payload>,
        budget: &Budget,
    ) -> Result<(), Error> {
        let sealed = self.read(marker, payload)?;
        // Whether it is authentic shows before it is decompressed.
        match self.decrypt(sealed, budget).await {
            Err(error @ Error::Payload(PayloadError::NotAuthentic)) => Err(error),
            Err(Error::Provider(error)) if error.kind() == ProviderErrorKind::KeyVersionGone => {
                Err(error.into())
            }
            Ok(Decrypted::Payload(opened)) => {
                drop(Plain::new(opened));
                Ok(())
            }
            Ok(Decrypted::Compressed(_)) | Err(_) => Ok(()),
        }
    }

    async fn seal_v1(
        &self,
        encryption: &Encryption,
        slots: Vec<Slot>,
    ) -> Result<Vec<Payload>, Error> {
        let key = acquire(&encryption.active_v1, &slots).await?;
        let mut sealed = Vec::with_capacity(slots.len());
        let mut work = 0;
        for slot in slots {
            let payload = match slot {
                Slot::Sealed(payload) => payload,
                Slot::ToSeal(payload) => {
                    if work >= STEP {
                        work = 0;
                        yield_now().await;
                    }
                    let seal = |payload: &mut Payload| message::seal_v1(&key.data_key, payload);
                    let payload = seal_one(&key, payload, seal)?.into_payload();
                    work += payload.data.len() + message::WORK_EACH;
                    payload
                }
            };
            sealed.push(payload);
        }
        Ok(sealed)
    }

    async fn seal_v2(
        &self,
        encryption: &Encryption,
        slots: Vec<Slot>,
    ) -> Result<Vec<Payload>, Error> {
        let active = &encryption.active_v2;
        let key = acquire(active, &slots).await?;
        let mut new = Plain::new(Vec::<Payload>::with_capacity(slots.len()));
        let places: Vec<Option<Payload>> = slots
            .into_iter()
            .map(|slot| match slot {
                Slot::Sealed(payload) => Some(payload),
                Slot::ToSeal(payload) => {
                    new.push(payload.into_inner());
                    None
                }
            })
            .collect();
        let new = Plain::new(new.into_inner().into_iter());
        let sealed = self.seal_in_steps(active, &key, new).await?;
        let mut sealed = sealed.into_iter().map(SharedPayload::into_payload);
        // There are as many empty places as payloads that were sealed.
        let filled = places
            .into_iter()
            .map(|place| place.or_else(|| sealed.next()));
        Ok(filled.flatten().collect())
    }

    /// Seals so many payloads under a data key of `active`.
    fn sealer<'k>(
        &self,
        active: &ActiveDek,
        key: &'k ActiveKey,
        messages: usize,
    ) -> BatchSealer<'k> {
        BatchSealer::new(&key.data_key, active.context(), messages)
            .compressing(self.0.compression, self.0.max_decompressed)
    }

    async fn encrypt_directly(&self, slots: Vec<Slot>) -> Result<Vec<Payload>, Error> {
        let encryption = self.encryption()?;
        stream::iter(slots)
            .map(|slot| async {
                match slot {
                    Slot::Sealed(payload) => Ok(payload),
                    Slot::ToSeal(payload) => self.encrypt_one_directly(encryption, payload).await,
                }
            })
            .buffered(CONCURRENT_CALLS)
            .try_collect()
            .await
    }

    async fn encrypt_one_directly(
        &self,
        encryption: &Encryption,
        payload: Plain<Payload>,
    ) -> Result<Payload, Error> {
        let key = &encryption.sealing.encrypting.first;
        let len = serialized::len(&*payload);
        let limits = key.limits();
        let fits = (limits.min_plaintext..=limits.max_plaintext).contains(&len);
        if !fits || !direct::may_have_len(len) {
            self.0.counters.direct_fallbacks.add(1);
            let sealed = self
                .seal_v2(encryption, vec![Slot::ToSeal(payload)])
                .await?;
            return sealed
                .into_iter()
                .next()
                .ok_or_else(|| ProviderError::new(ProviderErrorKind::Integrity, key.uri()).into());
        }
        let rest = &encryption.directly;
        rest.check()?;
        self.0.counters.direct_calls.add(1);
        let plaintext = serialized::to_vec(&*payload);
        drop(payload);
        let encrypted = key.encrypt(&plaintext).await;
        rest.learn(&encrypted);
        Ok(Direct {
            key: key.uri().clone(),
            ciphertext: encrypted?.into(),
        }
        .into_payload())
    }
}

/// A data key for the payloads that are to be sealed.
async fn acquire(active: &Arc<ActiveDek>, slots: &[Slot]) -> Result<Arc<ActiveKey>, Error> {
    let (messages, bytes) = slots
        .iter()
        .fold((0, 0), |(messages, bytes), slot| match slot {
            Slot::ToSeal(payload) => (messages + 1, bytes + serialized::len(&**payload) as u64),
            Slot::Sealed(_) => (messages, bytes),
        });
    active.acquire(messages, bytes).await
}

/// Seals a payload, and erases what is left of it.
fn seal_one<P: Erase>(
    key: &ActiveKey,
    mut payload: Plain<P>,
    seal: impl FnOnce(&mut P) -> Result<Data, PayloadError>,
) -> Result<SharedPayload, PayloadError> {
    let data = seal(&mut payload)?;
    Ok(SharedPayload::new(Arc::clone(&key.metadata), data))
}

impl Slot {
    fn into_payload(self) -> Payload {
        match self {
            Self::ToSeal(payload) => payload.into_inner(),
            Self::Sealed(payload) => payload,
        }
    }
}
