//! Whole payloads through the codec.

use std::sync::Arc;

use temporal_kms::{CallPolicy, KeyProvider, KmsMetrics};
use temporal_kms_codec::{Codec, Error, Format, Namespace, Payload, PayloadError};

use crate::{
    Fault,
    suite::{Suite, formats},
};

/// Payloads of every size round-trip in every format, and name their key.
pub async fn payloads_in_every_format(suite: &Suite) {
    let key = suite.create("k").await;
    let payloads: Vec<_> = [0, 1, 1000, 100_000].map(payload).into();
    for format in formats(&*key) {
        let codec = codec(std::slice::from_ref(&key), "payments", format);
        let sealed = codec.encode(payloads.clone()).await.expect("sealed");
        for (plain, sealed) in payloads.iter().zip(&sealed) {
            assert_ne!(plain.metadata, sealed.metadata);
            let name = sealed.metadata.get("kms-key").expect("a key's name");
            let name = String::from_utf8_lossy(name);
            assert!(key.uri().to_string().contains(&*name), "{name}");
        }
        // Another process, which has only the key.
        let reader = self::codec(&[suite.open("k").await], "payments", format);
        assert_eq!(
            reader.decode(sealed).await.expect("opened"),
            payloads,
            "{format:?}"
        );
    }
}

/// A codec refuses payloads of another namespace.
pub async fn another_namespace_is_refused(suite: &Suite) {
    let key = suite.create("k").await;
    let writer = codec(std::slice::from_ref(&key), "payments", Format::Envelope);
    let reader = codec(&[key], "orders", Format::Envelope);
    let sealed = writer.encode(vec![payload(10)]).await.expect("sealed");
    let refused = reader.decode(sealed.clone()).await.expect_err("refused");
    assert!(
        matches!(
            refused,
            Error::Payload(PayloadError::ForeignNamespace { .. })
        ),
        "{refused:?}"
    );
    writer.decode(sealed).await.expect("opened");
}

/// A payload for two keys opens while the first key cannot be reached.
pub async fn a_second_recipient_opens_while_the_first_is_away(suite: &Suite) {
    let second = suite.create("second").await;
    suite.create("first").await;
    let first = async || {
        let metrics = Arc::new(KmsMetrics::default());
        suite
            .open_with("first", &CallPolicy::once(), &metrics)
            .await
    };
    let writer = codec(
        &[first().await, second.clone()],
        "payments",
        Format::Envelope,
    );
    let sealed = writer.encode(vec![payload(10)]).await.expect("sealed");
    // Both keys are at one service. The first call is for the first recipient.
    suite.inject(Fault::ConnectionLost, 1);
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
