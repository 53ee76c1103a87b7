//! The findings and their verdict.

use serde::Serialize;
use serde_json::{Map, Value};
use temporal_kms_codec::{KeyUri, Namespace};
use temporal_kms_codec_service::env_origin;

use super::super::exit::Status;

/// The checks, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    Configuration,
    Credentials,
    Endpoint,
    Clock,
    Key,
    Versions,
    Rotation,
    Permission,
    Latency,
    Cost,
    RoundTrip,
    Cache,
    Certificate,
    Issuer,
    Login,
    Cors,
    AuditLog,
    Server,
}

impl Check {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Credentials => "credentials",
            Self::Endpoint => "endpoint",
            Self::Clock => "clock",
            Self::Key => "key",
            Self::Versions => "versions",
            Self::Rotation => "rotation",
            Self::Permission => "permission",
            Self::Latency => "latency",
            Self::Cost => "cost",
            Self::RoundTrip => "round trip",
            Self::Cache => "cache",
            Self::Certificate => "certificate",
            Self::Issuer => "issuer",
            Self::Login => "login",
            Self::Cors => "CORS",
            Self::AuditLog => "audit log",
            Self::Server => "server",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Ok,
    Warning,
    Failed,
    /// It could not be checked, or need not be.
    Skipped,
}

/// The names of its fields are for programs: they stay.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) check: Check,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    /// NAME of `[auth.issuers.NAME]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    /// The URL of a running server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<String>,
    #[serde(rename = "status")]
    pub(super) outcome: Outcome,
    pub(super) summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    #[serde(flatten)]
    numbers: Map<String, Value>,
    /// How the program ends when this is the first failure.
    #[serde(skip)]
    exit: Option<Status>,
}

impl Finding {
    pub(super) fn ok(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, Outcome::Ok, summary)
    }

    pub(super) fn skipped(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, Outcome::Skipped, summary)
    }

    pub(super) fn warning(
        check: Check,
        summary: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let mut finding = Self::new(check, Outcome::Warning, summary);
        finding.remedy = Some(remedy.into());
        finding
    }

    pub(super) fn failed(
        check: Check,
        exit: Status,
        summary: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let mut finding = Self::new(check, Outcome::Failed, summary);
        finding.remedy = Some(remedy.into());
        finding.exit = Some(exit);
        finding
    }

    fn new(check: Check, outcome: Outcome, summary: impl Into<String>) -> Self {
        Self {
            check,
            key: None,
            namespace: None,
            issuer: None,
            server: None,
            outcome,
            summary: summary.into(),
            remedy: None,
            numbers: Map::new(),
            exit: None,
        }
    }

    /// Adds a number or another value for programs.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.numbers.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn of_key(mut self, key: &KeyUri) -> Self {
        self.key = Some(key.to_string());
        self
    }

    pub(super) fn of_issuer(mut self, name: &str) -> Self {
        self.issuer = Some(name.to_owned());
        self
    }

    pub(super) fn of_server(mut self, url: &impl ToString) -> Self {
        self.server = Some(url.to_string());
        self
    }

    /// The same for another check.
    pub(super) fn under(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// Which `.env` file has set what a failure is about. Only a failure has an origin.
    fn origin(&self) -> Option<String> {
        if !self.is_failure() {
            return None;
        }
        let about = [Some(&self.summary), self.key.as_ref(), self.remedy.as_ref()];
        let about: Vec<&str> = about.into_iter().flatten().map(String::as_str).collect();
        env_origin::of_error(&about.join(" "))
    }

    /// Adds a line to what to do. A remedy may end with a command, so it gets no further words on its last line.
    fn add_line(&mut self, line: String) {
        self.remedy = Some(match self.remedy.take() {
            Some(remedy) => format!("{remedy}\n{line}"),
            None => line,
        });
    }

    /// Whether it has this line of what to do, and is shown under the same title.
    fn says_of_the_same(&self, other: &Self, line: &str) -> bool {
        let mut lines = self.remedy.as_deref().into_iter().flat_map(str::lines);
        self.key == other.key && self.namespace == other.namespace && lines.any(|own| own == line)
    }

    pub(super) fn is_failure(&self) -> bool {
        self.outcome == Outcome::Failed
    }

    pub(super) fn of_namespace(mut self, namespace: &Namespace) -> Self {
        self.namespace = Some(namespace.to_string());
        self
    }
}

/// All of them, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        let origin = finding.origin();
        self.push_with(finding, origin);
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.push(finding);
        }
    }

    /// Adds a finding with its origin. Of several findings of one key, the first one tells it.
    fn push_with(&mut self, mut finding: Finding, origin: Option<String>) {
        if let Some(origin) = origin
            && !self.0.iter().any(|f| f.says_of_the_same(&finding, &origin))
        {
            finding.add_line(origin);
        }
        self.0.push(finding);
    }

    /// Says why checks were not made.
    pub(super) fn skip(&mut self, checks: &[Check], key: &KeyUri, reason: &str) {
        let skipped = |check: &Check| Finding::skipped(*check, reason).of_key(key);
        self.0.extend(checks.iter().map(skipped));
    }

    pub(super) fn is_ok(&self) -> bool {
        self.count(Outcome::Failed) == 0
    }

    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|f| f.outcome == outcome).count()
    }

    pub(super) fn first_failed(&self) -> Option<&Finding> {
        self.0.iter().find(|f| f.outcome == Outcome::Failed)
    }

    /// How the program ends; `None` is success.
    pub(super) fn status(&self) -> Option<Status> {
        self.first_failed().and_then(|finding| finding.exit)
    }

    pub(super) fn verdict(&self) -> String {
        let count = |outcome, one: &str, several: &str| match self.count(outcome) {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {several}")),
        };
        let failed = count(Outcome::Failed, "check failed", "checks failed");
        let counts = [
            Some(failed.unwrap_or_else(|| "No check failed".to_owned())),
            count(Outcome::Warning, "gave a warning", "gave warnings"),
            count(Outcome::Skipped, "was skipped", "were skipped"),
            Some(format!("{} passed", self.count(Outcome::Ok))),
        ];
        let counts: Vec<_> = counts.into_iter().flatten().collect();
        let first = self.first_failed().map_or_else(String::new, |finding| {
            format!(" Fix this first: {}.", finding.check.name())
        });
        format!("{}.{first}", counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_decides() {
        let mut findings = Findings::default();
        findings.push(Finding::ok(Check::Configuration, "read"));
        findings.push(Finding::warning(Check::Rotation, "old", "rotate it"));
        assert!(findings.is_ok());
        assert_eq!(findings.status(), None);
        assert_eq!(
            findings.verdict(),
            "No check failed, 1 gave a warning, 1 passed."
        );
        let failed = |check, exit| Finding::failed(check, exit, "no", "do this");
        findings.push(failed(Check::Permission, Status::NoPermission));
        findings.push(failed(Check::RoundTrip, Status::Data));
        assert_eq!(findings.status(), Some(Status::NoPermission));
        assert_eq!(
            findings.verdict(),
            "2 checks failed, 1 gave a warning, 1 passed. Fix this first: permission."
        );
    }

    #[test]
    fn the_origin_of_a_failure_is_a_line_of_its_own_once_for_each_key() {
        let command = "codec-server keys create local://a --keyring /keys";
        let origin = "/.env sets TEMPORAL_CODEC_KEY; if that is wrong, correct the file";
        let mut findings = Findings::default();
        for key in ["local://a", "local://a", "local://b"] {
            let finding = Finding::failed(Check::Key, Status::Configuration, "no key", command);
            let finding = finding.of_key(&key.parse().unwrap());
            findings.push_with(finding, Some(origin.to_owned()));
        }
        let remedies: Vec<_> = findings
            .0
            .iter()
            .filter_map(|f| f.remedy.as_deref())
            .collect();
        let both = format!("{command}\n{origin}");
        assert_eq!(remedies, [both.as_str(), command, both.as_str()]);
    }

    #[test]
    fn programs_get_the_numbers_beside_the_words() {
        let finding = Finding::ok(Check::RoundTrip, "fine").with("calls", 2);
        assert_eq!(
            serde_json::to_value(finding).unwrap(),
            serde_json::json!({"check": "round-trip", "status": "ok", "summary": "fine", "calls": 2})
        );
    }
}
