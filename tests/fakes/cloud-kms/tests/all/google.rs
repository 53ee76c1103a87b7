//! Google's own Python client: over the emulator's whole surface, and as the codec of a worker that knows nothing of
//! this project. `TKC_PYTHON` names a Python that has the packages of `tests/interop/requirements.txt`.

use serde_json::{Value, json};
use temporal_kms_codec::{Format, Payload};
use temporal_kms_codec_proto::json::{parse_payload, write_payload};

use crate::common::{Cloud, codec, google, uri};

fn payload() -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: "{\"prompt\":\"schön \u{1f600}\"}".into(),
        ..Payload::default()
    }
}

fn to_json(payload: &Payload) -> Value {
    serde_json::from_slice(&write_payload(payload)).unwrap()
}

fn from_json(value: &Value) -> Payload {
    parse_payload(value.to_string().as_bytes()).unwrap()
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
            "payload": to_json(payload),
        })
    };
    for (name, format) in [
        ("direct", Format::Direct),
        ("envelope-v1", Format::EnvelopeV1),
    ] {
        let codec = codec(key.clone(), format);
        let ours = codec.encode(vec![payload()]).await.unwrap();
        let read = google(request("decode", name, &ours[0])).await;
        assert_eq!(from_json(&read), payload(), "{name}");

        let written = google(request("encode", name, &payload())).await;
        let theirs = from_json(&written);
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
