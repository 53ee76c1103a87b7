//! What payloads and files say of their recipients: the name of each key, and the data key that it wrapped.

use std::collections::BTreeSet;

use crate::{
    KeyUri, PayloadError, Scheme, WrappedDek,
    types::{MAX_RECIPIENTS, Recipient},
};
use temporal_kms::support::{MAX_WRAPPED_LEN, SecretVec};

/// Reads a key's name: a URI, or the bare resource name that codecs for Google Cloud KMS write.
pub(super) fn parse_key(bytes: &[u8]) -> Result<KeyUri, PayloadError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| PayloadError::Malformed("the name of its key is not text"))?;
    let parsed = if text.starts_with("projects/") {
        KeyUri::new(Scheme::GCP_KMS, text)
    } else {
        text.parse()
    };
    parsed.map_err(|_| PayloadError::Malformed("the name of its key is not a key URI"))
}

/// Takes a wrapped data key from metadata. Other bytes are erased.
pub(super) fn wrapped_in(metadata: Option<SecretVec>) -> Result<WrappedDek, PayloadError> {
    let bytes = metadata.ok_or(PayloadError::Malformed("it has no `encrypted-dek`"))?;
    check_len(&bytes)?;
    Ok(WrappedDek::new(bytes.into_inner()))
}

/// Checks the length of a wrapped data key.
pub(crate) fn parse_wrapped(bytes: Vec<u8>) -> Result<WrappedDek, PayloadError> {
    check_len(&bytes)?;
    Ok(WrappedDek::new(bytes))
}

fn check_len(wrapped: &[u8]) -> Result<(), PayloadError> {
    match wrapped.len() {
        0 => Err(PayloadError::Malformed("its wrapped data key is empty")),
        1..=MAX_WRAPPED_LEN => Ok(()),
        _ => Err(PayloadError::TooLarge {
            what: "the wrapped data key",
            limit: MAX_WRAPPED_LEN,
        }),
    }
}

/// The recipients, if there are 1 to 10 with keys of their own. A key that is named twice would be called twice for one
/// payload.
pub(super) fn distinct(recipients: Vec<Recipient>) -> Result<Vec<Recipient>, PayloadError> {
    let keys: BTreeSet<_> = recipients.iter().map(|recipient| &recipient.key).collect();
    if keys.len() != recipients.len() {
        return Err(PayloadError::Malformed(
            "two of its recipients have the same key",
        ));
    }
    match keys.len() {
        1..=MAX_RECIPIENTS => Ok(recipients),
        _ => Err(PayloadError::Malformed("it must have 1 to 10 recipients")),
    }
}
