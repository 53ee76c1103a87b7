//! Direct mode: `data` is what the KMS returned for the serialized payload.

use std::mem;

use temporal_kms::support::SecretVec;

use crate::{
    Dek, KeyUri, Payload, PayloadError, Scheme,
    payload::{ENCODING, KMS_KEY, Plain},
};

/// A payload that a KMS encrypted itself.
pub(crate) struct Direct {
    pub(crate) key: KeyUri,
    pub(crate) ciphertext: SecretVec,
}

/// Whether a serialized payload of `len` bytes may be encrypted directly.
///
/// A data key of version 1 is wrapped exactly as direct mode encrypts. A direct payload of a data key's length would be a
/// wrapped data key that its author knows, so no such payload is written or read.
pub(crate) const fn may_have_len(len: usize) -> bool {
    len != Dek::LEN
}

pub(crate) fn parse(kms: Scheme, mut payload: Plain<Payload>) -> Result<Direct, PayloadError> {
    let name = payload
        .metadata
        .get(KMS_KEY)
        .ok_or(PayloadError::Malformed("it has no `kms-key`"))?;
    let name = std::str::from_utf8(name)
        .map_err(|_| PayloadError::Malformed("the name of its key is not text"))?;
    let key = KeyUri::new(kms, name).map_err(|_| {
        PayloadError::Malformed("the name of its key does not have the form of its service")
    })?;
    Ok(Direct {
        key,
        ciphertext: SecretVec::from(mem::take(&mut payload.data)),
    })
}

impl Direct {
    pub(crate) fn into_payload(mut self) -> Payload {
        Payload {
            metadata: [
                (
                    ENCODING.to_owned(),
                    self.key.scheme().direct_encoding().as_bytes().to_vec(),
                ),
                (KMS_KEY.to_owned(), self.key.resource().as_bytes().to_vec()),
            ]
            .into(),
            data: mem::take(&mut *self.ciphertext),
            external_payloads: Vec::new(),
        }
    }
}
