//! `audit`: verifies, follows and searches audit logs.

mod filter;
mod search;
mod show;
mod tail;
mod verify;

use clap::{Args, Subcommand};

use self::{search::SearchArgs, tail::TailArgs, verify::VerifyArgs};
use super::exit::Failure;

pub(super) const HELP: &str = "\
Examples:
  codec-server audit verify /var/log/codec-server/audit \\
    --public-key audit.pem
  codec-server audit tail -f /var/log/codec-server/audit
  codec-server audit search /var/log/codec-server/audit \\
    --subject alice@example.com --since 24h

A log is a folder, or files of one in their order. These commands only read.";

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Finds the first line that was changed, removed, moved, added or cut off.
    #[command(after_help = verify::help())]
    Verify(VerifyArgs),
    /// Shows the last lines, and those that follow.
    #[command(after_help = tail::HELP)]
    Tail(TailArgs),
    /// Shows the lines that match.
    #[command(after_help = search::HELP)]
    Search(Box<SearchArgs>),
}

pub(super) fn run(args: &AuditArgs) -> Result<(), Failure> {
    match &args.command {
        AuditCommand::Verify(args) => verify::run(args),
        AuditCommand::Tail(args) => tail::run(args),
        AuditCommand::Search(args) => search::run(args),
    }
}
