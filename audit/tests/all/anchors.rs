//! Signed anchors: nobody without the key can rewrite what is before them.

use std::{fs, path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;
use temporal_kms::{PublicKey, Signer};
use temporal_kms_audit::{Anchoring, AuditLog, FindingKind, Hash, Verifier};
use temporal_kms_local::LocalKeyring;

use crate::support::{event, files, lines, options, values, verify};

pub(crate) async fn signer(folder: &Path) -> (Arc<dyn Signer>, PublicKey) {
    let keyring = LocalKeyring::open(folder);
    let signer = keyring
        .signing_key_or_create("audit", temporal_kms::SignatureAlgorithm::Ed25519)
        .unwrap();
    let public = signer.public_key(None).await.unwrap();
    (signer, public)
}

pub(crate) async fn anchored_log() -> (TempDir, PublicKey) {
    let folder = tempfile::tempdir().unwrap();
    let keys = tempfile::tempdir().unwrap();
    let (signer, public) = signer(&keys.path().join("keys")).await;
    let log = AuditLog::open(&options(folder.path())).unwrap();
    log.anchor(Anchoring::with(Some(signer)).after(4, Duration::from_hours(1)));
    let mut anchored = 0;
    while anchored < 3 {
        log.record(event(anchored)).written().await.unwrap();
        anchored = log.stats().anchors;
        tokio::task::yield_now().await;
    }
    log.close().await.unwrap();
    (folder, public)
}

fn check(folder: &Path, key: &PublicKey) -> temporal_kms_audit::Report {
    let verifier = Verifier::new().with_public_key(key.clone());
    verifier.verify(&[folder.to_owned()]).unwrap()
}

/// What an attacker does who has the files: every line is made anew, from the edited one on.
fn rewrite(folder: &Path, edit: impl Fn(&str) -> String) {
    let mut prev = Hash::ZERO;
    for file in files(folder) {
        let mut text = Vec::new();
        for line in lines(&file) {
            let line = edit(std::str::from_utf8(&line).unwrap());
            let (head, rest) = line.split_once(",\"prev\":\"").unwrap();
            let rest = rest.split_at(64).1;
            let line = format!("{head},\"prev\":\"{prev}{rest}");
            prev = Hash::of(line.as_bytes());
            text.extend_from_slice(line.as_bytes());
        }
        fs::write(file, text).unwrap();
    }
    fs::remove_file(folder.join("head")).unwrap();
}

#[tokio::test]
async fn anchors_are_made_by_lines_and_at_the_end() {
    let (folder, public) = anchored_log().await;
    let report = check(folder.path(), &public);
    assert!(report.ok, "{report:?}");
    assert!(report.anchors >= 4, "{report:?}");
    let last = values(folder.path()).pop().unwrap();
    assert_eq!(last["event"], "anchor");
    // The anchor itself, and perhaps the first line of its file.
    assert!(report.unanchored <= 2, "{report:?}");
    let verifier = Verifier::new().with_max_unanchored(0);
    let report = verifier.verify(&[folder.path().to_owned()]).unwrap();
    assert_eq!(report.finding.unwrap().kind, FindingKind::Anchor);
}

#[tokio::test]
async fn a_rewritten_log_is_found_at_the_first_anchor() {
    let (folder, public) = anchored_log().await;
    let first = values(folder.path())
        .iter()
        .find(|line| line["event"] == "anchor")
        .unwrap()["seq"]
        .as_u64();
    rewrite(folder.path(), |line| line.replace("alice", "mallory"));
    let finding = verify(folder.path()).finding.unwrap();
    assert_eq!((finding.kind, finding.seq), (FindingKind::Anchor, first));
    assert!(
        finding.message.contains("rewritten before this anchor"),
        "{finding:?}"
    );
    // The attacker makes the anchors anew as well, and cannot sign them.
    let (other_keys, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (signer, _) = signer(&other_keys.path().join("keys")).await;
    let log = AuditLog::open(&options(own.path())).unwrap();
    log.anchor(Anchoring::with(Some(signer)));
    log.close().await.unwrap();
    assert!(verify(own.path()).ok);
    let finding = check(own.path(), &public).finding.unwrap();
    assert_eq!(finding.kind, FindingKind::Anchor);
    assert!(finding.message.contains("signature"), "{finding:?}");
}

#[tokio::test]
async fn a_log_without_anchors_does_not_pass_for_a_signed_one() {
    let (folder, public) = anchored_log().await;
    let all = files(folder.path());
    // Everything from the first anchor on is removed.
    let lines = lines(&all[0]);
    let kept: Vec<_> = lines
        .into_iter()
        .take_while(|line| !String::from_utf8_lossy(line).contains("\"event\":\"anchor\""))
        .collect();
    fs::write(&all[0], kept.concat()).unwrap();
    for file in &all[1..] {
        fs::remove_file(file).unwrap();
    }
    fs::remove_file(folder.path().join("head")).unwrap();
    assert!(verify(folder.path()).ok);
    let finding = check(folder.path(), &public).finding.unwrap();
    assert!(finding.message.contains("no signed anchor"), "{finding:?}");
}
