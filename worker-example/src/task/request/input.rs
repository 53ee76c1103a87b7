//! A request as it travels from the submission through the workflow to the activity.

use super::{
    MAX_REQUEST_BYTES, RequestError, TaskRequest, default_timeout_minutes, validate::MAX_MINUTES,
};
use crate::task_id::TaskId;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::{fmt, io, time::Duration};
use temporalio_common::{
    data_converters::{
        ErasedSerdePayloadConverter, PayloadConversionError, SerializationContext,
        TemporalDeserializable,
    },
    protos::temporal::api::common::v1::Payload,
};
use zeroize::Zeroize as _;

/// What the submission adds to a request: the task's id, and fields that the caller left out.
const ADDED_BYTES: usize = 1024;

/// A request in transit. The submission and the activity check it by [`TaskInput::into_request`]. The workflow reads only
/// what it needs and accepts any value, so that a later version can change the rules while tasks run: a replayed workflow
/// must decide as before.
pub struct TaskInput(Value);

impl TaskInput {
    /// A checked request, for this task and no other.
    #[must_use]
    pub fn new(mut request: TaskRequest, task: &TaskId) -> Self {
        request.task_id = Some(task.clone());
        // It cannot fail: every key is a string and no number is unusual.
        Self(serde_json::to_value(request).unwrap_or_default())
    }

    /// The request.
    ///
    /// # Errors
    /// When what arrived is not a valid request.
    pub fn into_request(mut self) -> Result<TaskRequest, RequestError> {
        if json_bytes(&self.0) > MAX_REQUEST_BYTES + ADDED_BYTES {
            let limit = MAX_REQUEST_BYTES;
            return Err(RequestError::TooLarge { limit });
        }
        TaskRequest::from_value(std::mem::take(&mut self.0))
    }

    /// The task that the request names, if it names one.
    #[must_use]
    pub(crate) fn task_id(&self) -> Option<&str> {
        self.0.get("taskId")?.as_str()
    }

    /// How long the task may run, within bounds whatever the request says.
    #[must_use]
    pub(crate) fn timeout(&self) -> Duration {
        let default = u64::from(default_timeout_minutes());
        let minutes = self.0.get("timeoutMinutes").and_then(Value::as_u64);
        Duration::from_secs(60 * minutes.unwrap_or(default).clamp(1, MAX_MINUTES.into()))
    }

    /// Takes the caller's metadata out. The activity does not need it.
    pub(crate) fn take_metadata(&mut self) -> Option<Map<String, Value>> {
        match self.0.as_object_mut()?.remove("metadata")? {
            Value::Object(metadata) => Some(metadata),
            _ => None,
        }
    }
}

/// Nothing of it: it holds the caller's secrets.
impl fmt::Debug for TaskInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskInput(…)")
    }
}

impl Drop for TaskInput {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Counted, not kept: it holds secrets.
fn json_bytes(value: &Value) -> usize {
    struct Counted(usize);
    impl io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    // It cannot fail: the writer takes everything.
    let _ = serde_json::to_writer(&mut counted, value);
    counted.0
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Serialize for TaskInput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Anything can be read. What is not JSON, or is nested too deeply, or is not one value, is an input that names no task: the
/// task fails at once. An error here would fail the workflow task instead, which Temporal repeats for ever.
impl TemporalDeserializable for TaskInput {
    fn from_serde(
        converter: &dyn ErasedSerdePayloadConverter,
        context: &SerializationContext<'_>,
        payload: Payload,
    ) -> Result<Self, PayloadConversionError> {
        Ok(Self(
            Value::from_serde(converter, context, payload).unwrap_or_default(),
        ))
    }

    fn from_payloads(
        _: &SerializationContext<'_>,
        payloads: Vec<Payload>,
    ) -> Result<Self, PayloadConversionError> {
        if payloads.len() == 1 {
            // The converter goes on to `from_serde`.
            return Err(PayloadConversionError::WrongEncoding);
        }
        Ok(Self(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use temporalio_common::data_converters::{
        GenericPayloadConverter as _, PayloadConverter, SerializationContextData,
        WorkflowSerializationContext,
    };

    fn input(value: Value) -> TaskInput {
        TaskInput(value)
    }

    fn arrived(payloads: Vec<Payload>) -> TaskInput {
        let converter = PayloadConverter::default();
        let data = SerializationContextData::Workflow(WorkflowSerializationContext::new());
        converter
            .from_payloads(&SerializationContext::new(&data, &converter), payloads)
            .unwrap()
    }

    fn payload(encoding: &str, data: &str) -> Payload {
        Payload {
            metadata: [("encoding".to_owned(), encoding.into())].into(),
            data: data.into(),
            ..Payload::default()
        }
    }

    #[test]
    fn every_input_can_be_read() {
        let json = |data: &str| payload("json/plain", data);
        let good = arrived(vec![json(r#"{"taskId":"t"}"#)]);
        assert_eq!(good.task_id(), Some("t"));
        let deep = "[".repeat(200) + &"]".repeat(200);
        for payloads in [
            vec![],
            vec![json("{}"), json("{}")],
            vec![json("{")],
            vec![json(&deep)],
            vec![json(&format!(r#"{{"taskId":"t","metadata":{deep}}}"#))],
            vec![payload("binary/plain", "{}")],
            vec![payload("binary/null", "")],
            vec![Payload::default()],
        ] {
            let shown = format!("{payloads:?}");
            assert_eq!(arrived(payloads).task_id(), None, "{shown}");
        }
    }

    #[test]
    fn the_workflow_reads_any_value() {
        for (value, minutes) in [
            (json!({}), 55),
            (json!({"timeoutMinutes": 3}), 3),
            (json!({"timeoutMinutes": 0}), 1),
            (json!({"timeoutMinutes": u64::MAX}), 1440),
            (json!({"timeoutMinutes": -1.5}), 55),
            (json!([1, null]), 55),
            (json!("text"), 55),
        ] {
            let mut input = input(value);
            assert_eq!(
                input.timeout(),
                Duration::from_mins(minutes),
                "{:?}",
                input.0
            );
            assert_eq!(input.task_id(), None);
            assert_eq!(input.take_metadata(), None);
        }
        let mut full = input(json!({"taskId": "t", "metadata": {"a": 1}, "unknown": true}));
        assert_eq!(full.task_id(), Some("t"));
        assert_eq!(full.take_metadata().unwrap()["a"], 1);
        assert_eq!(full.0, json!({"taskId": "t", "unknown": true}));
        assert!(full.into_request().is_err());
    }

    #[test]
    fn a_checked_request_names_its_task() {
        let request = json!({"prompt": "p", "anthropicApiKey": "k", "taskId": "other"});
        let request = TaskRequest::from_value(request).unwrap();
        let input = TaskInput::new(request, &"mine".parse().unwrap());
        assert_eq!(input.task_id(), Some("mine"));
        assert!(!format!("{input:?}").contains("mine"));
        assert_eq!(
            input.into_request().unwrap().task_id.unwrap().as_str(),
            "mine"
        );
    }
}
