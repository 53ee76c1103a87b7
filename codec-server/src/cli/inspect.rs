//! `inspect`: what payloads say of themselves in the clear. Nothing is decrypted, and no key service is called.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use serde::Serialize;
use temporal_kms_codec::Inspection;
use temporal_kms_codec_proto::json::{FoundAt, Part, parse_payload};
use temporal_kms_codec_service::lifecycle;
use tokio::task;

use super::{
    exit::{Failure, Status, print_answer, with_exit_codes},
    payload_file::PayloadFile,
    progress,
    table::table,
};

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// One payload, `{"payloads":[…]}`, or JSON with payloads somewhere inside, such as a history; `-` is stdin.
    #[arg(default_value = "-", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  temporal workflow show -w ID -o json | codec-server inspect
  codec-server inspect history.json
  codec-server inspect history.json --json | jq '.payloads[].keys'

It reads what payloads say of themselves in the clear: it needs no key, and
proves nothing. The ciphertexts of Google Cloud KMS and AWS KMS do not tell the
version of their key. `history scan` sums up many histories.";

pub(super) fn help() -> String {
    with_exit_codes(EXAMPLES)
}

/// The fields are for programs and do not change.
#[derive(Serialize)]
struct Answer {
    payloads: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    file: String,
    path: String,
    event_id: Option<u64>,
    format: Option<&'static str>,
    encoding: Option<String>,
    keys: Vec<Key>,
    namespace: Option<String>,
    bytes: usize,
    problem: Option<String>,
}

#[derive(Serialize)]
struct Key {
    key: Option<String>,
    version: Option<String>,
}

pub(super) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let payloads = lifecycle::run_interruptible("nothing was printed", async {
        let (files, quiet) = (args.files.clone(), args.quiet);
        let read = task::spawn_blocking(move || read(&files, quiet));
        read.await?
    })?;
    if payloads.is_empty() {
        let message = "there is no payload in the input";
        return Err(Failure::new(Status::Data, message));
    }
    let answer = Answer { payloads };
    print_answer(args.json, &answer, || text(&answer.payloads))
}

fn read(files: &[PathBuf], quiet: bool) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for path in files {
        let file = PayloadFile::open(path)?;
        let name = file.name().to_owned();
        let progress = progress::bytes(quiet, file.len);
        file.read(&progress, |parts| {
            found.extend(parts.into_iter().filter_map(|part| match part {
                Part::Payload { json, at } => Some(Found::of(&name, &json, at)),
                _ => None,
            }));
            Ok(())
        })?;
        progress.finish_and_clear();
    }
    Ok(found)
}

impl Found {
    fn of(file: &str, json: &[u8], at: FoundAt) -> Self {
        let (inspection, problem) = match parse_payload(json) {
            Ok(payload) => {
                let inspection = Inspection::of(&payload);
                let problem = inspection.fault.as_ref().map(ToString::to_string);
                (inspection, problem)
            }
            Err(error) => (Inspection::default(), Some(error.to_string())),
        };
        let keys = inspection.keys.into_iter().map(|key| Key {
            key: key.name,
            version: key.version,
        });
        Self {
            file: file.to_owned(),
            path: at.path,
            event_id: at.event_id,
            format: inspection.format,
            encoding: inspection.encoding,
            keys: keys.collect(),
            namespace: inspection.namespace,
            bytes: inspection.len,
            problem,
        }
    }
}

/// A line for each key of each payload.
fn text(payloads: &[Found]) -> String {
    const NOTHING: &str = "-";
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| NOTHING.to_owned());
    let mut rows = Vec::new();
    for found in payloads {
        let format = match (found.format, &found.encoding) {
            (Some(format), _) => format.to_owned(),
            (None, Some(encoding)) => format!("not encrypted ({encoding})"),
            (None, None) => "not encrypted".to_owned(),
        };
        let row = |key: &Key| {
            [
                found
                    .event_id
                    .map_or(NOTHING.to_owned(), |id| id.to_string()),
                found.path.clone(),
                format.clone(),
                shown(&key.key),
                shown(&key.version),
                shown(&found.namespace),
                found.bytes.to_string(),
            ]
        };
        if found.keys.is_empty() {
            rows.push(row(&Key {
                key: None,
                version: None,
            }));
        }
        rows.extend(found.keys.iter().map(row));
    }
    let header = [
        "EVENT",
        "PLACE",
        "FORMAT",
        "KEY",
        "VERSION",
        "NAMESPACE",
        "BYTES",
    ];
    let mut text = table(header, &rows);
    for (found, problem) in payloads
        .iter()
        .filter_map(|found| Some((found, found.problem.as_ref()?)))
    {
        let _ = writeln!(text, "{}: {}: {problem}", found.file, found.path);
    }
    text
}
