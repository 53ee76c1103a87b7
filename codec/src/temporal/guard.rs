//! Keeps from a worker the queries that would end its process, and completes answers for the Web UI.

mod definition;
mod history;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use prost::Message as _;
use temporalio_client::{
    Client, Connection, ConnectionOptions, Url,
    callback_based::{CallbackBasedGrpcService, GrpcRequest, GrpcSuccessResponse},
    errors::ClientConnectError,
    tonic::{Request, Status},
};
use temporalio_common::{
    QueryDefinition, SignalDefinition, UpdateDefinition, WorkflowDefinition,
    data_converters::{
        DataConverter, GenericPayloadConverter as _, PayloadConverter, SerializationContext,
        SerializationContextData, TemporalDeserializable, WorkflowSerializationContext,
    },
    payload_visitor::decode_payloads,
    protos::temporal::api::{
        common::v1::Payload,
        enums::v1::QueryResultType,
        failure::v1::Failure,
        history::v1::{History, HistoryEvent, history_event::Attributes},
        workflowservice::v1::{PollWorkflowTaskQueueResponse, RespondQueryTaskCompletedRequest},
    },
};

use self::definition::{Definition, Definitions};
use super::rpc;

/// The call by which a worker gets workflow tasks and queries.
const POLL: &str = "PollWorkflowTaskQueue";
/// The name of the markers of `patched`.
const PATCH_MARKER: &str = "core_patch";
/// How long the check of a query may take. Temporal gives up a query after 10 s by default.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Nothing connects to it: the guard makes every call at the connection that it was given.
const UNUSED_ADDRESS: &str = "http://guarded.invalid";

/// Makes a worker of the SDK survive queries on workflows that it cannot load.
///
/// The SDK (1.1.1) loads a workflow from its history to answer a query. Where it cannot, because a payload does not
/// decode, the workflow's type is not registered, or its input has another type, `Worker::run` fails with "Got activation
/// … for unknown workflow", and every task of the process is lost. One query on a closed workflow whose key is gone is
/// enough, and the Web UI sends queries by itself.
///
/// The guard sits between the worker and Temporal. Before a query reaches the worker, it checks that the workflow can be
/// loaded. If not, it answers the query with the reason. It changes no other task: a workflow task that cannot be decoded
/// fails, and Temporal repeats it until it can.
///
/// A check reads the history up to the second workflow task. It reads at most 32 pages and 16 MiB, and takes at most 10 s.
/// A query on a workflow with a longer beginning is refused, so that one query cannot fill the worker's memory.
///
/// The Web UI offers a workflow's queries, signals and updates by name. The SDK (1.1.1) does not tell it the names, so its
/// page of queries shows "Loading…". The guard adds those that it was given to the SDK's answer, which stays encrypted.
///
/// ```no_run
/// # use temporalio_client::Client;
/// # use temporalio_common::WorkflowDefinition;
/// # async fn guarded<W: WorkflowDefinition>(client: Client, run: W) -> Result<(), Box<dyn std::error::Error>> {
/// use temporal_kms_codec::WorkerGuard;
///
/// // `client` has the codec's data converter. `run` is `MyWorkflow::run`, for each workflow that the worker registers.
/// // `.query(MyWorkflow::run, MyWorkflow::state)` names a query to the Web UI.
/// let client = WorkerGuard::new().workflow(run).client(client).await?;
/// // let worker = Worker::new(&runtime, client, options)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct WorkerGuard {
    inputs: BTreeMap<String, InputCheck>,
    definitions: BTreeMap<String, Definition>,
}

/// Removes the details of a patch marker. The core of the SDK writes and reads them itself, without the codec.
fn forget_patch(event: &mut HistoryEvent) {
    if let Some(Attributes::MarkerRecordedEventAttributes(marker)) = &mut event.attributes
        && marker.marker_name == PATCH_MARKER
    {
        marker.details.clear();
    }
}

/// Whether payloads are a workflow's input.
type InputCheck = fn(&PayloadConverter, Vec<Payload>) -> bool;

#[expect(
    clippy::needless_pass_by_value,
    reason = "a workflow is a name, such as `MyWorkflow::run`, and the SDK takes it by value, too"
)]
impl WorkerGuard {
    /// A guard of a worker without workflows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a workflow that the worker registers, such as `MyWorkflow::run`. Queries on other types are refused.
    #[must_use]
    pub fn workflow<W: WorkflowDefinition>(mut self, workflow: W) -> Self {
        let name = workflow.name().to_owned();
        self.inputs.insert(name, is_input::<W::Input>);
        self
    }

    /// Names a query to the Web UI, such as `.query(MyWorkflow::run, MyWorkflow::state)`.
    #[must_use]
    pub fn query<W, Q>(mut self, workflow: W, query: Q) -> Self
    where
        W: WorkflowDefinition,
        Q: QueryDefinition<Workflow = W>,
    {
        let names = &mut self.definition(&workflow).queries;
        names.insert(query.name().to_owned());
        self
    }

    /// Names a signal to the Web UI, as [`query`](Self::query) does.
    #[must_use]
    pub fn signal<W, S>(mut self, workflow: W, signal: S) -> Self
    where
        W: WorkflowDefinition,
        S: SignalDefinition<Workflow = W>,
    {
        let names = &mut self.definition(&workflow).signals;
        names.insert(signal.name().to_owned());
        self
    }

    /// Names an update to the Web UI, as [`query`](Self::query) does.
    #[must_use]
    pub fn update<W, U>(mut self, workflow: W, update: U) -> Self
    where
        W: WorkflowDefinition,
        U: UpdateDefinition<Workflow = W>,
    {
        let names = &mut self.definition(&workflow).updates;
        names.insert(update.name().to_owned());
        self
    }

    fn definition(&mut self, workflow: &impl WorkflowDefinition) -> &mut Definition {
        let name = workflow.name().to_owned();
        self.definitions.entry(name).or_default()
    }

    /// The client for the worker: as `client`, but guarded. It serves calls of the workflow service, which are all that a
    /// worker makes.
    ///
    /// # Errors
    /// When Temporal does not answer.
    pub async fn client(self, client: Client) -> Result<Client, ClientConnectError> {
        let connection = client.connection().clone();
        let identity = connection.identity().to_owned();
        let guarding = Arc::new(Guarding {
            inputs: self.inputs,
            definitions: Definitions::new(self.definitions),
            connection,
            namespace: client.options().namespace.clone(),
            converter: client.options().data_converter.clone(),
        });
        let callback = move |request| {
            let guarding = Arc::clone(&guarding);
            Box::pin(async move { guarding.answer(request).await }) as _
        };
        let address = Url::parse(UNUSED_ADDRESS)
            .map_err(|error| ClientConnectError::InvalidConfig(error.to_string()))?;
        let options = ConnectionOptions::new(address)
            .identity(identity)
            .dns_load_balancing(None)
            .service_override(CallbackBasedGrpcService {
                callback: Arc::new(callback),
            })
            .build();
        let mut guarded = client;
        *guarded.connection_mut() = Connection::connect(options).await?;
        Ok(guarded)
    }
}

impl fmt::Debug for WorkerGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerGuard")
            .field("workflows", &self.inputs.keys())
            .field("definitions", &self.definitions)
            .finish()
    }
}

fn is_input<T: TemporalDeserializable + 'static>(
    converter: &PayloadConverter,
    payloads: Vec<Payload>,
) -> bool {
    let data = workflow_context();
    let context = SerializationContext::new(&data, converter);
    converter.from_payloads::<T>(&context, payloads).is_ok()
}

fn workflow_context() -> SerializationContextData {
    SerializationContextData::Workflow(WorkflowSerializationContext::new())
}

struct Guarding {
    inputs: BTreeMap<String, InputCheck>,
    definitions: Definitions,
    connection: Connection,
    namespace: String,
    converter: DataConverter,
}

impl Guarding {
    async fn answer(&self, request: GrpcRequest) -> Result<GrpcSuccessResponse, Status> {
        let is_poll = request.rpc == POLL;
        let (request, ended) = self.definitions.complete(request, &self.converter).await;
        let mut answer = rpc::forward(&self.connection, request).await?;
        if let Some(token) = ended {
            self.definitions.forget(&token);
        }
        if is_poll {
            let task = PollWorkflowTaskQueueResponse::decode(&*answer.proto)
                .map_err(|_| Status::internal("the workflow task is not a valid message"))?;
            if task.query.is_some()
                && let Err(reason) = self.check_in_time(&task).await
            {
                self.refuse(task, reason).await;
                // As when no task came until the end of a poll: the worker polls again.
                answer.proto.clear();
            } else {
                self.definitions.note(&task);
            }
        }
        Ok(answer)
    }

    async fn check_in_time(&self, query: &PollWorkflowTaskQueueResponse) -> Result<(), String> {
        let checked = tokio::time::timeout(CHECK_TIMEOUT, self.check(query)).await;
        checked.unwrap_or_else(|_| {
            let seconds = CHECK_TIMEOUT.as_secs();
            Err(format!(
                "cannot check the workflow's history within {seconds} s; try again"
            ))
        })
    }

    /// Whether the worker can load the workflow that a query is for. The texts go to Temporal in the clear.
    async fn check(&self, query: &PollWorkflowTaskQueueResponse) -> Result<(), String> {
        let events = history::first_events(&self.connection, &self.namespace, query).await?;
        let name = query.workflow_type.as_ref().map_or("", |kind| &kind.name);
        let is_input = self
            .inputs
            .get(name)
            .ok_or_else(|| "this worker does not run workflows of this type".to_owned())?;
        let mut history = History { events };
        history.events.iter_mut().for_each(forget_patch);
        decode_payloads(&mut history, self.converter.codec(), &workflow_context())
            .await
            .map_err(|error| format!("cannot decode the workflow's history: {error}"))?;
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = history
            .events
            .into_iter()
            .next()
            .and_then(|event| event.attributes)
        else {
            return Err("the workflow's history has no beginning".to_owned());
        };
        let input = started.input.unwrap_or_default().payloads;
        if is_input(self.converter.payload_converter(), input) {
            Ok(())
        } else {
            // The converter's own error may quote the input.
            Err("the workflow's input has another type than this worker expects".to_owned())
        }
    }

    async fn refuse(&self, query: PollWorkflowTaskQueueResponse, reason: String) {
        let workflow = query.workflow_execution.unwrap_or_default().workflow_id;
        tracing::warn!(workflow, reason, "a query is refused");
        let answer = RespondQueryTaskCompletedRequest {
            task_token: query.task_token,
            completed_type: QueryResultType::Failed.into(),
            error_message: reason.clone(),
            namespace: self.namespace.clone(),
            failure: Some(Failure {
                message: reason,
                ..Failure::default()
            }),
            ..RespondQueryTaskCompletedRequest::default()
        };
        let mut service = self.connection.workflow_service();
        let sent = service
            .respond_query_task_completed(Request::new(answer))
            .await;
        if let Err(status) = sent {
            tracing::warn!(code = ?status.code(), "a refused query cannot be answered");
        }
    }
}

#[cfg(test)]
mod tests;
