//! The pieces are the text, what is held beside them is counted, and what is secret is erased.

use std::{cell::Cell, iter};

use proptest::{collection, prelude::*, sample::select};

use super::*;
use crate::{Data, json::write_payloads, payload::ExternalPayloadDetails};

thread_local! {
    static ERASED: Cell<usize> = const { Cell::new(0) };
}

fn erase(bytes: &mut [u8]) {
    bytes.fill(0);
    ERASED.set(ERASED.get() + bytes.len());
}

fn any_payload() -> impl Strategy<Value = SharedPayload> {
    let long = collection::btree_map(
        "[\\PC\"\\\\\n]{0,9}",
        collection::vec(any::<u8>(), 0..99),
        1..4,
    );
    let metadata = prop_oneof![Just(Metadata::new()), long].prop_map(Arc::new);
    let data = collection::vec(any::<u8>(), 0..300);
    let external = collection::vec(select(vec![0, 7, -1, i64::MIN, i64::MAX]), 0..3);
    (metadata, data, 0usize..9, external).prop_map(|(metadata, data, start, sizes)| {
        let external = sizes
            .into_iter()
            .map(|size_bytes| ExternalPayloadDetails { size_bytes });
        let data = Data::behind(start.min(data.len()), data);
        let mut payload = SharedPayload::new(metadata, data);
        payload.external_payloads = external.collect();
        payload
    })
}

proptest! {
    /// The pieces are the text, and nothing secret is left of what was written.
    #[test]
    fn pieces_are_the_text(
        payloads in collection::vec((any_payload(), 1usize..4), 0..4),
        long in collection::vec(any::<u8>(), 0..30_000),
        most in prop_oneof![0usize..40, 40usize..600, 16_000usize..50_000],
        is_secret in any::<bool>(),
    ) {
        // Some follow each other with the same metadata.
        let mut payloads: Vec<_> = payloads
            .into_iter()
            .flat_map(|(payload, times)| iter::repeat_n(payload, times))
            .collect();
        payloads.push(SharedPayload::new(Arc::default(), long));
        let unshared: Vec<_> = payloads.iter().cloned().map(SharedPayload::into_payload).collect();
        let whole = write_payloads(&unshared);
        let secret: usize = payloads.iter().map(|payload| payload.data.len()).sum();
        ERASED.set(0);
        let mut pieces = BodyPieces::new(payloads, is_secret.then_some(erase));
        let mut text = Vec::new();
        loop {
            prop_assert_eq!(pieces.left(), whole.len() - text.len());
            prop_assert!(held(&pieces) <= pieces.held_beside());
            let Some(piece) = pieces.next_piece(most) else {
                break;
            };
            prop_assert!((1..=most.max(QUANTUM)).contains(&piece.len()));
            prop_assert!(piece.capacity() <= most.max(QUANTUM));
            text.extend(piece);
        }
        prop_assert_eq!(text, whole);
        drop(pieces);
        prop_assert_eq!(ERASED.get() >= secret, is_secret || secret == 0);
    }
}

/// What a body that is being written holds beside its payloads.
fn held(pieces: &BodyPieces) -> usize {
    pieces.text.capacity() + pieces.metadata.text.capacity()
}

#[test]
fn what_is_held_beside_long_metadata_is_counted() {
    const LENGTH: usize = 3 << 20;

    // Each is longer than the one before.
    let payloads = (0..3).map(|number| {
        let value = vec![b'x'; LENGTH + number * 3000];
        let metadata = Metadata::from([("note".to_owned(), value)]);
        SharedPayload::new(Arc::new(metadata), b"data".to_vec())
    });
    let mut pieces = BodyPieces::new(payloads.collect(), Some(erase));
    let (counted, mut most) = (pieces.held_beside(), 0);
    while pieces.next_piece(64 << 10).is_some() {
        most = most.max(held(&pieces));
        assert!(most <= counted, "{most} of {counted}");
    }
    // The metadata are in memory twice.
    assert!(most > 2 * (LENGTH / 3 * 4), "{most}");
    assert!(counted < most + 100, "{most} of {counted}");
}

#[test]
fn what_is_held_beside_many_external_parts_is_counted() {
    let external = ExternalPayloadDetails {
        size_bytes: i64::MIN,
    };
    let payload = SharedPayload {
        external_payloads: vec![external; 10_000],
        ..SharedPayload::default()
    };
    let mut pieces = BodyPieces::new(vec![payload], None);
    while pieces.next_piece(64).is_some() {
        assert!(held(&pieces) <= pieces.held_beside());
    }
}

#[test]
fn what_is_not_written_is_erased() {
    let metadata = Arc::new(Metadata::from([("note".to_owned(), b"secret".to_vec())]));
    let payload = SharedPayload::new(metadata, b"secret".repeat(100));
    let mut pieces = BodyPieces::new(vec![payload.clone(), payload], Some(erase));
    let text = r#""metadata":{"note":"c2VjcmV0"}"#;
    let piece = pieces.next_piece(100).unwrap();
    assert!(String::from_utf8(piece).unwrap().contains(text));
    ERASED.set(0);
    drop(pieces);
    assert_eq!(ERASED.get(), text.len());
}

#[test]
fn metadata_are_erased_once_no_payload_has_them_any_more() {
    let metadata = || Arc::new(Metadata::from([("note".to_owned(), b"secret".to_vec())]));
    let (first, last) = (metadata(), metadata());
    let others = Arc::clone(&last);
    let payloads = [&first, &last, &first].map(|metadata| SharedPayload {
        metadata: Arc::clone(metadata),
        ..SharedPayload::default()
    });
    drop((first, last));
    let mut pieces = BodyPieces::new(payloads.into(), Some(erase));
    let text = r#""metadata":{"note":"c2VjcmV0"}"#.len();
    ERASED.set(0);
    while pieces.next_piece(64).is_some() {}
    drop(pieces);
    let length = r#"{"payloads":[{},{},{}]}"#.len() + 3 * text;
    assert!(
        ERASED.get() >= 3 * text + b"secret".len(),
        "{}",
        ERASED.get()
    );
    assert!(ERASED.get() <= 3 * text + length + b"secret".len());
    assert_eq!(others, metadata(), "they have another owner");
}
