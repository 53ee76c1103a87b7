//! A history as people see it who may decrypt.

use serde_json::Value;
use temporal_kms_codec::Codec;
use temporalio_common::{
    data_converters::{PayloadCodec, SerializationContextData, WorkflowSerializationContext},
    protos::temporal::api::{common::v1::Payload, history::v1::History},
};

/// The content of all payloads of a history, decrypted, a line for each.
pub(crate) async fn decoded(history: &History, codec: &Codec) -> String {
    let mut payloads = Vec::new();
    collect(&serde_json::to_value(history).unwrap(), &mut payloads);
    assert!(!payloads.is_empty(), "the history has no payload");
    let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
    let mut text = String::new();
    for payload in payloads {
        // The SDK writes some of them unencrypted.
        let shown = match PayloadCodec::decode(codec, &context, vec![payload.clone()]).await {
            Ok(decoded) => decoded.into_iter().next().unwrap(),
            Err(_) => payload,
        };
        text.push_str(&String::from_utf8_lossy(&shown.data));
        text.push('\n');
    }
    text
}

fn collect(value: &Value, found: &mut Vec<Payload>) {
    match value {
        Value::Object(fields) if fields.contains_key("metadata") && fields.contains_key("data") => {
            found.push(serde_json::from_value(value.clone()).unwrap());
        }
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}
