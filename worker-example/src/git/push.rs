//! The push of a commit, and what to do when the remote branch has other commits.

use super::{
    call::{Call, failure},
    commit::Committed,
    place::GitPlace,
    rebase::{self, conflicts},
    remote::Remote,
};
use crate::task::{ConflictStrategy, GitCommit, Recovery, RecoveryMethod, StepError};

/// How often a rebased commit is pushed, while others push at the same time.
const REBASES: u32 = 3;

/// How a push ended.
#[derive(Debug, PartialEq, Eq)]
enum Pushed {
    Done,
    /// The remote branch has commits that the local one does not have.
    Behind,
}

/// Pushes a commit to a branch. If the remote branch has other commits, the strategy decides.
///
/// # Errors
/// When the remote repository cannot be reached or refuses the push.
pub(super) async fn push(
    place: &GitPlace<'_>,
    server: &Remote,
    committed: &Committed,
    branch: &str,
    strategy: ConflictStrategy,
) -> Result<GitCommit, StepError> {
    let mut done = GitCommit::new(committed.sha.clone(), committed.message.clone());
    done.branch = Some(branch.to_owned());
    if send(place, server, &committed.sha, branch, None).await? == Pushed::Done {
        done.pushed = true;
        return Ok(done);
    }
    match strategy {
        ConflictStrategy::Fail => Err(StepError::final_one(format!(
            "the remote branch {branch} has commits that the task did not see, and conflictStrategy is fail. The commit is \
             not pushed"
        ))),
        ConflictStrategy::Auto => recover(place, server, committed, branch, done).await,
    }
}

async fn recover(
    place: &GitPlace<'_>,
    server: &Remote,
    committed: &Committed,
    branch: &str,
    mut done: GitCommit,
) -> Result<GitCommit, StepError> {
    let mut remote = fetch(place, server, branch).await?;
    let mut tries = 0;
    while let Some(rebased) = rebase::onto(place, &committed.sha, &remote).await? {
        let files = conflicts(place, &committed.sha, &remote).await?;
        if send(place, server, &rebased, branch, None).await? == Pushed::Done {
            done.sha = rebased;
            done.pushed = true;
            done.recovery = Some(Recovery::new(RecoveryMethod::Rebase, remote, files));
            return Ok(done);
        }
        tries += 1;
        if tries == REBASES {
            return Err(StepError::transient(format!(
                "others push to the branch {branch} all the time; the commit was rebased {REBASES} times and is not pushed"
            )));
        }
        remote = fetch(place, server, branch).await?;
    }
    let files = conflicts(place, &committed.sha, &remote).await?;
    match send(place, server, &committed.sha, branch, Some(&remote)).await? {
        Pushed::Done => {
            done.pushed = true;
            let method = RecoveryMethod::ForceWithLease;
            done.recovery = Some(Recovery::new(method, remote, files));
            Ok(done)
        }
        Pushed::Behind => Err(StepError::transient(format!(
            "the branch {branch} changed while the push was prepared; the commit is not pushed"
        ))),
    }
}

/// Pushes once. With `lease`, it replaces the remote branch if that is still at this commit.
async fn send(
    place: &GitPlace<'_>,
    server: &Remote,
    sha: &str,
    branch: &str,
    lease: Option<&str>,
) -> Result<Pushed, StepError> {
    let what = format!("cannot push to branch {branch}");
    let mut arguments = vec![
        "push".to_owned(),
        "--porcelain".to_owned(),
        "--no-verify".to_owned(),
        "--no-follow-tags".to_owned(),
    ];
    arguments.extend(lease.map(|at| format!("--force-with-lease=refs/heads/{branch}:{at}")));
    arguments.push("origin".to_owned());
    arguments.push(format!("{sha}:refs/heads/{branch}"));
    let call = Call::new(place, arguments).in_repository().remote(server);
    let finished = call.run().await?;
    if finished.exit_code == 0 {
        return Ok(Pushed::Done);
    }
    match rejection(&String::from_utf8_lossy(&finished.stdout)) {
        Some(Rejection::Behind) => Ok(Pushed::Behind),
        Some(Rejection::Refused(why)) => {
            let why = place.redactor.redact(&why).into_owned();
            let message = format!(
                "{what}: the server refused it: {why}. Check the rules of the branch and whether sshKey may write"
            );
            Err(StepError::final_one(message))
        }
        None => Err(failure(place, &what, &finished)),
    }
}

/// Why a push was rejected.
#[derive(Debug, PartialEq, Eq)]
enum Rejection {
    Behind,
    Refused(String),
}

/// Reads the lines of `git push --porcelain`: a flag, both names, and a summary, with tabs between them.
fn rejection(output: &str) -> Option<Rejection> {
    let summary = output.lines().find_map(|line| {
        let mut parts = line.strip_prefix('!')?.split('\t').skip(2);
        parts.next()
    })?;
    Some(if summary.starts_with("[rejected]") {
        Rejection::Behind
    } else {
        Rejection::Refused(
            summary
                .chars()
                .filter(|c| !c.is_control())
                .take(300)
                .collect(),
        )
    })
}

/// Fetches the remote branch with its whole history, and returns its commit.
async fn fetch(place: &GitPlace<'_>, server: &Remote, branch: &str) -> Result<String, StepError> {
    let what = format!("cannot fetch branch {branch}");
    let is_shallow = Call::new(place, ["rev-parse", "--is-shallow-repository"])
        .in_repository()
        .line(&what)
        .await?
        == "true";
    let tracking = format!("refs/remotes/origin/{branch}");
    let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
    if is_shallow {
        arguments.push("--unshallow");
    }
    let refspec = format!("+refs/heads/{branch}:{tracking}");
    arguments.extend(["origin", &refspec]);
    Call::new(place, arguments)
        .in_repository()
        .remote(server)
        .output(&what)
        .await?;
    let named = format!("{tracking}^{{commit}}");
    Call::new(place, ["rev-parse", "--verify", &named])
        .in_repository()
        .object(&what)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_branch_that_moved_from_a_refusal() {
        let line = |summary| format!("To ssh://h/a\n!\tabc:refs/heads/main\t{summary}\nDone\n");
        for behind in [
            "[rejected] (fetch first)",
            "[rejected] (non-fast-forward)",
            "[rejected] (stale info)",
        ] {
            assert_eq!(
                rejection(&line(behind)),
                Some(Rejection::Behind),
                "{behind}"
            );
        }
        let refused = "[remote rejected] (pre-receive hook declined)";
        assert_eq!(
            rejection(&line(refused)),
            Some(Rejection::Refused(refused.into()))
        );
        assert_eq!(rejection("fatal: the connection broke\n"), None);
    }
}
