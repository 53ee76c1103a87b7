//! The commit of a task's changes.

use std::{collections::BTreeSet, path::Path};

use super::{
    call::{Call, is_object_name},
    checkout::Checkout,
    identity::Identity,
    place::GitPlace,
};
use crate::task::{GitAction, StepError};

/// The most names of changed files, in bytes. They are the standard input of a call.
const MAX_NAMES: usize = 8 << 20;
/// Keeps the commit in the service's repository. Another attempt finds it there.
const RESULT: &str = "refs/claude-tasks/result";

/// A commit in the service's repository.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) sha: String,
    pub(super) message: String,
}

/// Commits the changed files of the workspace that the action names, without those that the service wrote. `None` if nothing
/// changed.
///
/// # Errors
/// When git fails.
pub(super) async fn commit(
    place: &GitPlace<'_>,
    checkout: &Checkout,
    action: &GitAction,
    generated: &[String],
    default_message: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Committed>, StepError> {
    let base = &checkout.commit;
    let Some(tree) = pack_changes(place, base, action, generated, warnings).await? else {
        return Ok(None);
    };
    let message = action
        .commit_message
        .as_deref()
        .filter(|message| !message.trim().is_empty())
        .unwrap_or(default_message);
    if let Some(sha) = earlier(place, base, &tree).await? {
        let message = message.to_owned();
        return Ok(Some(Committed { sha, message }));
    }
    let identity = Identity::of_commit(place, base).await?;
    let call = Call::new(place, ["commit-tree", &tree, "-p", base, "-F", "-"]);
    let sha = identity
        .sign(call.in_repository())
        .input(message.as_bytes().to_vec())
        .object("cannot commit")
        .await?;
    Call::new(place, ["update-ref", RESULT, &sha])
        .in_repository()
        .output("cannot keep the commit")
        .await?;
    Ok(Some(Committed {
        sha,
        message: message.to_owned(),
    }))
}

/// The commit of an earlier attempt, if it has the same files.
async fn earlier(
    place: &GitPlace<'_>,
    base: &str,
    tree: &str,
) -> Result<Option<String>, StepError> {
    let format = "--format=%H %T %P";
    let shown = Call::new(place, ["show", "--no-patch", format, RESULT, "--"])
        .in_repository()
        .run()
        .await?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let found: Vec<_> = shown.split_whitespace().collect();
    Ok(match found.as_slice() {
        [sha, has_tree, parent] if *has_tree == tree && *parent == base => Some((*sha).to_owned()),
        _ => None,
    })
}

/// Makes a tree of the workspace's files, and brings it to the service's repository. Returns its name.
async fn pack_changes(
    place: &GitPlace<'_>,
    base: &str,
    action: &GitAction,
    generated: &[String],
    warnings: &mut Vec<String>,
) -> Result<Option<String>, StepError> {
    let outbox = place.outbox();
    place.renew(&outbox)?;
    place.renew(&outbox.join("objects"))?;
    let what = "cannot read the changes in the workspace";
    Call::new(place, ["read-tree", base])
        .in_workspace()
        .output(what)
        .await?;
    let changed = changed(place, action, what).await?;
    let names = chosen(&place.workspace, &changed, generated, warnings)?;
    if names.is_empty() {
        return Ok(None);
    }
    let add = ["add", "-A", "--pathspec-from-file=-", "--pathspec-file-nul"];
    Call::new(place, add)
        .in_workspace()
        .with("GIT_LITERAL_PATHSPECS", "1")
        .input(names)
        .output(what)
        .await?;
    let tree = Call::new(place, ["write-tree"])
        .in_workspace()
        .object(what)
        .await?;
    if tree == tree_of(place, base).await? {
        return Ok(None);
    }
    let pack = outbox.join("changes");
    let wanted = format!("{tree}\n^{base}\n").into_bytes();
    let arguments = ["pack-objects", "--quiet", "--revs", "--non-empty"];
    let arguments = arguments.map(Into::into).into_iter();
    let hash = Call::new(place, arguments.chain([pack.into_os_string()]))
        .in_workspace()
        .input(wanted)
        .line(what)
        .await?;
    if hash.is_empty() {
        // All objects are known: the tree is that of an older commit.
        return known_tree(place, &tree).await.map(Some);
    }
    if !is_object_name(&hash) {
        return Err(StepError::final_one(format!("{what}: git made no pack")));
    }
    // From here on, the workspace is out of sight. `--strict` refuses trees that git would refuse to check out.
    Call::new(place, ["index-pack", "--strict", "--stdin"])
        .in_repository()
        .input_file(outbox.join(format!("changes-{hash}.pack")))
        .output("cannot import the changes")
        .await?;
    known_tree(place, &tree).await.map(Some)
}

/// Checks that the service's repository has the tree.
async fn known_tree(place: &GitPlace<'_>, tree: &str) -> Result<String, StepError> {
    let named = format!("{tree}^{{tree}}");
    Call::new(place, ["rev-parse", "--verify", &named])
        .in_repository()
        .object("cannot import the changes")
        .await
}

async fn tree_of(place: &GitPlace<'_>, commit: &str) -> Result<String, StepError> {
    let named = format!("{commit}^{{tree}}");
    Call::new(place, ["rev-parse", "--verify", &named])
        .in_repository()
        .object("cannot read the commit that was cloned")
        .await
}

/// The names of changed, deleted and new files that the action's patterns match, each followed by NUL.
async fn changed(
    place: &GitPlace<'_>,
    action: &GitAction,
    what: &str,
) -> Result<Vec<u8>, StepError> {
    let list = [
        "ls-files",
        "-z",
        "-m",
        "-d",
        "-o",
        "--exclude-standard",
        "--",
    ];
    let patterns = action.files.iter().flatten();
    let arguments = list.into_iter().chain(patterns.map(String::as_str));
    Call::new(place, arguments)
        .in_workspace()
        .output(what)
        .await
}

/// The names to commit, each followed by NUL: without the files that the service wrote, and without nested repositories.
fn chosen(
    workspace: &Path,
    changed: &[u8],
    generated: &[String],
    warnings: &mut Vec<String>,
) -> Result<Vec<u8>, StepError> {
    let mut names = BTreeSet::new();
    let mut nested = 0;
    for name in changed.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        if generated.iter().any(|path| path.as_bytes() == name) {
            continue;
        }
        if name.ends_with(b"/") || is_folder(workspace, name) {
            nested += 1;
            continue;
        }
        names.insert(name);
    }
    if nested > 0 {
        warnings.push(format!(
            "not committed: {nested} repositories inside the workspace. Submodules stay as they are"
        ));
    }
    let mut list = Vec::new();
    for name in names {
        list.extend_from_slice(name);
        list.push(0);
    }
    if list.len() > MAX_NAMES {
        return Err(StepError::final_one(
            "too many files changed for one commit; name fewer in `files`, or add build folders to .gitignore",
        ));
    }
    Ok(list)
}

fn is_folder(workspace: &Path, name: &[u8]) -> bool {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let path = workspace.join(OsStr::from_bytes(name));
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_and_nested_repositories_stay_out() {
        let workspace = tempfile::tempdir().unwrap();
        std::fs::create_dir(workspace.path().join("module")).unwrap();
        let mut warnings = Vec::new();
        let changed = b"b\0.env\0sub/\0module\0a\0a\0.mcp.json\0";
        let generated = [".env".to_owned(), ".mcp.json".to_owned()];
        let names = chosen(workspace.path(), changed, &generated, &mut warnings).unwrap();
        assert_eq!(names, b"a\0b\0");
        assert!(warnings[0].contains("not committed: 2"));
    }
}
