//! Direct mode: `data` is what the KMS returned for the serialized payload.

use crate::{
    KeyUri, KmsKind, Payload, PayloadError,
    payload::{ENCODING, KMS_KEY},
};

/// A payload that a KMS encrypted itself.
pub(crate) struct Direct {
    pub(crate) key: KeyUri,
    pub(crate) ciphertext: Vec<u8>,
}

pub(crate) fn parse(kms: KmsKind, mut payload: Payload) -> Result<Direct, PayloadError> {
    let name = payload
        .metadata
        .remove(KMS_KEY)
        .ok_or(PayloadError::Malformed("it has no `kms-key`"))?;
    let name = std::str::from_utf8(&name)
        .map_err(|_| PayloadError::Malformed("the name of its key is no text"))?;
    let key = KeyUri::new(kms, name).map_err(|_| {
        PayloadError::Malformed("the name of its key is none that the service knows")
    })?;
    Ok(Direct {
        key,
        ciphertext: payload.data,
    })
}

impl Direct {
    pub(crate) fn into_payload(self) -> Payload {
        Payload {
            metadata: [
                (
                    ENCODING.to_owned(),
                    self.key.kms().direct_encoding().as_bytes().to_vec(),
                ),
                (KMS_KEY.to_owned(), self.key.resource().as_bytes().to_vec()),
            ]
            .into(),
            data: self.ciphertext,
            external_payloads: Vec::new(),
        }
    }
}
