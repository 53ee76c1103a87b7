//! Envelope version 1: `data` = nonce(12) ‖ AES-256-GCM ciphertext ‖ tag(16) under the data key itself, with no
//! additional data.

use std::{collections::BTreeMap, mem};

use super::recipients::{parse_key, wrapped_in};
use temporal_kms::support::SecretVec;

use crate::{
    EncryptionContext, KeyUri, Payload, PayloadError, WrappedDek,
    crypto::aead::{NONCE_LEN, TAG_LEN},
    payload::{ENCODING, ENCODING_ENVELOPE, ENCRYPTED_DEK, KMS_KEY, Plain},
    types::Recipient,
};

/// A sealed payload and its wrapped data key. Some writers do not say which key wrapped it.
pub(crate) struct EnvelopeV1 {
    pub(crate) key: Option<KeyUri>,
    pub(crate) wrapped: WrappedDek,
    pub(crate) data: SecretVec,
}

pub(crate) fn parse(mut payload: Plain<Payload>) -> Result<EnvelopeV1, PayloadError> {
    let key = payload
        .metadata
        .get(KMS_KEY)
        .map(|name| parse_key(name))
        .transpose()?;
    let wrapped = wrapped_in(payload.metadata.remove(ENCRYPTED_DEK).map(SecretVec::from))?;
    if payload.data.len() < NONCE_LEN + TAG_LEN {
        return Err(PayloadError::Malformed(
            "its data are shorter than a nonce and a tag",
        ));
    }
    Ok(EnvelopeV1 {
        key,
        wrapped,
        data: SecretVec::from(mem::take(&mut payload.data)),
    })
}

/// The metadata of every payload that one data key seals. Version 1 has one recipient and no context.
pub(crate) fn metadata(
    recipients: &[Recipient],
    _: &EncryptionContext,
) -> BTreeMap<String, Vec<u8>> {
    let mut metadata =
        BTreeMap::from([(ENCODING.to_owned(), ENCODING_ENVELOPE.as_bytes().to_vec())]);
    if let Some(recipient) = recipients.first() {
        metadata.insert(KMS_KEY.to_owned(), recipient.key.to_string().into_bytes());
        metadata.insert(
            ENCRYPTED_DEK.to_owned(),
            recipient.wrapped.as_bytes().to_vec(),
        );
    }
    metadata
}
