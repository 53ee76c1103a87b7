//! Logs that an attacker makes by hand around genuine anchors, and chains of streams.

use std::{fs, path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use temporal_kms::{PublicKey, Signer};
use temporal_kms_audit::{Finding, FindingKind, Hash, Head, Report, Verifier};

use crate::{
    anchors::{anchored_log, signer},
    support::{files, lines, values, verify},
};

/// Lines that follow each other.
struct Chain {
    text: String,
    last: Head,
}

impl Chain {
    fn behind(last: Head) -> Self {
        let text = String::new();
        Self { text, last }
    }

    /// The first line of a stream, and some requests.
    fn stream(requests: u64, subject: &str) -> Self {
        let mut chain = Self::behind(Head::START);
        chain.add(&json!({"event": "stream", "log": subject, "program": "test"}));
        chain.requests(requests, subject);
        chain
    }

    fn add(&mut self, body: &Value) {
        let seq = self.last.seq + 1;
        let body = body.to_string();
        let prev = self.last.hash;
        let line = format!(
            "{{\"seq\":{seq},\"prev\":\"{prev}\",\"time\":\"2026-01-01T00:00:00Z\",{}\n",
            &body[1..]
        );
        self.last = head(seq, Hash::of(line.as_bytes()));
        self.text.push_str(&line);
    }

    fn requests(&mut self, count: u64, subject: &str) {
        for _ in 0..count {
            self.add(&json!({"event": "request", "subject": subject}));
        }
    }

    async fn anchor(&mut self, signer: &Arc<dyn Signer>) {
        let statement = format!(
            "temporal-kms-audit anchor v1 {} 2026-01-01T00:00:00.000000Z",
            self.last
        );
        let signature = signer.sign(statement.as_bytes()).await.unwrap();
        self.add(&json!({
            "event": "anchor",
            "statement": statement,
            "key": signature.key.to_string(),
            "algorithm": signature.algorithm.as_str(),
            "signature": STANDARD.encode(&signature.bytes),
        }));
    }
}

fn head(seq: u64, hash: Hash) -> Head {
    format!("{seq}:{hash}").parse().unwrap()
}

fn all_heads(folder: &Path) -> Vec<Head> {
    let all = files(folder).into_iter().flat_map(|file| lines(&file));
    let heads = (1..).zip(all);
    heads
        .map(|(seq, line)| head(seq, Hash::of(&line)))
        .collect()
}

async fn keys() -> (TempDir, Arc<dyn Signer>, PublicKey) {
    let folder = tempfile::tempdir().unwrap();
    let (signer, public) = signer(&folder.path().join("keys")).await;
    (folder, signer, public)
}

/// Verifies what a collector saved in one file.
fn saved(verifier: &Verifier, chains: &[&Chain]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.jsonl");
    let text: String = chains.iter().map(|chain| chain.text.as_str()).collect();
    fs::write(&file, text).unwrap();
    verifier.verify(&[file]).unwrap()
}

#[track_caller]
fn found(report: Report) -> Finding {
    assert!(!report.ok, "{report:?}");
    report.finding.unwrap()
}

#[tokio::test]
async fn an_anchor_and_a_head_of_earlier_lines_do_not_vouch_for_forged_ones() {
    let (folder, public) = anchored_log().await;
    let heads = all_heads(folder.path());
    let genuine = values(folder.path());
    let mut anchor = genuine
        .into_iter()
        .find(|line| line["event"] == "anchor")
        .unwrap();
    let statement = anchor["statement"].as_str().unwrap();
    let covered: Head = statement.split(' ').nth(3).unwrap().parse().unwrap();
    assert!(heads.contains(&covered));
    for file in files(folder.path()) {
        fs::remove_file(file).unwrap();
    }
    fs::remove_file(folder.path().join("head")).unwrap();
    let first = folder.path().join("audit-00000002.jsonl");
    let forged = |before: Head, anchor: &Value| {
        let mut chain = Chain::behind(before);
        chain.add(&json!({"event": "file", "log": "x", "file": 2, "program": "test"}));
        chain.add(anchor);
        chain.requests(20, "mallory");
        fs::write(&first, &chain.text).unwrap();
    };
    let fields = anchor.as_object_mut().unwrap();
    fields.retain(|name, _| !["seq", "prev", "time"].contains(&name.as_str()));
    let paths = [folder.path().to_owned()];
    let check = |verifier: Verifier| verifier.verify(&paths).unwrap();
    let signed = Verifier::new().with_public_key(public);
    for seq in [covered.seq, covered.seq + 3] {
        forged(head(seq, Hash::of(b"forged")), &anchor);
        let report = check(signed.clone().with_head(covered).with_max_unanchored(2000));
        found(report);
        let finding = found(check(signed.clone().with_max_unanchored(2000)));
        assert_eq!(finding.kind, FindingKind::Anchor, "{finding:?}");
        // Without an anchor, the head alone does not pass either.
        forged(
            head(seq, Hash::of(b"forged")),
            &json!({"event": "request", "subject": "mallory"}),
        );
        let finding = found(check(Verifier::new().with_head(covered)));
        assert_eq!(finding.kind, FindingKind::Rewritten, "{finding:?}");
        assert!(verify(folder.path()).ok, "nothing else shows it");
    }
    // The first line names the line before it. What follows is unprotected, and counted so.
    forged(covered, &anchor);
    let report = check(signed.clone().with_head(covered));
    assert!(report.ok, "{report:?}");
    assert_eq!((report.anchors, report.unanchored), (1, 22));
    let finding = found(check(signed.with_max_unanchored(21)));
    assert_eq!(finding.kind, FindingKind::Anchor);
}

#[tokio::test]
async fn a_head_of_files_that_are_kept_elsewhere_is_not_taken_for_confirmed() {
    let folder = crate::support::log_of_files().await;
    let heads = all_heads(folder.path());
    let all = files(folder.path());
    let pruned = lines(&all[0]).len();
    let with = |head: Head, paths: &[std::path::PathBuf]| {
        Verifier::new().with_head(head).verify(paths).unwrap()
    };
    for head in &heads {
        assert!(with(*head, &all).ok, "{head:?}");
    }
    // The first line of the second file confirms the last one of the first.
    assert!(with(heads[pruned - 1], &all[1..]).ok);
    let finding = found(with(heads[0], &all[1..]));
    assert_eq!(finding.kind, FindingKind::Rewritten);
    assert!(finding.message.contains("older files"), "{finding:?}");
}

#[tokio::test]
async fn half_a_line_does_not_pass_for_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit-00000001.jsonl");
    fs::write(&file, "{\"seq\":1,").unwrap();
    let (_keys, _, public) = keys().await;
    let verifier = Verifier::new().with_public_key(public);
    let finding = found(verifier.verify(&[file]).unwrap());
    assert_eq!(finding.kind, FindingKind::Removed);
}

#[tokio::test]
async fn a_stream_cannot_be_spliced_into_a_log_of_files() {
    let (folder, public) = anchored_log().await;
    let all = files(folder.path());
    let own = all.last().unwrap();
    let mut text = lines(own).concat();
    let at = lines(own).len() as u64 + 1;
    text.extend_from_slice(Chain::stream(3, "mallory").text.as_bytes());
    fs::write(own, text).unwrap();
    fs::remove_file(folder.path().join("head")).unwrap();
    let verifier = Verifier::new().with_public_key(public).complete();
    for verifier in [Verifier::new(), verifier.with_max_unanchored(10)] {
        let finding = found(verifier.verify(&[folder.path().to_owned()]).unwrap());
        assert_eq!(finding.kind, FindingKind::Inserted, "{finding:?}");
        assert_eq!((&finding.file, finding.line), (own, at));
    }
}

#[tokio::test]
async fn each_chain_of_a_stream_needs_its_own_anchor() {
    let (_keys, signer, public) = keys().await;
    let verifier = Verifier::new().with_public_key(public);
    let mut first = Chain::stream(5, "alice");
    first.anchor(&signer).await;
    let mut second = Chain::stream(8, "alice");
    second.anchor(&signer).await;
    let report = saved(&verifier, &[&first, &second]);
    assert!(report.ok, "{report:?}");
    assert_eq!((report.anchors, report.unanchored), (2, 2));
    // One that is written anew, in the middle and at the end.
    let forged = Chain::stream(3, "mallory");
    for chains in [[&first, &forged, &second], [&first, &second, &forged]] {
        assert!(saved(&Verifier::new(), &chains).ok);
        let finding = found(saved(&verifier, &chains));
        assert_eq!(finding.kind, FindingKind::Anchor, "{finding:?}");
        // A killed process leaves such a chain too. Its lines are counted.
        let most = |lines| verifier.clone().with_max_unanchored(lines);
        assert_eq!(saved(&most(6), &chains).unanchored, 6);
        assert!(saved(&most(6), &chains).ok);
        assert!(!saved(&most(5), &chains).ok);
    }
}

#[test]
fn a_chain_that_names_the_one_before_shows_what_was_removed_there() {
    let first = Chain::stream(5, "alice");
    let next = |before: Head| {
        let mut chain = Chain::behind(Head::START);
        let before = before.to_string();
        chain.add(&json!({"event": "stream", "log": "y", "before": before, "program": "test"}));
        chain
    };
    let second = next(first.last);
    assert!(saved(&Verifier::new(), &[&first, &second]).ok);
    for other in [Chain::stream(4, "alice"), Chain::stream(5, "mallory")] {
        let finding = found(saved(&Verifier::new(), &[&other, &second]));
        assert_eq!(finding.kind, FindingKind::Removed, "{finding:?}");
    }
    let report = saved(&Verifier::new(), &[&second]);
    assert!(
        report.ok && report.notes[0].contains("not given"),
        "{report:?}"
    );
    assert!(!saved(&Verifier::new().complete(), &[&second]).ok);
}

#[test]
fn a_head_of_any_chain_of_a_stream_is_found_there() {
    let (short, long) = (Chain::stream(3, "alice"), Chain::stream(9, "bob"));
    for chains in [[&short, &long], [&long, &short]] {
        for head in [short.last, long.last] {
            let report = saved(&Verifier::new().with_head(head), &chains);
            assert!(report.ok, "{report:?}");
        }
    }
    let other = Chain::stream(3, "mallory").last;
    let finding = found(saved(&Verifier::new().with_head(other), &[&short, &long]));
    assert_eq!(finding.kind, FindingKind::Rewritten);
    let beyond = Chain::stream(20, "alice").last;
    let finding = found(saved(&Verifier::new().with_head(beyond), &[&short, &long]));
    assert_eq!(finding.kind, FindingKind::CutOff);
}
