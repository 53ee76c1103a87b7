use local_stack::{TemporalServer, find_secret};
use temporalio_client::{Client, NamespacedClient as _, grpc::WorkflowService as _};
use temporalio_common::{
    data_converters::DataConverter,
    protos::temporal::api::{
        common::v1::WorkflowExecution,
        history::v1::History,
        workflowservice::v1::{
            DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
            GetWorkflowExecutionHistoryRequest,
        },
    },
};
use tonic::IntoRequest as _;

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
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.client.namespace(),
            execution: Some(execution(workflow_id, "")),
        };
        let mut service = self.client.connection().clone();
        let answer = service
            .describe_workflow_execution(request.into_request())
            .await;
        answer.expect("a description").into_inner()
    }
}

/// Asserts that none of `secrets` stands in `document`, in no encoding.
///
/// # Panics
/// One does.
pub fn assert_absent(what: &str, document: &[u8], secrets: &[&str]) {
    for secret in secrets {
        let found = find_secret(document, secret.as_bytes());
        assert!(found.is_none(), "{what} holds `{secret}` as {found:?}");
    }
}

/// Asserts that all of `texts` stand in `document`, so that a search for them can be trusted.
///
/// # Panics
/// One does not.
pub fn assert_present(what: &str, document: &[u8], texts: &[&str]) {
    for text in texts {
        let found = find_secret(document, text.as_bytes());
        assert!(found.is_some(), "{what} does not hold `{text}`");
    }
}

fn execution(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}
