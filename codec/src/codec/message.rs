//! Sealing one payload under a data key, and opening it.

use std::{mem, ops::Range};

use temporal_kms::support::{SecretVec, erase};
use temporal_kms_codec_proto::{Data, PayloadParts, Room};

use crate::{
    Compression, EncryptionContext, Payload, PayloadError,
    codec::{
        STEP,
        content::{
            self,
            serialized::{self, Serialized, Serializer},
        },
    },
    crypto::{
        aead::{NONCE_LEN, TAG_LEN},
        key_schedule::{MessageId, MessageKey},
        message_ids::MessageIds,
        random,
    },
    dek::ExpandedDek,
    format::envelope_v2::{HEADER_LEN, Header},
};

/// Every message key of envelope version 2 is used once, so its nonce need not differ.
const NONCE_V2: [u8; NONCE_LEN] = [0; NONCE_LEN];

/// The work for a message beside that for its bytes.
pub(crate) const WORK_EACH: usize = 1 << 10;

/// What the messages of one context are authenticated with: the header of each, and then the context.
pub(crate) struct AdditionalData(Vec<u8>);

impl AdditionalData {
    pub(crate) fn new(context: &EncryptionContext) -> Self {
        Self([&[0; HEADER_LEN], context.as_bytes()].concat())
    }

    fn of(&mut self, header: &[u8; HEADER_LEN]) -> &[u8] {
        if let Some(start) = self.0.first_chunk_mut() {
            *start = *header;
        }
        &self.0
    }
}

/// Room around the data of a payload, in which it is sealed where it is: a header, the metadata that SDKs write, and a tag.
pub(crate) const SEALING_ROOM: Room = Room {
    before: HEADER_LEN + 126,
    behind: TAG_LEN,
};

/// Seals the payloads of one batch as envelopes version 2.
pub(crate) struct BatchSealer<'k> {
    key: &'k ExpandedDek,
    additional: AdditionalData,
    compression: Compression,
    /// What this codec would not decompress is not compressed.
    max_decompressed: usize,
    ids: MessageIds,
    serializer: Serializer,
    work: usize,
}

impl<'k> BatchSealer<'k> {
    /// Seals so many messages. None is compressed.
    pub(crate) fn new(key: &'k ExpandedDek, context: &EncryptionContext, messages: usize) -> Self {
        Self {
            key,
            additional: AdditionalData::new(context),
            compression: Compression::None,
            max_decompressed: 0,
            ids: MessageIds::new(messages),
            serializer: Serializer::default(),
            work: 0,
        }
    }

    /// Compresses messages that have at most `max_decompressed` bytes.
    pub(crate) fn compressing(self, compression: Compression, max_decompressed: usize) -> Self {
        Self {
            compression,
            max_decompressed,
            ..self
        }
    }

    /// The work that was done, in bytes: those that were encrypted, and more for those that were compressed.
    pub(crate) const fn work(&self) -> usize {
        self.work
    }

    /// The length of the serialized payload, if it is to be compressed.
    pub(crate) fn compressible_len(&self, payload: &impl PayloadParts) -> Option<usize> {
        if self.compression == Compression::None {
            return None;
        }
        let len = serialized::len(payload);
        let is_wanted = len <= self.max_decompressed && self.compression.applies_to(len);
        is_wanted.then_some(len)
    }

    /// Whether a payload with this [`compressible_len`](Self::compressible_len) is so long that it is compressed in steps, and then
    /// sealed by [`seal_with`](Self::seal_with).
    pub(crate) fn takes_steps(&self, compressible: Option<usize>) -> bool {
        compressible.is_some_and(|len| len > self.compression.step())
    }

    /// The `data` of an envelope. The data of the payload may be taken. The caller erases what is left of it.
    #[cfg(test)]
    pub(crate) fn seal(&mut self, payload: &mut impl PayloadParts) -> Result<Data, PayloadError> {
        let compressible = self.compressible_len(payload);
        self.seal_measured(payload, compressible)
    }

    /// The `data` of an envelope, of a payload with this [`compressible_len`](Self::compressible_len). The data of the payload may
    /// be taken. The caller erases what is left of it.
    pub(crate) fn seal_measured(
        &mut self,
        payload: &mut impl PayloadParts,
        compressible: Option<usize>,
    ) -> Result<Data, PayloadError> {
        let compressed = compressible.and_then(|len| self.compressed(payload, len));
        self.seal_with(payload, compressed)
    }

    /// As [`seal_measured`](Self::seal_measured), for a payload that was compressed before. `None` says that it did not become shorter.
    pub(crate) fn seal_with(
        &mut self,
        payload: &mut impl PayloadParts,
        compressed: Option<SecretVec>,
    ) -> Result<Data, PayloadError> {
        let message_id = self.ids.draw()?;
        let data = self.seal_as(message_id, payload, compressed)?;
        self.work = self
            .work
            .saturating_add(data.len())
            .saturating_add(WORK_EACH);
        Ok(data)
    }

    fn seal_as(
        &mut self,
        message_id: MessageId,
        payload: &mut impl PayloadParts,
        compressed: Option<SecretVec>,
    ) -> Result<Data, PayloadError> {
        let is_compressed = compressed.is_some();
        let Serialized { mut buffer, start } = match compressed {
            Some(compressed) => with_header(&compressed),
            None => self.serializer.serialize(payload, AROUND),
        };
        let message_key = self.key.schedule().message_key(&message_id);
        let header = Header {
            compressed: is_compressed,
            message_id,
            commitment: message_key.commitment,
        }
        .to_bytes();
        let room = buffer.get_mut(start..).unwrap_or_default();
        if let Some(room) = room.first_chunk_mut() {
            *room = header;
        }
        let additional = self.additional.of(&header);
        message_key
            .cipher
            .seal(NONCE_V2, additional, &mut buffer, start + HEADER_LEN)
            .map_err(|_| TOO_LARGE_FOR_GCM)?;
        Ok(Data::behind(start, buffer.into_inner()))
    }

    /// The serialized payload of `len` bytes in compressed form, unless that is not shorter.
    fn compressed(&mut self, payload: &impl PayloadParts, len: usize) -> Option<SecretVec> {
        let slowness = (STEP / self.compression.step()).max(1);
        self.work = self.work.saturating_add(len.saturating_mul(slowness));
        self.compression.apply(&serialized::to_vec(payload))
    }
}

/// What is around the content of an envelope version 2.
const AROUND: Room = Room {
    before: HEADER_LEN,
    behind: TAG_LEN,
};

/// A buffer of its own: no plaintext is left behind the ciphertext, where nothing would erase it.
fn with_header(content: &[u8]) -> Serialized {
    let mut buffer = Vec::with_capacity(HEADER_LEN + content.len() + TAG_LEN);
    buffer.resize(HEADER_LEN, 0);
    buffer.extend_from_slice(content);
    Serialized {
        buffer: buffer.into(),
        start: 0,
    }
}

/// What an envelope version 2 holds.
pub(crate) enum Content {
    Payload(Payload),
    /// A payload in compressed form, and where it is in the buffer.
    Compressed(SecretVec, Range<usize>),
}

/// Opens the `data` of an envelope version 2, whose header has been read already. `data` is taken only when the message
/// was sealed with this key, so that another key can be tried.
pub(crate) fn open_v2(
    key: &ExpandedDek,
    header: &Header,
    additional: &mut AdditionalData,
    data: &mut SecretVec,
) -> Result<Content, PayloadError> {
    let message_key = key.schedule().message_key(&header.message_id);
    if !message_key.is_committed_to(&header.commitment) {
        return Err(PayloadError::NotAuthentic);
    }
    let mut data = mem::take(data);
    let plaintext = decrypt_v2(&message_key, additional, &mut data);
    let plaintext = plaintext.ok_or(PayloadError::NotAuthentic)?;
    if header.compressed {
        Ok(Content::Compressed(data, plaintext))
    } else {
        content::take(data, plaintext).map(Content::Payload)
    }
}

/// Decrypts the usual `data` of an envelope version 2: uncompressed, and sealed with this key. Returns where the content is.
///
/// Other data are given back. Then [`open_v2`] says of them what is wrong. Altered data are still refused by it, because their
/// ciphertext is erased.
pub(crate) fn decrypt_usual_v2(
    key: &ExpandedDek,
    additional: &mut AdditionalData,
    data: Vec<u8>,
) -> Result<(SecretVec, Range<usize>), Vec<u8>> {
    let header = match Header::parse(&data) {
        Ok(header) if !header.compressed => header,
        _ => return Err(data),
    };
    let message_key = key.schedule().message_key(&header.message_id);
    if !message_key.is_committed_to(&header.commitment) {
        return Err(data);
    }
    let mut data = SecretVec::from(data);
    if let Some(plaintext) = decrypt_v2(&message_key, additional, &mut data) {
        Ok((data, plaintext))
    } else {
        erase(data.get_mut(HEADER_LEN..).unwrap_or_default());
        Err(data.into_inner())
    }
}

/// Decrypts in place, and returns where the plaintext is.
fn decrypt_v2(
    key: &MessageKey,
    additional: &mut AdditionalData,
    data: &mut [u8],
) -> Option<Range<usize>> {
    let (header, sealed) = data.split_first_chunk_mut::<HEADER_LEN>()?;
    let opened = key.cipher.open(NONCE_V2, additional.of(header), sealed);
    let len = opened.ok()?.len();
    Some(HEADER_LEN..HEADER_LEN + len)
}

/// The `data` of an envelope version 1. The data of the payload may be taken.
pub(crate) fn seal_v1(
    key: &ExpandedDek,
    payload: &mut impl PayloadParts,
) -> Result<Data, PayloadError> {
    let mut nonce = [0; NONCE_LEN];
    random::fill(&mut nonce)?;
    let room = Room {
        before: NONCE_LEN,
        behind: TAG_LEN,
    };
    let Serialized { mut buffer, start } = Serializer::default().serialize(payload, room);
    let before = buffer.get_mut(start..).unwrap_or_default();
    if let Some(before) = before.first_chunk_mut() {
        *before = nonce;
    }
    key.cipher()
        .seal(nonce, &[], &mut buffer, start + NONCE_LEN)
        .map_err(|_| TOO_LARGE_FOR_GCM)?;
    Ok(Data::behind(start, buffer.into_inner()))
}

/// Opens the `data` of an envelope version 1.
pub(crate) fn open_v1(key: &ExpandedDek, mut data: SecretVec) -> Result<Payload, PayloadError> {
    let (nonce, sealed) = data
        .split_first_chunk_mut()
        .ok_or(PayloadError::NotAuthentic)?;
    let plaintext = key
        .cipher()
        .open(*nonce, &[], sealed)
        .map_err(|_| PayloadError::NotAuthentic)?;
    let len = plaintext.len();
    content::take(data, NONCE_LEN..NONCE_LEN + len)
}

/// NIST SP 800-38D, section 5.2.1.1: at most 2³⁹ − 256 bits.
const TOO_LARGE_FOR_GCM: PayloadError = PayloadError::TooLarge {
    what: "the payload",
    limit: (1 << 36) - 32,
};

#[cfg(test)]
mod tests;
