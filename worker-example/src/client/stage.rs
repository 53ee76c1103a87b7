//! How far a task is on its way to a worker, from Temporal's description of its workflow.

use temporalio_common::protos::temporal::api::{
    failure::v1::{Failure, failure::FailureInfo},
    workflow::v1::PendingActivityInfo,
    workflowservice::v1::DescribeWorkflowExecutionResponse,
};

use crate::task::{FailureReport, PREPARE, SESSIONS};

/// A workflow task that failed this often does not fail by chance.
const REFUSED: u32 = 3;

/// How far a task is on its way to a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Temporal has not answered yet.
    #[default]
    Unknown,
    /// No worker has taken it.
    Queued,
    /// Workers take its workflow and fail to read it.
    Unreadable {
        /// How often they tried.
        attempts: u32,
    },
    /// A worker knows it, and all places of the workers are taken.
    WaitingForPlace,
    /// Workers took it and failed before it began. Temporal tries again.
    Retrying {
        /// How often they tried.
        attempts: u32,
    },
    /// It runs, or has run.
    Running,
}

impl Stage {
    /// Whether no worker has begun to do anything for the task.
    #[must_use]
    pub fn is_untouched(self) -> bool {
        matches!(self, Self::Queued | Self::Unreadable { .. })
    }
}

/// The stage of a task. `before` is the stage at the description before this one.
pub(super) fn stage(task: &DescribeWorkflowExecutionResponse, before: Stage) -> Stage {
    if before == Stage::Running {
        return Stage::Running;
    }
    if let Some(activity) = task.pending_activities.first() {
        return of_activity(activity, before);
    }
    let attempts = task
        .pending_workflow_task
        .as_ref()
        .and_then(|pending| u32::try_from(pending.attempt).ok());
    match attempts {
        Some(attempts) if attempts >= REFUSED => Stage::Unreadable { attempts },
        _ if before == Stage::Unknown => Stage::Queued,
        _ => before,
    }
}

/// An activity that runs Claude Code sends its first heartbeat when the session begins. The activities after it mean that the
/// session has ended, and that the task has not.
fn of_activity(activity: &PendingActivityInfo, before: Stage) -> Stage {
    let name = activity
        .activity_type
        .as_ref()
        .map(|kind| kind.name.as_str());
    match name {
        Some(PREPARE) => {}
        Some(name) if !SESSIONS.contains(&name) => return Stage::Running,
        _ if activity.heartbeat_details.is_some() => return Stage::Running,
        _ => {}
    }
    if activity.last_failure.is_some() {
        let attempts = u32::try_from(activity.attempt).unwrap_or(u32::MAX);
        return Stage::Retrying {
            // The description counts the attempt that comes next.
            attempts: attempts.saturating_sub(1).max(1),
        };
    }
    if activity.last_started_time.is_some() {
        // A worker prepares it.
        return before;
    }
    Stage::WaitingForPlace
}

/// Why the last attempt failed before the task began. `None` if the report is missing, cannot be read, or belongs to another
/// task: an attacker who can write to Temporal can send any failure.
pub(super) fn attempt_problem(
    task: &DescribeWorkflowExecutionResponse,
    id: &str,
) -> Option<String> {
    let failure = task.pending_activities.first()?.last_failure.as_ref()?;
    let report = report(failure).filter(|report| report.task_id == id)?;
    Some(report.message)
}

fn report(failure: &Failure) -> Option<FailureReport> {
    let Some(FailureInfo::ApplicationFailureInfo(info)) = &failure.failure_info else {
        return None;
    };
    let payload = info.details.as_ref()?.payloads.first()?;
    serde_json::from_slice(&payload.data).ok()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use temporalio_common::protos::temporal::api::{
        common::v1::{Payload, Payloads},
        enums::v1::PendingActivityState,
        failure::v1::ApplicationFailureInfo,
    };

    use super::*;
    use crate::task::FailureKind;

    fn with(activity: PendingActivityInfo) -> DescribeWorkflowExecutionResponse {
        DescribeWorkflowExecutionResponse {
            pending_activities: vec![activity],
            ..DescribeWorkflowExecutionResponse::default()
        }
    }

    fn failure(report: &FailureReport) -> Failure {
        let payload = Payload {
            data: serde_json::to_vec(report).unwrap(),
            ..Payload::default()
        };
        let info = ApplicationFailureInfo {
            details: Some(Payloads {
                payloads: vec![payload],
            }),
            ..ApplicationFailureInfo::default()
        };
        Failure {
            message: "a text that anybody can write".to_owned(),
            failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
            ..Failure::default()
        }
    }

    #[test]
    fn a_task_is_queued_when_temporal_says_so() {
        assert_eq!(Stage::default(), Stage::Unknown);
        let answer = DescribeWorkflowExecutionResponse::default();
        assert_eq!(stage(&answer, Stage::Unknown), Stage::Queued);
        let scheduled = with(PendingActivityInfo {
            state: PendingActivityState::Scheduled.into(),
            ..PendingActivityInfo::default()
        });
        assert_eq!(stage(&scheduled, Stage::Queued), Stage::WaitingForPlace);
        assert!(Stage::Queued.is_untouched() && !Stage::WaitingForPlace.is_untouched());
    }

    #[test]
    fn a_task_runs_once_its_session_has_begun() {
        let mut activity = PendingActivityInfo {
            state: PendingActivityState::Started.into(),
            last_started_time: Some(SystemTime::UNIX_EPOCH.into()),
            attempt: 1,
            ..PendingActivityInfo::default()
        };
        assert_eq!(stage(&with(activity.clone()), Stage::Queued), Stage::Queued);
        activity.heartbeat_details = Some(Payloads::default());
        assert_eq!(stage(&with(activity), Stage::Queued), Stage::Running);
    }

    #[test]
    fn a_failed_attempt_tells_its_problem_of_this_task_only() {
        let report = FailureReport::new(
            "task",
            FailureKind::CannotRun,
            "the disk is full".to_owned(),
        );
        let task = with(PendingActivityInfo {
            attempt: 3,
            last_failure: Some(failure(&report)),
            ..PendingActivityInfo::default()
        });
        assert_eq!(stage(&task, Stage::Queued), Stage::Retrying { attempts: 2 });
        assert_eq!(
            attempt_problem(&task, "task").as_deref(),
            Some("the disk is full")
        );
        assert_eq!(attempt_problem(&task, "another"), None);
    }
}
