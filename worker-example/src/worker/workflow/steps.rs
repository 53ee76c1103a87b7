//! The steps of a task, in their order: prepare, run, post-execution actions, clean up, close, webhook.
//!
//! The first step can be repeated on any worker, because it has no effect outside. The steps after it run in the worker process
//! that prepared the task. A session that has begun is never repeated. The clean-up runs at every end, also after a
//! cancellation.

use std::time::Duration;

use temporalio_common::RetryPolicy;
use temporalio_sdk::{
    ActivityCancellationType, ActivityCloseTimeouts, ActivityOptions, WorkflowCancellationToken,
    WorkflowContext, WorkflowResult,
};

use super::{
    ClaudeTask, HEARTBEAT_TIMEOUT, MARGIN, attributes, end::ActivityEnd, until_begun, webhook,
};
use crate::{
    task::{
        ActionsReport, CloseTask, PREPARE_TIME, Prepared, STEPS_TIME, Step, StepInput, TaskInput,
        TaskResult,
    },
    worker::steps::{
        Delivery, DeliveryActivities, HostActivities, PrepareActivities, delivery_queue,
    },
};

/// How long one attempt of the preparation may take, with a clone of a large repository.
const PREPARE_TIMEOUT: Duration = Duration::from_mins(90);
/// How long a worker process may take to begin a step. A longer silence means that the process has ended.
const OWN_QUEUE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the clean-up may take. A workspace can have millions of files.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_mins(10);
/// How long the commit, the push and the uploads may take.
const ACTIONS_TIMEOUT: Duration = Duration::from_hours(1);
/// How long the store may be unreachable when a task ends, before the webhook and before the secrets are deleted.
const CLOSE_TIMEOUT: Duration = Duration::from_mins(5);
/// Why no webhook is sent, if no worker says it.
const NOT_APPROVED: &str = "the request is not approved by a worker that can sign webhooks";
/// How long one attempt of that takes at most. After a longer silence its worker is lost.
const CLOSE_ATTEMPT: Duration = Duration::from_mins(1);

pub(super) async fn run(
    ctx: &WorkflowContext<ClaudeTask>,
    task: &str,
    input: TaskInput,
) -> WorkflowResult<TaskResult> {
    let timeout = input.timeout();
    let metadata = input.metadata();
    let has_sealed = input.has_sealed();
    let callback = input
        .callback_url()
        .map(|url| (url.to_owned(), input.duplicate()));
    let repository = input.repository().map(str::to_owned);
    let has_actions = input.has_actions();
    let started = ctx.workflow_time();
    enter(ctx, Step::Prepare);
    let prepared = ctx
        .execute_activity(
            PrepareActivities::prepare_task,
            input,
            prepare_options(prepare_limits(ctx.info().execution_timeout(), timeout)),
        )
        .await;
    let (mut has_log, mut has_attributes, mut actions) = (false, false, None);
    let mut approval = None;
    let end = match prepared {
        Ok(prepared) if prepared.task_id == task => {
            (has_log, has_attributes) = (prepared.store, prepared.search_attributes);
            approval.clone_from(&prepared.approval);
            if has_attributes {
                attributes::running(ctx, repository.as_deref());
            }
            let (end, done) = run_prepared(ctx, task, &prepared, timeout, has_actions).await;
            actions = done;
            end
        }
        Ok(_) => ActivityEnd::no_report(),
        Err(error) => ActivityEnd::of_preparation(task, &error),
    };
    if let Some(progress) = end.progress() {
        ctx.state_mut(|state| state.last = progress.clone());
    }
    let delivery_queue = delivery_queue(ctx.task_queue());
    let mut callback_problem = None;
    let mut receiver = None;
    if let Some((url, input)) = callback {
        let approved = match approval {
            Some(approval) => Ok(approval),
            None => approve(ctx, task, input, &delivery_queue).await,
        };
        match approved {
            Ok(approval) => receiver = Some((url, approval)),
            Err(problem) => callback_problem = Some(problem),
        }
    }
    if has_sealed || has_log {
        enter(ctx, Step::CleanUp);
        let metadata = has_log.then(|| end.metadata(task, started, ctx.workflow_time()));
        let close = CloseTask {
            task_id: task.to_owned(),
            metadata,
        };
        // The sweep of the workers removes the secrets if this fails.
        let _ = ctx
            .execute_activity(
                DeliveryActivities::close_task,
                close,
                close_options(&delivery_queue),
            )
            .await;
    }
    let mut result = end.result(task, metadata);
    if let Some(actions) = actions {
        result.git_commit = actions.git_commit;
        result.uploaded_files = actions.uploaded_files;
        result.warnings.extend(actions.warnings);
    }
    if let Some((url, approval)) = receiver {
        let delivery = Delivery {
            task_id: task.to_owned(),
            url,
            body: end.webhook(&result, started, ctx.workflow_time()),
            approval,
        };
        match webhook::start(ctx, &delivery).await {
            Ok(workflow) => result.webhook_workflow = Some(workflow),
            Err(problem) => callback_problem = Some(problem),
        }
    }
    let not_told = |problem| format!("no webhook is sent: {problem}");
    result.warnings.extend(callback_problem.map(not_told));
    if has_attributes {
        attributes::ended(ctx, end.status());
    }
    enter(ctx, Step::Ended);
    end.conclude(result)
}

/// Lets a worker check the request of a task that was not prepared. Without its approval, no webhook is sent: a caller without
/// the right to submit tasks could otherwise choose what a signed webhook says.
async fn approve(
    ctx: &WorkflowContext<ClaudeTask>,
    task: &str,
    input: TaskInput,
    queue: &str,
) -> Result<String, String> {
    let approved = ctx.execute_activity(
        DeliveryActivities::approve_webhook,
        input,
        close_options(queue),
    );
    approved.await.map_err(|error| {
        let told = match error.as_timeout() {
            Some(_) => None,
            None => ActivityEnd::of_error(task, &error).problem(),
        };
        told.unwrap_or_else(|| NOT_APPROVED.to_owned())
    })
}

/// The steps on the worker that prepared the task.
async fn run_prepared(
    ctx: &WorkflowContext<ClaudeTask>,
    task: &str,
    prepared: &Prepared,
    timeout: Duration,
    has_actions: bool,
) -> (ActivityEnd, Option<ActionsReport>) {
    let queue = &prepared.task_queue;
    let input = StepInput {
        task_id: task.to_owned(),
    };
    enter(ctx, Step::Run);
    let ran = ctx
        .execute_activity(
            HostActivities::run_session,
            input.clone(),
            session_options(queue, timeout),
        )
        .await;
    let mut end = ActivityEnd::new(task, ran);
    let mut actions = None;
    if has_actions && end.has_succeeded() {
        enter(ctx, Step::PostExecution);
        let acted = ctx
            .execute_activity(
                HostActivities::post_execution,
                input.clone(),
                action_options(queue),
            )
            .await;
        match acted {
            Ok(report) if report.task_id == task => actions = Some(report),
            Err(error) if error.as_cancelled().is_some() => end = end.into_cancelled(),
            Ok(_) | Err(_) => actions = Some(lost_actions(task)),
        }
    }
    enter(ctx, Step::CleanUp);
    // The worker cleans up by itself if this does not reach it, and the next worker sweeps what a lost one left.
    let _ = ctx
        .execute_activity(HostActivities::clean_up, input, clean_up_options(queue))
        .await;
    (end, actions)
}

/// The report of actions whose worker sent none.
fn lost_actions(task: &str) -> ActionsReport {
    let problem = "the post-execution actions did not end: the worker was lost, or they took too long. They are not \
        repeated";
    ActionsReport {
        task_id: task.to_owned(),
        warnings: vec![problem.to_owned()],
        ..ActionsReport::default()
    }
}

fn enter(ctx: &WorkflowContext<ClaudeTask>, step: Step) {
    ctx.state_mut(|state| state.step = step);
}

/// How long a task may wait for a place, and when it must be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PrepareLimits {
    wait: Duration,
    total: Duration,
}

/// What the time of the whole task leaves for the preparation, so that Temporal does not end the workflow before the receiver is
/// told. `None` if the task was started with another time than submissions choose.
fn prepare_limits(whole: Option<Duration>, session: Duration) -> Option<PrepareLimits> {
    let wait = whole?.checked_sub(session)?.checked_sub(STEPS_TIME)?;
    // Zero would be no limit.
    let wait = wait.max(Duration::from_secs(1));
    Some(PrepareLimits {
        wait,
        total: wait + PREPARE_TIME,
    })
}

fn prepare_options(limits: Option<PrepareLimits>) -> ActivityOptions {
    let start_to_close = PREPARE_TIMEOUT;
    let timeouts = match limits {
        Some(limits) => ActivityCloseTimeouts::ScheduleAndStartToClose {
            schedule_to_close: limits.total,
            start_to_close,
        },
        None => ActivityCloseTimeouts::StartToClose(start_to_close),
    };
    ActivityOptions::with_close_timeouts(timeouts)
        .maybe_schedule_to_start_timeout(limits.map(|limits| limits.wait))
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .retry_policy(until_begun())
        .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
        .build()
}

fn session_options(queue: &str, timeout: Duration) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(timeout + MARGIN)
        .task_queue(queue)
        .schedule_to_start_timeout(OWN_QUEUE_TIMEOUT)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .retry_policy(until_begun())
        // A session has ended when its processes have ended.
        .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
        .build()
}

fn action_options(queue: &str) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(ACTIONS_TIMEOUT)
        .task_queue(queue)
        .schedule_to_start_timeout(OWN_QUEUE_TIMEOUT)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        // A push may have had an effect.
        .retry_policy(RetryPolicy::builder().maximum_attempts(1).build())
        .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
        .build()
}

fn close_options(queue: &str) -> ActivityOptions {
    let timeouts = ActivityCloseTimeouts::ScheduleAndStartToClose {
        schedule_to_close: CLOSE_TIMEOUT,
        start_to_close: CLOSE_ATTEMPT,
    };
    ActivityOptions::with_close_timeouts(timeouts)
        .task_queue(queue)
        .retry_policy(
            RetryPolicy::builder()
                .maximum_interval(Duration::from_secs(20))
                .build(),
        )
        // The secrets of a cancelled task are deleted, too.
        .cancellation_token(WorkflowCancellationToken::new())
        .build()
}

fn clean_up_options(queue: &str) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(CLEAN_UP_TIMEOUT)
        .task_queue(queue)
        .schedule_to_start_timeout(OWN_QUEUE_TIMEOUT)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .retry_policy(RetryPolicy::builder().maximum_attempts(1).build())
        // A cancelled task is cleaned up, too.
        .cancellation_token(WorkflowCancellationToken::new())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preparation_ends_early_enough_to_tell_the_receiver() {
        let (day, session) = (Duration::from_hours(24), Duration::from_mins(55));
        let limits = prepare_limits(Some(day + session + STEPS_TIME), session).unwrap();
        assert_eq!((limits.wait, limits.total), (day, day + PREPARE_TIME));
        let after = session
            + MARGIN
            + ACTIONS_TIMEOUT
            + CLEAN_UP_TIMEOUT
            + 2 * CLOSE_TIMEOUT
            + 3 * OWN_QUEUE_TIMEOUT;
        assert!(limits.total + after < day + session + STEPS_TIME);
        let at_once = prepare_limits(Some(session + STEPS_TIME), session).unwrap();
        assert_eq!(at_once.wait, Duration::from_secs(1));
        for other in [None, Some(Duration::from_secs(5)), Some(session)] {
            assert_eq!(prepare_limits(other, session), None);
        }
    }
}
