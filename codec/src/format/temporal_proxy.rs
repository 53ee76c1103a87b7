//! temporal-proxy: an envelope with other names. The data key is wrapped without additional data, so the rest is that of
//! [version 1](super::envelope_v1).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    encrypted::KEY_ID,
    envelope_v1::{self, EnvelopeV1},
};
use temporal_kms::support::SecretVec;
use temporal_kms_codec_proto::Metadata;

use crate::{
    Payload, PayloadError,
    payload::{ENCRYPTED_DEK, KMS_KEY, Plain},
};

/// The wrapped data key in base64.
const DEK: &str = "encryption-dek";

pub(super) fn is_marked(metadata: &Metadata) -> bool {
    metadata.contains_key(DEK)
}

pub(crate) fn parse(mut payload: Plain<Payload>) -> Result<EnvelopeV1, PayloadError> {
    let text = payload.metadata.get(DEK).map(Vec::as_slice);
    let mut wrapped = SecretVec::default();
    STANDARD
        .decode_vec(text.unwrap_or_default(), &mut wrapped)
        .map_err(|_| PayloadError::Malformed("its `encryption-dek` is not base64"))?;
    let key = payload
        .metadata
        .remove(KEY_ID)
        .ok_or(PayloadError::Malformed("it has no `encryption-key-id`"))?;
    for (name, value) in [(ENCRYPTED_DEK, wrapped.into_inner()), (KMS_KEY, key)] {
        let replaced = payload.metadata.insert(name.to_owned(), value);
        drop(replaced.map(SecretVec::from));
    }
    envelope_v1::parse(payload)
}
