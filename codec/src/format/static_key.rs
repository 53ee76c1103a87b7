//! The samples of Temporal in Go, Python, TypeScript, .NET, Ruby and Java: `data` = nonce(12) ‖ AES-256-GCM ciphertext ‖
//! tag(16) under a static key, with no additional data.

use super::encrypted::KEY_ID;
use temporal_kms::support::SecretVec;

use crate::{
    Payload, PayloadError,
    crypto::aead::{NONCE_LEN, TAG_LEN},
};

/// Written by the sample in Java. It is the cipher that all samples use.
const CIPHER: &str = "encryption-cipher";
const AES_GCM: &[u8] = b"AES/GCM/NoPadding";

/// A payload that a static key sealed.
pub(crate) struct StaticKey {
    /// The name of the key, which may be empty.
    pub(crate) id: String,
    pub(crate) data: SecretVec,
}

pub(crate) fn parse(mut payload: Payload) -> Result<StaticKey, PayloadError> {
    let id = payload.metadata.remove(KEY_ID).unwrap_or_default();
    let id = String::from_utf8(id)
        .map_err(|_| PayloadError::Malformed("the id of its static key is not text"))?;
    let cipher = payload.metadata.get(CIPHER);
    if cipher.is_some_and(|cipher| cipher != AES_GCM) {
        return Err(PayloadError::Unsupported(
            "its `encryption-cipher` is not AES/GCM/NoPadding",
        ));
    }
    if payload.data.len() < NONCE_LEN + TAG_LEN {
        return Err(PayloadError::Malformed(
            "its data are shorter than a nonce and a tag",
        ));
    }
    Ok(StaticKey {
        id,
        data: SecretVec::from(payload.data),
    })
}
