//! Google's own Python client: over the emulator's whole surface, and as the codec of a worker that knows nothing of
//! this project. `TKC_PYTHON` names a Python that has the packages of `tests/interop/requirements.txt`.
#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod common;

use std::sync::Arc;

use common::{Cloud, google, uri};
use serde_json::json;
use temporal_kms_codec::{Codec, Format, Namespace, Payload, kms::KeyProvider};
use temporal_kms_codec_proto::json::{payload_from_value, payload_to_value};

fn codec(key: Arc<dyn KeyProvider>, format: Format) -> Codec {
    Codec::builder(Namespace::new("default").unwrap())
        .encrypt_with(key)
        .format(format)
        .build()
        .unwrap()
}

fn payload() -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: "{\"prompt\":\"schön \u{1f600}\"}".into(),
        ..Payload::default()
    }
}

#[tokio::test]
async fn the_whole_surface() {
    let cloud = Cloud::start().await;
    google(json!({"operation": "walk", "endpoint": cloud.emulator.url()})).await;
    let walked = cloud.emulator.calls().len();
    assert!(walked > 60, "{walked}");
}

#[tokio::test]
async fn a_codec_on_googles_client_and_ours_read_each_other() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let request = |operation: &str, format: &str, payload: &Payload| {
        json!({
            "operation": operation,
            "endpoint": cloud.emulator.url(),
            "key": uri("k").resource(),
            "format": format,
            "payload": payload_to_value(payload),
        })
    };
    for (name, format) in [
        ("direct", Format::Direct),
        ("envelope-v1", Format::EnvelopeV1),
    ] {
        let codec = codec(key.clone(), format);
        let ours = codec.encode(vec![payload()]).await.unwrap();
        let read = google(request("decode", name, &ours[0])).await;
        assert_eq!(
            payload_from_value(&read).unwrap().unwrap(),
            payload(),
            "{name}"
        );

        let written = google(request("encode", name, &payload())).await;
        let theirs = payload_from_value(&written).unwrap().unwrap();
        let mut names = theirs.metadata.keys();
        assert!(
            names.all(|field| ours[0].metadata.contains_key(field)),
            "{name}"
        );
        assert_eq!(
            codec.decode(vec![theirs]).await.unwrap(),
            [payload()],
            "{name}"
        );
    }
}
