use dev_servers::{TemporalServer, find_secret};
use temporalio_client::{Client, NamespacedClient as _, grpc::WorkflowService as _};
use temporalio_common::{
    data_converters::DataConverter,
    protos::temporal::api::{
        command::v1::{
            Command, ContinueAsNewWorkflowExecutionCommandAttributes, command::Attributes,
        },
        common::v1::{Payloads, WorkflowExecution, WorkflowType},
        enums::v1::CommandType,
        history::v1::History,
        taskqueue::v1::TaskQueue,
        workflowservice::v1::{
            DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
            GetWorkflowExecutionHistoryRequest, PollWorkflowTaskQueueRequest,
            RecordActivityTaskHeartbeatByIdRequest, RespondWorkflowTaskCompletedRequest,
            StartWorkflowExecutionRequest,
        },
    },
};
use tonic::IntoRequest as _;
use uuid::Uuid;

use crate::parcel_worker::connect;

/// A client that knows no codec: what it sees is what Temporal stores.
pub struct Raw {
    client: Client,
}

impl Raw {
    /// Connects to `server`.
    pub async fn connect(server: &TemporalServer, namespace: &str) -> Self {
        Self {
            client: connect(server, namespace, DataConverter::default()).await,
        }
    }

    /// The history of a run (the latest without `run_id`), over gRPC.
    ///
    /// # Panics
    /// The server does not know the workflow.
    pub async fn history(&self, workflow_id: &str, run_id: &str) -> History {
        let mut history = History::default();
        let mut next_page_token = Vec::new();
        loop {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: self.client.namespace(),
                execution: Some(execution(workflow_id, run_id)),
                next_page_token,
                ..Default::default()
            };
            let mut service = self.client.connection().clone();
            let page = service
                .get_workflow_execution_history(request.into_request())
                .await;
            let page = page.expect("a history").into_inner();
            history
                .events
                .extend(page.history.unwrap_or_default().events);
            next_page_token = page.next_page_token;
            if next_page_token.is_empty() {
                return history;
            }
        }
    }

    /// What the server says of a workflow: memo, pending activities with heartbeats, last failures.
    ///
    /// # Panics
    /// The server does not know the workflow.
    pub async fn describe(&self, workflow_id: &str) -> DescribeWorkflowExecutionResponse {
        self.find(workflow_id).await.expect("a description")
    }

    /// The same, or none where the server does not know the workflow yet.
    pub async fn find(&self, workflow_id: &str) -> Option<DescribeWorkflowExecutionResponse> {
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.client.namespace(),
            execution: Some(execution(workflow_id, "")),
        };
        let mut service = self.client.connection().clone();
        let answer = service
            .describe_workflow_execution(request.into_request())
            .await;
        answer.ok().map(tonic::Response::into_inner)
    }

    /// A heartbeat of a running activity, with details as they are.
    ///
    /// # Panics
    /// The server refuses it.
    pub async fn heartbeat(&self, workflow_id: &str, activity_id: &str, details: Payloads) {
        let request = RecordActivityTaskHeartbeatByIdRequest {
            namespace: self.client.namespace(),
            workflow_id: workflow_id.to_owned(),
            activity_id: activity_id.to_owned(),
            details: Some(details),
            ..RecordActivityTaskHeartbeatByIdRequest::default()
        };
        let mut service = self.client.connection().clone();
        let noted = service
            .record_activity_task_heartbeat_by_id(request.into_request())
            .await;
        noted.expect("it is noted");
    }

    /// Does a workflow's first task on a queue that no worker polls: it continues on another queue, with payloads as they
    /// are.
    ///
    /// # Panics
    /// The server refuses it.
    pub async fn continue_as_new(&self, workflow_id: &str, from: &str, to: &str, input: Payloads) {
        let mut service = self.client.connection().clone();
        let poll = PollWorkflowTaskQueueRequest {
            namespace: self.client.namespace(),
            task_queue: Some(queue(from)),
            ..PollWorkflowTaskQueueRequest::default()
        };
        let task = service.poll_workflow_task_queue(poll.into_request()).await;
        let task = task.expect("a task").into_inner();
        let of = task.workflow_execution.unwrap_or_default().workflow_id;
        assert_eq!(of, workflow_id, "another workflow's task");
        let attributes = ContinueAsNewWorkflowExecutionCommandAttributes {
            workflow_type: task.workflow_type,
            task_queue: Some(queue(to)),
            input: Some(input),
            ..ContinueAsNewWorkflowExecutionCommandAttributes::default()
        };
        let command = Command {
            command_type: CommandType::ContinueAsNewWorkflowExecution.into(),
            attributes: Some(Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(
                attributes,
            )),
            ..Command::default()
        };
        let answer = RespondWorkflowTaskCompletedRequest {
            namespace: self.client.namespace(),
            task_token: task.task_token,
            commands: vec![command],
            ..RespondWorkflowTaskCompletedRequest::default()
        };
        let done = service
            .respond_workflow_task_completed(answer.into_request())
            .await;
        done.expect("it continues");
    }

    /// Starts a workflow with payloads as they are.
    ///
    /// # Panics
    /// The server refuses it.
    pub async fn start(&self, kind: &str, workflow_id: &str, on: &str, input: Payloads) {
        let request = StartWorkflowExecutionRequest {
            namespace: self.client.namespace(),
            workflow_id: workflow_id.to_owned(),
            workflow_type: Some(WorkflowType {
                name: kind.to_owned(),
            }),
            task_queue: Some(queue(on)),
            input: Some(input),
            request_id: Uuid::new_v4().to_string(),
            ..StartWorkflowExecutionRequest::default()
        };
        let mut service = self.client.connection().clone();
        let started = service
            .start_workflow_execution(request.into_request())
            .await;
        started.expect("it starts");
    }
}

/// Asserts that `document` does not have any of `secrets`, in any encoding.
///
/// # Panics
/// One does.
pub fn assert_absent(what: &str, document: &[u8], secrets: &[&str]) {
    for secret in secrets {
        let found = find_secret(document, secret.as_bytes());
        assert!(found.is_none(), "{what} holds `{secret}` as {found:?}");
    }
}

/// Asserts that `document` has all of `texts`, so that a search for them can be trusted.
///
/// # Panics
/// One does not.
pub fn assert_present(what: &str, document: &[u8], texts: &[&str]) {
    for text in texts {
        let found = find_secret(document, text.as_bytes());
        assert!(found.is_some(), "{what} does not hold `{text}`");
    }
}

fn queue(name: &str) -> TaskQueue {
    TaskQueue {
        name: name.to_owned(),
        ..TaskQueue::default()
    }
}

fn execution(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}
