//! Reads the beginning of a workflow's history, within limits.

use prost::Message as _;
use temporalio_client::{Connection, tonic::Request};
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    history::v1::HistoryEvent,
    workflowservice::v1::{GetWorkflowExecutionHistoryRequest, PollWorkflowTaskQueueResponse},
};

/// The most pages that are read. A page has up to 256 events.
pub(super) const MAX_PAGES: usize = 32;
/// The most bytes of events that are read.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// All events that the worker needs to load the workflow: those before its second workflow task.
///
/// # Errors
/// When Temporal does not answer, or the events exceed the limits. The text goes to Temporal unencrypted.
pub(super) async fn first_events(
    connection: &Connection,
    namespace: &str,
    query: &PollWorkflowTaskQueueResponse,
) -> Result<Vec<HistoryEvent>, String> {
    let sent = query.history.iter().flat_map(|history| &history.events);
    let is_whole = sent.clone().next().is_some_and(|event| event.event_id == 1);
    let (mut events, mut token) = if is_whole {
        (sent.cloned().collect(), query.next_page_token.clone())
    } else {
        (Vec::new(), Vec::new())
    };
    let mut bytes: usize = events.iter().map(HistoryEvent::encoded_len).sum();
    let mut pages = 0;
    while second_task(&events).is_none() && (events.is_empty() || !token.is_empty()) {
        if pages == MAX_PAGES || bytes > MAX_BYTES {
            return Err(format!(
                "the workflow's history before its second workflow task has more than {MAX_PAGES} pages or {} MiB",
                MAX_BYTES >> 20
            ));
        }
        pages += 1;
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: namespace.to_owned(),
            execution: query.workflow_execution.clone(),
            next_page_token: token,
            ..GetWorkflowExecutionHistoryRequest::default()
        };
        let mut service = connection.workflow_service();
        let page = service
            .get_workflow_execution_history(Request::new(request))
            .await
            .map_err(|status| format!("cannot read the workflow's history: {:?}", status.code()))?
            .into_inner();
        let more = page.history.unwrap_or_default().events;
        if more.is_empty() {
            break;
        }
        bytes += more.iter().map(HistoryEvent::encoded_len).sum::<usize>();
        events.extend(more);
        token = page.next_page_token;
    }
    let needed = second_task(&events).unwrap_or(events.len());
    events.truncate(needed);
    Ok(events)
}

/// The index of the event that starts the second workflow task.
fn second_task(events: &[HistoryEvent]) -> Option<usize> {
    let is_started = |event: &HistoryEvent| event.event_type() == EventType::WorkflowTaskStarted;
    let mut started = (0..).zip(events).filter(|(_, event)| is_started(event));
    started.nth(1).map(|(index, _)| index)
}
