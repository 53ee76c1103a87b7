//! A request on its way from the submission through the workflow to the activity.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use temporalio_common::{
    data_converters::{
        ErasedSerdePayloadConverter, PayloadConversionError, SerializationContext,
        TemporalDeserializable,
    },
    protos::temporal::api::common::v1::Payload,
};

use super::{
    error::RequestError,
    limits::{DEFAULT_TIMEOUT_MINUTES, MAX_MINUTES, MAX_REQUEST_BYTES},
    model::TaskRequest,
    rules::RequestRules,
};
use crate::task::{any_payload, id::TaskId, json_size, secret_json::wipe};

/// How many bytes the submission adds to a request: the task's id, and fields that the caller left out.
const ADDED_BYTES: usize = 8 * 1024;
/// The field with which the submission tells the worker which fields of the request are unknown. A caller cannot set it: in
/// a request it is an unknown field itself.
const UNKNOWN_FIELDS: &str = "unknownFields";
/// The field with which the submission tells the worker that a second credential was dropped. As above.
const DROPPED_TOKEN: &str = "droppedToken";

/// The workflow's input: a request that names its task. The submission and the activity check the request with
/// [`TaskInput::into_request`]. The workflow accepts any value and reads only what it needs. A replayed workflow must decide
/// as it did before, so this lets a later version change the rules while tasks run.
pub struct TaskInput(pub(super) Value);

impl TaskInput {
    /// The input of `task`, from a checked request. No other task accepts it.
    #[must_use]
    pub fn new(mut request: TaskRequest, task: &TaskId) -> Self {
        request.task_id = Some(task.clone());
        let unknown = std::mem::take(&mut request.unknown_fields);
        let has_dropped_token = request.has_dropped_token;
        // This cannot fail: every key is a string, and JSON can represent every number.
        let mut input = Self(serde_json::to_value(request).unwrap_or_default());
        if !unknown.is_empty() {
            input.set(UNKNOWN_FIELDS, &unknown);
        }
        if has_dropped_token {
            input.set(DROPPED_TOKEN, &true);
        }
        input
    }

    /// The request, checked with the rules of this worker.
    ///
    /// # Errors
    /// When the input is not a valid request.
    pub fn into_request(mut self, rules: RequestRules) -> Result<TaskRequest, RequestError> {
        if json_size::of_value(&self.0) > MAX_REQUEST_BYTES + ADDED_BYTES {
            let limit = MAX_REQUEST_BYTES;
            return Err(RequestError::TooLarge { limit });
        }
        let unknown = self.take(UNKNOWN_FIELDS);
        let has_dropped_token = self.take(DROPPED_TOKEN) == Some(Value::Bool(true));
        let value = std::mem::take(&mut self.0);
        let mut request = TaskRequest::from_value_with(value, rules)?;
        request.has_dropped_token |= has_dropped_token;
        for name in unknown.iter().filter_map(Value::as_array).flatten() {
            request.note_unknown(name.as_str().unwrap_or_default());
        }
        Ok(request)
    }

    /// The task that the request names.
    #[must_use]
    pub(crate) fn task_id(&self) -> Option<&str> {
        self.0.get("taskId")?.as_str()
    }

    /// How long the task may run. An unusable value counts as the nearest limit or the default.
    #[must_use]
    pub(crate) fn timeout(&self) -> Duration {
        let default = u64::from(DEFAULT_TIMEOUT_MINUTES);
        let minutes = self.0.get("timeoutMinutes").and_then(Value::as_u64);
        Duration::from_secs(60 * minutes.unwrap_or(default).clamp(1, MAX_MINUTES.into()))
    }

    /// The caller's metadata.
    pub(crate) fn metadata(&self) -> Option<Map<String, Value>> {
        self.0.get("metadata")?.as_object().cloned()
    }

    /// Where the end of the task is reported.
    pub(crate) fn callback_url(&self) -> Option<&str> {
        self.0.get("callbackUrl")?.as_str()
    }

    /// The repository of the task.
    pub(crate) fn repository(&self) -> Option<&str> {
        self.0.get("gitRepo")?.as_str()
    }

    /// Whether there is something to do after Claude Code succeeded.
    pub(crate) fn has_actions(&self) -> bool {
        self.0
            .get("postExecutionActions")
            .is_some_and(Value::is_object)
    }

    /// The request as JSON. Review every call: it holds secrets.
    pub(crate) fn value(&self) -> &Value {
        &self.0
    }

    /// The same input again. Review every call: it holds secrets.
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Sets a field that the caller cannot set.
    pub(crate) fn set(&mut self, field: &str, value: &impl Serialize) {
        if let (Some(fields), Ok(value)) = (self.0.as_object_mut(), serde_json::to_value(value)) {
            fields.insert(field.to_owned(), value);
        }
    }

    /// Removes a field that the caller cannot set.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.0.as_object_mut()?.remove(field)
    }

    /// An input as it arrives.
    #[cfg(test)]
    pub(crate) fn from_stored(value: Value) -> Self {
        Self(value)
    }

    /// Removes and returns the caller's metadata, which the activity does not need.
    pub(crate) fn take_metadata(&mut self) -> Option<Map<String, Value>> {
        match self.0.as_object_mut()?.remove("metadata")? {
            Value::Object(metadata) => Some(metadata),
            _ => None,
        }
    }
}

/// Shows nothing: the input holds the caller's secrets.
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

impl Serialize for TaskInput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A payload that is not one JSON value, or is nested too deeply, becomes an input that names no task, and the task fails at
/// once.
impl TemporalDeserializable for TaskInput {
    fn from_serde(
        converter: &dyn ErasedSerdePayloadConverter,
        context: &SerializationContext<'_>,
        payload: Payload,
    ) -> Result<Self, PayloadConversionError> {
        Ok(Self(any_payload::value(converter, context, payload)))
    }

    fn from_payloads(
        _: &SerializationContext<'_>,
        payloads: Vec<Payload>,
    ) -> Result<Self, PayloadConversionError> {
        any_payload::default_unless_single(&payloads).map(Self)
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
        assert!(full.into_request(RequestRules::default()).is_err());
    }

    #[test]
    fn unknown_fields_are_told_to_the_worker() {
        let request = json!({"prompt": "p", "anthropicApiKey": "k", "webSearch": true, "unknownFields": ["a"]});
        let request = TaskRequest::from_value(request).unwrap();
        let input = TaskInput::new(request, &"t".parse().unwrap());
        let request = input.into_request(RequestRules::default()).unwrap();
        assert_eq!(request.unknown_fields, ["`unknownFields`", "`webSearch`"]);
        let forged = input_of_fields("\u{1b}[2Jevil");
        let request = forged.into_request(RequestRules::default()).unwrap();
        assert_eq!(request.unknown_fields, ["(a name that cannot be shown)"]);
    }

    fn input_of_fields(name: &str) -> TaskInput {
        input(
            json!({"taskId": "t", "prompt": "p", "anthropicApiKey": "k", "unknownFields": [name]}),
        )
    }

    #[test]
    fn a_checked_request_names_its_task() {
        let request = json!({"prompt": "p", "anthropicApiKey": "k", "taskId": "other"});
        let request = TaskRequest::from_value(request).unwrap();
        let input = TaskInput::new(request, &"mine".parse().unwrap());
        assert_eq!(input.task_id(), Some("mine"));
        assert!(!format!("{input:?}").contains("mine"));
        assert_eq!(
            input
                .into_request(RequestRules::default())
                .unwrap()
                .task_id
                .unwrap()
                .as_str(),
            "mine"
        );
    }
}
