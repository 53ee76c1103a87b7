//! Names a workflow's queries, signals and updates to the Web UI.
//!
//! The Web UI asks for them by a query of its own. The SDK (1.1.1) answers it without the names, and the page of queries
//! shows "Loading…" forever. The names are added to the answer on its way to Temporal.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use parking_lot::Mutex;
use prost::Message as _;
use serde_json::{Map, Value, json};
use temporalio_client::callback_based::GrpcRequest;
use temporalio_common::{
    data_converters::DataConverter,
    protos::temporal::api::{
        common::v1::Payloads,
        workflowservice::v1::{
            PollWorkflowTaskQueueResponse, RespondQueryTaskCompletedRequest,
            RespondWorkflowTaskCompletedRequest,
        },
    },
};

use super::workflow_context;

/// The query by which the Web UI asks for a workflow's definition (`temporal.api.sdk.v1.WorkflowMetadata`).
const METADATA: &str = "__temporal_workflow_metadata";
/// The calls by which a worker answers: a query alone, and queries that came with a workflow task.
const QUERY_ANSWER: &str = "RespondQueryTaskCompleted";
const TASK_ANSWER: &str = "RespondWorkflowTaskCompleted";
/// Tasks that are remembered until the worker answers them. A worker that lost a task never does.
const MAX_ASKED: usize = 256;

/// What a workflow can be sent, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Interface {
    pub(super) queries: BTreeSet<String>,
    pub(super) signals: BTreeSet<String>,
    pub(super) updates: BTreeSet<String>,
}

impl Interface {
    /// A `WorkflowDefinition` as JSON.
    fn definition(&self, workflow: &str) -> Value {
        let named = |names: &BTreeSet<String>| -> Vec<Value> {
            names.iter().map(|name| json!({ "name": name })).collect()
        };
        json!({
            "type": workflow,
            "queryDefinitions": named(&self.queries),
            "signalDefinitions": named(&self.signals),
            "updateDefinitions": named(&self.updates),
        })
    }
}

/// The interfaces of a worker's workflows, by workflow type, and the tasks that ask for them.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    by_type: BTreeMap<String, Interface>,
    asked: Mutex<VecDeque<Asked>>,
}

/// A task with the Web UI's query.
#[derive(Debug)]
struct Asked {
    token: Vec<u8>,
    workflow: String,
    /// The ids of the query, where it came with a workflow task.
    ids: Vec<String>,
}

impl Interfaces {
    pub(super) fn new(by_type: BTreeMap<String, Interface>) -> Self {
        Self {
            by_type,
            asked: Mutex::default(),
        }
    }

    /// Remembers a task whose answer needs the names.
    pub(super) fn note(&self, task: &PollWorkflowTaskQueueResponse) {
        let is_alone = task
            .query
            .as_ref()
            .is_some_and(|query| query.query_type == METADATA);
        let asking = task
            .queries
            .iter()
            .filter(|(_, query)| query.query_type == METADATA);
        let ids: Vec<String> = asking.map(|(id, _)| id.clone()).collect();
        let workflow = task.workflow_type.as_ref().map_or("", |kind| &kind.name);
        if !self.by_type.contains_key(workflow) || (!is_alone && ids.is_empty()) {
            return;
        }
        let mut asked = self.asked.lock();
        if asked.len() == MAX_ASKED {
            asked.pop_front();
        }
        asked.push_back(Asked {
            token: task.task_token.clone(),
            workflow: workflow.to_owned(),
            ids,
        });
    }

    /// A call of the worker, with the names if it answers such a task.
    pub(super) async fn complete(
        &self,
        mut call: GrpcRequest,
        converter: &DataConverter,
    ) -> GrpcRequest {
        if self.asked.lock().is_empty() {
            return call;
        }
        if call.rpc == QUERY_ANSWER
            && let Ok(mut answer) = RespondQueryTaskCompletedRequest::decode(call.proto.clone())
            && let Some(asked) = self.take(&answer.task_token)
            && let Some(result) = &mut answer.query_result
        {
            self.add_names(result, &asked, converter).await;
            call.proto = answer.encode_to_vec().into();
        } else if call.rpc == TASK_ANSWER
            && let Ok(mut answer) = RespondWorkflowTaskCompletedRequest::decode(call.proto.clone())
            && let Some(asked) = self.take(&answer.task_token)
        {
            for id in &asked.ids {
                let result = answer.query_results.get_mut(id);
                if let Some(result) = result.and_then(|result| result.answer.as_mut()) {
                    self.add_names(result, &asked, converter).await;
                }
            }
            call.proto = answer.encode_to_vec().into();
        }
        call
    }

    fn take(&self, token: &[u8]) -> Option<Asked> {
        let mut asked = self.asked.lock();
        let index = asked.iter().position(|asked| asked.token == token)?;
        asked.remove(index)
    }

    /// An answer that cannot be completed stays as it is.
    async fn add_names(&self, result: &mut Payloads, asked: &Asked, converter: &DataConverter) {
        let Some(named) = self.with_names(result.clone(), asked, converter).await else {
            let workflow_type = &asked.workflow;
            return tracing::debug!(
                workflow_type,
                "the Web UI does not get the names of queries"
            );
        };
        *result = named;
    }

    async fn with_names(
        &self,
        result: Payloads,
        asked: &Asked,
        converter: &DataConverter,
    ) -> Option<Payloads> {
        let interface = self.by_type.get(&asked.workflow)?;
        let (codec, context) = (converter.codec(), workflow_context());
        let mut payloads = codec.decode(&context, result.payloads).await.ok()?;
        let payload = payloads.first_mut()?;
        let mut metadata: Map<String, Value> = serde_json::from_slice(&payload.data).ok()?;
        // A later SDK may name them itself.
        metadata
            .entry("definition")
            .or_insert_with(|| interface.definition(&asked.workflow));
        payload.data = serde_json::to_vec(&metadata).ok()?;
        let payloads = codec.encode(&context, payloads).await.ok()?;
        Some(Payloads { payloads })
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::{
        common::v1::{Payload, WorkflowType},
        query::v1::{WorkflowQuery, WorkflowQueryResult},
    };

    use super::*;

    fn interfaces() -> Interfaces {
        let interface = Interface {
            queries: ["state".to_owned()].into(),
            ..Interface::default()
        };
        Interfaces::new([("Parcel".to_owned(), interface)].into())
    }

    fn query(name: &str) -> WorkflowQuery {
        WorkflowQuery {
            query_type: name.to_owned(),
            ..WorkflowQuery::default()
        }
    }

    fn task(token: &[u8], query_type: &str) -> PollWorkflowTaskQueueResponse {
        PollWorkflowTaskQueueResponse {
            task_token: token.to_vec(),
            workflow_type: Some(WorkflowType {
                name: "Parcel".to_owned(),
            }),
            query: Some(query(query_type)),
            ..PollWorkflowTaskQueueResponse::default()
        }
    }

    fn result(data: &str) -> Payloads {
        let payload = Payload {
            data: data.as_bytes().to_vec(),
            ..Payload::default()
        };
        Payloads {
            payloads: vec![payload],
        }
    }

    fn call(rpc: &str, message: &impl prost::Message) -> GrpcRequest {
        GrpcRequest {
            service: super::super::rpc::WORKFLOW_SERVICE.to_owned(),
            rpc: rpc.to_owned(),
            headers: http::HeaderMap::new(),
            proto: message.encode_to_vec().into(),
        }
    }

    fn text(result: &Payloads) -> &str {
        std::str::from_utf8(&result.payloads[0].data).unwrap()
    }

    /// What Temporal gets where the worker answers the query of `token` with `data`.
    async fn answered(interfaces: &Interfaces, token: &[u8], data: &str) -> String {
        let answer = RespondQueryTaskCompletedRequest {
            task_token: token.to_vec(),
            query_result: Some(result(data)),
            ..RespondQueryTaskCompletedRequest::default()
        };
        let converter = DataConverter::default();
        let sent = interfaces.complete(call(QUERY_ANSWER, &answer), &converter);
        let sent = RespondQueryTaskCompletedRequest::decode(sent.await.proto).unwrap();
        text(&sent.query_result.unwrap()).to_owned()
    }

    #[tokio::test]
    async fn the_names_are_added_once_and_details_stay() {
        let interfaces = interfaces();
        interfaces.note(&task(b"a", METADATA));
        interfaces.note(&task(b"b", "state"));
        let details = r#"{"currentDetails":"half way"}"#;
        assert_eq!(answered(&interfaces, b"b", details).await, details);
        let named: Value =
            serde_json::from_str(&answered(&interfaces, b"a", details).await).unwrap();
        assert_eq!(named["currentDetails"], "half way");
        let queries = &named["definition"]["queryDefinitions"];
        assert_eq!(*queries, json!([{ "name": "state" }]));
        assert_eq!(answered(&interfaces, b"a", details).await, details);
    }

    #[tokio::test]
    async fn an_answer_of_another_form_stays_as_it_is() {
        let interfaces = interfaces();
        for odd in ["", "[]", "7", r#"{"definition":{}}"#] {
            interfaces.note(&task(b"a", METADATA));
            assert_eq!(answered(&interfaces, b"a", odd).await, odd);
        }
    }

    #[tokio::test]
    async fn a_query_that_came_with_a_workflow_task_gets_the_names_too() {
        let interfaces = interfaces();
        let mut asking = task(b"a", METADATA);
        asking.query = None;
        let asked = [("1", query(METADATA)), ("2", query("state"))];
        asking.queries = asked.map(|(id, query)| (id.to_owned(), query)).into();
        interfaces.note(&asking);
        let answer = WorkflowQueryResult {
            answer: Some(result("{}")),
            ..WorkflowQueryResult::default()
        };
        let done = RespondWorkflowTaskCompletedRequest {
            task_token: b"a".to_vec(),
            query_results: ["1", "2"].map(|id| (id.to_owned(), answer.clone())).into(),
            ..RespondWorkflowTaskCompletedRequest::default()
        };
        let converter = DataConverter::default();
        let sent = interfaces.complete(call(TASK_ANSWER, &done), &converter);
        let sent = RespondWorkflowTaskCompletedRequest::decode(sent.await.proto).unwrap();
        let answer = |id: &str| text(sent.query_results[id].answer.as_ref().unwrap());
        assert!(answer("1").contains("queryDefinitions"), "{}", answer("1"));
        assert_eq!(answer("2"), "{}");
    }

    #[test]
    fn tasks_that_are_never_answered_are_forgotten() {
        let interfaces = interfaces();
        for number in 0..=MAX_ASKED {
            interfaces.note(&task(&number.to_be_bytes(), METADATA));
        }
        assert_eq!(interfaces.asked.lock().len(), MAX_ASKED);
        assert!(interfaces.take(&0_usize.to_be_bytes()).is_none());
    }
}
