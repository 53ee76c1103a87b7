//! Scans a namespace of a Temporal server: every workflow that visibility lists, and every schedule.

use std::{num::NonZeroU32, path::Path};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use prost::Message as _;

use super::{
    super::super::{
        exit::{Failure, Status},
        progress,
    },
    age::Ages,
    messages::{
        DescribeNamespaceRequest, DescribeNamespaceResponse, DescribeScheduleRequest,
        GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse, History,
        HistoryEvent, ListSchedulesRequest, ListSchedulesResponse, ListWorkflowExecutionsRequest,
        ListWorkflowExecutionsResponse, Time, WorkflowExecution, WorkflowExecutionInfo,
    },
    protobuf,
    state::{Progress, StateFile, Target},
    tally::{End, Tally, Workflow},
    temporal::{CallError, Code, ConnectArgs, Temporal},
};

const PAGE: i32 = 100;
/// Histories that are read at the same time.
const CONCURRENT: usize = 8;

/// What to scan, and how.
pub(super) struct Request<'a> {
    pub(super) connect: &'a ConnectArgs,
    pub(super) query: Option<&'a str>,
    pub(super) rate: NonZeroU32,
    pub(super) state: Option<&'a Path>,
    pub(super) quiet: bool,
}

pub(super) async fn scan(request: &Request<'_>) -> Result<Tally, Failure> {
    let scan = Scan {
        temporal: Temporal::new(request.connect, request.rate)?,
        namespace: request.connect.namespace.clone(),
        query: request.query.unwrap_or_default().to_owned(),
        progress: progress::count(request.quiet, "workflows"),
        state: StateFile::new(request.state.map(Path::to_owned)),
    };
    let mut state = scan.state.load(Target {
        address: request.connect.address.clone().unwrap_or_default(),
        namespace: scan.namespace.clone(),
        query: scan.query.clone(),
    })?;
    scan.progress.set_position(state.tally.workflows);
    let retention = scan.retention().await?;
    while !state.workflows_done {
        scan.page(&mut state, retention).await?;
    }
    // A query selects workflows, so schedules are not asked for.
    if scan.query.is_empty() {
        scan.schedules(&mut state.tally).await?;
    }
    scan.progress.finish_and_clear();
    scan.state.remove();
    Ok(state.tally)
}

struct Scan {
    temporal: Temporal,
    namespace: String,
    query: String,
    progress: ProgressBar,
    state: StateFile,
}

impl Scan {
    /// How long the namespace keeps closed workflows, in seconds.
    async fn retention(&self) -> Result<Option<u64>, Failure> {
        let request = DescribeNamespaceRequest {
            namespace: self.namespace.clone(),
        };
        let answer: Result<DescribeNamespaceResponse, CallError> =
            self.temporal.call("DescribeNamespace", &request).await;
        let answer = answer.map_err(|error| match error.code {
            Code::NotFound => {
                let missing = self.temporal.missing(&self.namespace);
                Failure::new(Status::Configuration, missing)
            }
            _ => error.into(),
        })?;
        let retention = answer.config.and_then(|config| config.retention);
        Ok(retention.and_then(|time| u64::try_from(time.seconds).ok()))
    }

    /// One page of workflows. The state is saved after it.
    async fn page(&self, state: &mut Progress, retention: Option<u64>) -> Result<(), Failure> {
        let request = ListWorkflowExecutionsRequest {
            namespace: self.namespace.clone(),
            page_size: PAGE,
            next_page_token: state.next_page(),
            query: self.query.clone(),
        };
        let page: ListWorkflowExecutionsResponse = self
            .temporal
            .call("ListWorkflowExecutions", &request)
            .await?;
        let mut scanned = stream::iter(page.executions)
            .map(|info| self.workflow(info, retention))
            .buffer_unordered(CONCURRENT);
        while let Some(found) = scanned.try_next().await? {
            if let Some((workflow, end)) = found {
                state.tally.add(workflow, end);
            }
            self.progress.inc(1);
        }
        state.set_next_page(&page.next_page_token);
        self.state.save(state)
    }

    /// The payloads of one workflow. `None` where it was deleted meanwhile.
    async fn workflow(
        &self,
        info: Vec<u8>,
        retention: Option<u64>,
    ) -> Result<Option<(Workflow, End)>, CallError> {
        let mut workflow = Workflow::default();
        // Its memo, which may be that of a run before.
        protobuf::payloads(&info, &mut |payload| {
            workflow.add_found(payload.as_ref(), None);
        });
        let info = WorkflowExecutionInfo::decode(info.as_slice()).unwrap_or_default();
        let execution = info.execution.unwrap_or_default();
        match self.history(execution, &mut workflow).await {
            Ok(()) => Ok(Some((workflow, end(info.close_time.as_ref(), retention)))),
            Err(error) if error.code == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn history(
        &self,
        execution: WorkflowExecution,
        workflow: &mut Workflow,
    ) -> Result<(), CallError> {
        let mut ages = Ages::of_run(&execution.run_id);
        let mut request = GetWorkflowExecutionHistoryRequest {
            namespace: self.namespace.clone(),
            execution: Some(execution),
            next_page_token: Vec::new(),
        };
        loop {
            let page: GetWorkflowExecutionHistoryResponse = self
                .temporal
                .call("GetWorkflowExecutionHistory", &request)
                .await?;
            let mut histories: Vec<_> = page.history.into_iter().collect();
            for blob in &page.raw_history {
                match History::decode(blob.data.as_slice()) {
                    Ok(history) => histories.push(history),
                    Err(_) => workflow.add_unreadable(),
                }
            }
            for event in histories.iter().flat_map(|history| &history.events) {
                let time = HistoryEvent::decode(event.as_slice()).ok();
                let time = time.and_then(|event| ages.next(&event));
                protobuf::payloads(event, &mut |payload| {
                    workflow.add_found(payload.as_ref(), time);
                });
            }
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            request.next_page_token = page.next_page_token;
        }
    }

    /// Schedules keep the input of the workflows that they start.
    async fn schedules(&self, tally: &mut Tally) -> Result<(), CallError> {
        let mut request = ListSchedulesRequest {
            namespace: self.namespace.clone(),
            maximum_page_size: PAGE,
            next_page_token: Vec::new(),
        };
        loop {
            let page = self.temporal.call("ListSchedules", &request).await;
            let page: ListSchedulesResponse = match page {
                // A server without schedules.
                Err(error) if error.code == Code::Unimplemented => return Ok(()),
                page => page?,
            };
            for schedule in page.schedules {
                let describe = DescribeScheduleRequest {
                    namespace: self.namespace.clone(),
                    schedule_id: schedule.schedule_id,
                };
                match self.temporal.call_raw("DescribeSchedule", &describe).await {
                    Ok(answer) => {
                        let mut found = Workflow::default();
                        protobuf::payloads(&answer, &mut |payload| {
                            found.add_found(payload.as_ref(), None);
                        });
                        tally.add_schedule(found);
                    }
                    Err(error) if error.code == Code::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            request.next_page_token = page.next_page_token;
        }
    }
}

fn end(close_time: Option<&Time>, retention: Option<u64>) -> End {
    let Some(closed) = close_time else {
        return End::Open;
    };
    match (u64::try_from(closed.seconds), retention) {
        (Ok(closed), Some(retention)) => End::KeptUntil(closed.saturating_add(retention)),
        _ => End::Unknown,
    }
}
