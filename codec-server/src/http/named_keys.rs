//! The keys that a payload names, for both logs.

use std::sync::Arc;

use temporal_kms_codec::{Inspection, Payload, SharedPayload, payload::KMS_KEY};

use super::request_error::shown;

/// The key that a payload names, for the log.
pub(super) fn wanted_key(payload: &Payload) -> Option<String> {
    let key = std::str::from_utf8(payload.metadata.get(KMS_KEY)?).ok()?;
    Some(shown(key))
}

/// All keys that a payload names, in the form of its format: `static:ID` for a static key, and each recipient of an
/// envelope.
pub(super) fn named_keys(payload: &SharedPayload) -> Vec<String> {
    let payload = &head_of(payload);
    let keys = Inspection::key_names(payload);
    let mut names: Vec<_> = keys.iter().map(|name| shown(name)).collect();
    if names.is_empty() {
        // Of a broken payload, at least what it says.
        names.extend(wanted_key(payload));
    }
    names
}

/// A payload with the beginning of its data, which names its keys.
fn head_of(payload: &SharedPayload) -> Payload {
    const LONGEST: usize = 4096;
    let head = payload.data.get(..LONGEST).unwrap_or(&payload.data);
    SharedPayload::new(Arc::clone(&payload.metadata), head.to_vec()).into_payload()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_a_payload_wants_is_safe_to_show() {
        let marked = |key: &[u8]| Payload {
            metadata: [(KMS_KEY.to_owned(), key.to_vec())].into(),
            ..Payload::default()
        };
        assert_eq!(
            wanted_key(&marked(b"local://a")).as_deref(),
            Some("local://a")
        );
        assert_eq!(
            wanted_key(&marked("a\u{202e}\nb".as_bytes())).as_deref(),
            Some("a\u{fffd}\u{fffd}b")
        );
        assert_eq!(wanted_key(&marked(b"\xff")), None);
        assert!(wanted_key(&marked(&[b'k'; 5000])).unwrap().len() < 300);
    }
}
