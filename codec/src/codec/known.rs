//! Decoding without waiting: envelopes whose data key is known.
//!
//! Most payloads of a request have the metadata of the payload before them, so nothing in them is parsed again, and the data
//! key is at hand. A payload that needs more than that, or that is refused, is decoded the other way
//! ([`decode`](super::decode)), which also tells what is wrong with it.

use std::{collections::BTreeMap, fmt, marker::PhantomData, mem, sync::Arc};

use super::{
    Codec,
    message::{self, AdditionalData},
};
use crate::{
    EncryptionContext, Format, Payload, PayloadError,
    dek::{DecryptionKeys, ExpandedDek, FirstChoice},
    format::{Marker, envelope_v2},
};

/// What the metadata of an envelope say. It depends on the metadata and the codec only, so the codec keeps the last one.
pub(crate) struct ReadEnvelope {
    metadata: BTreeMap<String, Vec<u8>>,
    context: EncryptionContext,
    choice: FirstChoice,
}

/// Decodes payloads whose data keys are known; made by [`Decoder::known`](super::decode::Decoder::known).
///
/// It holds a data key, so it must not outlive the step of a request that it was made for. It cannot be sent to another
/// thread, so a task cannot hold it while it waits.
pub struct KnownKeys<'c> {
    codec: &'c Codec,
    /// The last envelope, and its data key.
    last: Option<Last>,
    stays_here: PhantomData<*const ()>,
}

struct Last {
    envelope: Arc<ReadEnvelope>,
    key: Arc<ExpandedDek>,
    additional: AdditionalData,
    has_opened: bool,
}

/// A payload that cannot be decoded without more work; finished by [`Decoder::finish`](super::decode::Decoder::finish).
pub struct Undecoded(pub(super) State);

pub(super) enum State {
    /// As it was given.
    Given(Payload),
    /// Its content is authentic, and marked as encrypted once more.
    Opened(Payload),
    /// Its content is authentic, and no payload.
    Refused(PayloadError),
}

impl<'c> KnownKeys<'c> {
    pub(super) fn new(codec: &'c Codec) -> Self {
        Self {
            codec,
            last: None,
            stays_here: PhantomData,
        }
    }

    /// Decrypts a payload, unless it needs more than a known data key.
    ///
    /// # Errors
    /// The payload. It may be one that cannot be decoded at all.
    #[allow(clippy::result_large_err, reason = "the error is the payload itself")]
    pub fn decode(&mut self, mut payload: Payload) -> Result<Payload, Undecoded> {
        let codec = &self.codec.0;
        let is_last = |last: &Last| last.envelope.metadata == payload.metadata;
        if !self.last.as_ref().is_some_and(is_last) {
            self.last = self.codec.recognise(&payload);
        }
        let Some(last) = &mut self.last else {
            return Err(Undecoded(State::Given(payload)));
        };
        let data = mem::take(&mut payload.data);
        let opened = match message::open_usual_v2(&last.key, &mut last.additional, data) {
            Ok(opened) => opened,
            Err(data) => {
                payload.data = data;
                return Err(Undecoded(State::Given(payload)));
            }
        };
        codec.counters.dek_cache_hits.add(1);
        if !mem::replace(&mut last.has_opened, true) {
            DecryptionKeys::note_known(&last.envelope.choice);
        }
        match opened {
            Ok(content) if self.codec.marker(&content).is_some() => {
                Err(Undecoded(State::Opened(content)))
            }
            Ok(content) => {
                codec.counters.opened.add(1);
                Ok(content)
            }
            Err(error) => Err(Undecoded(State::Refused(error))),
        }
    }
}

impl Codec {
    /// The envelope that a payload is, if its data key is known.
    fn recognise(&self, payload: &Payload) -> Option<Last> {
        let codec = &self.0;
        let kept = codec.last_envelope.load_full();
        let kept = kept.filter(|envelope| envelope.metadata == payload.metadata);
        let is_kept = kept.is_some();
        let envelope = kept.or_else(|| self.read_envelope(payload).map(Arc::new))?;
        let key = codec.opening.decryption.known(&envelope.choice)?;
        if !is_kept {
            codec.last_envelope.store(Some(Arc::clone(&envelope)));
        }
        Some(Last {
            additional: AdditionalData::new(&envelope.context),
            envelope,
            key,
            has_opened: false,
        })
    }

    /// Reads the metadata of an envelope, and checks them against the policy, as [`read`](Self::read) does.
    fn read_envelope(&self, payload: &Payload) -> Option<ReadEnvelope> {
        let (policy, decryption) = (&self.0.policy, &self.0.opening.decryption);
        if Marker::of(payload) != Some(Marker::EnvelopeV2) || !policy.formats.opens(Format::Envelope)
        {
            return None;
        }
        let metadata = &payload.metadata;
        let (recipients, context) = envelope_v2::named_in(|name| metadata.get(name).cloned()).ok()?;
        policy.check_context(&context).ok()?;
        Some(ReadEnvelope {
            choice: decryption.first_choice(&recipients, &context)?,
            metadata: metadata.clone(),
            context,
        })
    }
}

impl Undecoded {
    /// The payload as it was given, unless it has been opened already.
    #[must_use]
    pub fn given(&self) -> Option<&Payload> {
        match &self.0 {
            State::Given(payload) => Some(payload),
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
