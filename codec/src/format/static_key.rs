//! The samples of Temporal in Go, Python, TypeScript, .NET, Ruby and Java: `data` = nonce(12) ‖ AES-256-GCM ciphertext ‖
//! tag(16) under a static key, with no additional data.

use std::mem;

use super::encrypted::KEY_ID;
use temporal_kms::support::SecretVec;
use zeroize::Zeroizing;

use crate::{
    Payload, PayloadError,
    crypto::aead::{NONCE_LEN, TAG_LEN},
    payload::Plain,
};

/// Written by the sample in Java. It is the cipher that all samples use.
const CIPHER: &str = "encryption-cipher";
const AES_GCM: &[u8] = b"AES/GCM/NoPadding";

/// A payload that a static key sealed.
pub(crate) struct StaticKey {
    /// The name of the key, which may be empty. It is erased, because the payload may be a value that is only marked as
    /// encrypted. An error that names an unknown key holds its first characters, and is not erased.
    pub(crate) id: Zeroizing<String>,
    pub(crate) data: SecretVec,
}

pub(crate) fn parse(mut payload: Plain<Payload>) -> Result<StaticKey, PayloadError> {
    let id = payload.metadata.remove(KEY_ID).unwrap_or_default();
    let id = String::from_utf8(id).map(Zeroizing::new).map_err(|error| {
        drop(SecretVec::from(error.into_bytes()));
        PayloadError::Malformed("the id of its static key is not text")
    })?;
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
        data: SecretVec::from(mem::take(&mut payload.data)),
    })
}
