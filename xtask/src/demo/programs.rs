use std::path::PathBuf;

use crate::{
    step,
    tools::{self, CLAUDE, Oldest, TEMPORAL},
    workspace::Workspace,
};

/// Everything that the demo starts.
pub(super) struct Programs {
    pub(super) temporal: PathBuf,
    pub(super) claude: PathBuf,
    pub(super) codec_server: PathBuf,
    pub(super) claude_tasks: PathBuf,
    pub(super) fake_anthropic: PathBuf,
}

impl Programs {
    /// Finds or installs the foreign programs, and names the own ones.
    pub(super) fn find(workspace: &Workspace) -> anyhow::Result<Self> {
        step::heading("Programs");
        let server = Oldest {
            after: "(Server ",
            version: (1, 29),
        };
        let temporal = tools::find_or_install(workspace, &TEMPORAL, &server)?;
        let newest_known = Oldest {
            after: "",
            version: (2, 1),
        };
        let claude = tools::find_or_install(workspace, &CLAUDE, &newest_known)?;
        let own = |name| workspace.programs().join(name);
        Ok(Self {
            temporal,
            claude,
            codec_server: own("codec-server"),
            claude_tasks: own("claude-tasks"),
            fake_anthropic: own("fake-anthropic"),
        })
    }
}

/// Builds the own programs.
pub(super) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    step::heading("Building codec-server and claude-tasks (minutes, the first time)");
    let mut build = workspace.cargo();
    build.args(["build", "--bins", "--package=temporal-kms-codec-server"]);
    build.args(["--package=claude-tasks", "--package=fake-anthropic"]);
    step::loudly(build)
}
