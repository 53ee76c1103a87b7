//! Shows a task's events until its end, and handles the signals that stop a program.

use std::{pin::pin, time::Duration};

use futures::StreamExt as _;
use temporal_kms_codec_service::lifecycle::StopSignals;
use tokio::time::{Instant, sleep_until};

use super::{
    exit::{CommandEnd, CommandError},
    screen::Screen,
    server::AnyTask,
};
use crate::{
    client::{Cancellation, Stage, TaskEvent},
    print,
};

/// How long to wait for the end of a cancelled task.
const CANCEL_LIMIT: Duration = Duration::from_secs(30);

/// What Ctrl-C, SIGTERM and SIGHUP do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnSignal {
    /// The first signal cancels the task, and the second one stops waiting for its end.
    Cancel,
    /// A signal stops the command and not the task.
    Leave,
}

/// Shows a task's events until its end.
///
/// # Errors
/// When the task cannot be followed or cancelled, or its result cannot be read.
pub(super) async fn watch(
    task: &AnyTask,
    mut screen: Screen,
    on_signal: OnSignal,
) -> Result<CommandEnd, CommandError> {
    let id = task.id();
    let mut signals = StopSignals::listen().map_err(CommandError::Signals)?;
    let mut events = task.follow();
    let mut cancelling = pin!(task.cancel());
    let (mut is_asked, mut is_answered, mut is_accepted) = (false, false, false);
    let mut stage = Stage::default();
    let mut give_up = Instant::now();
    loop {
        tokio::select! {
            biased;
            _ = signals.next() => {
                if on_signal == OnSignal::Leave {
                    print::note(&format!("task {id} continues; this command stops following it"));
                    return Ok(CommandEnd::Done);
                }
                if is_asked {
                    print::note(&format!(
                        "task {id} is being cancelled; this command stops waiting for its end"
                    ));
                    return Ok(CommandEnd::TaskCancelled);
                }
                is_asked = true;
                give_up = Instant::now() + CANCEL_LIMIT;
                print::note(&format!(
                    "task {id} is being cancelled; press Ctrl-C again to stop waiting for its end"
                ));
            }
            answer = &mut cancelling, if is_asked && !is_answered => {
                is_answered = true;
                // A task that has ended at the same time has a result, which follows.
                is_accepted = answer? == Cancellation::Accepted;
            }
            event = events.next() => {
                let Some(event) = event.transpose()? else {
                    return Ok(CommandEnd::Done);
                };
                screen.show(&event);
                match event {
                    TaskEvent::Stage(now) => stage = now,
                    TaskEvent::Ended(end) => return Ok(CommandEnd::of_task(end.kind())),
                    _ => {}
                }
            }
            () = sleep_until(give_up), if is_asked => {
                print::note(&format!(
                    "task {id} has not ended after {} s; it ends when its worker has cleaned up",
                    CANCEL_LIMIT.as_secs()
                ));
                return Ok(CommandEnd::TaskCancelled);
            }
        }
        if is_accepted && stage.is_untouched() {
            print::note(&format!("task {id} was cancelled before a worker took it"));
            return Ok(CommandEnd::TaskCancelled);
        }
    }
}
