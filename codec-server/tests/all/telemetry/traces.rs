//! What is sent to a collector by OTLP.

use opentelemetry_proto::tonic::{
    metrics::v1::{metric::Data, number_data_point::Value},
    trace::v1::{Span, span::SpanKind},
};

use crate::doctor::bench::{Bench, GCP_KEY};
use crate::support::{CodecServer, Collector, DEFAULT, SECRET, attribute, body_of, plain};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// A server that sends to `collector`.
fn server(collector: &Collector, variables: &[(&str, &str)]) -> CodecServer {
    let own = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ];
    CodecServer::serve_with("", DEFAULT, &[&own[..], variables].concat())
}

#[track_caller]
fn span(collector: &Collector, name: &str) -> Span {
    collector.wait_for(|received| {
        let mut spans = received.spans.iter();
        spans.find(|span| span.name == name).cloned()
    })
}

#[test]
fn a_request_continues_its_callers_trace() {
    let collector = Collector::start();
    let server = server(&collector, &[]);
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("X-Namespace", "default"),
        ("traceparent", parent.as_str()),
        ("tracestate", "vendor=correct-horse-battery-staple"),
        ("baggage", "user=correct-horse-battery-staple"),
        ("Authorization", "Bearer correct-horse-battery-staple"),
    ];
    let answer = server.post("/encode", &headers, &body_of(&plain(&[SECRET])));
    assert_eq!(answer.status, 200, "{}", answer.body);

    let request = span(&collector, "encode");
    assert_eq!(hex(&request.trace_id), TRACE);
    assert_eq!(hex(&request.parent_span_id), PARENT);
    assert_eq!(request.kind, SpanKind::Server as i32);
    let id = attribute(&request.attributes, "id");
    assert_eq!(id.as_deref(), answer.header("x-request-id"));
    let status = attribute(&request.attributes, "http.response.status_code");
    assert_eq!(status.as_deref(), Some("200"));
    let payloads = attribute(&request.attributes, "codec.payloads");
    assert_eq!(payloads.as_deref(), Some("1"));

    let call = span(&collector, "kms wrap");
    assert_eq!(
        hex(&call.trace_id),
        TRACE,
        "the call belongs to the request"
    );
    assert_eq!(call.parent_span_id, request.span_id);
    assert_eq!(call.kind, SpanKind::Client as i32);
    assert_eq!(
        attribute(&call.attributes, "key").as_deref(),
        Some("local://default")
    );

    collector.wait_for(|received| {
        let service = attribute(&received.resources, "service.name");
        assert_eq!(service.as_deref(), Some("codec-server"));
        let is_in = |bytes: &[u8]| {
            let mut windows = bytes.windows(SECRET.len());
            windows.any(|window| window == SECRET.as_bytes())
        };
        assert!(!is_in(&received.bodies), "a secret was sent");
        Some(())
    });
}

#[test]
fn a_request_without_a_trace_begins_one_and_the_log_names_it() {
    let collector = Collector::start();
    let mut server = server(&collector, &[("CODEC_LOG_FORMAT", "json")]);
    server.serves();
    let decode = span(&collector, "decode");
    assert!(decode.parent_span_id.is_empty());
    server.wait_for_log(&format!("\"trace_id\":\"{}\"", hex(&decode.trace_id)));
}

/// The part of traces that is sent is the operator's. The caller's trace goes on.
#[test]
fn a_caller_does_not_decide_what_is_sent() {
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    let sampled = format!("00-{TRACE}-{PARENT}-01");
    let collector = Collector::start();
    let all = server(
        &collector,
        &[("OTEL_TRACES_SAMPLER", "parentbased_always_on")],
    );
    let headers = |parent| [("X-Namespace", "default"), ("traceparent", parent)];
    all.post("/encode", &headers(&unsampled), &body_of(&plain(&["a"])));
    let encode = span(&collector, "encode");
    assert_eq!(hex(&encode.trace_id), TRACE);

    let collector = Collector::start();
    let none = server(&collector, &[("CODEC_TELEMETRY_TRACE_RATIO", "0")]);
    none.post("/encode", &headers(&sampled), &body_of(&plain(&["a"])));
    // The last spans are sent at the end.
    none.stop_and_log();
    collector.wait_for(|received| {
        assert!(received.spans.is_empty());
        Some(())
    });
}

#[test]
fn an_unsampled_trace_of_a_trusted_caller_is_not_sent() {
    let collector = Collector::start();
    let server = server(
        &collector,
        &[
            ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
            ("CODEC_TELEMETRY_TRUST_PARENT_SAMPLING", "true"),
        ],
    );
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    let headers = [
        ("X-Namespace", "default"),
        ("traceparent", unsampled.as_str()),
    ];
    server.post("/encode", &headers, &body_of(&plain(&["a"])));
    server.serves();
    span(&collector, "decode");
    collector.wait_for(|received| {
        let mut traces = received.spans.iter().map(|span| hex(&span.trace_id));
        assert!(traces.all(|trace| trace != TRACE));
        Some(())
    });
}

#[test]
fn metrics_are_sent_too_and_at_the_end_everything_is() {
    let collector = Collector::start();
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "x-scope-orgid=tenant-1");
    let never = ("OTEL_METRIC_EXPORT_INTERVAL", "86400000");
    let server = server(&collector, &[headers, never]);
    server.serves();
    let log = server.stop_and_log();
    let value = collector.wait_for(|received| {
        let mut metrics = received.metrics.iter();
        let requests = metrics.find(|metric| metric.name == "codec_server.requests")?;
        let Some(Data::Sum(sum)) = &requests.data else {
            panic!("it is a counter: {requests:?}");
        };
        assert!(sum.is_monotonic);
        let mut points = sum.data_points.iter();
        let encoded = points
            .find(|point| attribute(&point.attributes, "operation").as_deref() == Some("encode"))?;
        encoded.value
    });
    assert_eq!(value, Value::AsInt(1), "{log}");
    collector.wait_for(|received| {
        let mut heads = received.heads.iter();
        assert!(heads.all(|head| head.contains("x-scope-orgid: tenant-1")));
        Some(())
    });
}

#[test]
fn a_collector_that_is_unreachable_disturbs_nobody() {
    let unreachable = format!("{DEFAULT}\n[telemetry]\notlp_endpoint = \"http://127.0.0.1:1\"");
    let delay = [("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let mut server = CodecServer::serve_with("", &unreachable, &delay);
    server.serves();
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(server.wait().success());
}

#[test]
fn cloud_kms_learns_the_trace_and_nothing_else() {
    let collector = Collector::start();
    let bench = Bench::with_key();
    let kms = bench.emulator.url();
    let variables = [("GCP_KMS_ENDPOINT", kms.as_str())];
    let own = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())];
    let namespace = format!("[namespaces.default]\nencrypt = [\"{GCP_KEY}\"]");
    let server = CodecServer::serve_with("", &namespace, &[&own[..], &variables].concat());
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("X-Namespace", "default"),
        ("traceparent", parent.as_str()),
        ("tracestate", "vendor=correct-horse-battery-staple"),
    ];
    let answer = server.post("/encode", &headers, &body_of(&plain(&["a"])));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let calls = bench.emulator.calls();
    let mut traces = calls.iter().filter(|call| call.rpc == "Encrypt");
    let trace = traces.find_map(|call| call.traceparent.as_deref()).unwrap();
    assert!(trace.starts_with(&format!("00-{TRACE}-")), "{calls:?}");
    assert!(trace.ends_with("-01") && !trace.contains(PARENT), "{trace}");

    let text = server.admin("/metrics").body;
    let version = format!(
        r#"codec_server_kms_key_version_uses_total{{key="{GCP_KEY}",operation="wrap",primary="yes",version="1"}} 1"#
    );
    assert!(text.contains(&version), "{text}");
    server.wait_for_metric("codec_server_kms_primary_version_age_seconds{");
}
