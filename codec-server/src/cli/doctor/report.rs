//! The findings for people, grouped by what they are about, and for programs.

use std::io::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use serde_json::json;

use temporal_kms_codec_service::terminal;

use super::{
    super::exit::{Failure, Status},
    finding::{Check, Finding, Findings, Outcome},
};

pub(super) fn print(findings: &Findings, json: bool) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| Failure::stdout(error);
    if json {
        let answer = json!({ "ok": findings.is_ok(), "findings": findings.0 });
        let text = serde_json::to_string_pretty(&answer)
            .map_err(|error| Failure::new(Status::Software, error))?;
        return writeln!(std::io::stdout(), "{text}").map_err(|error| failed(&error));
    }
    // Colours are taken out where stdout is not a terminal.
    write!(anstream::stdout(), "{}", text(findings)).map_err(|error| failed(&error))
}

fn text(findings: &Findings) -> String {
    let mut lines = Vec::new();
    let mut group = None;
    let mut rest = findings.0.as_slice();
    while let Some(finding) = rest.first() {
        let title = title(finding);
        if group.as_ref() != Some(&title) {
            lines.push(painted(Style::new().bold(), &title));
            group = Some(title);
        }
        let count = alike(rest);
        let names: Vec<_> = rest.iter().take(count).map(|f| f.check.name()).collect();
        lines.extend(entry(finding, &names.join(", ")));
        rest = rest.get(count..).unwrap_or_default();
    }
    let colour = if findings.is_ok() {
        AnsiColor::Green
    } else {
        AnsiColor::Red
    };
    lines.push(painted(
        colour.on_default().bold(),
        &terminal::line(&findings.verdict()),
    ));
    lines.join("\n") + "\n"
}

/// How many from the first on were skipped for the same reason: one line is enough for them.
fn alike(findings: &[Finding]) -> usize {
    let Some(first) = findings.first() else {
        return 0;
    };
    let same = |finding: &&Finding| {
        finding.outcome == Outcome::Skipped
            && finding.summary == first.summary
            && finding.key == first.key
            && finding.namespace == first.namespace
            && finding.issuer == first.issuer
            && finding.server == first.server
    };
    findings.iter().take_while(same).count().max(1)
}

fn title(finding: &Finding) -> String {
    let title = match (&finding.key, &finding.namespace) {
        (Some(key), Some(namespace)) => format!("Namespace {namespace} with key {key}"),
        (Some(key), None) => format!("Key {key}"),
        (None, Some(namespace)) => format!("Namespace {namespace}"),
        (None, None) => section(finding),
    };
    terminal::line(&title)
}

/// The title of what is neither about a key nor about a namespace.
fn section(finding: &Finding) -> String {
    match (&finding.issuer, &finding.server, finding.check) {
        (Some(issuer), _, _) => format!("Issuer {issuer}"),
        (_, Some(server), _) => format!("Server {server}"),
        (_, _, Check::Certificate) => "Certificates".to_owned(),
        (_, _, Check::Issuer) => "Issuers".to_owned(),
        (_, _, Check::Login) => "Login".to_owned(),
        (_, _, Check::Cors) => "Web pages".to_owned(),
        (_, _, Check::AuditLog) => "Audit log".to_owned(),
        _ => "Configuration".to_owned(),
    }
}

fn entry(finding: &Finding, names: &str) -> Vec<String> {
    let (word, colour) = match finding.outcome {
        Outcome::Ok => ("ok", AnsiColor::Green),
        Outcome::Warning => ("warning", AnsiColor::Yellow),
        Outcome::Failed => ("FAILED", AnsiColor::Red),
        Outcome::Skipped => ("skipped", AnsiColor::BrightBlack),
    };
    let word = painted(colour.on_default(), &format!("{word:8}"));
    let mut lines = Vec::new();
    for line in finding.summary.lines() {
        let start = if lines.is_empty() {
            format!("  {word} {names:14}")
        } else {
            format!("  {:8} {:14}", "", "")
        };
        lines.push(format!("{start} {}", terminal::line(line)));
    }
    if let Some(remedy) = &finding.remedy {
        for (index, line) in remedy.lines().enumerate() {
            let arrow = if index == 0 { "→" } else { " " };
            lines.push(format!("  {:8} {arrow} {}", "", terminal::line(line)));
        }
    }
    lines
}

fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_key_and_folds_what_was_skipped_together() {
        let key = "local://a".parse().unwrap();
        let mut findings = Findings::default();
        findings.push(Finding::ok(Check::Configuration, "1 key"));
        findings.push(
            Finding::failed(
                Check::Key,
                Status::Configuration,
                "not \u{1b}[2J found",
                "make it",
            )
            .of_key(&key),
        );
        findings.skip(&[Check::Permission, Check::Latency], &key, "no key");
        let plain = anstream::adapter::strip_str(&text(&findings)).to_string();
        assert_eq!(
            plain,
            "Configuration\n  ok       configuration  1 key\nKey local://a\n  FAILED   key            not \u{fffd}[2J found\n           → make it\n  skipped  permission, latency no key\n1 check failed, 2 were skipped, 1 passed. Fix this first: key.\n"
        );
    }
}
