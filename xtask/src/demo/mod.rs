//! The whole product on one machine.

use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run without a terminal, verify every claim, and stop
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(_workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    anyhow::bail!("not there yet {}", arguments.check)
}
