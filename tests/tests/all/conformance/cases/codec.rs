use std::sync::Arc;

use temporal_kms_codec::{
    Codec, Format, Namespace, Payload,
    kms::{CallPolicy, KeyProvider, KmsMetrics},
};

use crate::conformance::service::{Bench, Trouble};

const FORMATS: [Format; 3] = [Format::Envelope, Format::EnvelopeV1, Format::Direct];

pub(crate) async fn payloads_in_every_format(bench: &Bench) {
    let key = bench.made("k").await;
    let payloads: Vec<_> = [0, 1, 1000, 100_000].map(payload).into();
    for format in FORMATS {
        let codec = codec(std::slice::from_ref(&key), "payments", format);
        let sealed = codec.encode(payloads.clone()).await.expect("sealed");
        for (plain, sealed) in payloads.iter().zip(&sealed) {
            assert_ne!(plain.metadata, sealed.metadata);
            let name = sealed.metadata.get("kms-key").expect("a key's name");
            let name = String::from_utf8_lossy(name);
            assert!(key.uri().to_string().contains(&*name), "{name}");
        }
        // Another process, which has the key only.
        let reader = self::codec(&[bench.open("k").await], "payments", format);
        assert_eq!(
            reader.decode(sealed).await.expect("opened"),
            payloads,
            "{format:?}"
        );
    }
}

pub(crate) async fn another_namespace_is_refused(bench: &Bench) {
    let key = bench.made("k").await;
    let writer = codec(std::slice::from_ref(&key), "payments", Format::Envelope);
    let reader = codec(&[key], "orders", Format::Envelope);
    let sealed = writer.encode(vec![payload(10)]).await.expect("sealed");
    assert!(reader.decode(sealed.clone()).await.is_err());
    assert!(writer.decode(sealed).await.is_ok());
}

pub(crate) async fn a_second_recipient_opens_while_the_first_is_away(bench: &Bench) {
    let second = bench.made("second").await;
    bench.made("first").await;
    let first = async || {
        let metrics = Arc::new(KmsMetrics::default());
        bench
            .surrounded("first", &CallPolicy::once(), &metrics)
            .await
    };
    let writer = codec(
        &[first().await, second.clone()],
        "payments",
        Format::Envelope,
    );
    let sealed = writer.encode(vec![payload(10)]).await.expect("sealed");
    // Both are at one service; the first call is that of the first recipient.
    bench.trouble(Trouble::Dead, 1);
    let reader = codec(&[first().await, second], "payments", Format::Envelope);
    assert_eq!(reader.decode(sealed).await.expect("opened"), [payload(10)]);
}

fn codec(keys: &[Arc<dyn KeyProvider>], namespace: &str, format: Format) -> Codec {
    let namespace = Namespace::new(namespace).expect("a namespace");
    let builder = keys.iter().fold(Codec::builder(namespace), |builder, key| {
        builder.encrypt_with(key.clone())
    });
    builder.format(format).build().expect("a codec")
}

fn payload(len: usize) -> Payload {
    Payload {
        data: vec![b'x'; len],
        ..Payload::default()
    }
}
