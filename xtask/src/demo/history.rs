//! The task's history, as Temporal stores it and as the codec server shows it.

use std::process::Command;

use anyhow::{Context, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::stage::Stage;

/// The history of a task twice, as the `temporal` command line shows it.
pub(super) struct History {
    stored: String,
    shown: String,
    fields: Vec<Field>,
}

/// One payload in a history.
pub(super) struct Field {
    /// The event and where in it.
    pub(super) place: String,
    /// As Temporal stores it.
    pub(super) stored: Payload,
    /// As the codec server shows it.
    pub(super) shown: Payload,
}

/// What a payload's JSON form holds.
pub(super) struct Payload {
    pub(super) encoding: String,
    pub(super) key: Option<String>,
    pub(super) data: Vec<u8>,
    /// The JSON form itself.
    pub(super) json: Value,
}

impl History {
    /// Asks Temporal once without and once with the codec server.
    pub(super) fn fetch(stage: &Stage, task: &str) -> anyhow::Result<Self> {
        let show = |endpoint: Option<&str>| {
            let mut command = stage.temporal().cli();
            command.args([
                "workflow",
                "show",
                "--workflow-id",
                task,
                "--output",
                "json",
            ]);
            command.arg("--no-json-shorthand-payloads");
            command.args(endpoint.map(|url| format!("--codec-endpoint={url}")));
            output(command)
        };
        let stored = show(None)?;
        let shown = show(Some(stage.codec()))?;
        let fields = pair(
            &serde_json::from_str(&stored)?,
            &serde_json::from_str(&shown)?,
        )?;
        Ok(Self {
            stored,
            shown,
            fields,
        })
    }

    /// The whole document without the codec server.
    pub(super) fn stored(&self) -> &str {
        &self.stored
    }

    /// The whole document with it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Every payload, in order.
    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The last event's name, such as `WorkflowExecutionCompleted`.
    pub(super) fn end(&self) -> anyhow::Result<String> {
        let document: Value = serde_json::from_str(&self.stored)?;
        let events = document.get("events").and_then(Value::as_array);
        events
            .and_then(|events| events.last())
            .map(event_name)
            .context("the history is empty")
    }
}

/// What `command` prints, if it succeeds.
pub(super) fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().context("cannot run temporal")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "temporal failed: {complaint}");
    Ok(String::from_utf8(output.stdout)?)
}

fn pair(stored: &Value, shown: &Value) -> anyhow::Result<Vec<Field>> {
    let events = |document: &Value| {
        let events = document.get("events").and_then(Value::as_array).cloned();
        events.context("temporal printed no events")
    };
    let mut fields = Vec::new();
    for (stored, shown) in events(stored)?.iter().zip(&events(shown)?) {
        if is_version_mark(stored) {
            continue;
        }
        collect(&event_name(stored), stored, shown, &mut fields);
    }
    Ok(fields)
}

/// Whether the event marks which version of the workflow's code ran. The core of the SDK writes the mark without the codec. It
/// holds the name of the version, and nothing of the task.
fn is_version_mark(event: &Value) -> bool {
    let name = event.pointer("/markerRecordedEventAttributes/markerName");
    name.and_then(Value::as_str) == Some("core_patch")
}

/// Walks two documents of equal structure down to their payloads.
fn collect(place: &str, stored: &Value, shown: &Value, fields: &mut Vec<Field>) {
    if let (Some(stored), Some(shown)) = (payload(stored), payload(shown)) {
        fields.push(Field {
            place: place.to_owned(),
            stored,
            shown,
        });
        return;
    }
    match (stored, shown) {
        (Value::Object(stored), Value::Object(shown)) => {
            // Temporal searches for the values of search attributes, so they are never encrypted.
            for (name, value) in stored
                .iter()
                .filter(|(name, _)| *name != "searchAttributes")
            {
                if let Some(other) = shown.get(name) {
                    collect(&below(place, name), value, other, fields);
                }
            }
        }
        (Value::Array(stored), Value::Array(shown)) => {
            for (value, other) in stored.iter().zip(shown) {
                collect(place, value, other, fields);
            }
        }
        _ => {}
    }
}

/// `WorkflowExecutionStarted input` rather than the whole path of the protobuf message.
fn below(place: &str, name: &str) -> String {
    let silent = name.ends_with("EventAttributes") || ["payloads", "fields"].contains(&name);
    if silent {
        return place.to_owned();
    }
    format!("{place} {name}")
}

fn payload(value: &Value) -> Option<Payload> {
    let payload = value.as_object()?;
    let metadata = payload.get("metadata")?.as_object()?;
    let text = |name: &str| String::from_utf8(bytes(metadata, name)?).ok();
    Some(Payload {
        encoding: text("encoding")?,
        key: text("kms-key"),
        data: bytes(payload, "data").unwrap_or_default(),
        json: value.clone(),
    })
}

fn bytes(object: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    STANDARD.decode(object.get(name)?.as_str()?).ok()
}

/// `EVENT_TYPE_WORKFLOW_EXECUTION_STARTED` as people write it.
fn event_name(event: &Value) -> String {
    let name = event
        .get("eventType")
        .and_then(Value::as_str)
        .unwrap_or("an event");
    let words = name.trim_start_matches("EVENT_TYPE_").split('_');
    words
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_owned() + &rest.to_lowercase()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn payloads_are_paired_wherever_they_stand() {
        let document = |encoding: &str, data: &str| {
            let payload = json!({
                "metadata": { "encoding": STANDARD.encode(encoding) },
                "data": STANDARD.encode(data),
            });
            json!({ "events": [{
                "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
                "workflowExecutionStartedEventAttributes": {
                    "input": { "payloads": [payload] },
                    "memo": { "fields": { "note": payload } },
                },
            }]})
        };
        let stored = document("binary/envelope-kms", "\u{2}…");
        let fields = pair(&stored, &document("json/plain", "\"hello\"")).unwrap();
        let places: Vec<&str> = fields.iter().map(|field| field.place.as_str()).collect();
        assert_eq!(
            places,
            [
                "WorkflowExecutionStarted input",
                "WorkflowExecutionStarted memo note"
            ]
        );
        assert!(
            fields
                .iter()
                .all(|field| field.stored.encoding == "binary/envelope-kms")
        );
        assert!(fields.iter().all(|field| field.shown.data == b"\"hello\""));
    }
}
