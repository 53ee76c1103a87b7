//! A task's commit on top of commits that others pushed meanwhile.

use super::{call::Call, identity::Identity, place::GitPlace};
use crate::task::StepError;

/// The most files with conflicts that are told.
const MAX_FILES: usize = 100;

/// Applies a commit to another one. Where both changed the same lines, the commit's side wins. `None` if that is not enough,
/// for example because one side removed what the other changed.
///
/// # Errors
/// When git fails otherwise.
pub(super) async fn onto(
    place: &GitPlace<'_>,
    commit: &str,
    onto: &str,
) -> Result<Option<String>, StepError> {
    let what = "cannot rebase the commit";
    place.renew(&place.rebase_tree())?;
    Call::new(place, ["checkout", "--quiet", "--force", "--detach", onto])
        .in_rebase()
        .output(what)
        .await?;
    let identity = Identity::of_commit(place, onto).await?;
    let pick = [
        "cherry-pick",
        "-X",
        "theirs",
        "--keep-redundant-commits",
        commit,
    ];
    let picked = identity
        .sign(Call::new(place, pick).in_rebase())
        .run()
        .await?;
    if picked.exit_code != 0 {
        // Leaves nothing behind for another attempt.
        let quit = Call::new(place, ["cherry-pick", "--quit"]).in_rebase();
        quit.run().await?;
        return Ok(None);
    }
    Call::new(place, ["rev-parse", "--verify", "HEAD^{commit}"])
        .in_repository()
        .object(what)
        .await
        .map(Some)
}

/// The files that both commits changed in the same place since their last common commit.
///
/// # Errors
/// When git cannot be run.
pub(super) async fn conflicts(
    place: &GitPlace<'_>,
    commit: &str,
    remote: &str,
) -> Result<Vec<String>, StepError> {
    let arguments = [
        "merge-tree",
        "--write-tree",
        "--name-only",
        "--no-messages",
        "-z",
        remote,
        commit,
    ];
    let merged = Call::new(place, arguments).in_repository().run().await?;
    // 1: conflicts. 0: a merge without conflicts. All others: the two have no common commit.
    if merged.exit_code != 1 {
        return Ok(Vec::new());
    }
    let names = merged.stdout.split(|b| *b == 0).skip(1);
    let names = names.filter(|name| !name.is_empty()).take(MAX_FILES);
    Ok(names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect())
}
