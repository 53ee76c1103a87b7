//! `/metrics` on the admin listener.

use std::collections::BTreeSet;

use serde_json::json;
use temporal_kms_codec_service::telemetry::CATALOGUE;

use crate::support::{CodecServer, SECRET, plain};

/// Metrics that a server shows only when something happens that these tests do not cause.
const RARE: [&str; 8] = [
    "codec_server_audit_anchor_failures_total",
    "codec_server_audit_failures_total",
    "codec_server_audit_last_anchor_timestamp_seconds",
    "codec_server_audit_lines_total",
    "codec_server_authentications_total",
    "codec_server_kms_primary_version_age_seconds",
    "codec_server_kms_retries_total",
    "codec_server_tls_certificate_expiry_timestamp_seconds",
];

#[test]
fn a_server_counts_what_it_does() {
    let server = CodecServer::serve_default("");
    server.serves();
    assert_eq!(server.call("/decode", "nobody", &plain(&["a"])).status, 404);
    let broken = json!({"payloads": [{"metadata": {"encoding": "YmluYXJ5L2VudmVsb3BlLWttcw=="}, "data": "AAAA"}]});
    assert_eq!(server.call("/decode", "default", &broken).status, 400);

    let answer = server.admin("/metrics");
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = &answer.body;
    for line in [
        r#"codec_server_requests_total{namespace="default",operation="encode",result="ok"} 1"#,
        r#"codec_server_requests_total{namespace="default",operation="decode",result="ok"} 1"#,
        r#"codec_server_requests_total{namespace="default",operation="decode",result="invalid"} 1"#,
        r#"codec_server_requests_total{namespace="none",operation="decode",result="not_found"} 1"#,
        r#"codec_server_payloads_total{namespace="default",operation="encode",outcome="encoded"} 1"#,
        r#"codec_server_payloads_rejected_total{namespace="default"} 1"#,
        r#"codec_server_kms_calls_total{key="local://default",operation="wrap",result="ok"} 1"#,
        r#"codec_server_open_connections{listener="admin"} 1"#,
        "codec_server_requests_in_flight 0",
        "codec_server_configuration_generation 1",
        "codec_server_insecure_without_authentication 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    for listed in CATALOGUE {
        let name = listed.prometheus_name("codec_server");
        let is_shown = text.contains(&format!("# TYPE {name} {}\n", listed.kind.as_str()));
        assert_ne!(is_shown, RARE.contains(&name.as_str()), "{name}\n{text}");
    }
    assert_eq!(server.raw(b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").status, 404);
}

#[test]
fn callers_cannot_make_series() {
    let server = CodecServer::dev();
    let count = || {
        let text = server.admin("/metrics").body;
        assert!(!text.contains(SECRET), "{text}");
        let series: BTreeSet<String> = text
            .lines()
            .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
            .collect();
        series
    };
    let invent = |round: &str| {
        for number in 0..300 {
            let name = format!("{round}{number}-{SECRET}");
            server.call("/encode", &name, &plain(&[SECRET]));
        }
    };
    invent("a");
    let first = count();
    invent("b");
    assert_eq!(count(), first);
    let other =
        r#"codec_server_requests_total{namespace="other",operation="encode",result="ok"} 600"#;
    let text = server.admin("/metrics").body;
    assert!(text.contains(other), "{text}");
}
