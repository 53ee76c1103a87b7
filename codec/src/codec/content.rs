//! The serialized payload that is inside of an encrypted one, and its limits.

use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, decode_key, skip_field},
};

use crate::{Payload, PayloadError};

/// Temporal's payloads have fewer than 20 entries. Entries cost far more memory than bytes of a message: a message of
/// some megabytes must not become gigabytes.
pub(crate) const MAX_ENTRIES: usize = 1000;

/// `message Payload`: the fields that can repeat.
const METADATA: u32 = 1;
const EXTERNAL_PAYLOADS: u32 = 3;

/// Whether `decode` would read what becomes of `payload`.
pub(crate) fn check(payload: &Payload) -> Result<(), PayloadError> {
    match payload.metadata.len().max(payload.external_payloads.len()) {
        0..=MAX_ENTRIES => Ok(()),
        _ => Err(TOO_MANY_ENTRIES),
    }
}

/// Reads a serialized payload.
pub(crate) fn decode(serialized: &[u8]) -> Result<Payload, PayloadError> {
    let malformed = |_| PayloadError::Malformed("its content is not a payload");
    if entries(serialized).map_err(malformed)? > MAX_ENTRIES {
        return Err(TOO_MANY_ENTRIES);
    }
    Payload::decode(serialized).map_err(malformed)
}

const TOO_MANY_ENTRIES: PayloadError = PayloadError::Malformed(
    "it has more than 1,000 entries in its metadata or its external payloads",
);

/// The larger of the numbers of both kinds of entries.
fn entries(mut serialized: &[u8]) -> Result<usize, DecodeError> {
    let (mut metadata, mut external) = (0, 0);
    while !serialized.is_empty() {
        let (tag, wire_type) = decode_key(&mut serialized)?;
        match tag {
            METADATA => metadata += 1,
            EXTERNAL_PAYLOADS => external += 1,
            _ => {}
        }
        skip_field(wire_type, tag, &mut serialized, DecodeContext::default())?;
    }
    Ok(metadata.max(external))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_entries_are_refused_before_they_are_made() {
        for empty in [[0x0a, 0], [0x1a, 0]] {
            assert_eq!(decode(&empty.repeat(1_000_000)), Err(TOO_MANY_ENTRIES));
            assert!(decode(&empty.repeat(MAX_ENTRIES)).is_ok());
        }
    }

    #[test]
    fn what_is_sealed_can_be_read() {
        let with = |entries: usize| Payload {
            metadata: (0..entries).map(|n| (n.to_string(), vec![1])).collect(),
            ..Payload::default()
        };
        let most = with(MAX_ENTRIES);
        assert_eq!(check(&most), Ok(()));
        assert_eq!(decode(&most.encode_to_vec()), Ok(most));
        let more = with(MAX_ENTRIES + 1);
        assert_eq!(check(&more), Err(TOO_MANY_ENTRIES));
        assert_eq!(decode(&more.encode_to_vec()), Err(TOO_MANY_ENTRIES));
    }

    #[test]
    fn unknown_fields_are_skipped_and_deep_groups_are_refused() {
        let unknown = [&[0x7a, 3][..], b"abc", &[0x78, 1]].concat();
        assert_eq!(decode(&unknown), Ok(Payload::default()));
        // Field 15 as a group in a group, and so on.
        let groups = |depth: usize| [[0x7b].repeat(depth), [0x7c].repeat(depth)].concat();
        assert_eq!(decode(&groups(3)), Ok(Payload::default()));
        for damaged in [
            groups(100_000),
            vec![0x7b; 1_000_000],
            vec![0x7c],
            vec![0x0a, 9],
        ] {
            assert!(matches!(decode(&damaged), Err(PayloadError::Malformed(_))));
        }
    }
}
