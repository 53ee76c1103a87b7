//! `history decode`: exported histories of any size, in constant memory and on all cores.

mod batch;

use std::path::{Path, PathBuf};

use clap::Args;
use futures::{StreamExt as _, stream, stream::BoxStream};
use indicatif::ProgressBar;
use temporal_kms_codec::Codec;
use temporal_kms_codec_service::lifecycle;
use tokio::{sync::mpsc, task};

use self::batch::{Batch, Decoded, batches};
use super::super::{
    audit_log::CommandLog,
    codec_args::CodecArgs,
    exit::{self, Failure, Status, with_exit_codes},
    output::{Destination, Output, is_standard},
    payload_file::PayloadFile,
    progress,
    wanted::keys_in,
};

/// How many payloads that fail are named one by one.
const MOST_NAMED: usize = 100;

#[derive(Debug, Args)]
pub(in super::super) struct DecodeArgs {
    /// Exported histories, or any JSON with payloads somewhere inside; `-` is stdin.
    #[arg(default_value = "-", value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    codec: CodecArgs,
    /// Where to write; `-` is stdout. Several histories are written one after the other.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// A folder to write each history to, under the name of its file.
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    output_folder: Option<PathBuf>,
    /// Replace an output file that exists; write to a device or pipe that exists.
    #[arg(long)]
    force: bool,
    /// End at the first payload that cannot be decoded, and write no output file.
    #[arg(long)]
    fail_fast: bool,
    /// Show no progress.
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  temporal workflow show -w ID -o json > history.json
  codec-server history decode history.json --keyring keys -o plain.json
  codec-server history decode exports/a.json exports/b.json --output-folder out
  codec-server history decode - --config codec.toml --namespace prod

Payloads are replaced wherever they are in the JSON, and everything else is
copied byte for byte. A payload that cannot be decoded is kept as it is, and
reported with its place and its event; the exit code is then not 0. Files may be
of any size: memory does not depend on it. An output file appears when it is
complete.";

pub(super) fn help() -> String {
    with_exit_codes(EXAMPLES)
}

pub(super) fn run(args: &DecodeArgs) -> Result<(), Failure> {
    let jobs = jobs(args)?;
    let first = jobs.first().map(|job| job.destination.consequence());
    let consequence = first.unwrap_or_default();
    lifecycle::run_interruptible(consequence, async {
        let log = args.codec.log("history decode", &args.files).await?;
        let done = process(args, jobs, &log).await;
        log.close(done).await
    })
}

/// Files that are written to one place.
struct Job {
    files: Vec<PathBuf>,
    destination: Destination,
}

fn jobs(args: &DecodeArgs) -> Result<Vec<Job>, Failure> {
    let Some(folder) = &args.output_folder else {
        let mut destination = None;
        for file in &args.files {
            let input = (!is_standard(file)).then_some(file.as_path());
            destination = Some(Destination::new(&args.output, args.force, input)?);
        }
        let job = destination.map(|destination| Job {
            files: args.files.clone(),
            destination,
        });
        return Ok(job.into_iter().collect());
    };
    let job = |file: &PathBuf| {
        let name = file.file_name().filter(|_| !is_standard(file));
        let name = name.ok_or_else(|| {
            let message = "--output-folder needs files with names; write stdin with --output";
            Failure::new(Status::Usage, message)
        })?;
        let destination = Destination::new(&folder.join(name), args.force, Some(file))?;
        Ok(Job {
            files: vec![file.clone()],
            destination,
        })
    };
    let names: std::collections::BTreeSet<_> =
        args.files.iter().map(|file| file.file_name()).collect();
    if names.len() < args.files.len() {
        let message = "--output-folder: two files have one name; decode them one by one";
        return Err(Failure::new(Status::Usage, message));
    }
    args.files.iter().map(job).collect()
}

async fn process(args: &DecodeArgs, jobs: Vec<Job>, log: &CommandLog) -> Result<(), Failure> {
    let wanted = async {
        let files = args.files.clone();
        let found = task::spawn_blocking(move || keys_in(&files)).await;
        found.unwrap_or_default()
    };
    let codec = args.codec.decoder(log, wanted).await?;
    let mut report = Report::new(args.fail_fast);
    for job in jobs {
        let output = job.destination.open().await?;
        for file in &job.files {
            decode_file(&codec, file, args.quiet, &output, &mut report).await?;
        }
        output.finish()?;
    }
    report.finish()
}

async fn decode_file(
    codec: &Codec,
    path: &Path,
    quiet: bool,
    output: &Output,
    report: &mut Report,
) -> Result<(), Failure> {
    let file = PayloadFile::open(path)?;
    let name = file.name().to_owned();
    let progress = progress::bytes(quiet, file.len);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let (batches, reader) = read(file, &progress, workers);
    let mut decoded = batches
        .map(|batch| {
            let codec = codec.clone();
            // A task of its own, so that batches are decoded on all cores.
            task::spawn(async move { batch.decode(&codec).await })
        })
        .buffered(workers * 2);
    while let Some(batch) = decoded.next().await {
        let batch = batch?;
        report.add(&name, &progress, &batch)?;
        output.write(batch.bytes).await?;
    }
    reader.await??;
    progress.finish_and_clear();
    Ok(())
}

/// Reads the file on a thread of its own, a few batches ahead.
fn read(
    file: PayloadFile,
    progress: &ProgressBar,
    ahead: usize,
) -> (
    BoxStream<'static, Batch>,
    task::JoinHandle<Result<(), Failure>>,
) {
    let (sender, receiver) = mpsc::channel(ahead);
    let progress = progress.clone();
    let reader = task::spawn_blocking(move || {
        batches(file, &progress, |batch| {
            // The command has ended early.
            let gone = |_| Failure::said(Status::Software);
            sender.blocking_send(batch).map_err(gone)
        })
    });
    let batches = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|batch| (batch, receiver))
    });
    (batches.boxed(), reader)
}

/// What could not be decoded.
struct Report {
    fail_fast: bool,
    status: Option<Status>,
    named: usize,
    more: u64,
    payloads: u64,
}

impl Report {
    fn new(fail_fast: bool) -> Self {
        Self {
            fail_fast,
            status: None,
            named: 0,
            more: 0,
            payloads: 0,
        }
    }

    fn add(&mut self, file: &str, progress: &ProgressBar, batch: &Decoded) -> Result<(), Failure> {
        self.payloads += batch.payloads;
        for complaint in &batch.complaints {
            // An unreachable KMS explains more than a wrong payload.
            if self.status.is_none_or(|known| known == Status::Data) {
                self.status = Some(complaint.status);
            }
            if self.named < MOST_NAMED {
                self.named += 1;
                progress.suspend(|| exit::say(format_args!("{file}: {complaint}")));
            } else {
                self.more += 1;
            }
            if self.fail_fast {
                return Err(Failure::said(complaint.status));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        if self.more > 0 {
            exit::say(format_args!(
                "{} more payloads cannot be decoded",
                self.more
            ));
        }
        match self.status {
            Some(status) => Err(Failure::said(status)),
            None if self.payloads == 0 => Err(Failure::new(
                Status::Data,
                "there is no payload in the input",
            )),
            None => Ok(()),
        }
    }
}
