//! The programs that the demo starts: its own, which it builds, and other people's, which it installs.

use std::path::PathBuf;

use crate::{
    path,
    step::{self, Background},
    tools::{self, CLAUDE, Oldest, SSHD, TEMPORAL},
    workspace::Workspace,
};

/// Everything that the demo starts.
pub(super) struct Programs {
    pub(super) temporal: PathBuf,
    pub(super) claude: PathBuf,
    pub(super) codec_server: PathBuf,
    pub(super) claude_tasks: PathBuf,
    pub(super) fake_anthropic: PathBuf,
    pub(super) git: PathBuf,
    /// The server for the task's repository, where the machine has one.
    pub(super) sshd: Option<PathBuf>,
}

impl Programs {
    /// Builds the own programs if `build` says so, and finds or installs the others meanwhile.
    pub(super) fn provide(workspace: &Workspace, build: bool) -> anyhow::Result<Self> {
        step::heading("Programs");
        let git = path::need(
            "git",
            "install git: a task of the demo commits to a repository",
        )?;
        let sshd = sshd(workspace);
        let workspace = workspace.lean();
        let tools = Background::start({
            let workspace = workspace.clone();
            move || Ok((claude(&workspace)?, temporal(&workspace)?))
        });
        if build {
            build_own(&workspace)?;
        }
        let (claude, temporal) = tools.finish()?;
        let own = |name| workspace.programs().join(name);
        Ok(Self {
            temporal,
            claude,
            codec_server: own("codec-server"),
            claude_tasks: own("claude-tasks"),
            fake_anthropic: own("fake-anthropic"),
            git,
            sshd,
        })
    }
}

fn temporal(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let oldest_server = Oldest {
        after: "(Server ",
        version: (1, 29),
    };
    tools::find_or_install(workspace, &TEMPORAL, &oldest_server)
}

/// The demo installs no server into the system, so it takes only one that is there.
fn sshd(workspace: &Workspace) -> Option<PathBuf> {
    let sshd = tools::present(workspace, &SSHD);
    let missing = ["ssh", "ssh-keygen"]
        .into_iter()
        .find(|name| path::find(name).is_none());
    match (&sshd, missing) {
        (Some(program), None) => {
            step::note(&format!("sshd: {}", program.display()));
            sshd
        }
        (_, missing) => {
            let missing = missing.unwrap_or("sshd");
            step::note(&format!(
                "{missing}: not on this machine, taking a repository in a folder"
            ));
            None
        }
    }
}

fn claude(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let oldest = Oldest {
        after: "",
        version: (2, 1),
    };
    tools::find_or_install(workspace, &CLAUDE, &oldest)
}

/// Builds the own programs, for keys in a local keyring only: the demo has no other, and the clients of the cloud
/// services take longer to compile than everything else.
fn build_own(workspace: &Workspace) -> anyhow::Result<()> {
    step::heading("Building codec-server and claude-tasks (minutes, the first time)");
    let mut build = workspace.cargo();
    build.args(["build", "--bins", "--no-default-features"]);
    build.args([
        "--package=temporal-kms-codec-server",
        "--package=claude-tasks",
    ]);
    build.arg("--package=fake-anthropic");
    step::loudly(build)
}
