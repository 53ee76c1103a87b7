//! `history scan`: which formats, keys and versions histories still need, and until when.

mod age;
mod files;
mod messages;
mod namespace;
mod protobuf;
mod report;
mod state;
mod tally;
mod temporal;

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use clap::Args;
use temporal_kms_codec_service::{lifecycle, settings::values};
use tokio::task;

use self::{report::Report, tally::Tally, temporal::ConnectArgs};
use super::super::exit::{Failure, Status, print_answer, with_exit_codes};

/// The payloads inside of a message. `None` is one that cannot be read.
#[cfg(fuzzing)]
#[must_use]
pub fn payloads_of(message: &[u8]) -> Vec<Option<temporal_kms_codec::Payload>> {
    let mut found = Vec::new();
    protobuf::payloads(message, &mut |payload| found.push(payload));
    found
}

#[derive(Debug, Args)]
pub(in super::super) struct ScanArgs {
    /// Exported histories, or folders with `.json` files; `-` is stdin. One file is one workflow.
    #[arg(value_name = "PATH", required_unless_present = "address")]
    paths: Vec<PathBuf>,
    /// How long Temporal keeps the workflows of these files after they close, such as 30d.
    #[arg(long, value_name = "TIME", value_parser = values::duration, conflicts_with = "address")]
    retention: Option<Duration>,
    #[command(flatten)]
    connect: ConnectArgs,
    /// Scan the workflows that match this query of Temporal, instead of all.
    #[arg(long, value_name = "QUERY", requires = "address")]
    query: Option<String>,
    /// The most calls of Temporal in a second.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "20",
        requires = "address"
    )]
    rate: NonZeroU32,
    /// Save the state of an unfinished scan here, and continue from it.
    #[arg(long, value_name = "FILE", requires = "address")]
    state: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  codec-server history scan history.json
  codec-server history scan histories/ --retention 30d --json
  codec-server history scan --address 127.0.0.1:7233 --namespace default
  codec-server history scan --address https://prod.a1b2c.tmprl.cloud:7233 \\
    --namespace prod.a1b2c --api-key-file key --state scan.json

It needs no key, and decrypts nothing. Of a server it reads every workflow, open
or closed, and every schedule, with the namespace's retention. It needs the
permission to list workflows and to read histories.

ONLY KEY counts the payloads that no other key opens. KEPT UNTIL is the time at
which Temporal deletes the last closed workflow with such a payload; `open`
workflows and schedules keep theirs longer. The ciphertexts of Google Cloud KMS
and AWS KMS do not tell the version of their key: compare WRITTEN with the times
of `codec-server keys versions`. WRITTEN is unknown where a payload may be older
than its event: schedules, memos, and workflows that a schedule, cron, a retry
or a reset started hold copies. Then WRITTEN excludes no version.";

pub(super) fn help() -> String {
    with_exit_codes(EXAMPLES)
}

pub(super) fn run(args: &ScanArgs) -> Result<(), Failure> {
    let consequence = match &args.state {
        Some(state) => format!(
            "nothing was printed; continue with the same command, its state is in {}",
            state.display()
        ),
        None if args.paths.is_empty() => {
            "nothing was printed; with --state FILE the next scan can continue".to_owned()
        }
        None => "nothing was printed".to_owned(),
    };
    let (tally, problems) = lifecycle::run_interruptible(&consequence, scan(args))?;
    let report = Report::of(&tally);
    print_answer(args.json, &report, || report.text())?;
    if tally.unreadable > 0 {
        let message = format_args!(
            "{} payloads or parts of histories cannot be read, so their keys are not in the answer. Do not destroy a key by it; `codec-server history decode` names them in exported histories",
            tally.unreadable
        );
        return Err(Failure::new(Status::Data, message));
    }
    match problems {
        0 => Ok(()),
        _ => Err(Failure::said(Status::Data)),
    }
}

async fn scan(args: &ScanArgs) -> Result<(Tally, usize), Failure> {
    if args.paths.is_empty() {
        let request = namespace::Request {
            connect: &args.connect,
            query: args.query.as_deref(),
            rate: args.rate,
            state: args.state.as_deref(),
            quiet: args.quiet,
        };
        return Ok((namespace::scan(&request).await?, 0));
    }
    let (paths, retention, quiet) = (args.paths.clone(), args.retention, args.quiet);
    let scanned = task::spawn_blocking(move || files::scan(&paths, retention, quiet));
    scanned.await?
}
