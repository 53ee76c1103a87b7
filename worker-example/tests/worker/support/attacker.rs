//! An attacker who can write to Temporal and has no key. All payloads that it sends are copied from Temporal.

use super::fresh;
use dev_servers::TemporalServer;
use std::time::Duration;
use temporalio_client::{
    Connection, ConnectionOptions, grpc::WorkflowService as _, tonic::IntoRequest as _,
};
use temporalio_common::protos::temporal::api::{
    command::v1::{Command, command::Attributes},
    common::v1::{Payloads, WorkflowType},
    enums::v1::{CommandType, WorkflowIdReusePolicy},
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{
        PollWorkflowTaskQueueRequest, RespondActivityTaskCompletedByIdRequest,
        RespondWorkflowTaskCompletedRequest, StartWorkflowExecutionRequest,
    },
};

const NAMESPACE: &str = "default";

pub(crate) struct Attacker {
    connection: Connection,
}

impl Attacker {
    pub(crate) async fn new(server: &TemporalServer) -> Self {
        let options = ConnectionOptions::new(server.url().parse::<url::Url>().unwrap()).build();
        let connection = Connection::connect(options).await.unwrap();
        Self { connection }
    }

    /// Starts a workflow, also with an id that was used before.
    pub(crate) async fn start(&self, id: &str, kind: &str, queue: &str, input: Option<Payloads>) {
        let request = StartWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_id: id.to_owned(),
            workflow_type: Some(WorkflowType {
                name: kind.to_owned(),
            }),
            task_queue: Some(task_queue(queue)),
            input,
            request_id: fresh("request"),
            workflow_id_reuse_policy: WorkflowIdReusePolicy::AllowDuplicate.into(),
            ..Default::default()
        };
        let mut service = self.connection.clone();
        let started = service.start_workflow_execution(request.into_request());
        started.await.unwrap();
    }

    /// Takes the next workflow task of a queue, as a worker does, and answers with a command.
    pub(crate) async fn command(&self, queue: &str, kind: CommandType, attributes: Attributes) {
        let request = PollWorkflowTaskQueueRequest {
            namespace: NAMESPACE.to_owned(),
            task_queue: Some(task_queue(queue)),
            identity: "an attacker".to_owned(),
            ..Default::default()
        };
        let mut service = self.connection.clone();
        let mut request = request.into_request();
        request.set_timeout(Duration::from_mins(1));
        let task = service.poll_workflow_task_queue(request).await.unwrap();
        let task_token = task.into_inner().task_token;
        assert!(!task_token.is_empty(), "no workflow task");
        let answer = RespondWorkflowTaskCompletedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token,
            commands: vec![Command {
                command_type: kind.into(),
                attributes: Some(attributes),
                ..Default::default()
            }],
            ..Default::default()
        };
        let answered = service.respond_workflow_task_completed(answer.into_request());
        answered.await.unwrap();
    }

    /// Answers for the worker that runs an activity.
    pub(crate) async fn complete_activity(
        &self,
        workflow: &str,
        activity: &str,
        result: Option<Payloads>,
    ) {
        let request = RespondActivityTaskCompletedByIdRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_id: workflow.to_owned(),
            activity_id: activity.to_owned(),
            result,
            ..Default::default()
        };
        let mut service = self.connection.clone();
        let answered = service.respond_activity_task_completed_by_id(request.into_request());
        answered.await.unwrap();
    }
}

pub(crate) fn task_queue(name: &str) -> TaskQueue {
    TaskQueue {
        name: name.to_owned(),
        ..Default::default()
    }
}
