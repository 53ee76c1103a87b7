//! From a body to the answer: parse, encode or decode, write.

use std::{
    iter::once,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    vec,
};

use futures::{StreamExt as _, stream};
use memchr::memchr;
use parking_lot::Mutex;
use temporal_kms_codec::{
    Codec, Decoder, Error, KnownKeys, Payload, PayloadExt as _, SharedPayload, Undecoded,
    payload::{Erase, Metadata, Plain},
};
use temporal_kms_codec_proto::{self as proto, OncePerMetadata, json};
use temporal_kms_codec_service::namespaces::NamespaceCodec;
use tokio::task::yield_now;

use super::{
    answer_body::AnswerBody,
    asked::Asked,
    body::{Parts, Received},
    known_metadata::{self, KnownMetadata, SeenMetadata},
    memory::Share,
    placeholder::{self, placeholder},
    request_error::{RequestError, wanted_key},
    request_id::RequestId,
    route::Operation,
    shown_ciphertext::{is_sealed, is_shown_ciphertext},
};
use crate::config::{Limits, OnUndecodable};

/// Payloads of one request that are decoded at the same time.
const CONCURRENT: usize = 16;
/// After so many payloads, or bytes of their answers, a request lets others run.
const STEP_PAYLOADS: usize = 256;
const STEP_BYTES: usize = 1 << 20;
/// Placeholders of one request that are explained in the log. A thousand lines would not help.
const MOST_LOGGED: usize = 8;

/// The answer to a request, and what the log and the headers say of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) answer: AnswerBody,
    pub(super) payloads: usize,
    /// Which payloads were answered by placeholders, counted from 0.
    pub(super) placeholders: Vec<usize>,
    /// Which payloads are storage references that were returned unchecked, counted from 0.
    pub(super) references: Vec<usize>,
}

pub(super) struct Request<'r> {
    pub(super) id: RequestId,
    pub(super) operation: Operation,
    pub(super) namespace: &'r NamespaceCodec,
    pub(super) preserve_storage_refs: bool,
    pub(super) limits: &'r Limits,
    /// What the audit log says of the body.
    pub(super) asked: &'r Asked,
    /// Whether there is an audit log.
    pub(super) is_audited: bool,
    pub(super) known_metadata: &'r KnownMetadata,
}

/// The payloads of a body.
struct Parsed {
    payloads: Plain<Vec<SharedPayload>>,
    /// Whether the direct reader read it. Then it has no other members, which could hold secrets.
    is_direct: bool,
    /// Metadata that are known once their payload is opened.
    seen: Option<SeenMetadata>,
}

impl Parsed {
    /// Whether the body held envelopes and nothing else.
    fn is_ciphertext(&self) -> bool {
        let mut sealed = OncePerMetadata::default();
        self.is_direct
            && !self.payloads.is_empty()
            && self
                .payloads
                .iter()
                .all(|payload| sealed.get(&payload.metadata, || is_sealed(payload)))
    }
}

/// A payload of the answer.
enum Decoded {
    Payload(SharedPayload),
    Placeholder(SharedPayload),
    Reference(SharedPayload),
}

impl Request<'_> {
    pub(super) async fn run(&self, body: Received) -> Result<Done, RequestError> {
        let Received { bytes, mut share } = body;
        let taken = share.bytes();
        // The size of the payloads is unknown before they are parsed. They seldom take more than the text.
        share.grow(bytes.len()).await?;
        let limits = json::Limits::new(self.limits.max_payloads);
        let parsed = self.parse(&bytes, &limits, &mut share).await?;
        let is_ciphertext = self.operation == Operation::Decode && parsed.is_ciphertext();
        let asked = parsed.payloads;
        share.try_grow(total(&asked).saturating_sub(bytes.len()))?;
        share.shrink(taken);
        if is_ciphertext {
            bytes.discard();
        } else {
            drop(bytes);
        }

        let payloads = asked.len();
        let _ = self.asked.payloads.set(payloads);
        if self.is_audited && self.operation != Operation::Encode {
            self.asked.note_keys(&asked);
        }
        let answered = match self.operation {
            Operation::Encode => self.encode(asked).await?,
            Operation::Decode => self.decode(asked, &mut share).await?,
            Operation::Download => return Err(RequestError::NoDownload),
        };
        // Clients match payloads by position: a missing payload would shift the others.
        if answered.payloads.len() != payloads {
            return Err(RequestError::Miscounted);
        }
        if let Some(seen) = parsed.seen {
            self.learn(seen, &answered);
        }
        // Ciphertext needs no erasing.
        let is_secret = self.operation != Operation::Encode;
        answered.write(share, is_secret).await
    }

    /// Reads a body.
    async fn parse(
        &self,
        bytes: &Parts,
        limits: &json::Limits,
        share: &mut Share,
    ) -> Result<Parsed, RequestError> {
        if let Some(bytes) = bytes.single() {
            return self.parse_whole(bytes, limits);
        }
        let slices = bytes.slices();
        if let Some(parsed) = self.parse_direct(&slices, limits) {
            return Ok(parsed);
        }
        // The body in one part. The parser of other forms copies strings with escapes, into memory that it doubles.
        let has_escapes = slices.iter().any(|part| memchr(b'\\', part).is_some());
        let copies = bytes.len() * if has_escapes { 4 } else { 1 };
        share.grow(copies).await?;
        let parsed = self.parse_whole(&bytes.joined(), limits);
        share.shrink(copies);
        parsed
    }

    fn parse_whole(&self, bytes: &[u8], limits: &json::Limits) -> Result<Parsed, RequestError> {
        if let Some(parsed) = self.parse_direct(&[bytes], limits) {
            return Ok(parsed);
        }
        Ok(Parsed {
            payloads: Plain::new(json::parse_any_shared_payloads(bytes, limits)?),
            is_direct: false,
            seen: None,
        })
    }

    /// Reads a body in the form that most clients send.
    fn parse_direct(&self, parts: &[&[u8]], limits: &json::Limits) -> Option<Parsed> {
        // What callers encode says nothing of the envelopes to come.
        let (payloads, seen) = if self.operation == Operation::Encode {
            let mut last = Some(known_metadata::OF_VALUES.as_last());
            let room = Codec::SEALING_ROOM;
            let payloads = json::parse_shared_payloads_in_parts(parts, limits, room, &mut last)?;
            (payloads, None)
        } else {
            let known = self.known_metadata.load();
            let mut last = known.as_ref().map(|known| known.as_last());
            let room = proto::Room::default();
            let payloads = json::parse_shared_payloads_in_parts(parts, limits, room, &mut last)?;
            let seen = SeenMetadata::new(known.as_deref(), &last, &payloads);
            (payloads, seen)
        };
        Some(Parsed {
            payloads: Plain::new(payloads),
            is_direct: true,
            seen,
        })
    }

    /// Keeps metadata whose payload was opened.
    fn learn(&self, seen: SeenMetadata, answered: &Answered) {
        let index = seen.index();
        if let Some(payload) = answered.payloads.get(index)
            && !answered.placeholders.contains(&index)
        {
            self.known_metadata.learn(seen, payload);
        }
    }

    async fn encode(&self, asked: Plain<Vec<SharedPayload>>) -> Result<Answered, RequestError> {
        let find = |wrong: fn(&[u8]) -> bool| asked.iter().position(|payload| wrong(&payload.data));
        // An encrypted placeholder would replace the value that could not be decoded.
        if let Some(index) = find(placeholder::is_placeholder) {
            return Err(RequestError::Placeholder { index });
        }
        if let Some(index) = find(is_shown_ciphertext) {
            return Err(RequestError::ShownCiphertext { index });
        }
        let payloads = self
            .codec()
            .encode_shared(asked.into_inner())
            .await
            .map_err(|error| RequestError::Encode(Box::new(error)))?;
        if self.is_audited {
            self.asked.note_keys(&payloads);
        }
        Ok(Answered {
            payloads: Plain::new(payloads),
            ..Answered::default()
        })
    }

    async fn decode(
        &self,
        asked: Plain<Vec<SharedPayload>>,
        share: &mut Share,
    ) -> Result<Answered, RequestError> {
        let decoder = self.codec().decoder();
        let room = Room {
            limit: self.limits.max_answer,
            left: AtomicUsize::new(self.limits.max_answer),
            is_exceeded: AtomicBool::new(false),
            share: Mutex::new(share),
        };
        let mut answered = Answered::with_capacity(asked.len());
        let mut asked = Plain::new(asked.into_inner().into_iter());
        let first = loop {
            match self.decode_known(&mut asked, &decoder, &room, &mut answered)? {
                Step::Ended => return Ok(answered),
                Step::Pause => yield_now().await,
                Step::Waits(first) => break first,
            }
        };
        let others = asked.map(|payload| Pending::Given(Plain::new(Some(payload))));
        let others = once(Pending::Undecoded(first)).chain(others);
        let start = answered.payloads.len();
        let mut others = stream::iter((start..).zip(others))
            .map(|(index, payload)| self.decode_one(index, payload, &decoder, &room))
            .buffered(CONCURRENT);
        let (mut taken, mut payloads) = (Taken::default(), 0);
        while let Some(decoded) = others.next().await {
            let Some(answer) = decoded?.into_inner() else {
                continue;
            };
            taken.add(answer.payload());
            payloads += 1;
            answered.push(answer);
            if payloads >= STEP_PAYLOADS || taken.content > STEP_BYTES {
                (taken, payloads) = (Taken::default(), 0);
                yield_now().await;
            }
        }
        Ok(answered)
    }

    /// Decodes one step of a request without waiting, as far as data keys are known.
    fn decode_known(
        &self,
        asked: &mut Plain<vec::IntoIter<SharedPayload>>,
        decoder: &Decoder,
        room: &Room<'_>,
        answered: &mut Answered,
    ) -> Result<Step, RequestError> {
        let mut known = decoder.known();
        let mut taken = Taken::default();
        for _ in 0..STEP_PAYLOADS {
            let Some(payload) = asked.next() else {
                room.take(&taken)?;
                return Ok(Step::Ended);
            };
            let answer = match self.decode_now(payload, &mut known) {
                Ok(answer) => answer,
                Err(undecoded) => {
                    room.take(&taken)?;
                    return Ok(Step::Waits(undecoded));
                }
            };
            taken.add(answer.payload());
            answered.push(answer);
            if taken.content > STEP_BYTES {
                break;
            }
        }
        room.take(&taken)?;
        Ok(Step::Pause)
    }

    /// Decodes a payload without waiting, if its data key is known.
    #[allow(clippy::result_large_err, reason = "the error is the payload itself")]
    fn decode_now(
        &self,
        payload: SharedPayload,
        known: &mut KnownKeys<'_>,
    ) -> Result<Decoded, Undecoded> {
        if self.is_kept_reference(&payload) {
            return Ok(Decoded::Reference(payload));
        }
        known.decode_shared(payload).map(Decoded::Payload)
    }

    async fn decode_one(
        &self,
        index: usize,
        payload: Pending,
        decoder: &Decoder,
        room: &Room<'_>,
    ) -> Result<Plain<Option<Decoded>>, RequestError> {
        // The request fails with the error of the payload that exceeded the room.
        if room.is_exceeded() {
            return Ok(Plain::default());
        }
        let known = match payload {
            Pending::Given(payload) => match payload.into_inner() {
                Some(payload) => self.decode_now(payload, &mut decoder.known()),
                None => return Ok(Plain::default()),
            },
            Pending::Undecoded(undecoded) => Err(undecoded),
        };
        let answer = match known {
            Ok(answer) => answer,
            Err(undecoded) => self.finish(index, undecoded, decoder).await?,
        };
        let answer = Plain::new(Some(answer));
        // Nothing waits after the last layer is opened, so each thread has at most one payload that is not counted yet.
        let mut taken = Taken::default();
        if let Some(answer) = &*answer {
            taken.add(answer.payload());
        }
        room.take(&taken)?;
        Ok(answer)
    }

    /// A reference is not ciphertext. A caller that asks for references gets them unchanged, under any policy.
    fn is_kept_reference(&self, payload: &SharedPayload) -> bool {
        self.preserve_storage_refs && payload.is_storage_reference()
    }

    async fn finish(
        &self,
        index: usize,
        undecoded: Undecoded,
        decoder: &Decoder,
    ) -> Result<Decoded, RequestError> {
        let key = undecoded.given().and_then(wanted_key);
        match decoder.finish(undecoded).await {
            Ok(payload) => Ok(Decoded::Payload(payload.into())),
            Err(error) => {
                let placeholder = self.undecodable(index, key, error)?;
                Ok(Decoded::Placeholder(placeholder.into()))
            }
        }
    }

    /// After a transient error the payload may be readable soon. It is not answered by a text that looks like a value.
    fn undecodable(
        &self,
        index: usize,
        key: Option<String>,
        error: Error,
    ) -> Result<Payload, RequestError> {
        match self.namespace.on_undecodable {
            OnUndecodable::Placeholder if !error.is_transient() => {
                if index < MOST_LOGGED {
                    let namespace = self.codec().namespace().as_str();
                    let (request, key) = (self.id, key.as_deref().unwrap_or("-"));
                    tracing::warn!(%request, namespace, index, key, %error, "a payload cannot be decoded");
                }
                Ok(placeholder(&error, self.id))
            }
            _ => Err(RequestError::Decode {
                index,
                key,
                error: Box::new(error),
            }),
        }
    }

    fn codec(&self) -> &Codec {
        &self.namespace.codec
    }
}

impl Decoded {
    fn payload(&self) -> &SharedPayload {
        match self {
            Self::Payload(payload) | Self::Placeholder(payload) | Self::Reference(payload) => {
                payload
            }
        }
    }
}

impl Erase for Decoded {
    fn erase(&mut self) {
        match self {
            Self::Payload(payload) | Self::Placeholder(payload) | Self::Reference(payload) => {
                payload.erase();
            }
        }
    }
}

/// A payload that waits for its turn. It is decoded when its future is polled, so that its content is counted at once.
enum Pending {
    Given(Plain<Option<SharedPayload>>),
    /// Its data key is not known.
    Undecoded(Undecoded),
}

/// How a step of decoding ended.
enum Step {
    Ended,
    /// Others may run first.
    Pause,
    /// A payload needs more than a known data key.
    Waits(Undecoded),
}

/// The payloads of an answer, and which of them are placeholders or references.
#[derive(Default)]
struct Answered {
    payloads: Plain<Vec<SharedPayload>>,
    placeholders: Vec<usize>,
    references: Vec<usize>,
}

impl Answered {
    fn with_capacity(count: usize) -> Self {
        Self {
            payloads: Plain::new(Vec::with_capacity(count)),
            ..Self::default()
        }
    }

    fn push(&mut self, decoded: Decoded) {
        let index = self.payloads.len();
        self.payloads.push(match decoded {
            Decoded::Payload(payload) => payload,
            Decoded::Placeholder(payload) => {
                self.placeholders.push(index);
                payload
            }
            Decoded::Reference(payload) => {
                self.references.push(index);
                payload
            }
        });
    }

    /// The answer, which takes its share of the memory until the client has read it.
    async fn write(self, share: Share, is_secret: bool) -> Result<Done, RequestError> {
        let (payloads, memory) = (self.payloads.len(), total(&self.payloads));
        Ok(Done {
            answer: AnswerBody::new(self.payloads, memory, is_secret, share).await?,
            payloads,
            placeholders: self.placeholders,
            references: self.references,
        })
    }
}

/// How much memory the decoded payloads of one answer may take.
struct Room<'s> {
    limit: usize,
    left: AtomicUsize,
    /// Whether a payload did not fit. Then no further payload is decoded.
    is_exceeded: AtomicBool,
    share: Mutex<&'s mut Share>,
}

/// What payloads of an answer take.
#[derive(Default)]
struct Taken {
    content: usize,
    footprint: usize,
}

impl Taken {
    fn add(&mut self, payload: &SharedPayload) {
        self.content = self.content.saturating_add(content(payload));
        self.footprint = self.footprint.saturating_add(footprint(payload));
    }
}

impl Room<'_> {
    fn take(&self, taken: &Taken) -> Result<(), RequestError> {
        let fits = self.try_take(taken);
        if fits.is_err() {
            self.is_exceeded.store(true, Ordering::Relaxed);
        }
        fits
    }

    fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed)
    }

    fn try_take(&self, taken: &Taken) -> Result<(), RequestError> {
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(taken.content)
            });
        if left.is_err() {
            return Err(RequestError::AnswerTooLarge { limit: self.limit });
        }
        let mut share = self.share.lock();
        share.try_grow(taken.footprint)
    }
}

/// The bytes of a payload's data and metadata.
fn content(payload: &SharedPayload) -> usize {
    payload.data.len() + metadata_content(&payload.metadata)
}

fn metadata_content(metadata: &Metadata) -> usize {
    let entries = metadata.iter();
    entries.map(|(key, value)| key.len() + value.len()).sum()
}

/// Roughly the memory that a payload takes.
fn footprint(payload: &SharedPayload) -> usize {
    metadata_footprint(&payload.metadata) + own_footprint(payload)
}

fn metadata_footprint(metadata: &Metadata) -> usize {
    /// One node of the map and two allocations.
    const ENTRY: usize = 112;
    metadata_content(metadata) + metadata.len() * ENTRY
}

/// Without the metadata.
fn own_footprint(payload: &SharedPayload) -> usize {
    payload.data.len()
        + std::mem::size_of_val(payload.external_payloads.as_slice())
        + size_of::<SharedPayload>()
}

/// The footprints of all of them together.
fn total(payloads: &[SharedPayload]) -> usize {
    let mut footprints = OncePerMetadata::default();
    let footprints = payloads.iter().map(|payload| {
        let metadata = &*payload.metadata;
        footprints.get(metadata, || metadata_footprint(metadata)) + own_footprint(payload)
    });
    footprints.sum()
}

#[cfg(test)]
mod tests;
