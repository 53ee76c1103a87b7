//! Names a workflow's queries, signals and updates to the Web UI.
//!
//! The Web UI asks for them by a query of its own. The SDK (1.1.1) answers it without the names, and the page of queries
//! shows "Loading…" forever. The names are added to the answer on its way to Temporal.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

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
            RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskFailedRequest,
        },
    },
};
use tokio::time::{Instant, timeout_at};

use super::workflow_context;

/// The query by which the Web UI asks for a workflow's definition (`temporal.api.sdk.v1.WorkflowMetadata`).
const METADATA: &str = "__temporal_workflow_metadata";
/// The calls by which a worker answers: a query alone, and queries that came with a workflow task.
const QUERY_ANSWER: &str = "RespondQueryTaskCompleted";
const TASK_ANSWER: &str = "RespondWorkflowTaskCompleted";
/// The call by which a worker gives a workflow task up.
const TASK_FAILURE: &str = "RespondWorkflowTaskFailed";
/// Tasks that are remembered until Temporal has their answers, and for how long. A worker that lost a task never answers.
const MAX_REQUESTS: usize = 256;
const REQUEST_TIME: Duration = Duration::from_mins(1);
/// How long one answer may wait for its names. A workflow task must not fail because a key service is slow.
const NAMING_TIME: Duration = Duration::from_secs(1);

/// What a workflow can be sent, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Definition {
    pub(super) queries: BTreeSet<String>,
    pub(super) signals: BTreeSet<String>,
    pub(super) updates: BTreeSet<String>,
}

impl Definition {
    /// A `WorkflowDefinition` as JSON.
    fn to_json(&self, workflow: &str) -> Value {
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

/// The definitions of a worker's workflows, by workflow type, and the tasks that ask for them.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    by_type: BTreeMap<String, Definition>,
    requests: Mutex<VecDeque<NamesRequest>>,
}

/// A task with the Web UI's query.
#[derive(Clone, Debug)]
struct NamesRequest {
    token: Vec<u8>,
    since: Instant,
    workflow: String,
    /// The ids of the query, where it came with a workflow task.
    ids: Vec<String>,
}

/// A call that ends a task.
enum Message {
    Query(Box<RespondQueryTaskCompletedRequest>),
    Task(Box<RespondWorkflowTaskCompletedRequest>),
    Failure,
}

impl Definitions {
    pub(super) fn new(by_type: BTreeMap<String, Definition>) -> Self {
        Self {
            by_type,
            requests: Mutex::default(),
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
        let mut requests = self.requests.lock();
        if requests.len() == MAX_REQUESTS {
            requests.pop_front();
        }
        requests.push_back(NamesRequest {
            token: task.task_token.clone(),
            since: Instant::now(),
            workflow: workflow.to_owned(),
            ids,
        });
    }

    /// A call of the worker, with the names if it answers such a task. The second value is the token of the task that the
    /// call ends: [`forget`](Self::forget) it once Temporal has the call. Until then the SDK may repeat the call.
    pub(super) async fn complete(
        &self,
        mut call: GrpcRequest,
        converter: &DataConverter,
    ) -> (GrpcRequest, Option<Vec<u8>>) {
        if !self.awaits_answers() {
            return (call, None);
        }
        let Some((message, request)) = self.message(&call) else {
            return (call, None);
        };
        let until = Instant::now() + NAMING_TIME;
        match message {
            Message::Query(mut answer) => {
                if let Some(result) = &mut answer.query_result {
                    self.add_names(result, &request, converter, until).await;
                }
                call.proto = answer.encode_to_vec().into();
            }
            Message::Task(mut answer) => {
                for id in &request.ids {
                    let result = answer.query_results.get_mut(id);
                    if let Some(result) = result.and_then(|result| result.answer.as_mut()) {
                        self.add_names(result, &request, converter, until).await;
                    }
                }
                call.proto = answer.encode_to_vec().into();
            }
            Message::Failure => {}
        }
        (call, Some(request.token))
    }

    /// Temporal has the answer of a task.
    pub(super) fn forget(&self, token: &[u8]) {
        self.requests
            .lock()
            .retain(|request| request.token != token);
    }

    /// Whether a task waits for its answer. Tasks that waited too long are forgotten.
    fn awaits_answers(&self) -> bool {
        let mut requests = self.requests.lock();
        while requests
            .front()
            .is_some_and(|request| request.since.elapsed() >= REQUEST_TIME)
        {
            requests.pop_front();
        }
        !requests.is_empty()
    }

    /// What a call says, and the task that it is for. `None` if it ends no task that needs the names.
    fn message(&self, call: &GrpcRequest) -> Option<(Message, NamesRequest)> {
        let proto = call.proto.clone();
        match call.rpc.as_str() {
            QUERY_ANSWER => {
                let answer = RespondQueryTaskCompletedRequest::decode(proto).ok()?;
                let request = self.request(&answer.task_token)?;
                Some((Message::Query(Box::new(answer)), request))
            }
            TASK_ANSWER => {
                let answer = RespondWorkflowTaskCompletedRequest::decode(proto).ok()?;
                let request = self.request(&answer.task_token)?;
                Some((Message::Task(Box::new(answer)), request))
            }
            TASK_FAILURE => {
                let failure = RespondWorkflowTaskFailedRequest::decode(proto).ok()?;
                Some((Message::Failure, self.request(&failure.task_token)?))
            }
            _ => None,
        }
    }

    fn request(&self, token: &[u8]) -> Option<NamesRequest> {
        let requests = self.requests.lock();
        requests
            .iter()
            .find(|request| request.token == token)
            .cloned()
    }

    /// An answer that cannot be completed in time stays as it is.
    async fn add_names(
        &self,
        result: &mut Payloads,
        request: &NamesRequest,
        converter: &DataConverter,
        until: Instant,
    ) {
        let named = timeout_at(until, self.with_names(result.clone(), request, converter)).await;
        let Ok(Some(named)) = named else {
            let workflow_type = &request.workflow;
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
        request: &NamesRequest,
        converter: &DataConverter,
    ) -> Option<Payloads> {
        let definition = self.by_type.get(&request.workflow)?;
        let (codec, context) = (converter.codec(), workflow_context());
        let mut payloads = codec.decode(&context, result.payloads).await.ok()?;
        let payload = payloads.first_mut()?;
        let mut metadata: Map<String, Value> = serde_json::from_slice(&payload.data).ok()?;
        // A later SDK may name them itself.
        metadata
            .entry("definition")
            .or_insert_with(|| definition.to_json(&request.workflow));
        payload.data = serde_json::to_vec(&metadata).ok()?;
        let payloads = codec.encode(&context, payloads).await.ok()?;
        Some(Payloads { payloads })
    }
}

#[cfg(test)]
mod tests;
