//! Sealing one payload under a data key, and opening it.

use std::{mem, ops::Range};

use temporal_kms::support::{SecretVec, erase};
use temporal_kms_codec_proto::PayloadParts;

use crate::{
    Compression, EncryptionContext, Payload, PayloadError,
    codec::content::{self, serialized},
    crypto::{
        aead::{NONCE_LEN, TAG_LEN},
        compression,
        key_schedule::{MessageId, MessageKey},
        random,
    },
    dek::ExpandedDek,
    format::envelope_v2::{HEADER_LEN, Header},
};

/// Every message key of envelope version 2 is used once, so its nonce need not differ.
const NONCE_V2: [u8; NONCE_LEN] = [0; NONCE_LEN];

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

/// The `data` of an envelope version 2.
pub(crate) fn seal_v2(
    key: &ExpandedDek,
    additional: &mut AdditionalData,
    compression: Compression,
    payload: &impl PayloadParts,
) -> Result<Vec<u8>, PayloadError> {
    let mut message_id = [0; 32];
    random::fill(&mut message_id)?;
    seal_v2_as(message_id, key, additional, compression, payload)
}

fn seal_v2_as(
    message_id: MessageId,
    key: &ExpandedDek,
    additional: &mut AdditionalData,
    compression: Compression,
    payload: &impl PayloadParts,
) -> Result<Vec<u8>, PayloadError> {
    // A buffer of its own: no plaintext is left behind the ciphertext, where nothing would erase it.
    let compressed = compressed(compression, payload);
    let is_compressed = compressed.is_some();
    let mut data = match compressed {
        Some(compressed) => {
            let mut data = Vec::with_capacity(HEADER_LEN + compressed.len() + TAG_LEN);
            data.resize(HEADER_LEN, 0);
            data.extend_from_slice(&compressed);
            data
        }
        None => buffer(HEADER_LEN, payload),
    };

    let message_key = key.schedule().message_key(&message_id);
    let header = Header {
        compressed: is_compressed,
        message_id,
        commitment: message_key.commitment,
    }
    .to_bytes();
    if let Some(start) = data.first_chunk_mut() {
        *start = header;
    }
    message_key
        .cipher
        .seal(NONCE_V2, additional.of(&header), &mut data, HEADER_LEN)
        .map_err(|_| TOO_LARGE_FOR_GCM)?;
    Ok(data)
}

/// Opens the `data` of an envelope version 2, whose header has been read already. `data` is taken only when the message
/// was sealed with this key, so that another key can be tried.
pub(crate) fn open_v2(
    key: &ExpandedDek,
    header: &Header,
    additional: &mut AdditionalData,
    data: &mut SecretVec,
    max_decompressed: usize,
) -> Result<Payload, PayloadError> {
    let message_key = key.schedule().message_key(&header.message_id);
    if !message_key.is_committed_to(&header.commitment) {
        return Err(PayloadError::NotAuthentic);
    }
    let mut data = mem::take(data);
    let plaintext = decrypt_v2(&message_key, additional, &mut data);
    let plaintext = plaintext.ok_or(PayloadError::NotAuthentic)?;
    if header.compressed {
        let compressed = data.get(plaintext).unwrap_or_default();
        content::decode(&compression::decompress(compressed, max_decompressed)?)
    } else {
        content::take(data, plaintext)
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

/// The `data` of an envelope version 1.
pub(crate) fn seal_v1(
    key: &ExpandedDek,
    payload: &impl PayloadParts,
) -> Result<Vec<u8>, PayloadError> {
    let mut nonce = [0; NONCE_LEN];
    random::fill(&mut nonce)?;
    let mut data = buffer(NONCE_LEN, payload);
    if let Some(start) = data.first_chunk_mut() {
        *start = nonce;
    }
    key.cipher()
        .seal(nonce, &[], &mut data, NONCE_LEN)
        .map_err(|_| TOO_LARGE_FOR_GCM)?;
    Ok(data)
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

/// The serialized payload in compressed form, unless that is not wanted or not shorter.
fn compressed(compression: Compression, payload: &impl PayloadParts) -> Option<SecretVec> {
    if !compression.applies_to(serialized::len(payload)) {
        return None;
    }
    compression.apply(&serialized::to_vec(payload))
}

/// Room for `before` bytes, the serialized payload and a tag, so that sealing moves nothing.
fn buffer(before: usize, payload: &impl PayloadParts) -> Vec<u8> {
    let mut data = Vec::with_capacity(before + serialized::len(payload) + TAG_LEN);
    data.resize(before, 0);
    serialized::push(payload, &mut data);
    data
}

#[cfg(test)]
mod tests;
