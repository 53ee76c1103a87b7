//! Every single edit of a log is found, at the right line.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use temporal_kms_audit::{Finding, FindingKind, Hash, Verifier};

use crate::support::{files, lines, log_of_files, verify};

/// Edits files, runs a check, and puts them back.
fn with<T>(edits: &[(&Path, Vec<u8>)], check: impl FnOnce() -> T) -> T {
    let before: Vec<_> = edits
        .iter()
        .map(|(path, content)| {
            let before = fs::read(path).unwrap();
            overwrite(path, content);
            (path, before)
        })
        .collect();
    let checked = check();
    for (path, content) in before {
        overwrite(path, &content);
    }
    checked
}

/// Some file systems write a file to the disk when it is emptied first.
fn overwrite(path: &Path, content: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(content).unwrap();
    file.set_len(content.len() as u64).unwrap();
}

fn found(folder: &Path, what: &str) -> Finding {
    let report = verify(folder);
    assert!(!report.ok, "{what} was not found");
    report.finding.unwrap()
}

/// An edit of one file is found at this line.
#[track_caller]
fn found_at(folder: &Path, file: &Path, content: Vec<u8>, line: usize, what: &str) -> Finding {
    let finding = with(&[(file, content)], || found(folder, what));
    let place = (finding.file.as_path(), finding.line);
    assert_eq!(place, (file, line as u64), "{what}: {}", finding.message);
    finding
}

fn seq(line: &[u8]) -> u64 {
    let value: serde_json::Value = serde_json::from_slice(line).unwrap();
    value["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn an_untouched_log_is_right() {
    let folder = log_of_files().await;
    let report = verify(folder.path());
    assert!(report.ok, "{report:?}");
    assert_eq!(report.notes, Vec::<String>::new());
    assert_eq!(
        (report.first, report.lines),
        (Some(1), report.last.unwrap().seq)
    );
}

#[tokio::test]
async fn a_changed_byte_is_found_in_its_line() {
    let folder = log_of_files().await;
    for file in files(folder.path()) {
        let content = fs::read(&file).unwrap();
        let mut line = 1;
        for position in 0..content.len() {
            for byte in [content[position] ^ 1, content[position] ^ 0x80, b'\n', b'"'] {
                if byte == content[position] {
                    continue;
                }
                let mut changed = content.clone();
                changed[position] = byte;
                let what = format!("byte {position} of {} as {byte:#x}", file.display());
                found_at(folder.path(), &file, changed, line, &what);
            }
            if content[position] == b'\n' {
                line += 1;
            }
        }
    }
}

#[tokio::test]
async fn a_removed_line_is_named() {
    let folder = log_of_files().await;
    for file in files(folder.path()) {
        let lines = lines(&file);
        for index in 0..lines.len() {
            let mut rest = lines.clone();
            let removed = rest.remove(index);
            let finding = with(&[(&file, rest.concat())], || {
                found(folder.path(), "a removed line")
            });
            assert_eq!(finding.seq, Some(seq(&removed)), "{}", finding.message);
            let expected = [
                FindingKind::Removed,
                FindingKind::CutOff,
                FindingKind::Moved,
            ];
            assert!(expected.contains(&finding.kind), "{finding:?}");
        }
    }
}

#[tokio::test]
async fn several_removed_lines_are_named() {
    let folder = log_of_files().await;
    let file = &files(folder.path())[1];
    let lines = lines(file);
    let rest = [&lines[..1], &lines[3..]].concat().concat();
    let finding = found_at(folder.path(), file, rest, 2, "two removed lines");
    assert_eq!(finding.kind, FindingKind::Removed);
    let (first, last) = (seq(&lines[1]), seq(&lines[2]));
    let words = format!("lines {first} to {last} are missing");
    assert!(finding.message.contains(&words), "{}", finding.message);
}

#[tokio::test]
async fn lines_in_another_order_are_found() {
    let folder = log_of_files().await;
    for file in files(folder.path()) {
        let lines = lines(&file);
        for one in 0..lines.len() {
            for other in one + 1..lines.len() {
                let mut swapped = lines.clone();
                swapped.swap(one, other);
                let what = format!("lines {one} and {other} swapped");
                found_at(folder.path(), &file, swapped.concat(), one + 1, &what);
            }
        }
    }
}

#[tokio::test]
async fn an_added_line_is_found() {
    let folder = log_of_files().await;
    let all = files(folder.path());
    let every: Vec<Vec<u8>> = all.iter().flat_map(|file| lines(file)).collect();
    for file in &all {
        let lines = lines(file);
        for index in 1..lines.len() {
            // A copy of any line.
            for copy in &every {
                // Which of two equal lines was added cannot be told.
                if *copy == lines[index] {
                    continue;
                }
                let mut more = lines.clone();
                more.insert(index, copy.clone());
                let what = format!("a copy at {index}");
                let finding = found_at(folder.path(), file, more.concat(), index + 1, &what);
                assert_eq!(finding.kind, FindingKind::Inserted, "{}", finding.message);
            }
            // A line that follows the one before it, as an attacker computes it.
            let (number, prev) = (seq(&lines[index - 1]) + 1, Hash::of(&lines[index - 1]));
            let forged = format!(
                "{{\"seq\":{number},\"prev\":\"{prev}\",\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"request\"}}\n"
            );
            let mut more = lines.clone();
            more.insert(index, forged.into_bytes());
            let finding = found_at(
                folder.path(),
                file,
                more.concat(),
                index + 1,
                "a forged line",
            );
            assert_eq!(finding.kind, FindingKind::Inserted, "{}", finding.message);
            // Something else.
            for other in ["\n", "x\n", "{}\n", "# comment\n"] {
                let mut more = lines.clone();
                more.insert(index, other.into());
                found_at(folder.path(), file, more.concat(), index + 1, other);
            }
        }
    }
}

#[tokio::test]
async fn a_cut_at_any_byte_is_found() {
    let folder = log_of_files().await;
    let all = files(folder.path());
    for file in &all {
        let content = fs::read(file).unwrap();
        let mut line = 1;
        for end in 0..content.len() {
            let what = format!("{} cut at {end}", file.display());
            let cut = content[..end].to_vec();
            let is_between = end == 0 || content[end - 1] == b'\n';
            let finding = with(&[(file, cut)], || found(folder.path(), &what));
            if !is_between {
                let place = (&finding.file, finding.line);
                assert_eq!(place, (file, line), "{what}: {}", finding.message);
            } else if Some(file) == all.last() {
                assert_eq!(finding.kind, FindingKind::CutOff, "{what}");
            } else {
                let kinds = [FindingKind::Removed, FindingKind::Moved];
                assert!(kinds.contains(&finding.kind), "{what}: {finding:?}");
            }
            if content[end] == b'\n' {
                line += 1;
            }
        }
    }
}

#[tokio::test]
async fn files_that_are_moved_or_missing_are_found() {
    let folder = log_of_files().await;
    let all = files(folder.path());
    let content: Vec<Vec<u8>> = all.iter().map(|file| fs::read(file).unwrap()).collect();
    for one in 0..3 {
        for other in 0..3 {
            if one == other {
                continue;
            }
            // One file takes the place of another.
            let edit = (all[one].as_path(), content[other].clone());
            with(&[edit], || found(folder.path(), "a file twice"));
            let swap = [
                (all[one].as_path(), content[other].clone()),
                (all[other].as_path(), content[one].clone()),
            ];
            with(&swap, || found(folder.path(), "two files swapped"));
        }
    }
    let away = folder.path().join("away");
    let removed = |file: &PathBuf| {
        fs::rename(file, &away).unwrap();
        let report = verify(folder.path());
        let complete = Verifier::new()
            .complete()
            .verify(&[folder.path().to_owned()]);
        fs::rename(&away, file).unwrap();
        (report, complete.unwrap())
    };
    let (report, complete) = removed(&all[0]);
    // Old files may be kept elsewhere.
    assert!(
        report.ok && report.notes[0].contains("were not given"),
        "{report:?}"
    );
    assert_eq!(complete.finding.unwrap().kind, FindingKind::Removed);
    let (report, _) = removed(&all[1]);
    let finding = report.finding.unwrap();
    assert_eq!(
        (finding.kind, &finding.file),
        (FindingKind::Removed, &all[2])
    );
    let (report, _) = removed(&all[2]);
    assert_eq!(report.finding.unwrap().kind, FindingKind::CutOff);
    // The newest file under a later name.
    let later = folder.path().join("audit-00000009.jsonl");
    fs::rename(&all[2], &later).unwrap();
    let finding = found(folder.path(), "a renamed file");
    assert_eq!((finding.kind, finding.file), (FindingKind::Moved, later));
}

/// The limits: what is behind the last anchor is protected by the file `head` alone.
#[tokio::test]
async fn without_head_file_and_anchors_the_end_can_be_cut_and_changed() {
    let folder = log_of_files().await;
    let all = files(folder.path());
    let head = folder.path().join("head");
    let noted = verify(folder.path()).last.unwrap();
    fs::remove_file(&head).unwrap();
    let mut cut = lines(&all[2]);
    cut.pop();
    let (report, with_head) = with(&[(&all[2], cut.concat())], || {
        let verifier = Verifier::new().with_head(noted);
        let paths = [folder.path().to_owned()];
        (verify(folder.path()), verifier.verify(&paths).unwrap())
    });
    assert!(report.ok, "the documentation says that this is not found");
    // A head that was noted elsewhere finds it.
    assert_eq!(with_head.finding.unwrap().kind, FindingKind::CutOff);
}
