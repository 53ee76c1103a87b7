//! The state of the server itself: whether it is ready, and its audit log.

use std::{sync::Arc, time::SystemTime};

use temporal_kms_codec::audit::{AuditLog, AuditStats};

use super::table::{Table, shown_age};
use crate::shared::Shared;

/// The tables. What the audit log has is about all namespaces, and shown to those who manage all of them.
pub(super) async fn tables(shared: &Shared, manages_all: bool) -> Vec<Table> {
    let mut tables = vec![readiness(shared)];
    if let Some(log) = shared.audit.as_ref().filter(|_| manages_all) {
        tables.push(audit(log).await);
    }
    tables
}

fn readiness(shared: &Shared) -> Table {
    let report = shared.readiness.report();
    let conditions = report.conditions.iter().map(|(name, condition)| {
        let reason = condition.reason().unwrap_or_default();
        vec![
            (*name).to_owned(),
            condition.name().to_owned(),
            reason.to_owned(),
        ]
    });
    let whole = vec![
        "server".to_owned(),
        report.phase.name().to_owned(),
        String::new(),
    ];
    Table {
        title: "Readiness",
        columns: &["what", "state", "reason"],
        rows: std::iter::once(whole).chain(conditions).collect(),
    }
}

async fn audit(log: &Arc<AuditLog>) -> Table {
    let read = Arc::clone(log);
    // The folder can be on a network.
    let files = tokio::task::spawn_blocking(move || read.files()).await;
    let files = match files {
        Ok(Ok(Some(files))) => format!("{} files, {} bytes", files.count, files.bytes),
        Ok(Ok(None)) => "none: the lines go elsewhere".to_owned(),
        // The log has the path.
        Ok(Err(_)) | Err(_) => "the folder cannot be read".to_owned(),
    };
    let (head, stats) = (log.head(), log.stats());
    let written = match log.problem() {
        Some(_) => "lines cannot be written; the log says why",
        None => "written",
    };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    Table {
        title: "Audit log",
        columns: &["what", "value"],
        rows: vec![
            row("state", written.to_owned()),
            row("last line", head.seq.to_string()),
            row("hash of the last line", head.hash.to_string()),
            row("last anchor", anchor(&stats)),
            row("anchors that failed", stats.anchor_failures.to_string()),
            row("lines since the start", stats.lines.to_string()),
            row("lines that are missing", stats.missing.to_string()),
            row("files", files),
        ],
    }
}

fn anchor(stats: &AuditStats) -> String {
    match stats.last_anchor {
        Some((line, at)) => {
            let age = SystemTime::now().duration_since(at).unwrap_or_default();
            format!("line {line}, {} ago", shown_age(age))
        }
        None => "none since the start".to_owned(),
    }
}
