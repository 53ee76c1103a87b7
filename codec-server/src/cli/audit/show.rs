//! A line for people: when, what, and its values.

use std::io::{self, Write as _};

use serde_json::Value;
use temporal_kms_codec::audit::Line;
use temporal_kms_codec_service::{exit::Failure, terminal};

/// What has a column of its own, or says nothing to a person.
const APART: [&str; 7] = [
    "seq",
    "prev",
    "time",
    "event",
    "request",
    "operation",
    "result",
];

/// Shows lines as they are for programs, or in columns for people.
pub(super) struct Screen {
    json: bool,
}

impl Screen {
    /// With the names of the columns.
    pub(super) fn new(json: bool) -> Result<Self, Failure> {
        let screen = Self { json };
        if !json {
            let names = ["TIME", "EVENT", "REQUEST", "OPERATION", "RESULT"];
            screen.print(&columns(names, "DETAILS"))?;
        }
        Ok(screen)
    }

    /// Shows a line. What is not a line of a log is shown as it is.
    pub(super) fn show(&self, bytes: &[u8], line: Option<&Line>) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(bytes);
        match line {
            _ if self.json => self.print(&terminal::json(text.trim_end())),
            Some(line) => self.print(&terminal::line(&row(line))),
            None => self.print(&format!("not a line: {}", terminal::line(text.trim_end()))),
        }
    }

    #[expect(clippy::unused_self, reason = "a screen prints")]
    fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::stdout(&error))
    }
}

fn row(line: &Line) -> String {
    let text = |name: &str| line.text(name).unwrap_or("-");
    let rest: Vec<String> = line
        .fields
        .iter()
        .filter(|(name, _)| !APART.contains(&name.as_str()))
        .filter_map(|(name, value)| Some(format!("{name}={}", shown(value)?)))
        .collect();
    let row = ["time", "event", "request", "operation", "result"].map(text);
    columns(row, &rest.join(" "))
}

fn columns([time, event, request, operation, result]: [&str; 5], rest: &str) -> String {
    let row = format!("{time:27}  {event:9}  {request:8}  {operation:13}  {result:17}  {rest}");
    row.trim_end().to_owned()
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(shown).collect();
            Some(items.join(","))
        }
        value => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_columns_and_every_other_value() {
        let line = format!(
            "{{\"seq\":7,\"prev\":\"{}\",\"time\":\"2026-11-26T17:54:14.000001Z\",\"event\":\"request\",\"request\":\"1a2b3c4d\",\
             \"operation\":\"decode\",\"namespace\":\"prod\",\"payloads\":3,\"keys\":[\"a\",\"b\"],\"result\":\"ok\"}}",
            "0".repeat(64)
        );
        let line = Line::parse(line.as_bytes()).unwrap();
        assert_eq!(
            row(&line),
            "2026-11-26T17:54:14.000001Z  request    1a2b3c4d  decode         ok                 keys=a,b namespace=prod payloads=3"
        );
    }
}
