//! Commit and push after a session that succeeded.

use super::{
    call::Call, checkout::Checkout, commit::commit, place::GitPlace, push::push, remote::Remote,
};
use crate::task::{GitAction, GitCommit, Secret, StepError, TaskId};

/// What the commit and the push did. A problem does not fail the task.
#[derive(Debug, Default)]
pub(crate) struct Finish {
    /// The commit. `None` if nothing changed.
    pub(crate) commit: Option<GitCommit>,
    /// Why the commit was not made or not pushed.
    pub(crate) problem: Option<String>,
    /// What was left out.
    pub(crate) warnings: Vec<String>,
}

/// Commits and pushes what the session changed. `generated` are the files that the service wrote, which stay out.
///
/// # Errors
/// When the task is cancelled, or another attempt can succeed. What cannot succeed is a problem of [`Finish`].
pub(crate) async fn finish(
    place: &GitPlace<'_>,
    task: &TaskId,
    checkout: Option<&Checkout>,
    key: Option<&Secret>,
    action: &GitAction,
    generated: &[String],
) -> Result<Finish, StepError> {
    let mut done = Finish::default();
    let ended = steps(place, task, checkout, key, action, generated, &mut done).await;
    match ended {
        Ok(()) => {}
        Err(error @ StepError::Cancelled) => return Err(error),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => done.problem = Some(error.to_string()),
    }
    Ok(done)
}

async fn steps(
    place: &GitPlace<'_>,
    task: &TaskId,
    checkout: Option<&Checkout>,
    key: Option<&Secret>,
    action: &GitAction,
    generated: &[String],
    done: &mut Finish,
) -> Result<(), StepError> {
    if !action.commit {
        if action.push {
            done.problem = Some(
                "nothing is pushed, because postExecutionActions.git.commit is false. The service pushes only commits \
                 that it made"
                    .to_owned(),
            );
        }
        return Ok(());
    }
    let checkout = checkout.ok_or_else(|| {
        StepError::final_one("postExecutionActions.git needs gitRepo; nothing is committed")
    })?;
    let message = format!("Changes by Claude Code\n\nTask: {task}");
    let warnings = &mut done.warnings;
    let committed = commit(place, checkout, action, generated, &message, warnings).await?;
    let Some(committed) = committed else {
        return Ok(());
    };
    done.commit = Some(GitCommit::new(
        committed.sha.clone(),
        committed.message.clone(),
    ));
    if action.push {
        let address = Call::new(place, ["config", "--get", "remote.origin.url"])
            .in_repository()
            .line("cannot read the address of the repository")
            .await?;
        let server = Remote::open(place, &address, key).await?;
        let strategy = action.conflict_strategy;
        let pushed = push(place, &server, &committed, action.branch(), strategy).await?;
        done.commit = Some(pushed);
    }
    Ok(())
}
