use super::*;

#[tokio::test]
async fn what_is_encrypted_already_is_not_encrypted_again() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let codec = builder("n").encrypt_with(key.clone()).build().unwrap();
    let sealed = seal(&codec, "1").await;
    let mixed = codec
        .encode(vec![payload("2"), sealed.clone(), payload("3")])
        .await
        .unwrap();
    assert_eq!(mixed[1], sealed);
    assert_eq!(
        codec.decode(mixed).await.unwrap(),
        [payload("2"), payload("1"), payload("3")]
    );

    // Another namespace's, a forged and a merely marked payload are data like any other.
    let foreign = seal(&builder("m").encrypt_with(key).build().unwrap(), "1").await;
    let mut forged = sealed.clone();
    forged.data[80] ^= 1;
    let mut marked = payload("\"secret\"");
    marked
        .metadata
        .insert("encoding".into(), b"binary/envelope-kms".to_vec());
    for data in [foreign, forged, marked] {
        let sealed = codec.encode(vec![data.clone()]).await.unwrap().remove(0);
        assert_ne!(sealed.data, data.data);
        assert_eq!(codec.decode(vec![sealed]).await.unwrap(), [data]);
    }
}

#[tokio::test]
async fn layers_are_opened_up_to_a_limit() {
    let (_folder, keyring) = keyring();
    let [a, b] = ["a", "b"].map(|name| keyring.key_or_create(name).unwrap());
    // Two codecs that cannot open each other's payloads, so that each adds a layer.
    let writers = [&a, &b].map(|key| builder("n").encrypt_with(key.clone()).build().unwrap());
    let reader = builder("n")
        .encrypt_with(a)
        .decrypt_with(b)
        .plaintext(PlaintextPolicy::Allow)
        .build()
        .unwrap();
    let mut layered = payload("1");
    for layer in 0..=MAX_NESTING {
        assert_eq!(
            reader.decode(vec![layered.clone()]).await.unwrap(),
            [payload("1")],
            "{layer}"
        );
        layered = writers[layer % 2]
            .encode(vec![layered])
            .await
            .unwrap()
            .remove(0);
    }
    assert_eq!(
        refusal(&reader, layered).await,
        PayloadError::NestedTooDeep(MAX_NESTING)
    );
}
