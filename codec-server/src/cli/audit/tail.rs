//! `audit tail`.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use clap::Args;
use temporal_kms_codec::audit::{
    Line,
    read::{self, Follower, Lines},
};
use temporal_kms_codec_service::lifecycle;
use tokio::time::sleep;

use super::{super::exit::Failure, show::Screen};

/// How often new lines are looked for.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) const HELP: &str = "\
Examples:
  codec-server audit tail /var/log/codec-server/audit
  codec-server audit tail -f /var/log/codec-server/audit
  codec-server audit tail -n 100 /var/log/codec-server/audit --json

With --follow, lines of new files are shown too. Ctrl-C ends it.";

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// The folder of a log, or one of its files.
    path: PathBuf,
    /// How many lines.
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 10)]
    lines: usize,
    /// Go on with the lines that are written from now on.
    #[arg(short, long)]
    follow: bool,
    /// Print the lines as they are in the log, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TailArgs) -> Result<(), Failure> {
    // It begins at the end that is shown, so that no line is missed or shown twice.
    let mut follower = Follower::at_end(&args.path)?;
    let files = read::files(std::slice::from_ref(&args.path))?;
    let screen = Screen::new(args.json)?;
    let mut last = VecDeque::new();
    for raw in Lines::of(&files) {
        let raw = raw?;
        if follower.is_ahead(&files, &raw) {
            break;
        }
        if last.len() == args.lines {
            last.pop_front();
        }
        if args.lines > 0 {
            last.push_back(raw.bytes);
        }
    }
    for bytes in last {
        screen.show(&bytes, Line::parse(&bytes).as_ref())?;
    }
    if !args.follow {
        return Ok(());
    }
    lifecycle::run_interruptible("no more lines are shown", async {
        loop {
            for bytes in follower.new_lines()? {
                screen.show(&bytes, Line::parse(&bytes).as_ref())?;
            }
            sleep(PAUSE).await;
        }
    })
}
