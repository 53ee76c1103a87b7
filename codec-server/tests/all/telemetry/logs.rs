//! The request and the trace in the log.

use serde_json::Value;

use crate::support::{CodecServer, DEFAULT, body_of, plain};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn the_log_names_the_request_and_the_trace_of_its_caller() {
    let server = CodecServer::serve_with("", DEFAULT, &[("CODEC_LOG_FORMAT", "json")]);
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("X-Namespace", "default"), ("traceparent", parent.as_str())];
    let answer = server.post("/encode", &headers, &body_of(&plain(&["a"])));
    let id = answer.header("x-request-id").unwrap().to_owned();
    let log = server.stop_and_log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut lines = lines.filter(|line| line["message"] == "request");
    let line = lines.find(|line| line["request"] == id.as_str());
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["level"], "INFO");
}
