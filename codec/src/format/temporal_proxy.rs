//! temporal-proxy: an envelope with other names. The data key is wrapped without additional data, so the rest is that of
//! [version 1](super::envelope_v1).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    encrypted::KEY_ID,
    envelope_v1::{self, EnvelopeV1},
};
use temporal_kms_codec_proto::Metadata;

use crate::{
    Payload, PayloadError,
    payload::{ENCRYPTED_DEK, KMS_KEY},
};

/// The wrapped data key in base64.
const DEK: &str = "encryption-dek";

pub(super) fn is_marked(metadata: &Metadata) -> bool {
    metadata.contains_key(DEK)
}

pub(crate) fn parse(mut payload: Payload) -> Result<EnvelopeV1, PayloadError> {
    let wrapped = payload.metadata.remove(DEK).unwrap_or_default();
    let wrapped = STANDARD
        .decode(wrapped)
        .map_err(|_| PayloadError::Malformed("its `encryption-dek` is not base64"))?;
    let key = payload
        .metadata
        .remove(KEY_ID)
        .ok_or(PayloadError::Malformed("it has no `encryption-key-id`"))?;
    payload.metadata = [
        (ENCRYPTED_DEK.to_owned(), wrapped),
        (KMS_KEY.to_owned(), key),
    ]
    .into();
    envelope_v1::parse(payload)
}
