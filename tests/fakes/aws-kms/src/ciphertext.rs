//! The form of ciphertexts. AWS does not document its own form.
//!
//! `0x01 ‖ length of key id ‖ key id ‖ index of the material ‖ nonce(12) ‖ AES-256-GCM`, with the encryption context as
//! additional data.

use std::collections::BTreeMap;

use aes_gcm::{
    Aes256Gcm, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use serde_json::Value;

use crate::{
    error::ApiError,
    key::{Symmetric, random},
};

pub(crate) struct Ciphertext<'a> {
    pub(crate) key_id: &'a str,
    material: u8,
    nonce: [u8; 12],
    sealed: &'a [u8],
}

pub(crate) fn seal(
    key_id: &str,
    materials: &[Symmetric],
    context: &Value,
    plaintext: &[u8],
) -> Result<Vec<u8>, ApiError> {
    let internal = || ApiError::new("KMSInternalException", "cannot encrypt");
    let material = materials.last().ok_or_else(internal)?;
    let nonce = random();
    let sealed = cipher(material)
        .encrypt(
            &Nonce::from(nonce),
            payload(plaintext, &additional(context)),
        )
        .map_err(|_| internal())?;
    let length = u8::try_from(key_id.len()).map_err(|_| internal())?;
    let index = u8::try_from(materials.len() - 1).map_err(|_| internal())?;
    Ok([
        &[1, length][..],
        key_id.as_bytes(),
        &[index],
        &nonce,
        &sealed,
    ]
    .concat())
}

impl<'a> Ciphertext<'a> {
    pub(crate) fn parse(blob: &'a [u8]) -> Result<Self, ApiError> {
        let parsed = || {
            let (&[version, length], rest) = blob.split_first_chunk()?;
            let (key_id, rest) = rest.split_at_checked(length.into())?;
            let (&[material], rest) = rest.split_first_chunk()?;
            let (&nonce, sealed) = rest.split_first_chunk()?;
            (version == 1).then_some(Self {
                key_id: std::str::from_utf8(key_id).ok()?,
                material,
                nonce,
                sealed,
            })
        };
        parsed().ok_or_else(invalid)
    }

    pub(crate) fn open(
        &self,
        materials: &[Symmetric],
        context: &Value,
    ) -> Result<Vec<u8>, ApiError> {
        let material = materials
            .get(usize::from(self.material))
            .ok_or_else(invalid)?;
        cipher(material)
            .decrypt(
                &Nonce::from(self.nonce),
                payload(self.sealed, &additional(context)),
            )
            .map_err(|_| invalid())
    }
}

/// The pairs, in an order of their own.
fn additional(context: &Value) -> Vec<u8> {
    let pairs: BTreeMap<_, _> = context.as_object().into_iter().flatten().collect();
    format!("{pairs:?}").into_bytes()
}

/// AWS gives no message with it.
fn invalid() -> ApiError {
    ApiError::new("InvalidCiphertextException", "")
}

fn cipher(material: &Symmetric) -> Aes256Gcm {
    Aes256Gcm::new(&material.bytes.into())
}

fn payload<'a>(msg: &'a [u8], aad: &'a [u8]) -> Payload<'a, 'a> {
    Payload { msg, aad }
}
