//! Load for a server: `wrk` on a core of its own.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, ensure};

use super::figures::processor_time;
use crate::step;

/// The core of the servers, and the core of the load.
pub(super) const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";
const CONNECTIONS: &str = "16";

/// What one round of load showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// Processor time for each request, in microseconds.
    pub(super) cpu_us: f64,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Where the load goes.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) url: &'a str,
    /// The process that is measured.
    pub(super) process: u32,
    pub(super) token: Option<&'a str>,
}

/// Sends `body` again and again for so many seconds, and measures the process.
pub(super) fn send(
    wrk: &Path,
    folder: &Path,
    target: Target<'_>,
    body: &[u8],
    seconds: u64,
) -> anyhow::Result<Round> {
    let (file, script) = (folder.join("body"), folder.join("post.lua"));
    fs::write(&file, body)?;
    let shown = file.to_str().context("the folder's name is not text")?;
    fs::write(&script, lua(shown, target.token))?;
    let mut command = Command::new("taskset");
    command
        .args(["--cpu-list", LOAD_CORE])
        .arg(wrk)
        .args(["--threads", "1", "--connections", CONNECTIONS, "--latency"])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(&script)
        .arg(target.url);
    let before = processor_time(target.process)?;
    let output = step::output(command)?;
    let used = processor_time(target.process)? - before;
    let output = String::from_utf8_lossy(&output);
    let report = Report::parse(&output).with_context(|| format!("wrk says:\n{output}"))?;
    ensure!(!report.has_errors, "the server refused requests:\n{output}");
    Ok(Round {
        cpu_us: used * 1e6 / report.requests,
        per_second: report.per_second,
        p50_ms: report.p50_ms,
        p99_ms: report.p99_ms,
    })
}

fn lua(body: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!(r#"wrk.headers["Authorization"] = "Bearer {token}""#));
    let token = token.unwrap_or_default();
    format!(
        r#"wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-Namespace"] = "default"
{token}
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
"#
    )
}

#[derive(Debug, PartialEq)]
struct Report {
    requests: f64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    has_errors: bool,
}

impl Report {
    fn parse(output: &str) -> Option<Self> {
        let mut report = Self {
            requests: 0.0,
            per_second: 0.0,
            p50_ms: 0.0,
            p99_ms: 0.0,
            has_errors: output.contains("Non-2xx") || output.contains("Socket errors"),
        };
        for line in output.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("50%"), Some(time), _) => report.p50_ms = milliseconds(time)?,
                (Some("99%"), Some(time), _) => report.p99_ms = milliseconds(time)?,
                (Some("Requests/sec:"), Some(rate), _) => report.per_second = rate.parse().ok()?,
                (Some(count), Some("requests"), Some("in")) => {
                    report.requests = count.parse().ok()?;
                }
                _ => {}
            }
        }
        (report.requests > 0.0).then_some(report)
    }
}

/// A time such as `810.00us`, `1.25ms` or `2.00s`.
fn milliseconds(time: &str) -> Option<f64> {
    let split = time.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = time.split_at_checked(split)?;
    let factor = match unit {
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_wrk_is_read() {
        let output = "Running 3s test @ http://127.0.0.1:1/decode
  1 threads and 16 connections
  Latency Distribution
     50%  390.00us
     75%  500.00us
     99%    1.30ms
  121200 requests in 3.00s, 250.00MB read
Requests/sec:  40400.00
Transfer/sec:     80.00MB
";
        let report = Report::parse(output).unwrap();
        assert!(!report.has_errors);
        assert!((report.p50_ms - 0.39).abs() < 1e-9 && (report.p99_ms - 1.3).abs() < 1e-9);
        assert!((report.requests - 121_200.0).abs() < 1e-9);
        assert!((report.per_second - 40_400.0).abs() < 1e-9);
        let failed = format!("{output}  Non-2xx or 3xx responses: 7\n");
        assert!(Report::parse(&failed).unwrap().has_errors);
        assert_eq!(Report::parse("unable to connect"), None);
    }
}
