//! Decodes the payloads of a request: those with known data keys at once, the others several at a time.

use std::{
    iter::once,
    sync::atomic::{AtomicUsize, Ordering},
    vec,
};

use futures::{StreamExt as _, stream};
use temporal_kms_codec::{
    Decoder, Error, KnownKeys, Payload, PayloadError, PayloadExt as _, SharedPayload, Undecoded,
    payload::Plain,
};
use tokio::task::yield_now;

use super::{
    super::{
        memory::Share, named_keys::wanted_key, placeholder::placeholder,
        request_error::RequestError,
    },
    Request,
    answered::{Answered, Decoded},
    room::{Room, Taken},
};
use crate::config::OnUndecodable;

/// Payloads of one request that are decoded at the same time.
pub(super) const CONCURRENT: usize = 16;
/// After so many payloads, or bytes of their answers, a request lets others run. The codec does the same after so many bytes that
/// it has decompressed.
const STEP_PAYLOADS: usize = 256;
pub(super) const STEP_BYTES: usize = 1 << 20;
/// The payloads of one answer may decompress to so many times `max_answer`: some are compressed twice, and not all that is
/// decompressed gets into the answer.
const DECOMPRESSED_TO_ANSWER: usize = 2;
/// Placeholders of one request that are explained in the log. A thousand lines would not help.
const MOST_LOGGED: usize = 8;

impl Request<'_> {
    pub(super) async fn decode(
        &self,
        payloads: Plain<Vec<SharedPayload>>,
        share: &mut Share,
    ) -> Result<Answered, RequestError> {
        let max_answer = self.limits.max_answer;
        let max_decompressed = max_answer.saturating_mul(DECOMPRESSED_TO_ANSWER);
        let decoder = self.codec().decoder();
        let decoder = decoder.with_max_decompressed_total(max_decompressed);
        let room = Room::new(max_answer, share);
        let mut answered = Answered::with_capacity(payloads.len());
        let mut remaining = Plain::new(payloads.into_inner().into_iter());
        let first = loop {
            match self.decode_known(&mut remaining, &decoder, &room, &mut answered)? {
                DecodeStep::Ended => return Ok(answered),
                DecodeStep::Pause => yield_now().await,
                DecodeStep::Waits(first) => break first,
            }
        };
        let others = remaining.map(|payload| Pending::Given(Plain::new(Some(payload))));
        let others = once(Pending::Undecoded(first)).chain(others);
        let start = answered.payloads.len();
        let logged = Logged::default();
        let mut others = stream::iter((start..).zip(others))
            .map(|(index, payload)| self.decode_one(index, payload, &decoder, &room, &logged))
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
        remaining: &mut Plain<vec::IntoIter<SharedPayload>>,
        decoder: &Decoder,
        room: &Room<'_>,
        answered: &mut Answered,
    ) -> Result<DecodeStep, RequestError> {
        let mut known = decoder.known();
        let mut taken = Taken::default();
        for _ in 0..STEP_PAYLOADS {
            let Some(payload) = remaining.next() else {
                room.take(&taken)?;
                return Ok(DecodeStep::Ended);
            };
            let answer = match self.decode_now(payload, &mut known) {
                Ok(answer) => answer,
                Err(undecoded) => {
                    room.take(&taken)?;
                    return Ok(DecodeStep::Waits(undecoded));
                }
            };
            taken.add(answer.payload());
            answered.push(answer);
            if taken.content > STEP_BYTES {
                break;
            }
        }
        room.take(&taken)?;
        Ok(DecodeStep::Pause)
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
        logged: &Logged,
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
            Err(undecoded) => self.finish(index, undecoded, decoder, logged).await?,
        };
        let answer = Plain::new(Some(answer));
        // Nothing waits after the last layer is opened. Before that, large content waits in one of the turns of `CompressionTurns`,
        // which the process has as many of as threads. So few payloads are not counted yet.
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
        logged: &Logged,
    ) -> Result<Decoded, RequestError> {
        let key = undecoded.given().and_then(wanted_key);
        match decoder.finish(undecoded).await {
            Ok(payload) => Ok(Decoded::Payload(payload.into())),
            Err(error) => {
                let placeholder = self.undecodable(index, key, error, logged)?;
                Ok(Decoded::Placeholder(placeholder.into()))
            }
        }
    }

    /// After a transient error the payload may be readable soon. It is not answered by a text that looks like a value. Neither is
    /// a payload that would be decoded in a smaller request.
    fn undecodable(
        &self,
        index: usize,
        key: Option<String>,
        error: Error,
        logged: &Logged,
    ) -> Result<Payload, RequestError> {
        if let Error::Payload(PayloadError::TooLargeTogether { limit }) = error {
            return Err(RequestError::DecompressedTooLarge { limit });
        }
        match self.namespace.on_undecodable {
            OnUndecodable::Placeholder if !error.is_transient() => {
                if logged.has_room() {
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
}

/// The placeholders of a request that were explained in the log.
#[derive(Default)]
struct Logged(AtomicUsize);

impl Logged {
    /// Whether one more is explained, which is counted.
    fn has_room(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) < MOST_LOGGED
    }
}

/// A payload that waits for its turn. It is decoded when its future is polled, so that its content is counted at once.
enum Pending {
    Given(Plain<Option<SharedPayload>>),
    /// Its data key is not known.
    Undecoded(Undecoded),
}

/// How a step of decoding ended.
enum DecodeStep {
    Ended,
    /// Others may run first.
    Pause,
    /// A payload needs more than a known data key.
    Waits(Undecoded),
}
