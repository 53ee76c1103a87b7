//! Following a task to its end, with signals, and with words where it does not begin.

use std::{cell::Cell, future::Future, pin::pin, time::Duration};

use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowGetResultOptions, errors::WorkflowInteractionError,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{Outcome, Screen, SubmitError, lost};
use crate::{
    connect::chain,
    follow::{Follower, Stage, TaskHandle},
    print, queue,
    task_id::TaskId,
};

const POLL: Duration = Duration::from_millis(400);
/// How often the queue is asked for workers while the task waits.
const QUEUE_POLL: Duration = Duration::from_secs(5);
/// How long a cancelled task may take to end before the submitter leaves it alone.
const CANCEL_LIMIT: Duration = Duration::from_secs(30);

/// What Ctrl-C and SIGTERM mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSignal {
    /// The first cancels the task, the second leaves it.
    Cancel,
    /// Leave the task alone.
    Leave,
}

/// A task that is followed.
pub(crate) struct Watch<'a> {
    pub(crate) client: &'a Client,
    pub(crate) queue: &'a str,
    pub(crate) task: &'a TaskId,
    pub(crate) handle: &'a TaskHandle,
    pub(crate) on_signal: OnSignal,
}

impl Watch<'_> {
    /// Shows the task's events until its end.
    ///
    /// # Errors
    /// When Temporal cannot tell the end, or the task cannot be cancelled.
    pub(crate) async fn run(self, mut screen: Screen) -> Result<Outcome, SubmitError> {
        let mut follower = Follower::default();
        let ended = match self.until_end(&mut screen, &mut follower).await? {
            Until::Ended(ended) => *ended,
            Until::Left(outcome) => return Ok(outcome),
        };
        match follower.finish(self.handle).await {
            Ok(seen) => screen.seen(&seen),
            Err(error) => tracing::debug!(error = chain(&error), "the last events cannot be read"),
        }
        screen.ended(self.task, ended)
    }

    async fn until_end(
        &self,
        screen: &mut Screen,
        follower: &mut Follower,
    ) -> Result<Until, SubmitError> {
        let mut signals = Signals::listen()?;
        let stage = Cell::new(Stage::default());
        let mut observing = pin!(self.observe(screen, follower, &stage));
        let mut result = pin!(self.handle.get_result(WorkflowGetResultOptions::default()));
        let mut cancelling = pin!(self.cancel());
        let (mut asked, mut accepted, mut was_open) = (false, false, false);
        let mut polls = interval(POLL);
        let mut give_up = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = signals.recv() => {
                    if self.on_signal == OnSignal::Leave {
                        print::note(&format!("left task {}, which goes on", self.task));
                        return Ok(Until::Left(Outcome::Left));
                    }
                    if asked {
                        print::note(&format!("left task {} while it is being cancelled", self.task));
                        return Ok(Until::Left(Outcome::Cancelled));
                    }
                    asked = true;
                    give_up = Instant::now() + CANCEL_LIMIT;
                    print::note("cancelling the task; press Ctrl-C again to stop waiting");
                }
                ended = &mut result => return Ok(Until::Ended(Box::new(ended))),
                answered = &mut cancelling, if asked && !accepted => {
                    accepted = true;
                    was_open = is_cancelled(answered).map_err(|e| lost(self.task, &e))?;
                }
                // The stage can become known later.
                _ = polls.tick(), if was_open => {
                    if matches!(stage.get(), Stage::Queued | Stage::Refused(_)) {
                        print::note(&format!("task {} is cancelled before a worker took it", self.task));
                        return Ok(Until::Left(Outcome::Cancelled));
                    }
                }
                () = sleep_until(give_up), if asked => {
                    print::note(&format!(
                        "task {} has not ended after {} s; it ends when its worker has cleaned up",
                        self.task,
                        CANCEL_LIMIT.as_secs()
                    ));
                    return Ok(Until::Left(Outcome::Cancelled));
                }
                () = &mut observing => {}
            }
        }
    }

    async fn cancel(&self) -> Result<(), WorkflowInteractionError> {
        self.handle.cancel(WorkflowCancelOptions::default()).await
    }

    /// Shows what happens, for ever.
    async fn observe(&self, screen: &mut Screen, follower: &mut Follower, stage: &Cell<Stage>) {
        let mut polls = interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_look = Instant::now();
        let mut said = Said::default();
        loop {
            polls.tick().await;
            match follower.poll(self.handle).await {
                Ok(seen) => {
                    said.stage(self, follower.stage());
                    screen.seen(&seen);
                }
                Err(error) => said.unreadable(&chain(&error)),
            }
            stage.set(follower.stage());
            let now = Instant::now();
            let is_silent = follower.is_silent(now);
            if (follower.stage() == Stage::Queued || is_silent) && now >= next_look {
                next_look = now + QUEUE_POLL;
                if let Ok(false) = queue::has_workers(self.client, self.queue).await {
                    said.no_worker(self.queue, is_silent);
                }
            }
        }
    }
}

/// Whether the task is being cancelled. One that ended at the same time has a result, which comes.
fn is_cancelled(
    answered: Result<(), WorkflowInteractionError>,
) -> Result<bool, WorkflowInteractionError> {
    match answered {
        Ok(()) => Ok(true),
        Err(WorkflowInteractionError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

enum Until {
    Ended(Box<Result<crate::TaskResult, temporalio_client::errors::WorkflowGetResultError>>),
    Left(Outcome),
}

/// What was said already: each thing once.
#[derive(Default)]
struct Said {
    stage: Stage,
    no_worker: bool,
    lost_worker: bool,
    unreadable: bool,
}

impl Said {
    fn stage(&mut self, watch: &Watch<'_>, stage: Stage) {
        let kind = std::mem::discriminant(&stage);
        if kind == std::mem::discriminant(&self.stage) {
            return;
        }
        self.stage = stage;
        let task = watch.task;
        match stage {
            Stage::Unknown | Stage::Queued => {}
            Stage::Waiting => print::note(&format!(
                "task {task} waits: every place of the workers is taken"
            )),
            Stage::Started => print::note(&format!("task {task} started")),
            Stage::Refused(attempts) => print::note(&format!(
                "a worker failed to read task {task} {attempts} times. Has it the key that this submission encrypts \
                 with? Compare TEMPORAL_CODEC_KEY and --keyring of both, and look into the worker's log"
            )),
        }
    }

    fn no_worker(&mut self, queue: &str, is_lost: bool) {
        if is_lost && !std::mem::replace(&mut self.lost_worker, true) {
            print::note(&format!(
                "the task's worker is lost, and no other polls task queue {queue}. The task ends as failed when one does: \
                 claude-tasks worker --task-queue {queue}"
            ));
        }
        if !is_lost && !std::mem::replace(&mut self.no_worker, true) {
            print::note(&no_worker(queue));
        }
    }

    fn unreadable(&mut self, problem: &str) {
        if !std::mem::replace(&mut self.unreadable, true) {
            tracing::warn!(error = problem, "events cannot be read");
        }
    }
}

/// What to say where nobody works.
pub(super) fn no_worker(queue: &str) -> String {
    format!(
        "no worker polls task queue {queue}; start one: claude-tasks worker --task-queue {queue}"
    )
}

struct Signals([Signal; 2]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ]))
    }

    fn recv(&mut self) -> impl Future<Output = ()> {
        let [interrupt, terminate] = &mut self.0;
        async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use temporalio_client::tonic::Status;

    use super::*;

    #[test]
    fn a_task_that_ends_while_it_is_cancelled_has_a_result() {
        let ended = WorkflowInteractionError::NotFound(Status::not_found("completed"));
        assert!(!is_cancelled(Err(ended)).unwrap());
        assert!(is_cancelled(Ok(())).unwrap());
        let failed = WorkflowInteractionError::Rpc(Status::unavailable("away"));
        assert!(is_cancelled(Err(failed)).is_err());
    }
}
