//! Audit logs: with its head only the log as it was written verifies, and without it only the beginning of the log.

#![no_main]

use std::fs;

use arbitrary::Arbitrary;
use fuzz::{Edit, edited, is_printable};
use libfuzzer_sys::fuzz_target;
use temporal_kms_audit::{Hash, Head, Line, Report, Verifier};

/// One file of a log.
const LOG: &[u8] = include_bytes!("../fixtures/audit-00000001.jsonl");

#[derive(Arbitrary, Debug)]
struct Input {
    edits: Vec<Edit>,
    lines: Vec<LineEdit>,
    other: Vec<u8>,
}

/// A change of whole lines.
#[derive(Arbitrary, Debug)]
enum LineEdit {
    Remove(u8),
    Swap(u8, u8),
    Repeat(u8, u8),
    Edit(u8, Vec<Edit>),
}

fuzz_target!(|input: Input| {
    let changed = edited(with_lines(&input.lines), &input.edits);
    let report = verify(&Verifier::new().complete(), &changed);
    // Only a head or an anchor tells of a change of the last line, or of lines that are missing behind it.
    let lines = changed.split_inclusive(|byte| *byte == b'\n');
    let mut whole: Vec<_> = lines.filter(|line| line.ends_with(b"\n")).collect();
    whole.pop();
    assert!(!report.ok || LOG.starts_with(&whole.concat()), "{report:?}");
    let pinned = verify(&Verifier::new().complete().with_head(head(LOG)), &changed);
    // A process may write the next line at this moment.
    let rest = changed.strip_prefix(LOG);
    let is_whole = rest.is_some_and(|rest| !rest.contains(&b'\n'));
    assert_eq!(pinned.ok, is_whole, "{pinned:?}");
    verify(&Verifier::new(), &input.other);
    for line in input.other.split_inclusive(|byte| *byte == b'\n') {
        if let Some(line) = Line::parse(line) {
            assert_eq!(line.number("seq"), Some(line.seq));
            assert_eq!(line.text("prev"), Some(line.prev.to_string().as_str()));
        }
    }
});

fn with_lines(edits: &[LineEdit]) -> Vec<u8> {
    let lines = LOG.split_inclusive(|byte| *byte == b'\n');
    let mut lines: Vec<_> = lines.map(<[u8]>::to_vec).collect();
    for edit in edits {
        let count = lines.len();
        let place = |number: &u8| usize::from(*number) % count.max(1);
        if count == 0 {
            break;
        }
        match edit {
            LineEdit::Remove(at) => drop(lines.remove(place(at))),
            LineEdit::Swap(one, other) => lines.swap(place(one), place(other)),
            LineEdit::Repeat(from, to) => lines.insert(place(to), lines[place(from)].clone()),
            LineEdit::Edit(at, edits) => {
                let line = &mut lines[place(at)];
                *line = edited(std::mem::take(line), edits);
            }
        }
    }
    lines.concat()
}

/// The place of the last line.
fn head(log: &[u8]) -> Head {
    let lines: Vec<_> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let hash = Hash::of(lines.last().expect("the log has lines"));
    let head = format!("{}:{hash}", lines.len());
    head.parse().expect("it has the form of a head")
}

fn verify(verifier: &Verifier, log: &[u8]) -> Report {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("audit-00000001.jsonl");
    fs::write(&file, log).expect("a file can be written");
    let report = verifier.verify(&[file]).expect("the file can be read");
    assert_eq!(report.ok, report.finding.is_none());
    if let Some(finding) = &report.finding {
        assert!(is_printable(&finding.message), "{finding:?}");
    }
    report
}
