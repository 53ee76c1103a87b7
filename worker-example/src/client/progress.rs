//! How far a task is that has not ended, from Temporal's description of its workflow.

use serde::{Deserialize, Serialize};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeWorkflowExecutionResponse;

use super::heartbeats::progress;
use crate::task::Step;

/// How far a task is that has not ended. Each part is missing when it is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskProgress {
    /// The step that goes on, or waits for a worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The turns that Claude has taken, by the newest heartbeat. Only the key reads it, and only while Claude Code runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// The cost so far in US dollars, as far as Claude Code has told it. As `turns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

impl TaskProgress {
    pub(super) fn of(described: &DescribeWorkflowExecutionResponse, task: &str) -> Self {
        let Some(activity) = described.pending_activities.first() else {
            return Self::default();
        };
        let name = activity.activity_type.as_ref();
        // An attacker who can write to Temporal can send the heartbeats of another task.
        let newest = progress(activity).filter(|newest| newest.is_of(task));
        Self {
            step: name.and_then(|kind| Step::of_activity(&kind.name)),
            turns: newest.as_ref().map(|newest| newest.turns),
            cost_usd: newest.and_then(|newest| newest.cost_usd),
        }
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::{
        common::v1::{ActivityType, Payload, Payloads},
        workflow::v1::PendingActivityInfo,
    };

    use super::*;

    fn described(activity: &str, heartbeat: &[u8]) -> DescribeWorkflowExecutionResponse {
        let payload = Payload {
            data: heartbeat.to_vec(),
            ..Payload::default()
        };
        let activity = PendingActivityInfo {
            activity_type: Some(ActivityType {
                name: activity.to_owned(),
            }),
            heartbeat_details: Some(Payloads {
                payloads: vec![payload],
            }),
            ..PendingActivityInfo::default()
        };
        DescribeWorkflowExecutionResponse {
            pending_activities: vec![activity],
            ..DescribeWorkflowExecutionResponse::default()
        }
    }

    #[test]
    fn the_newest_heartbeat_of_this_task_counts() {
        let heartbeat =
            br#"{"taskId":"t","first":0,"events":[],"bytes":9,"turns":3,"costUsd":0.5}"#;
        let running = described("run_session", heartbeat);
        let progress = TaskProgress::of(&running, "t");
        assert_eq!(
            serde_json::to_string(&progress).unwrap(),
            r#"{"step":"run","turns":3,"costUsd":0.5}"#
        );
        // Without the key, or of another task, only the step is known.
        for (unknown, task) in [(running, "another"), (described("run_session", b"x"), "t")] {
            let progress = TaskProgress::of(&unknown, task);
            assert_eq!(
                serde_json::to_string(&progress).unwrap(),
                r#"{"step":"run"}"#
            );
        }
        for (activity, step) in [
            ("prepare_task", Some(Step::Prepare)),
            ("post_execution", Some(Step::PostExecution)),
            ("clean_up", Some(Step::CleanUp)),
            ("close_task", Some(Step::CleanUp)),
            ("approve_webhook", Some(Step::CleanUp)),
            ("run_claude", Some(Step::Run)),
            ("another", None),
        ] {
            let progress = TaskProgress::of(&described(activity, b"null"), "t");
            assert_eq!((progress.step, progress.turns), (step, None), "{activity}");
        }
        let waiting = DescribeWorkflowExecutionResponse::default();
        assert_eq!(TaskProgress::of(&waiting, "t"), TaskProgress::default());
    }
}
