//! From a body to the answer: parse, encode or decode, write.

mod answered;
mod decode;
mod room;

use memchr::memchr;
use temporal_kms_codec::{Codec, SharedPayload, payload::Plain};
use temporal_kms_codec_proto::{self as proto, OncePerMetadata, json};
use temporal_kms_codec_service::namespaces::NamespaceCodec;

use self::{answered::Answered, room::total};
use super::{
    answer_body::AnswerBody,
    body::{Parts, Received},
    known_metadata::{self, KnownMetadata, SeenMetadata},
    memory::Share,
    placeholder,
    request_error::RequestError,
    request_facts::RequestFacts,
    request_id::RequestId,
    route::Operation,
    shown_ciphertext::{is_sealed, is_shown_ciphertext},
};
use crate::config::Limits;

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
    /// What the audit log says of the payloads.
    pub(super) facts: &'r RequestFacts,
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

impl Request<'_> {
    pub(super) async fn run(&self, body: Received) -> Result<Done, RequestError> {
        let Received { bytes, mut share } = body;
        let taken = share.bytes();
        share.renew_patience();
        // The size of the payloads is unknown before they are parsed. They seldom take more than the text.
        share.grow(bytes.len()).await?;
        let limits = json::Limits::new(self.limits.max_payloads);
        let parsed = self.parse(&bytes, &limits, &mut share).await?;
        let is_ciphertext = self.operation == Operation::Decode && parsed.is_ciphertext();
        let payloads = parsed.payloads;
        share.try_grow(total(&payloads).saturating_sub(bytes.len()))?;
        share.shrink(taken);
        if is_ciphertext {
            bytes.discard();
        } else {
            drop(bytes);
        }

        let count = payloads.len();
        let _ = self.facts.payloads.set(count);
        if self.is_audited && self.operation != Operation::Encode {
            self.facts.note_keys(&payloads);
        }
        let answered = match self.operation {
            Operation::Encode => self.encode(payloads).await?,
            Operation::Decode => self.decode(payloads, &mut share).await?,
            Operation::Download => return Err(RequestError::NoDownload),
        };
        // Clients match payloads by position: a missing payload would shift the others.
        if answered.payloads.len() != count {
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
        // Other forms are read in one part. Their parser copies strings with escapes, into memory that it doubles. The limits count
        // that in `largest_request`.
        let has_escapes = slices.iter().any(|part| memchr(b'\\', part).is_some());
        let copies = bytes.len() * if has_escapes { 4 } else { 1 };
        share.grow(copies).await?;
        let parsed = parse_any(&bytes.joined(), limits);
        share.shrink(copies);
        parsed
    }

    fn parse_whole(&self, bytes: &[u8], limits: &json::Limits) -> Result<Parsed, RequestError> {
        let direct = self.parse_direct(&[bytes], limits);
        direct.map_or_else(|| parse_any(bytes, limits), Ok)
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

    async fn encode(&self, payloads: Plain<Vec<SharedPayload>>) -> Result<Answered, RequestError> {
        let find =
            |wrong: fn(&[u8]) -> bool| payloads.iter().position(|payload| wrong(&payload.data));
        // An encrypted placeholder would replace the value that could not be decoded.
        if let Some(index) = find(placeholder::is_placeholder) {
            return Err(RequestError::Placeholder { index });
        }
        if let Some(index) = find(is_shown_ciphertext) {
            return Err(RequestError::ShownCiphertext { index });
        }
        let encoded = self
            .codec()
            .encode_shared(payloads.into_inner())
            .await
            .map_err(|error| RequestError::Encode(Box::new(error)))?;
        if self.is_audited {
            self.facts.note_keys(&encoded);
        }
        Ok(Answered {
            payloads: Plain::new(encoded),
            ..Answered::default()
        })
    }

    fn codec(&self) -> &Codec {
        &self.namespace.codec
    }
}

/// Reads a body that has another form.
fn parse_any(bytes: &[u8], limits: &json::Limits) -> Result<Parsed, RequestError> {
    Ok(Parsed {
        payloads: Plain::new(json::parse_any_shared_payloads(bytes, limits)?),
        is_direct: false,
        seen: None,
    })
}

#[cfg(test)]
mod tests;
