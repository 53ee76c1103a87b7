//! The audit log: whether its folder can be written, and whether its key signs.

use std::collections::BTreeSet;

use temporal_kms_codec::{
    KeyUri,
    audit::{AuditLog, Target},
};
use temporal_kms_codec_service::audit::AuditConfig;

use super::super::{
    super::exit::Status,
    finding::{Check, Finding, Findings},
};
use crate::config::Config;

/// The section `[audit]`.
pub(super) struct AuditLogExam(AuditConfig);

impl AuditLogExam {
    /// `None` without the section.
    pub(super) fn of(config: &Config) -> Option<Self> {
        config.audit.clone().map(Self)
    }

    pub(super) fn examine(&self, signing: &BTreeSet<&KeyUri>, findings: &mut Findings) {
        findings.push(self.place());
        findings.push(self.signature(signing));
    }

    fn place(&self) -> Finding {
        let target = &self.0.options.target;
        let summary = match target {
            Target::Folder(path) => format!("{} is private and can be written", path.display()),
            Target::Stdout => {
                let summary = "goes to standard output, which was not tried";
                return Finding::skipped(Check::AuditLog, summary);
            }
            _ => {
                let summary = "goes to syslog, which was not tried";
                return Finding::skipped(Check::AuditLog, summary);
            }
        };
        match AuditLog::check_target(target) {
            Ok(()) => Finding::ok(Check::AuditLog, summary),
            Err(error) => Finding::failed(
                Check::AuditLog,
                Status::Configuration,
                error.to_string(),
                "let the user that the server runs as own the folder and its files, or name another one: `folder` in \
                 section [audit]",
            ),
        }
    }

    fn signature(&self, signing: &BTreeSet<&KeyUri>) -> Finding {
        match &self.0.anchor_key {
            None => Finding::skipped(
                Check::AuditLog,
                "has no `anchor_key`: an attacker who can write its files can write it anew",
            ),
            Some(key) if signing.contains(key) => {
                Finding::ok(Check::AuditLog, format!("{key} signs its anchors"))
            }
            Some(key) => {
                let summary = format!("`[audit] anchor_key` is {key}, and its check above failed");
                let mut finding = Finding::skipped(Check::AuditLog, summary);
                finding.remedy = Some(
                    "correct that key, or name another one: `anchor_key` in section [audit]"
                        .to_owned(),
                );
                finding
            }
        }
    }
}
