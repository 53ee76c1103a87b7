//! Temporal's Python SDK and ours: one side asks the codec server, the other has the key.
#![allow(clippy::expect_used, reason = "a test")]

use integration_tests::{ParcelOffice, assert_absent, interop};
use prost::Message as _;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_with_a_remote_codec_talks_to_a_rust_worker() {
    let office = ParcelOffice::open("other").await;
    let content = "Käse from Python";
    let parcel = json!({
        "address": office.address(),
        "namespace": "other",
        "codec": office.codec_url(),
        "queue": office.queue(),
        "id": "from-python",
        "order": { "content": content, "rounds": 0, "fails": false },
        "memo": { "note": ParcelOffice::NOTE },
        "label": ParcelOffice::LABEL,
        "prefix": "it says: ",
    });
    let answer = interop::run("sdk.py", &parcel);
    let expected = json!({
        "labels": [format!("it says: {}", ParcelOffice::LABEL)],
        "result": format!("stamped, noted {content}; {}", ParcelOffice::LABEL),
        "memo": { "note": ParcelOffice::NOTE },
    });
    assert_eq!(answer, expected);

    let secrets = [content, ParcelOffice::NOTE, ParcelOffice::LABEL];
    let history = office
        .raw()
        .await
        .history("from-python", "")
        .await
        .encode_to_vec();
    assert_absent("the history", &history, &secrets);
}
