use temporal_kms::faulty::FaultyKey;

use super::*;
use crate::Namespace;

/// A codec, and a payload that it has sealed and opened once. So its data key is known.
async fn codec() -> (Codec, Payload) {
    let builder = Codec::builder(Namespace::new("default").unwrap());
    let codec = builder.encrypt_with(FaultyKey::new("default")).build();
    let codec = codec.unwrap();
    let payload = Payload {
        data: b"secret".to_vec(),
        ..Payload::default()
    };
    let sealed = codec.encode(vec![payload]).await.unwrap().remove(0);
    codec.decode(vec![sealed.clone()]).await.unwrap();
    (codec, sealed)
}

fn kept(codec: &Codec) -> Option<Metadata> {
    let kept = codec.0.last_envelope.load_full();
    kept.map(|envelope| envelope.metadata.clone())
}

/// The payload with an entry that no codec reads.
fn with_entry(sealed: &Payload, length: usize) -> Payload {
    let mut sealed = sealed.clone();
    sealed
        .metadata
        .insert("note".to_owned(), vec![b'x'; length]);
    sealed
}

#[tokio::test]
async fn only_metadata_of_a_payload_that_has_opened_are_kept() {
    let (codec, sealed) = codec().await;
    codec.decode(vec![sealed.clone()]).await.unwrap();
    assert_eq!(kept(&codec).as_ref(), Some(&sealed.metadata));
    let mut changed = with_entry(&sealed, 9);
    if let Some(last) = changed.data.last_mut() {
        *last ^= 1;
    }
    codec.decode(vec![changed]).await.unwrap_err();
    assert_eq!(kept(&codec).as_ref(), Some(&sealed.metadata));
    let other = with_entry(&sealed, 9);
    codec.decode(vec![other.clone()]).await.unwrap();
    assert_eq!(kept(&codec), Some(other.metadata));
}

#[cfg(feature = "zstd")]
#[tokio::test]
async fn metadata_of_compressed_payloads_are_not_read_here() {
    let builder = Codec::builder(Namespace::new("default").unwrap());
    let builder = builder.compression(crate::Compression::Zstd {
        level: 3,
        min_bytes: 1,
    });
    let codec = builder.encrypt_with(FaultyKey::new("default")).build();
    let codec = codec.unwrap();
    let payload = Payload {
        data: vec![b'a'; 1000],
        ..Payload::default()
    };
    let sealed = codec.encode(vec![payload.clone()]).await.unwrap().remove(0);
    for _ in 0..2 {
        let decoder = codec.decoder();
        let (given, shared) = {
            let mut known = KnownKeys::new(&codec);
            let given = known.decode(sealed.clone()).unwrap_err();
            let shared = known.decode_shared(sealed.clone().into()).unwrap_err();
            assert!(known.last.is_none());
            (given, shared)
        };
        for undecoded in [given, shared] {
            assert_eq!(undecoded.given(), Some(&sealed));
            assert_eq!(decoder.finish(undecoded).await.unwrap(), payload);
        }
    }
    assert_eq!(kept(&codec), None);
}

#[tokio::test]
async fn large_metadata_are_not_kept() {
    let (codec, sealed) = codec().await;
    codec.decode(vec![sealed.clone()]).await.unwrap();
    let large = with_entry(&sealed, MAX_KEPT_METADATA);
    codec.decode(vec![large]).await.unwrap();
    assert_eq!(kept(&codec), Some(sealed.metadata));
}

#[tokio::test]
async fn no_more_is_kept_than_all_codecs_may_keep_together() {
    let ((codec, sealed), (other, others)) = (codec().await, codec().await);
    let read = || Arc::new(codec.read_envelope(&sealed.metadata).unwrap());
    codec.0.last_envelope.store(None);
    codec.keep(&read(), &MemoryBudget::new(1));
    assert_eq!(kept(&codec), None);

    let budget = MemoryBudget::new(read().footprint());
    codec.keep(&read(), &budget);
    assert_eq!(kept(&codec).as_ref(), Some(&sealed.metadata));
    assert_eq!(budget.left(), 0);
    other.0.last_envelope.store(None);
    let envelope = Arc::new(other.read_envelope(&others.metadata).unwrap());
    other.keep(&envelope, &budget);
    assert_eq!(kept(&other), None);
    // What takes the place of the last one takes its memory.
    let next = read();
    codec.keep(&next, &budget);
    assert!(next.taken.get().is_some());
    codec.0.last_envelope.store(None);
    drop(next);
    assert_eq!(budget.left(), read().footprint());
}
