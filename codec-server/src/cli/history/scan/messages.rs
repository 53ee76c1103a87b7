//! The few messages of `temporal.api.workflowservice.v1` that a scan needs, with the few fields that it needs of each.

use std::collections::BTreeMap;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct DescribeNamespaceRequest {
    #[prost(string, tag = "1")]
    pub(super) namespace: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DescribeNamespaceResponse {
    #[prost(message, optional, tag = "2")]
    pub(super) config: Option<NamespaceConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NamespaceConfig {
    /// `workflow_execution_retention_ttl`.
    #[prost(message, optional, tag = "1")]
    pub(super) retention: Option<Time>,
}

/// `google.protobuf.Timestamp` and `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Time {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListWorkflowExecutionsRequest {
    #[prost(string, tag = "1")]
    pub(super) namespace: String,
    #[prost(int32, tag = "2")]
    pub(super) page_size: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) next_page_token: Vec<u8>,
    #[prost(string, tag = "4")]
    pub(super) query: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListWorkflowExecutionsResponse {
    /// `WorkflowExecutionInfo`, as it came: it holds payloads.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) executions: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) next_page_token: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WorkflowExecutionInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) execution: Option<WorkflowExecution>,
    #[prost(message, optional, tag = "4")]
    pub(super) close_time: Option<Time>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct WorkflowExecution {
    #[prost(string, tag = "1")]
    pub(super) workflow_id: String,
    #[prost(string, tag = "2")]
    pub(super) run_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetWorkflowExecutionHistoryRequest {
    #[prost(string, tag = "1")]
    pub(super) namespace: String,
    #[prost(message, optional, tag = "2")]
    pub(super) execution: Option<WorkflowExecution>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) next_page_token: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetWorkflowExecutionHistoryResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) history: Option<History>,
    /// Histories as the server stores them, where it is configured to send these.
    #[prost(message, repeated, tag = "2")]
    pub(super) raw_history: Vec<DataBlob>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) next_page_token: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct History {
    /// `HistoryEvent`, as it came.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) events: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DataBlob {
    #[prost(bytes = "vec", tag = "2")]
    pub(super) data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HistoryEvent {
    #[prost(message, optional, tag = "2")]
    pub(super) event_time: Option<Time>,
    #[prost(int32, tag = "3")]
    pub(super) event_type: i32,
    /// `workflow_execution_started_event_attributes`.
    #[prost(message, optional, tag = "6")]
    pub(super) started: Option<Started>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Started {
    #[prost(string, tag = "10")]
    pub(super) continued_execution_run_id: String,
    /// The run that the event was written for. A run that was made by a reset shares it with the run before.
    #[prost(string, tag = "14")]
    pub(super) original_execution_run_id: String,
    #[prost(int32, tag = "18")]
    pub(super) attempt: i32,
    #[prost(message, optional, tag = "23")]
    pub(super) search_attributes: Option<SearchAttributes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SearchAttributes {
    /// Of the values, only the names are needed.
    #[prost(btree_map = "string, bytes", tag = "1")]
    pub(super) indexed_fields: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListSchedulesRequest {
    #[prost(string, tag = "1")]
    pub(super) namespace: String,
    #[prost(int32, tag = "2")]
    pub(super) maximum_page_size: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) next_page_token: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListSchedulesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) schedules: Vec<ScheduleListEntry>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) next_page_token: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ScheduleListEntry {
    #[prost(string, tag = "1")]
    pub(super) schedule_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DescribeScheduleRequest {
    #[prost(string, tag = "1")]
    pub(super) namespace: String,
    #[prost(string, tag = "2")]
    pub(super) schedule_id: String,
}
