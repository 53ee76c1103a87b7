//! Decoding without waiting: envelopes whose data key is known.
//!
//! Most payloads of a request have the metadata of the payload before them, so nothing in them is parsed again, and the data
//! key is at hand. A payload that needs more than that, or that is refused, is decoded the other way
//! ([`decode`](super::decode)), which also tells what is wrong with it.

use std::{
    fmt,
    marker::PhantomData,
    mem,
    ops::Range,
    sync::{Arc, LazyLock, OnceLock},
};

use temporal_kms::support::{MemoryBudget, SecretVec, TakenMemory, footprint_of_maps};
use temporal_kms_codec_proto::{Metadata, PayloadParts, SharedPayload};

use super::{
    Codec,
    content::{self, LastMetadata},
    message::{self, AdditionalData},
};
use crate::{
    EncryptionContext, Format, Payload, PayloadError,
    dek::{DecryptionKeys, ExpandedDek, FirstChoice},
    format::{Marker, envelope_v2},
    payload::Plain,
};

/// The size of metadata that a codec keeps, in bytes. Those of an envelope with several recipients have a few KiB.
const MAX_KEPT_METADATA: usize = 16 << 10;

/// The memory of what all codecs of the process keep. A server can have thousands of them. When it is used up, others keep
/// nothing, and read the metadata of each request.
static KEPT: LazyLock<MemoryBudget> = LazyLock::new(|| MemoryBudget::new(8 << 20));

/// What the metadata of an envelope say. It depends on the metadata and the codec only, so the codec keeps the last one.
pub(crate) struct ReadEnvelope {
    metadata: Metadata,
    context: EncryptionContext,
    choice: FirstChoice,
    /// The memory that it takes as the kept one.
    taken: OnceLock<TakenMemory>,
}

/// Decodes payloads whose data keys are known; made by [`Decoder::known`](super::decode::Decoder::known).
///
/// It holds a data key, so it must not outlive the step of a request that it was made for. It cannot be sent to another
/// thread, so a task cannot hold it while it waits.
pub struct KnownKeys<'c> {
    codec: &'c Codec,
    /// The last envelope, and its data key.
    last: Option<Last>,
    /// Metadata of content that mark no format. They are dropped before `content`, which erases them.
    unmarked: Option<Arc<Metadata>>,
    /// The metadata of the last content.
    content: LastMetadata,
    /// Payloads that were decrypted, and payloads that were decoded. They are counted together at the end.
    decrypted: usize,
    opened: usize,
    stays_here: PhantomData<*const ()>,
}

struct Last {
    envelope: Arc<ReadEnvelope>,
    /// Metadata that are known to be those of the envelope.
    same: Option<Arc<Metadata>>,
    key: Arc<ExpandedDek>,
    additional: AdditionalData,
    has_opened: bool,
}

/// A payload that cannot be decoded without more work; finished by [`Decoder::finish`](super::decode::Decoder::finish).
pub struct Undecoded(pub(super) State);

pub(super) enum State {
    /// As it was given.
    Given(Plain<Payload>),
    /// Its content is authentic, and marked as encrypted once more.
    Opened(Plain<Payload>),
    /// Its content is authentic, and no payload.
    Refused(PayloadError),
}

impl<'c> KnownKeys<'c> {
    pub(super) fn new(codec: &'c Codec) -> Self {
        Self {
            codec,
            last: None,
            unmarked: None,
            content: LastMetadata::default(),
            decrypted: 0,
            opened: 0,
            stays_here: PhantomData,
        }
    }

    /// Decrypts a payload, unless it needs more than a known data key.
    ///
    /// # Errors
    /// The payload. It may be one that cannot be decoded at all.
    #[allow(clippy::result_large_err, reason = "the error is the payload itself")]
    pub fn decode(&mut self, mut payload: Payload) -> Result<Payload, Undecoded> {
        // Compressed content takes the other way, which reads the metadata itself.
        if envelope_v2::is_compressed(&payload.data) {
            return Err(Undecoded(State::Given(Plain::new(payload))));
        }
        self.recognise(&payload.metadata);
        let data = mem::take(&mut payload.data);
        match self.decrypt(data) {
            Ok((buffer, content)) => {
                let content = content::take(buffer, content);
                self.opened(content)
            }
            Err(data) => {
                payload.data = data;
                Err(Undecoded(State::Given(Plain::new(payload))))
            }
        }
    }

    /// As [`decode`](Self::decode). Payloads whose content has the same metadata share them.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    #[allow(clippy::result_large_err, reason = "the error is the payload itself")]
    pub fn decode_shared(
        &mut self,
        mut payload: SharedPayload,
    ) -> Result<SharedPayload, Undecoded> {
        if envelope_v2::is_compressed(&payload.data) {
            return Err(Undecoded(State::Given(Plain::new(payload.into_payload()))));
        }
        if !self
            .last
            .as_ref()
            .is_some_and(|last| last.has(&payload.metadata))
        {
            self.recognise(&payload.metadata);
            if let Some(last) = &mut self.last {
                last.same = Some(Arc::clone(&payload.metadata));
            }
        }
        let data = mem::take(&mut payload.data).into_vec();
        match self.decrypt(data) {
            Ok((buffer, content)) => {
                let content = content::take_shared(buffer, content, &mut self.content);
                self.opened(content)
            }
            Err(data) => {
                payload.data = data.into();
                Err(Undecoded(State::Given(Plain::new(payload.into_payload()))))
            }
        }
    }

    /// Finds the data key of an envelope with these metadata, if it is known.
    fn recognise(&mut self, metadata: &Metadata) {
        let is_last = |last: &Last| last.envelope.metadata == *metadata;
        if !self.last.as_ref().is_some_and(is_last) {
            self.last = self.codec.recognise(metadata);
        }
    }

    /// Decrypts the data of the envelope that was recognised, or gives them back.
    fn decrypt(&mut self, data: Vec<u8>) -> Result<(SecretVec, Range<usize>), Vec<u8>> {
        let Some(last) = &mut self.last else {
            return Err(data);
        };
        let decrypted = message::decrypt_usual_v2(&last.key, &mut last.additional, data)?;
        self.decrypted += 1;
        if !mem::replace(&mut last.has_opened, true) {
            DecryptionKeys::note_known(&last.envelope.choice);
            self.codec.keep(&last.envelope, &KEPT);
        }
        Ok(decrypted)
    }

    #[allow(clippy::result_large_err, reason = "the error is the payload itself")]
    fn opened<P: PayloadParts + Into<Payload>>(
        &mut self,
        content: Result<P, PayloadError>,
    ) -> Result<P, Undecoded> {
        let content = content.map_err(|error| Undecoded(State::Refused(error)))?;
        if self.is_marked(&content) {
            return Err(Undecoded(State::Opened(Plain::new(content.into()))));
        }
        self.opened += 1;
        Ok(content)
    }

    /// Whether content is marked once more. Metadata that mark nothing are looked at once.
    fn is_marked(&mut self, content: &impl PayloadParts) -> bool {
        let shared = content.shared_metadata();
        if let (Some(unmarked), Some(shared)) = (&self.unmarked, shared)
            && Arc::ptr_eq(unmarked, shared)
        {
            return false;
        }
        let metadata = content.metadata();
        if let Some(shared) = shared
            && !Marker::is_in(metadata)
        {
            self.unmarked = Some(Arc::clone(shared));
            return false;
        }
        self.codec.marker(metadata, content.data()).is_some()
    }
}

impl Drop for KnownKeys<'_> {
    fn drop(&mut self) {
        let counters = &self.codec.0.counters;
        counters.dek_cache_hits.add(self.decrypted);
        counters.opened.add(self.opened);
    }
}

impl ReadEnvelope {
    /// The bytes of the metadata.
    fn content(&self) -> usize {
        let entries = self.metadata.iter();
        let sizes = entries.map(|(name, value)| name.len().saturating_add(value.len()));
        sizes.fold(0, usize::saturating_add)
    }

    /// Roughly the memory that it takes.
    fn footprint(&self) -> usize {
        let entries = self.metadata.len() + self.context.iter().count();
        // The context is a part of the metadata. It is kept as pairs and as bytes, too.
        footprint_of_maps(2, entries, 3 * self.content())
    }
}

impl Last {
    /// Whether these are the metadata of the envelope, as far as that is known.
    fn has(&self, metadata: &Arc<Metadata>) -> bool {
        self.same
            .as_ref()
            .is_some_and(|same| Arc::ptr_eq(same, metadata))
    }
}

impl Codec {
    /// The envelope that has these metadata, if its data key is known.
    fn recognise(&self, metadata: &Metadata) -> Option<Last> {
        let codec = &self.0;
        let kept = codec.last_envelope.load_full();
        let kept = kept.filter(|envelope| envelope.metadata == *metadata);
        let envelope = kept.or_else(|| self.read_envelope(metadata).map(Arc::new))?;
        let key = codec.opening.decryption.known(&envelope.choice)?;
        Some(Last {
            additional: AdditionalData::new(&envelope.context),
            envelope,
            same: None,
            key,
            has_opened: false,
        })
    }

    /// Keeps an envelope that has opened in place of the last one. A caller can make up metadata, and add entries of any size.
    fn keep(&self, envelope: &Arc<ReadEnvelope>, budget: &MemoryBudget) {
        if envelope.taken.get().is_some() || envelope.content() > MAX_KEPT_METADATA {
            return;
        }
        let last = &self.0.last_envelope;
        // The last one gives its memory back.
        let taken = budget.take_after(envelope.footprint(), || last.store(None));
        if let Some(taken) = taken
            && envelope.taken.set(taken).is_ok()
        {
            last.store(Some(Arc::clone(envelope)));
        }
    }

    /// Reads the metadata of an envelope, and checks them against the policy, as [`read`](Self::read) does.
    fn read_envelope(&self, metadata: &Metadata) -> Option<ReadEnvelope> {
        let (policy, decryption) = (&self.0.policy, &self.0.opening.decryption);
        let is_opened = policy.formats.opens(Format::Envelope);
        if Marker::of_parts(metadata, &[]) != Some(Marker::EnvelopeV2) || !is_opened {
            return None;
        }
        let (recipients, context) =
            envelope_v2::named_in(|name| metadata.get(name).cloned().map(SecretVec::from)).ok()?;
        policy.check_context(&context).ok()?;
        Some(ReadEnvelope {
            choice: decryption.first_choice(&recipients, &context)?,
            metadata: metadata.clone(),
            context,
            taken: OnceLock::new(),
        })
    }
}

impl Undecoded {
    /// The payload as it was given, unless it has been opened already.
    #[must_use]
    pub fn given(&self) -> Option<&Payload> {
        match &self.0 {
            State::Given(payload) => Some(&**payload),
            State::Opened(_) | State::Refused(_) => None,
        }
    }
}

impl fmt::Debug for KnownKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KnownKeys").field(self.codec).finish()
    }
}

impl fmt::Debug for Undecoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Undecoded(..)")
    }
}

#[cfg(test)]
mod tests;
