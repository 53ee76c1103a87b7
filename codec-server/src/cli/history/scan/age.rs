//! Which events hold payloads that are older than the event, because Temporal copied them.

use temporal_kms_codec_proto::json::FoundAt;

use super::{
    messages::{HistoryEvent, Started},
    tally::seconds,
};

/// `EventType`: `ACTIVITY_TASK_STARTED` has the failure of an attempt before, `ACTIVITY_TASK_TIMED_OUT` has the last
/// heartbeat, and `WORKFLOW_EXECUTION_CONTINUED_AS_NEW` has the input of a workflow that is retried or has a cron
/// schedule.
const COPIES: [i32; 3] = [11, 14, 28];

/// The same in exported histories, which do not tell how a workflow was started, and whether it was reset.
const COPIES_IN_FILES: [&str; 6] = [
    "workflowExecutionStartedEventAttributes",
    "activityTaskStartedEventAttributes",
    "activityTaskTimedOutEventAttributes",
    "workflowExecutionContinuedAsNewEventAttributes",
    // A reset writes them again.
    "workflowExecutionSignaledEventAttributes",
    "workflowExecutionUpdateAcceptedEventAttributes",
];

/// The search attribute of workflows that a schedule started.
const SCHEDULED: &str = "TemporalScheduledById";

/// Tells when the payloads of one run were written.
pub(super) struct Ages {
    run: String,
    is_reset: bool,
}

impl Ages {
    pub(super) fn of_run(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            is_reset: false,
        }
    }

    /// When the payloads of the next event were written, in seconds since 1970. `None` where that is not known.
    pub(super) fn next(&mut self, event: &HistoryEvent) -> Option<u64> {
        let mut is_copy = COPIES.contains(&event.event_type);
        if let Some(started) = &event.started {
            self.is_reset = started.original_execution_run_id != self.run;
            is_copy |= is_copied(started);
        }
        if is_copy || self.is_reset {
            return None;
        }
        u64::try_from(event.event_time.as_ref()?.seconds).ok()
    }
}

/// Whether the input may be that of a run before, or of a schedule.
fn is_copied(started: &Started) -> bool {
    let attributes = started.search_attributes.as_ref();
    !started.continued_execution_run_id.is_empty()
        || started.attempt > 1
        || attributes.is_some_and(|found| found.indexed_fields.contains_key(SCHEDULED))
}

/// When a payload of an exported history was written, in seconds since 1970.
pub(super) fn in_file(at: &FoundAt) -> Option<u64> {
    // The first event is the start, in every form of a history.
    let is_copy =
        at.event_id == Some(1) || COPIES_IN_FILES.iter().any(|name| at.path.contains(name));
    if is_copy {
        return None;
    }
    at.event_time.as_deref().and_then(seconds)
}

#[cfg(test)]
mod tests {
    use super::{
        super::messages::{SearchAttributes, Time},
        *,
    };

    fn event(event_type: i32, started: Option<Started>) -> HistoryEvent {
        HistoryEvent {
            event_time: Some(Time { seconds: 7 }),
            event_type,
            started,
        }
    }

    fn started() -> Started {
        Started {
            original_execution_run_id: "run".to_owned(),
            attempt: 1,
            ..Started::default()
        }
    }

    #[test]
    fn copies_tell_nothing_of_their_age() {
        let of = |started| Ages::of_run("run").next(&event(1, Some(started)));
        assert_eq!(of(started()), Some(7));
        let scheduled = SearchAttributes {
            indexed_fields: [(SCHEDULED.to_owned(), Vec::new())].into(),
        };
        for copied in [
            Started {
                continued_execution_run_id: "before".to_owned(),
                ..started()
            },
            Started {
                attempt: 2,
                ..started()
            },
            Started {
                search_attributes: Some(scheduled),
                ..started()
            },
        ] {
            assert_eq!(of(copied.clone()), None, "{copied:?}");
        }
        let mut ages = Ages::of_run("run");
        for (event_type, expected) in [(10, Some(7)), (11, None), (14, None), (28, None)] {
            assert_eq!(ages.next(&event(event_type, None)), expected);
        }
    }

    #[test]
    fn a_reset_run_tells_no_ages() {
        let mut ages = Ages::of_run("the run after the reset");
        assert_eq!(ages.next(&event(1, Some(started()))), None);
        assert_eq!(ages.next(&event(26, None)), None);
    }
}
