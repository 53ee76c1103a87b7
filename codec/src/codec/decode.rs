//! Decoding: which key, from where, and then the message.

use std::{fmt, pin::pin, vec};

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use temporal_kms::support::SecretVec;
use temporal_kms_codec_proto::{Metadata, PayloadParts};

use super::{
    CONCURRENT_CALLS, Codec,
    content::{self, serialized},
    decompression::{CompressedContent, Decompression, Turn},
    known::{KnownKeys, State, Undecoded},
    message::{self, AdditionalData, Content},
    policy::PlaintextPolicy,
    turns::CompressionTurns,
};
use crate::{
    Error, Payload, PayloadError,
    dek::{Budget, ExpandedDek},
    format::{
        Marker, Parsed, direct::Direct, envelope_v1::EnvelopeV1, envelope_v2::EnvelopeV2,
        static_key::StaticKey,
    },
    payload::Plain,
};

/// How many layers of encryption and compression are opened. Earlier versions of this codec, and other codecs, add a layer each time a
/// schedule is edited in the Web UI.
pub(super) const MAX_NESTING: usize = 8;

impl Codec {
    /// Decrypts payloads: as many as it was given, in order, or none.
    ///
    /// # Errors
    /// The first payload's that cannot be decrypted. The payloads after it are not decrypted.
    pub async fn decode(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        let budget = &self.budget();
        let (mut decoded, rest) = self.decode_known(payloads);
        if let Some(rest) = rest {
            let mut others = pin!(self.decode_rest(rest, budget));
            while let Some(payload) = others.try_next().await? {
                decoded.push(payload.into_inner());
            }
        }
        Ok(decoded.into_inner())
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
            budget: self.budget(),
        }
    }

    fn budget(&self) -> CallBudget {
        let codec = &self.0;
        CallBudget {
            calls: codec.opening.decryption.budget(),
            decompression: Decompression::new(codec.max_decompressed_total),
        }
    }

    /// Decodes the first payloads, as far as their data keys are known. What is left begins with one that needs more.
    fn decode_known(&self, payloads: Vec<Payload>) -> (Plain<Vec<Payload>>, Option<Rest>) {
        let mut known = KnownKeys::new(self);
        let mut decoded = Plain::new(Vec::<Payload>::with_capacity(payloads.len()));
        let mut payloads = Plain::new(payloads.into_iter());
        while let Some(payload) = payloads.next() {
            match known.decode(payload) {
                Ok(payload) => decoded.push(payload),
                Err(first) => {
                    return (
                        decoded,
                        Some(Rest {
                            first,
                            others: payloads,
                        }),
                    );
                }
            }
        }
        (decoded, None)
    }

    fn decode_rest<'r>(
        &'r self,
        rest: Rest,
        budget: &'r CallBudget,
    ) -> impl Stream<Item = Result<Plain<Payload>, Error>> + 'r {
        let first = std::iter::once(Err(rest.first));
        let others = rest
            .others
            .map(|payload| KnownKeys::new(self).decode(payload).map(Plain::new));
        stream::iter(first.chain(others))
            .map(move |payload| async move {
                match payload {
                    Ok(decoded) => Ok(decoded),
                    Err(undecoded) => self.finish(undecoded, budget).await,
                }
            })
            .buffered(CONCURRENT_CALLS)
    }

    /// Decodes a payload that needs more than a known data key.
    async fn finish(
        &self,
        undecoded: Undecoded,
        budget: &CallBudget,
    ) -> Result<Plain<Payload>, Error> {
        let result = match undecoded.0 {
            State::Given(payload) => self.decode_layers(payload, 0, budget).await,
            State::Opened(content) => self.decode_layers(content, 1, budget).await,
            State::Refused(error) => Err(error.into()),
        };
        if let Err(error) = &result {
            self.0.counters.rejected.add(1);
            tracing::debug!(%error, "a payload was not decoded");
        }
        result
    }

    /// Opens every layer of a payload, of which `layers` are opened already.
    async fn decode_layers(
        &self,
        payload: Plain<Payload>,
        layers: usize,
        budget: &CallBudget,
    ) -> Result<Plain<Payload>, Error> {
        let mut opening = Opening::new(budget, self.0.turns.as_ref());
        let mut payload = payload;
        let (mut layers, mut is_authentic) = (layers, layers > 0);
        while let Some(marker) = self.marker(&payload.metadata, &payload.data) {
            if layers == MAX_NESTING {
                return Err(PayloadError::NestedTooDeep(MAX_NESTING).into());
            }
            layers += 1;
            if marker.encrypts() && opening.turn.is_some() {
                let held = serialized::len(&*payload);
                opening.before_key_service(held).await;
            }
            if !is_authentic {
                let sealed = self.read(marker, payload)?;
                payload = Plain::new(self.open(sealed, &mut opening).await?);
                is_authentic = marker.encrypts();
                continue;
            }
            // If authentic content is marked as encrypted and cannot be opened here, it is what the caller of `encode` had.
            let sealed = self
                .check_format(marker)
                .and_then(|()| self.read(marker, Plain::new(payload.clone())));
            let opened = match sealed {
                Ok(sealed) => self.open(sealed, &mut opening).await,
                Err(error) => Err(error.into()),
            };
            match opened {
                Ok(inner) => payload = Plain::new(inner),
                Err(Error::Payload(error)) if may_be_a_value(&error) => break,
                Err(error) => return Err(error),
            }
        }
        if !is_authentic {
            return self.pass(payload);
        }
        self.0.counters.opened.add(1);
        Ok(payload)
    }

    /// The marker of a payload that is opened or refused. Payloads that other codecs compressed are values like any other,
    /// unless the configuration opens their format.
    pub(super) fn marker(&self, metadata: &Metadata, data: &[u8]) -> Option<Marker> {
        let formats = &self.0.policy.formats;
        let is_opened = |marker: &Marker| marker.format().is_ok_and(|it| formats.opens(it));
        Marker::of_parts(metadata, data).filter(|marker| marker.encrypts() || is_opened(marker))
    }

    /// The marker of a payload that is encrypted for this codec already. Other codecs may be chained with this one, so what
    /// they made is a value like any other, unless the configuration opens their format.
    pub(super) fn marker_of_sealed(&self, payload: &impl PayloadParts) -> Option<Marker> {
        let formats = &self.0.policy.formats;
        let is_opened = |marker: &Marker| marker.format().is_ok_and(|it| formats.opens(it));
        Marker::of_parts(payload.metadata(), payload.data())
            .filter(|marker| marker.is_ours() || (marker.encrypts() && is_opened(marker)))
    }

    /// What happens to a payload that is not encrypted.
    fn pass(&self, payload: Plain<Payload>) -> Result<Plain<Payload>, Error> {
        if self.0.policy.plaintext == PlaintextPolicy::Reject {
            return Err(PayloadError::PlaintextRefused.into());
        }
        self.0.counters.passed_through.add(1);
        Ok(payload)
    }

    /// Takes an encrypted payload apart, and checks it against the policy: its format, its context, and whether any of
    /// its keys may be used. No KMS is called.
    pub(super) fn read(
        &self,
        marker: Marker,
        payload: Plain<Payload>,
    ) -> Result<Parsed, PayloadError> {
        self.check_format(marker)?;
        let policy = &self.0.policy;
        let sealed = marker.parse(payload)?;
        match &sealed {
            Parsed::Direct(direct) => {
                self.0.opening.decryption.provider(&direct.key)?;
            }
            Parsed::EnvelopeV1(envelope) => {
                if let Some(key) = &envelope.key {
                    self.0.opening.decryption.provider(key)?;
                }
            }
            Parsed::EnvelopeV2(envelope) => {
                policy.check_context(&envelope.context)?;
                self.0.opening.decryption.check_any(&envelope.recipients)?;
            }
            Parsed::Static(sealed) => {
                self.static_key(&sealed.id)?;
            }
            Parsed::Compressed(_) => {}
        }
        Ok(sealed)
    }

    /// Whether the policy opens the format of a marker.
    fn check_format(&self, marker: Marker) -> Result<(), PayloadError> {
        self.0.policy.formats.check(marker.format()?)
    }

    fn static_key(&self, id: &str) -> Result<&ExpandedDek, PayloadError> {
        let key = self.0.static_keys.get(id);
        key.ok_or_else(|| PayloadError::unknown_static_key(id))
    }

    /// Opens a layer that `read` has checked, within what the call may still cost.
    async fn open(&self, sealed: Parsed, opening: &mut Opening<'_>) -> Result<Payload, Error> {
        match self.decrypt(sealed, &opening.budget.calls).await? {
            Decrypted::Payload(payload) => Ok(payload),
            Decrypted::Compressed(compressed) => {
                let max = self.0.max_decompressed;
                let plain = opening.decompress(&compressed, max).await?;
                Ok(content::decode(&plain)?)
            }
        }
    }

    /// Decrypts a layer that `read` has checked, and decompresses nothing.
    pub(super) async fn decrypt(&self, sealed: Parsed, calls: &Budget) -> Result<Decrypted, Error> {
        let decryption = &self.0.opening.decryption;
        match sealed {
            Parsed::Direct(Direct { key, ciphertext }) => decryption
                .decrypt(&key, &ciphertext, calls, content::decode)
                .await
                .map(Decrypted::Payload),
            Parsed::EnvelopeV1(EnvelopeV1 { key, wrapped, data }) => {
                let open = |key: &ExpandedDek| message::open_v1(key, data.to_vec().into());
                decryption
                    .open_v1(key.as_ref(), &wrapped, calls, open)
                    .await
                    .map(Decrypted::Payload)
            }
            Parsed::EnvelopeV2(EnvelopeV2 {
                header,
                recipients,
                context,
                mut data,
            }) => {
                let mut additional = AdditionalData::new(&context);
                let open =
                    |key: &ExpandedDek| message::open_v2(key, &header, &mut additional, &mut data);
                let opened = decryption.open(&recipients, &context, calls, open).await?;
                Ok(match opened {
                    Content::Payload(payload) => Decrypted::Payload(payload),
                    Content::Compressed(buffer, place) => {
                        Decrypted::Compressed(CompressedContent::frame(buffer, place))
                    }
                })
            }
            Parsed::Static(StaticKey { id, data }) => {
                let opened = message::open_v1(self.static_key(&id)?, data)?;
                Ok(Decrypted::Payload(opened))
            }
            Parsed::Compressed(compressed) => Ok(Decrypted::Compressed(compressed.into())),
        }
    }
}

/// What is inside of a layer.
pub(super) enum Decrypted {
    Payload(Payload),
    Compressed(CompressedContent),
}

/// What the payloads of one call may still cost.
struct CallBudget {
    calls: Budget,
    decompression: Decompression,
}

/// The layers of one payload, while they are opened.
struct Opening<'b> {
    budget: &'b CallBudget,
    turns: Option<&'b CompressionTurns>,
    /// From the first layer that is decompressed on. While a key service may have to be waited for, only a large payload has it.
    turn: Option<Turn<'b>>,
    /// Whether a layer was compressed.
    was_compressed: bool,
}

impl<'b> Opening<'b> {
    const fn new(budget: &'b CallBudget, turns: Option<&'b CompressionTurns>) -> Self {
        Self {
            budget,
            turns,
            turn: None,
            was_compressed: false,
        }
    }

    /// Called before a key service may have to be waited for. The payload has `held` bytes.
    ///
    /// While a small one waits, others of the call are decompressed. A large one keeps its turn, and so the others wait, too:
    /// nothing else counts its memory. The calls of a key service need no turn, and an attempt of the budget ends before its
    /// payload is decompressed. So everything that a payload with a turn waits for can go on.
    async fn before_key_service(&mut self, held: usize) {
        /// As much as a server leaves uncounted for each request.
        const SMALL: usize = 64 << 10;

        if held <= SMALL {
            self.turn = None;
        } else if let Some(turn) = &mut self.turn {
            turn.take_permit().await;
        }
    }

    async fn decompress(
        &mut self,
        content: &CompressedContent,
        max: usize,
    ) -> Result<SecretVec, PayloadError> {
        let mut turn = match self.turn.take() {
            Some(turn) => turn,
            None => self.budget.decompression.turn(self.turns).await,
        };
        let plain = turn.decompress(content, max, self.was_compressed).await;
        self.turn = Some(turn);
        self.was_compressed = true;
        plain
    }
}

/// The payloads of a batch from the first one on whose data key is not known.
struct Rest {
    first: Undecoded,
    others: Plain<vec::IntoIter<Payload>>,
}

/// Decodes the payloads of one request in several steps; made by [`Codec::decoder`].
///
/// A payload that cannot be opened may cost a call of the KMS. The calls that one request may waste are bounded, and a
/// decoder counts them over all its steps. After that it does not try payloads with an unknown data key
/// ([`PayloadError::NotTried`]). Payloads with a known data key are always opened.
///
/// What its payloads become by decompression is bounded and counted over all steps, too. A large payload lets other tasks run
/// while it is decompressed, and so do many small ones.
///
/// Payloads of one decoder are decompressed one after another: in this order they count, and one of them at a time has memory for
/// it. So a future of [`decode`](Self::decode) that was polled must be polled on until it ends, or be dropped. A task that keeps
/// futures in a `FuturesUnordered`, and decodes one more payload with the same decoder in the loop over them, can wait for ever:
/// the payload waits for one that nobody polls meanwhile. Add the payload to the others, or use another decoder.
pub struct Decoder {
    codec: Codec,
    budget: CallBudget,
}

impl Decoder {
    /// How large the payloads of this request may become by decompression together, in bytes, in place of
    /// [`max_decompressed_total`](crate::CodecBuilder::max_decompressed_total).
    #[must_use]
    pub fn with_max_decompressed_total(mut self, bytes: usize) -> Self {
        self.budget.decompression.set_limit(bytes);
        self
    }

    /// Decrypts one payload.
    ///
    /// # Errors
    /// When it cannot be decrypted, or is not tried any more.
    pub async fn decode(&self, payload: Payload) -> Result<Payload, Error> {
        let known = self.known().decode(payload);
        match known {
            Ok(decoded) => Ok(decoded),
            Err(undecoded) => self.finish(undecoded).await,
        }
    }

    /// As [`Codec::decode_each`].
    pub async fn decode_each(&self, payloads: Vec<Payload>) -> Vec<Result<Payload, Error>> {
        let (decoded, rest) = self.codec.decode_known(payloads);
        let others: Vec<_> = match rest {
            Some(rest) => self.codec.decode_rest(rest, &self.budget).collect().await,
            None => Vec::new(),
        };
        let others = others.into_iter().map(|other| other.map(Plain::into_inner));
        decoded
            .into_inner()
            .into_iter()
            .map(Ok)
            .chain(others)
            .collect()
    }

    /// Decodes without waiting, as far as data keys are known. The other payloads are finished by [`finish`](Self::finish).
    #[must_use]
    pub fn known(&self) -> KnownKeys<'_> {
        KnownKeys::new(&self.codec)
    }

    /// Decrypts a payload that needs more than a known data key.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub async fn finish(&self, undecoded: Undecoded) -> Result<Payload, Error> {
        let decoded = self.codec.finish(undecoded, &self.budget).await?;
        Ok(decoded.into_inner())
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoder").field(&self.codec).finish()
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
        | PayloadError::UnknownStaticKey { .. }
        | PayloadError::UnsupportedFormat(_)
        | PayloadError::FormatNotAllowed { .. } => true,
        PayloadError::PlaintextRefused
        | PayloadError::TooLarge { .. }
        | PayloadError::TooLargeTogether { .. }
        | PayloadError::NestedTooDeep(_)
        | PayloadError::NotTried
        | PayloadError::NoRandomness
        | PayloadError::Unsupported(_) => false,
    }
}
