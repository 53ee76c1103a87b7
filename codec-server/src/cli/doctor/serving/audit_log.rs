//! The audit log: whether its folder can be written, and whether its key signs.

use temporal_kms_codec::{
    KeyUri, Scheme,
    audit::{AuditLog, Target},
    kms::{CallPolicy, Kms, ProviderError, ProviderErrorKind},
};
use temporal_kms_codec_service::audit::AuditConfig;

use super::super::{
    super::exit::Status,
    advice,
    finding::{Check, Finding, Findings},
};
use crate::config::Config;

/// What is signed to try the key. An anchor begins with other words, so this signature proves nothing about a log.
const TRIAL: &[u8] = b"codec-server doctor tries the key of the audit log";

/// The section `[audit]`.
pub(super) struct AuditLogExam {
    config: AuditConfig,
    /// One attempt for each call.
    kms: Kms,
}

impl AuditLogExam {
    /// `None` without the section.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let mut kms = config.keys.clone();
        let calls = kms.calls();
        let once = CallPolicy::once()
            .with_attempt_timeout(calls.attempt_timeout)
            .with_total_timeout(calls.total_timeout);
        kms.set_calls(once);
        let config = config.audit.clone()?;
        Some(Self { config, kms })
    }

    pub(super) async fn examine(&self, findings: &mut Findings) {
        findings.push(self.place());
        findings.push(self.signature().await);
    }

    fn place(&self) -> Finding {
        let target = &self.config.options.target;
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

    async fn signature(&self) -> Finding {
        let Some(key) = &self.config.anchor_key else {
            return Finding::skipped(
                Check::AuditLog,
                "has no `anchor_key`: an attacker who can write its files can write it anew",
            );
        };
        match self.sign(key).await {
            Ok(()) => Finding::ok(Check::AuditLog, format!("{key} signs its anchors")),
            Err(error) => Finding::failed(
                Check::AuditLog,
                advice::exit(&error),
                format!("{key} does not sign its anchors: {}", error.message()),
                self.remedy(key, &error),
            ),
        }
    }

    async fn sign(&self, key: &KeyUri) -> Result<(), ProviderError> {
        self.kms.signer(key).await?.sign(TRIAL).await.map(drop)
    }

    fn remedy(&self, key: &KeyUri, error: &ProviderError) -> String {
        let has_roles = [Scheme::GCP_KMS, Scheme::AWS_KMS].contains(&key.scheme());
        if error.kind() == ProviderErrorKind::PermissionDenied && has_roles {
            let member = " --role signer --member MEMBER";
            return advice::keys("grant", key, member, &self.kms);
        }
        "correct `anchor_key` in section [audit], or the key; `codec-server sign` uses it in the same way".to_owned()
    }
}
