//! Following a task: a stream of what happens to it, until its end.

use std::{collections::VecDeque, time::Duration};

use futures::{Stream, future::BoxFuture, stream};
use temporalio_client::{WorkflowGetResultOptions, errors::WorkflowGetResultError};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{
    chain::error_chain,
    error::{ClientError, problem_of_reading},
    heartbeats::{Heartbeats, Printed, WorkflowOfTask},
    queue,
    stage::Stage,
    target::Target,
    task_end::TaskEnd,
};
use crate::task::{TaskId, TaskResult};

/// How often Temporal is asked for news.
const POLL: Duration = Duration::from_millis(400);
/// How often the task queue is asked for workers while the task waits or is silent.
const QUEUE_POLL: Duration = Duration::from_secs(5);

/// What happens to a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskEvent {
    /// An event of Claude Code or of the worker: one line of JSON. Its text is not safe for a terminal.
    Printed(String),
    /// This many events were replaced by newer ones before they could be read. The worker's log has them.
    Missed(u64),
    /// The task reached another stage.
    Stage(Stage),
    /// An attempt failed before the task began. Temporal tries again.
    AttemptFailed {
        /// How often workers tried.
        attempts: u32,
        /// What the worker reports. `None` if its report cannot be read.
        problem: Option<String>,
    },
    /// The task waits, and no worker polls the task queue.
    NoWorker,
    /// The task's worker is lost, and no other worker polls the task queue.
    WorkerLost,
    /// The task's events cannot be read now.
    Unreadable(String),
    /// The task has ended. This is the last event.
    Ended(Box<TaskEnd>),
}

/// A stream of a task's events from now on, without those before `first`. It ends after [`TaskEvent::Ended`] or an error.
pub(super) fn follow(
    target: Target,
    task: TaskId,
    workflow: WorkflowOfTask,
    first: u64,
) -> impl Stream<Item = Result<TaskEvent, ClientError>> + Send + use<> {
    let following = Following::new(target, task, workflow, first);
    stream::unfold(Some(following), |following| async {
        let mut following = following?;
        let next = following.next().await;
        let is_last = matches!(next, Ok(TaskEvent::Ended(_)) | Err(_));
        Some((next, (!is_last).then_some(following)))
    })
}

struct Following {
    task: TaskId,
    workflow: WorkflowOfTask,
    result: BoxFuture<'static, Result<TaskResult, WorkflowGetResultError>>,
    observer: Observer,
    ready: VecDeque<TaskEvent>,
    end: Option<Result<TaskEnd, ClientError>>,
}

impl Following {
    fn new(target: Target, task: TaskId, workflow: WorkflowOfTask, first: u64) -> Self {
        let ending = workflow.clone();
        Self {
            task,
            result: Box::pin(async move {
                ending.get_result(WorkflowGetResultOptions::default()).await
            }),
            observer: Observer::new(target, workflow.clone(), first),
            workflow,
            ready: VecDeque::new(),
            end: None,
        }
    }

    async fn next(&mut self) -> Result<TaskEvent, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(end) = self.end.take() {
                return end.map(|end| TaskEvent::Ended(Box::new(end)));
            }
            tokio::select! {
                biased;
                result = &mut self.result => {
                    self.end = Some(self.observer.target.task_end(&self.task, result));
                    self.read_last().await;
                }
                events = self.observer.look() => self.ready.extend(events),
            }
        }
    }

    async fn read_last(&mut self) {
        if matches!(self.end, Some(Err(_))) {
            return;
        }
        match self.observer.heartbeats.read_last(&self.workflow).await {
            Ok(printed) => self.ready.extend(printed.into_iter().map(TaskEvent::from)),
            Err(error) => tracing::debug!(
                error = error_chain(&error),
                "cannot read the task's last events"
            ),
        }
    }
}

/// Looks at a running task, and tells each finding once.
struct Observer {
    target: Target,
    workflow: WorkflowOfTask,
    heartbeats: Heartbeats,
    polls: Interval,
    next_queue_look: Instant,
    told: Told,
}

/// What was told already.
#[derive(Default)]
struct Told {
    stage: Stage,
    attempts: u32,
    no_worker: bool,
    worker_lost: bool,
    unreadable: bool,
}

impl Observer {
    fn new(target: Target, workflow: WorkflowOfTask, first: u64) -> Self {
        let mut polls = interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            target,
            workflow,
            heartbeats: Heartbeats::after(first),
            polls,
            next_queue_look: Instant::now(),
            told: Told::default(),
        }
    }

    async fn look(&mut self) -> Vec<TaskEvent> {
        self.polls.tick().await;
        let mut events = Vec::new();
        match self.heartbeats.read(&self.workflow).await {
            Ok(printed) => {
                let problem = self.heartbeats.attempt_problem();
                events.extend(self.told.new_stage(self.heartbeats.stage(), problem));
                events.extend(printed.into_iter().map(TaskEvent::from));
            }
            Err(error) => events.extend(self.told.unreadable(&error)),
        }
        events.extend(self.look_for_workers().await);
        events
    }

    async fn look_for_workers(&mut self) -> Option<TaskEvent> {
        let now = Instant::now();
        let is_silent = self.heartbeats.is_silent(now);
        let is_waiting = self.heartbeats.stage() == Stage::Queued;
        if !(is_waiting || is_silent) || now < self.next_queue_look {
            return None;
        }
        self.next_queue_look = now + QUEUE_POLL;
        match queue::has_workers(&self.target.client, &self.target.task_queue).await {
            Ok(false) => self.told.no_worker(is_silent),
            _ => None,
        }
    }
}

impl Told {
    fn new_stage(&mut self, stage: Stage, problem: Option<&str>) -> Option<TaskEvent> {
        if let Stage::Retrying { attempts } = stage {
            self.stage = stage;
            if attempts == self.attempts {
                return None;
            }
            self.attempts = attempts;
            let problem = problem.map(str::to_owned);
            return Some(TaskEvent::AttemptFailed { attempts, problem });
        }
        let is_same = std::mem::discriminant(&stage) == std::mem::discriminant(&self.stage);
        self.stage = stage;
        (!is_same).then_some(TaskEvent::Stage(stage))
    }

    fn no_worker(&mut self, is_lost: bool) -> Option<TaskEvent> {
        let (told, event) = if is_lost {
            (&mut self.worker_lost, TaskEvent::WorkerLost)
        } else {
            (&mut self.no_worker, TaskEvent::NoWorker)
        };
        (!std::mem::replace(told, true)).then_some(event)
    }

    fn unreadable(&mut self, error: &(dyn std::error::Error + 'static)) -> Option<TaskEvent> {
        let is_told = std::mem::replace(&mut self.unreadable, true);
        (!is_told).then(|| TaskEvent::Unreadable(problem_of_reading(error)))
    }
}

impl From<Printed> for TaskEvent {
    fn from(printed: Printed) -> Self {
        match printed {
            Printed::Event(event) => Self::Printed(event),
            Printed::Missed(count) => Self::Missed(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_told_once() {
        let mut told = Told::default();
        assert_eq!(
            told.new_stage(Stage::Queued, None),
            Some(TaskEvent::Stage(Stage::Queued))
        );
        assert_eq!(told.new_stage(Stage::Queued, None), None);
        assert_eq!(told.no_worker(false), Some(TaskEvent::NoWorker));
        assert_eq!(told.no_worker(false), None);
        assert_eq!(told.no_worker(true), Some(TaskEvent::WorkerLost));
    }

    #[test]
    fn each_failed_attempt_is_told() {
        let mut told = Told::default();
        let retrying = |attempts| Stage::Retrying { attempts };
        let failed = |attempts, problem: Option<&str>| {
            let problem = problem.map(str::to_owned);
            Some(TaskEvent::AttemptFailed { attempts, problem })
        };
        assert_eq!(
            told.new_stage(retrying(1), Some("full")),
            failed(1, Some("full"))
        );
        assert_eq!(told.new_stage(retrying(1), Some("full")), None);
        assert_eq!(told.new_stage(retrying(2), None), failed(2, None));
        assert_eq!(
            told.new_stage(Stage::Running, None),
            Some(TaskEvent::Stage(Stage::Running))
        );
    }
}
