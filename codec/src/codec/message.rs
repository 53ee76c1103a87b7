//! Sealing one payload under a data key, and opening it.

use std::mem;

use prost::Message as _;
use zeroize::Zeroizing;

use crate::{
    Compression, EncryptionContext, Payload, PayloadError,
    codec::content,
    crypto::{
        aead::{NONCE_LEN, TAG_LEN},
        compression,
        key_schedule::MessageId,
        random,
    },
    dek::ExpandedDek,
    format::envelope_v2::{HEADER_LEN, Header},
};

/// Every message key of envelope version 2 is used once, so its nonce need not differ.
const NONCE_V2: [u8; NONCE_LEN] = [0; NONCE_LEN];

/// The `data` of an envelope version 2.
pub(crate) fn seal_v2(
    key: &ExpandedDek,
    context: &EncryptionContext,
    compression: Compression,
    payload: &Payload,
) -> Result<Vec<u8>, PayloadError> {
    let mut message_id = [0; 32];
    random::fill(&mut message_id)?;
    seal_v2_as(message_id, key, context, compression, payload)
}

fn seal_v2_as(
    message_id: MessageId,
    key: &ExpandedDek,
    context: &EncryptionContext,
    compression: Compression,
    payload: &Payload,
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
        .seal(
            NONCE_V2,
            &additional_data(&header, context),
            &mut data,
            HEADER_LEN,
        )
        .map_err(|_| TOO_LARGE_FOR_GCM)?;
    Ok(data)
}

/// Opens the `data` of an envelope version 2, whose header has been read already. `data` is taken only when the message
/// was sealed with this key, so that another key can be tried.
pub(crate) fn open_v2(
    key: &ExpandedDek,
    header: &Header,
    context: &EncryptionContext,
    data: &mut Zeroizing<Vec<u8>>,
    max_decompressed: usize,
) -> Result<Payload, PayloadError> {
    let message_key = key.schedule().message_key(&header.message_id);
    if !message_key.is_committed_to(&header.commitment) {
        return Err(PayloadError::NotAuthentic);
    }
    let mut data = Zeroizing::new(mem::take(&mut **data));
    let (head, sealed) = data
        .split_first_chunk_mut::<HEADER_LEN>()
        .ok_or(PayloadError::NotAuthentic)?;
    let plaintext = message_key
        .cipher
        .open(NONCE_V2, &additional_data(head, context), sealed)
        .map_err(|_| PayloadError::NotAuthentic)?;
    if header.compressed {
        content::decode(&compression::decompress(plaintext, max_decompressed)?)
    } else {
        content::decode(plaintext)
    }
}

/// The `data` of an envelope version 1.
pub(crate) fn seal_v1(key: &ExpandedDek, payload: &Payload) -> Result<Vec<u8>, PayloadError> {
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
pub(crate) fn open_v1(
    key: &ExpandedDek,
    mut data: Zeroizing<Vec<u8>>,
) -> Result<Payload, PayloadError> {
    let (nonce, sealed) = data
        .split_first_chunk_mut()
        .ok_or(PayloadError::NotAuthentic)?;
    let plaintext = key
        .cipher()
        .open(*nonce, &[], sealed)
        .map_err(|_| PayloadError::NotAuthentic)?;
    content::decode(plaintext)
}

/// NIST SP 800-38D, section 5.2.1.1: at most 2³⁹ − 256 bits.
const TOO_LARGE_FOR_GCM: PayloadError = PayloadError::TooLarge {
    what: "the payload",
    limit: (1 << 36) - 32,
};

/// The serialized payload in compressed form, unless that is not wanted or not shorter.
fn compressed(compression: Compression, payload: &Payload) -> Option<Zeroizing<Vec<u8>>> {
    if !compression.applies_to(payload.encoded_len()) {
        return None;
    }
    compression.apply(&Zeroizing::new(payload.encode_to_vec()))
}

/// Room for `before` bytes, the serialized payload and a tag, so that sealing moves nothing.
fn buffer(before: usize, payload: &Payload) -> Vec<u8> {
    let mut data = Vec::with_capacity(before + payload.encoded_len() + TAG_LEN);
    data.resize(before, 0);
    let encoded = payload.encode(&mut data);
    debug_assert!(encoded.is_ok(), "a vector has room for everything");
    data
}

fn additional_data(header: &[u8; HEADER_LEN], context: &EncryptionContext) -> Vec<u8> {
    [header.as_slice(), context.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
