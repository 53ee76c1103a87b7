//! Which lines are asked for.

use std::time::{Duration, SystemTime};

use clap::Args;
use temporal_kms_codec::audit::Line;

/// No log is older.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Who asked.
    #[arg(long)]
    subject: Option<String>,
    /// The namespace.
    #[arg(long)]
    namespace: Option<String>,
    /// What was asked for, such as `decode`, `unwrap`, `sign` or `destroy_key`.
    #[arg(long)]
    operation: Option<String>,
    /// How it ended, such as `ok` or `permission_denied`.
    #[arg(long)]
    result: Option<String>,
    /// The id of a request, as its answer and the server's log name it.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// What happened: `request`, `command`, `kms`, `key`, `start`, `stop`, `reload`, `anchor`, …
    #[arg(long)]
    event: Option<String>,
    /// The key, as a URI.
    #[arg(long, value_name = "URI")]
    key: Option<String>,
    /// From this time on: RFC 3339 (UTC), a day, or how long ago, such as `24h`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<SystemTime>,
    /// Until this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<SystemTime>,
}

impl Filter {
    pub(super) fn matches(&self, line: &Line) -> bool {
        let is = |wanted: &Option<String>, name: &str| {
            let wanted = wanted.as_deref();
            wanted.is_none_or(|wanted| line.text(name) == Some(wanted))
        };
        is(&self.subject, "subject")
            && is(&self.namespace, "namespace")
            && is(&self.operation, "operation")
            && is(&self.result, "result")
            && is(&self.request_id, "request")
            && is(&self.event, "event")
            && self.names_key(line)
            && self.is_in_time(line)
    }

    /// A request names several keys, a call one.
    fn names_key(&self, line: &Line) -> bool {
        let Some(wanted) = self.key.as_deref() else {
            return true;
        };
        let keys = line.fields.get("keys").and_then(|keys| keys.as_array());
        let mut keys = keys.into_iter().flatten();
        line.text("key") == Some(wanted) || keys.any(|key| key.as_str() == Some(wanted))
    }

    fn is_in_time(&self, line: &Line) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let time = line.text("time").map(humantime::parse_rfc3339);
        let Some(Ok(time)) = time else {
            return false;
        };
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time <= until)
    }
}

fn moment(text: &str) -> Result<SystemTime, String> {
    // A day begins at midnight.
    for full in [text.to_owned(), format!("{text}T00:00:00Z")] {
        if let Ok(time) = humantime::parse_rfc3339_weak(&full) {
            return Ok(time);
        }
    }
    let ago = temporal_kms_codec_service::units::time(text, LONGEST);
    ago.ok()
        .and_then(|ago| SystemTime::now().checked_sub(ago))
        .ok_or_else(|| {
            "expected a time such as 2026-11-26 or 2026-11-26T18:00:00Z, or how long ago, such as 24h".to_owned()
        })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        filter: Filter,
    }

    fn line(fields: &str) -> Line {
        let zeros = "0".repeat(64);
        let text = format!(
            "{{\"seq\":1,\"prev\":\"{zeros}\",\"time\":\"2026-11-26T17:54:14.000001Z\",{fields}}}"
        );
        Line::parse(text.as_bytes()).unwrap()
    }

    fn matches(arguments: &[&str], line: &Line) -> bool {
        let arguments = [&["program"], arguments].concat();
        Command::parse_from(arguments).filter.matches(line)
    }

    #[test]
    fn every_condition_must_hold() {
        let line = line(
            "\"event\":\"request\",\"subject\":\"alice\",\"namespace\":\"prod\",\"keys\":[\"local://a\",\"local://b\"]",
        );
        for yes in [
            &[][..],
            &["--subject", "alice", "--namespace", "prod"],
            &["--key", "local://b"],
            &["--since", "2026-11-26", "--until", "2026-11-27"],
            &["--since", "2026-11-26 17:00:00"],
        ] {
            assert!(matches(yes, &line), "{yes:?}");
        }
        for no in [
            &["--subject", "alic"][..],
            &["--subject", "alice", "--namespace", "dev"],
            &["--key", "local://c"],
            &["--result", "ok"],
            &["--since", "2026-11-27T00:00:00Z"],
            &["--until", "2026-11-26"],
            &["--until", "2026-11-26T17:54:14Z"],
        ] {
            assert!(!matches(no, &line), "{no:?}");
        }
        assert!(moment("yesterday").is_err());
        assert!(moment("24h").unwrap() < SystemTime::now());
    }
}
