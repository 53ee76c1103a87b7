//! Payloads that are encrypted several times over.

use super::*;
use crate::codec::{decode::MAX_NESTING, message::BatchSealer};

/// Encrypts a payload even when it is encrypted already, as earlier versions of this codec did.
async fn layer(codec: &Codec, payload: &Payload) -> Payload {
    let active = &codec.encryption().unwrap().active_v2;
    let key = active.acquire(1, 1).await.unwrap();
    let mut batch = BatchSealer::new(&key.data_key, active.context(), 1);
    let sealed = batch.seal(&mut payload.clone()).unwrap();
    Payload {
        data: sealed.into_vec(),
        metadata: (*key.metadata).clone(),
        external_payloads: vec![],
    }
}

#[tokio::test]
async fn layers_are_opened_up_to_a_limit() {
    let (_folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let mut layered = seal(&codec, "1").await;
    for layers in 1..=MAX_NESTING {
        let opened = codec.decode(vec![layered.clone()]).await.unwrap();
        assert_eq!(opened, [payload("1")], "{layers}");
        layered = layer(&codec, &layered).await;
    }
    assert_eq!(
        refusal(&codec, layered).await,
        PayloadError::NestedTooDeep(MAX_NESTING)
    );
}

#[tokio::test]
async fn a_layer_that_cannot_be_opened_here_is_the_value() {
    let (_folder, keyring) = keyring();
    let [ours, theirs] = ["ours", "theirs"].map(|name| {
        builder("n")
            .encrypt_with(keyring.key_or_create(name).unwrap())
            .build()
            .unwrap()
    });
    let foreign = seal(&theirs, "1").await;
    let sealed = layer(&ours, &foreign).await;
    assert_eq!(ours.decode(vec![sealed]).await.unwrap(), [foreign]);
}

#[tokio::test]
async fn a_layer_that_a_limit_keeps_from_being_opened_is_not_the_value() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let build = |builder: CodecBuilder| builder.encrypt_with(key.clone()).build().unwrap();
    let (codec, other) = (build(builder("n")), build(builder("n")));

    // A data key of its own, in a request whose calls are used up.
    let inner = seal(&other, "1").await;
    let layered = layer(&codec, &inner).await;
    let mut request: Vec<_> = (0..16).map(|_| inner.clone()).collect();
    for (n, bogus) in (0..).zip(&mut request) {
        bogus.metadata.get_mut("encrypted-dek").unwrap().push(n);
    }
    request.push(layered.clone());
    let decoded = codec.decode_each(request).await;
    assert!(
        matches!(decoded[16], Err(Error::Payload(PayloadError::NotTried))),
        "{:?}",
        decoded[16]
    );
    assert_eq!(codec.decode(vec![layered]).await.unwrap(), [payload("1")]);

    let large = build(builder("n").compression(Compression::Zstd {
        level: 3,
        min_bytes: 0,
    }));
    let inner = seal(&large, &"a".repeat(100_000)).await;
    let small = build(builder("n").max_decompressed(1000));
    let layered = layer(&small, &inner).await;
    let refused = refusal(&small, layered).await;
    assert!(
        matches!(refused, PayloadError::TooLarge { .. }),
        "{refused}"
    );
}
