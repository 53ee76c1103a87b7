//! Payloads through the codec with keys at the emulator.

use temporal_kms_codec::{
    Format, Payload,
    kms::{KeySpec, Protection},
};

use crate::common::{Cloud, codec};

/// What protobuf adds around the data of a payload without metadata, from 16 KiB to 2 MiB.
const FRAME: usize = 4;
const LIMIT: usize = 64 * 1024;

fn payload(len: usize) -> Payload {
    Payload {
        data: vec![b'x'; len],
        ..Payload::default()
    }
}

#[tokio::test]
async fn direct_mode_up_to_exactly_64_kib_and_an_envelope_above() {
    let cloud = Cloud::start().await;
    let codec = codec(cloud.key("k").await, Format::Direct);
    for (len, encoding) in [
        (0, "binary/gcp-kms"),
        (LIMIT - FRAME, "binary/gcp-kms"),
        (LIMIT - FRAME + 1, "binary/envelope-kms"),
    ] {
        let sealed = codec.encode(vec![payload(len)]).await.unwrap();
        assert_eq!(sealed[0].metadata["encoding"], encoding.as_bytes(), "{len}");
        assert_eq!(codec.decode(sealed).await.unwrap(), [payload(len)]);
    }
    assert_eq!(codec.stats().direct_fallbacks, 1);
    let sealed = codec.encode(vec![payload(1)]).await.unwrap();
    assert_eq!(
        sealed[0].metadata["kms-key"],
        b"projects/p/locations/global/keyRings/temporal/cryptoKeys/k"
    );
}

#[tokio::test]
async fn direct_mode_in_an_hsm_falls_back_above_8_kib() {
    let cloud = Cloud::start().await;
    let spec = KeySpec::default().with_protection(Some(Protection::Hsm));
    cloud.create("hsm", spec).await;
    let codec = codec(cloud.open("hsm").await, Format::Direct);
    codec.ready().await.unwrap();
    let sealed = codec
        .encode(vec![payload(100), payload(20_000)])
        .await
        .unwrap();
    assert_eq!(sealed[0].metadata["encoding"], b"binary/gcp-kms");
    assert_eq!(sealed[1].metadata["encoding"], b"binary/envelope-kms");
    assert_eq!(
        codec.decode(sealed).await.unwrap(),
        [payload(100), payload(20_000)]
    );
}

#[tokio::test]
async fn envelopes_cost_one_call_each_way_and_one_that_verifies() {
    let cloud = Cloud::start().await;
    cloud.create("k", KeySpec::default()).await;
    for format in [Format::Envelope, Format::EnvelopeV1] {
        let before = cloud.emulator.calls().len();
        let writer = codec(cloud.open("k").await, format);
        let payloads: Vec<_> = (0..20).map(|len| payload(len * 10_000)).collect();
        let sealed = writer.encode(payloads.clone()).await.unwrap();
        let reader = codec(cloud.open("k").await, format);
        assert_eq!(reader.decode(sealed).await.unwrap(), payloads);
        assert_eq!(cloud.emulator.calls().len(), before + 3, "{format:?}");
    }
}

#[tokio::test]
async fn encoding_goes_on_while_the_service_is_away() {
    let cloud = Cloud::start().await;
    let codec = codec(cloud.key("k").await, Format::Envelope);
    let sealed = codec.encode(vec![payload(1)]).await.unwrap();
    cloud.misbehave("dead");
    assert!(codec.ready().await.unwrap_err().is_transient());
    codec.encode(vec![payload(2)]).await.unwrap();
    assert_eq!(codec.decode(sealed).await.unwrap(), [payload(1)]);
}

#[tokio::test]
async fn a_caller_who_may_only_encrypt_and_decrypt_is_ready() {
    let cloud = Cloud::start().await;
    let codec = codec(cloud.key("k").await, Format::Envelope);
    cloud.misbehave("deny@GetCryptoKey");
    codec.ready().await.unwrap();
    cloud.misbehave("deny");
    let error = codec.ready().await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
}
