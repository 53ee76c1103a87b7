//! The checkout of a task's repository.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use super::{
    call::{Call, is_object_name},
    place::GitPlace,
    remote::Remote,
};
use crate::{
    sandbox::{Network, ProgramError, RunLimits},
    task::{GitTransport, GitUrl, StepError, TaskRequest},
};

const COPY_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(10);

/// A repository that is checked out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checkout {
    /// The commit.
    pub(crate) commit: String,
    /// Its branch.
    pub(crate) branch: String,
    /// The host of the repository; empty for a file.
    pub(crate) host: String,
}

/// Clones the request's repository into the empty workspace, and keeps a copy of the fresh repository for the commit.
/// `None` if the request names no repository.
///
/// # Errors
/// When the repository cannot be reached or cloned.
pub(crate) async fn check_out(
    place: &GitPlace<'_>,
    request: &TaskRequest,
) -> Result<Option<Checkout>, StepError> {
    let Some(repository) = &request.git_repo else {
        return Ok(None);
    };
    let url = GitUrl::parse(repository, place.settings.files_allowed)
        .map_err(|problem| StepError::final_one(format!("gitRepo {problem}")))?;
    let address = address(&url, request.ssh_key.is_some())?;
    let server = Remote::open(place, &address, request.ssh_key.as_ref()).await?;
    let branch = request.git_branch();
    let depth = request.git_depth().to_string();
    let arguments: Vec<OsString> = [
        "clone",
        "--quiet",
        "--template=",
        "--depth",
        &depth,
        "--single-branch",
        "--no-tags",
        "--no-recurse-submodules",
        "--branch",
        branch,
        "--",
        &address,
        ".",
    ]
    .map(Into::into)
    .to_vec();
    let what = format!("cannot clone branch {branch} of gitRepo");
    let cloned = Call::new(place, arguments)
        .remote(&server)
        .output(&what)
        .await;
    drop(server);
    cloned?;
    keep(place).await?;
    let commit = Call::new(place, ["rev-parse", "--verify", "HEAD^{commit}"])
        .in_repository()
        .line("cannot read the commit that was cloned")
        .await?;
    if !is_object_name(&commit) {
        return Err(StepError::final_one("gitRepo has no commit on its branch"));
    }
    Ok(Some(Checkout {
        commit,
        branch: branch.to_owned(),
        host: url.host().to_owned(),
    }))
}

/// The address that git gets. With a key, an https address becomes one of ssh.
fn address(url: &GitUrl, has_key: bool) -> Result<String, StepError> {
    match url.transport() {
        GitTransport::Https if has_key => url.over_ssh().ok_or_else(|| {
            StepError::final_one(
                "gitRepo has a port, so its ssh address is not known. Give it as ssh://USER@HOST:PORT/PATH",
            )
        }),
        GitTransport::Ssh if !has_key => Err(StepError::final_one(
            "gitRepo is an ssh address and needs sshKey. Give sshKey, or an https address",
        )),
        _ => Ok(url.as_str().to_owned()),
    }
}

/// Copies the fresh repository out of the workspace, before anything of the task runs.
async fn keep(place: &GitPlace<'_>) -> Result<(), StepError> {
    let repository = place.repository();
    place.renew(&repository)?;
    let from = place.workspace.join(".git").join(".");
    let arguments = vec![
        "-R".into(),
        "-P".into(),
        "--".into(),
        from.into_os_string(),
        repository.clone().into_os_string(),
    ];
    let mut spec = place.programs.spec("cp".into(), arguments);
    spec.extra_writable.push(repository);
    spec.network = Network::Nothing;
    let limits = RunLimits {
        timeout: COPY_TIMEOUT,
        output: 4096,
    };
    let run = place.programs.run(spec, &[], limits, place.cancelled);
    let finished = run.await.map_err(|error| match error {
        ProgramError::Cancelled { .. } => StepError::Cancelled,
        error => StepError::transient(error.to_string()),
    })?;
    if finished.exit_code != 0 {
        let errors = String::from_utf8_lossy(&finished.stderr);
        let errors = errors.trim();
        return Err(StepError::transient(format!(
            "cannot keep a copy of the repository: {errors}"
        )));
    }
    Ok(())
}
