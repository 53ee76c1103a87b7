//! Commit and push after a session that succeeded.

use super::{
    attempts::Attempts, call::Call, checkout::Checkout, commit::commit, place::GitPlace,
    push::push, remote::Remote,
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

/// Commits and pushes what the session changed. `generated` are the files that the service wrote, which stay out. What fails
/// for a passing reason is tried again, for as long as the settings say. A commit that cannot be pushed is told all the same.
pub(crate) async fn finish(
    place: &GitPlace<'_>,
    task: &TaskId,
    checkout: Option<&Checkout>,
    key: Option<&Secret>,
    action: &GitAction,
    generated: &[String],
) -> Finish {
    let mut done = Finish::default();
    let ended = steps(place, task, checkout, key, action, generated, &mut done).await;
    done.problem = done.problem.or(ended.err().map(|error| error.to_string()));
    done
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
    let mut attempts = Attempts::new(place.cancelled, place.settings.patience);
    let committed = loop {
        let mut warnings = Vec::new();
        match commit(place, checkout, action, generated, &message, &mut warnings).await {
            Ok(committed) => {
                done.warnings.append(&mut warnings);
                break committed;
            }
            Err(error) => attempts.wait(error).await?,
        }
    };
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
        let strategy = action.conflict_strategy;
        let pushed = loop {
            let sent = async {
                // The key exists only while it is used.
                let server = Remote::open(place, &address, key).await?;
                push(place, &server, &committed, action.branch(), strategy).await
            };
            match sent.await {
                Ok(pushed) => break pushed,
                Err(error) => attempts.wait(error).await?,
            }
        };
        done.commit = Some(pushed);
    }
    Ok(())
}
