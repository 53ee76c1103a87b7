//! Codecs for the transit engine of Vault: `data` is the text `vault:vN:…`. It is recognised, so that it does not
//! count as a payload of a static key, and refused.

use temporal_kms_codec_proto::Metadata;

use super::encrypted::KEY_ID;
use crate::{Payload, PayloadError};

const VERSION: &str = "encryption-key-version";
const PREFIX: &[u8] = b"vault:v";

pub(super) const REFUSED: PayloadError =
    PayloadError::UnsupportedFormat("the transit engine of HashiCorp Vault");

pub(super) fn is_marked(metadata: &Metadata, data: &[u8]) -> bool {
    metadata.contains_key(VERSION) || data.starts_with(PREFIX)
}

/// The key and the version that a payload names.
pub(crate) fn named(payload: &Payload) -> (Option<&[u8]>, Option<&str>) {
    let version = version_in(&payload.data).or_else(|| {
        let version = payload.metadata.get(VERSION)?;
        std::str::from_utf8(version).ok()
    });
    (payload.metadata.get(KEY_ID).map(Vec::as_slice), version)
}

/// The version in a ciphertext of Vault.
pub(crate) fn version_in(ciphertext: &[u8]) -> Option<&str> {
    let rest = ciphertext.strip_prefix(PREFIX)?;
    let end = rest.iter().position(|byte| *byte == b':')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}
