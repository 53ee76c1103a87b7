//! A stand-in for an OpenTelemetry collector: it takes OTLP over HTTP, decodes it, and keeps it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use parking_lot::{Condvar, Mutex};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::Metric,
    trace::v1::Span,
};
use prost::Message as _;

use super::PATIENCE;

pub(crate) struct Collector {
    url: String,
    received: Arc<(Mutex<Received>, Condvar)>,
}

/// Everything that was sent.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) spans: Vec<Span>,
    pub(crate) metrics: Vec<Metric>,
    /// The attributes of the services that sent it.
    pub(crate) resources: Vec<KeyValue>,
    /// The heads of the requests.
    pub(crate) heads: Vec<String>,
    /// The bodies as they came.
    pub(crate) bodies: Vec<u8>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::<(Mutex<Received>, Condvar)>::default();
        let shared = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { url, received }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until `find` finds something in what was sent.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, find: impl Fn(&Received) -> Option<T>) -> T {
        let (received, changed) = &*self.received;
        let mut received = received.lock();
        loop {
            if let Some(found) = find(&received) {
                return found;
            }
            let waited = changed.wait_for(&mut received, PATIENCE);
            assert!(
                !waited.timed_out(),
                "it was not sent; spans: {:?}, metrics: {:?}",
                received
                    .spans
                    .iter()
                    .map(|span| &span.name)
                    .collect::<Vec<_>>(),
                received
                    .metrics
                    .iter()
                    .map(|metric| &metric.name)
                    .collect::<Vec<_>>(),
            );
        }
    }
}

fn serve(stream: TcpStream, shared: &(Mutex<Received>, Condvar)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let lower = head.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        assert!(
            lower.contains("content-type: application/x-protobuf"),
            "{head}"
        );
        take(&head, &body, &mut shared.0.lock());
        shared.1.notify_all();
        let answer =
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

fn take(head: &str, body: &[u8], received: &mut Received) {
    received.heads.push(head.to_owned());
    received.bodies.extend_from_slice(body);
    let mut add_resource =
        |resource: Option<opentelemetry_proto::tonic::resource::v1::Resource>| {
            let attributes = resource.map(|resource| resource.attributes);
            received.resources.extend(attributes.unwrap_or_default());
        };
    if head.starts_with("POST /v1/traces ") {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for of_resource in request.resource_spans {
            add_resource(of_resource.resource);
            let spans = of_resource.scope_spans.into_iter();
            received.spans.extend(spans.flat_map(|scope| scope.spans));
        }
    } else if head.starts_with("POST /v1/metrics ") {
        let request = ExportMetricsServiceRequest::decode(body).unwrap();
        for of_resource in request.resource_metrics {
            add_resource(of_resource.resource);
            let metrics = of_resource.scope_metrics.into_iter();
            received
                .metrics
                .extend(metrics.flat_map(|scope| scope.metrics));
        }
    } else {
        panic!("nothing else is sent to a collector: {head}");
    }
}

/// The value of an attribute, as text.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    let AnyValue { value } = found.value.clone()?;
    match value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}
