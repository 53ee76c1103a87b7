//! `audit verify`.

use std::{fs::File, io::Read as _, path::PathBuf};

use clap::Args;
use temporal_kms_codec::{
    audit::{Head, Report, Verifier},
    kms::PublicKey,
};
use temporal_kms_codec_service::{exit::list, terminal};

use super::super::exit::{Failure, Status, print_answer};

/// A public key is much shorter.
const LONGEST_KEY: u64 = 64 << 10;

/// The codes that it ends with.
const CODES: [Status; 5] = [
    Status::Usage,
    Status::Data,
    Status::NoInput,
    Status::Io,
    Status::NoPermission,
];

pub(super) fn help() -> String {
    format!(
        "\
Examples:
  codec-server audit verify /var/log/codec-server/audit
  codec-server keys public-key local://audit --keyring keys > audit.pem
  codec-server audit verify /var/log/codec-server/audit \\
    --public-key audit.pem --max-unanchored 2000 --json

Without --public-key, the signatures of anchors are not checked: an attacker
who can write to the files can then replace the whole log. Lines behind the
last anchor are protected only by the file `head` beside the log, and by the
heads that the server's own log names.

{}",
        list(&CODES, &[])
    )
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The folder of a log, or its files in their order.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// A file with the public key (PEM) of the key that signs anchors; may be repeated.
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
    /// A line that was noted elsewhere; may be repeated. The server's own log names the head of the audit log regularly.
    #[arg(long = "head", value_name = "NUMBER:HASH")]
    heads: Vec<Head>,
    /// The most lines that may follow the last anchor.
    #[arg(long, value_name = "LINES")]
    max_unanchored: Option<u64>,
    /// The log must begin with its first line. Otherwise old files may be kept elsewhere.
    #[arg(long)]
    complete: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let mut verifier = Verifier::new();
    for path in &args.public_keys {
        verifier = verifier.with_public_key(public_key(path)?);
    }
    for head in &args.heads {
        verifier = verifier.with_head(*head);
    }
    if let Some(lines) = args.max_unanchored {
        verifier = verifier.with_max_unanchored(lines);
    }
    if args.complete {
        verifier = verifier.complete();
    }
    let report = verifier.verify(&args.paths)?;
    print_answer(args.json, &report, || text(&report, args))?;
    match &report.finding {
        None => Ok(()),
        Some(_) => Err(Failure::said(Status::Data)),
    }
}

fn public_key(path: &PathBuf) -> Result<PublicKey, Failure> {
    let unreadable = |error: std::io::Error| {
        let message = format_args!("{}: cannot read the public key: {error}", path.display());
        Failure::new(Status::NoInput, message)
    };
    let mut pem = String::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_KEY).read_to_string(&mut pem))
        .map_err(unreadable)?;
    PublicKey::from_pem(&pem).map_err(|error| {
        let message = format_args!(
            "{}: {error}; `codec-server keys public-key` prints the right one",
            path.display()
        );
        Failure::new(Status::NoInput, message)
    })
}

fn text(report: &Report, args: &VerifyArgs) -> String {
    let mut lines: Vec<String> = report
        .notes
        .iter()
        .map(|note| format!("note: {note}"))
        .collect();
    if let Some(finding) = &report.finding {
        let file = finding.file.display();
        lines.push(format!("{file}:{}: {}", finding.line, finding.message));
    } else {
        let (files, count) = (report.files.len(), report.lines);
        lines.push(format!(
            "every line is in its place: {count} lines in {files} files"
        ));
    }
    if let Some(last) = &report.last {
        let time = report.last_time.as_deref().unwrap_or("-");
        lines.push(format!("last line: {last}, written at {time}"));
    }
    let checked = if args.public_keys.is_empty() {
        "signatures not checked; add --public-key"
    } else {
        "signatures checked"
    };
    lines.push(match &report.last_anchor {
        Some(anchor) => format!(
            "anchors: {} ({checked}); the last one is of line {}, signed at {}",
            report.anchors, anchor.seq, anchor.time
        ),
        None => "anchors: none".to_owned(),
    });
    let lines: Vec<_> = lines.iter().map(|line| terminal::line(line)).collect();
    lines.join("\n")
}
