//! The span of a request: its place in the caller's trace, and what the trace says of it.

#[cfg(feature = "otlp")]
use std::sync::atomic::AtomicU64;
use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use http::HeaderMap;
use tracing::Span;

use super::ended_request::EndedRequest;

/// The header of the W3C recommendation "Trace Context".
const TRACEPARENT: &str = "traceparent";

/// Whether spans are sent.
static TRACED: AtomicBool = AtomicBool::new(false);
/// Whether a caller's trace is sent when the caller says so. Otherwise [`OWN_RATIO`] counts for it.
#[cfg(feature = "otlp")]
static TRUSTS_CALLERS: AtomicBool = AtomicBool::new(false);
/// The part of callers' traces that is sent, as the bits of a number from 0 to 1.
#[cfg(feature = "otlp")]
static OWN_RATIO: AtomicU64 = AtomicU64::new(0);

/// Which traces of callers are sent.
#[cfg(feature = "otlp")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CallersTraces {
    /// Those that the caller wants to be sent.
    AsTheySay,
    /// This part of them, also against the caller's wish.
    Ratio(f64),
}

/// Says that spans are sent from now on.
#[cfg(feature = "otlp")]
pub(super) fn spans_are_sent(callers: CallersTraces) {
    match callers {
        CallersTraces::AsTheySay => TRUSTS_CALLERS.store(true, Relaxed),
        CallersTraces::Ratio(ratio) => OWN_RATIO.store(ratio.to_bits(), Relaxed),
    }
    TRACED.store(true, Relaxed);
}

/// Whether a trace of a caller is sent.
#[cfg(feature = "otlp")]
fn is_sampled(parent: &Traceparent) -> bool {
    if TRUSTS_CALLERS.load(Relaxed) {
        return parent.sampled;
    }
    is_in(f64::from_bits(OWN_RATIO.load(Relaxed)))
}

/// True for this part of all calls. A caller cannot choose it, as it could by the trace's id.
#[cfg(feature = "otlp")]
fn is_in(ratio: f64) -> bool {
    let mut bytes = [0; 4];
    let drawn = temporal_kms::support::random::fill(&mut bytes);
    let drawn = drawn.map(|()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX));
    ratio >= 1.0 || drawn.is_ok_and(|drawn| drawn < ratio)
}

/// The span of one request. Everything that the request causes belongs inside.
#[derive(Clone, Debug)]
pub struct RequestSpan {
    span: Span,
    trace_id: Option<String>,
}

impl RequestSpan {
    /// The span of the request called `id`. It continues the trace that the header `traceparent` names. `tracestate` and
    /// `baggage` are not read: callers write them, and they would be passed on to key services.
    #[must_use]
    pub fn new(id: &dyn fmt::Display, headers: &HeaderMap) -> Self {
        let span = if TRACED.load(Relaxed) {
            tracing::info_span!(
                "request",
                id = %id,
                trace_id = tracing::field::Empty,
                otel.kind = "server"
            )
        } else {
            // The log shows every field.
            tracing::info_span!("request", id = %id, trace_id = tracing::field::Empty)
        };
        let parent = Traceparent::in_headers(headers);
        let trace_id = if TRACED.load(Relaxed) {
            place(&span, parent.as_ref())
        } else {
            parent.map(|parent| hex(&parent.trace_id))
        };
        if let Some(trace_id) = &trace_id {
            span.record("trace_id", trace_id.as_str());
        }
        Self { span, trace_id }
    }

    /// The span itself.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// The trace that the request belongs to, in hexadecimal digits: the caller's, or one of this program's.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }

    /// Says how the request ended.
    pub fn end(&self, request: &EndedRequest<'_>) {
        if TRACED.load(Relaxed) {
            describe(&self.span, request);
        }
    }
}

/// A caller's place in its trace.
#[derive(Debug, PartialEq, Eq)]
struct Traceparent {
    trace_id: [u8; 16],
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only traces use it"))]
    span_id: [u8; 8],
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only traces use it"))]
    sampled: bool,
}

impl Traceparent {
    fn in_headers(headers: &HeaderMap) -> Option<Self> {
        let mut found = headers.get_all(TRACEPARENT).iter();
        match (found.next(), found.next()) {
            (Some(value), None) => Self::parse(value.to_str().ok()?),
            _ => None,
        }
    }

    /// `00-TRACE-SPAN-FLAGS`. Later versions may have more fields behind these.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let [version] = bytes(fields.next()?)?;
        let trace_id = bytes(fields.next()?)?;
        let span_id = bytes(fields.next()?)?;
        let [flags] = bytes(fields.next()?)?;
        let is_known = match version {
            0 => fields.next().is_none(),
            0xff => false,
            _ => true,
        };
        let is_valid = is_known && trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then_some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

/// `N` bytes of lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Gives the span its place in a trace, and returns the trace's id.
#[cfg(feature = "otlp")]
fn place(span: &Span, parent: Option<&Traceparent>) -> Option<String> {
    use opentelemetry::{
        Context,
        trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
    };
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    if let Some(parent) = parent {
        let flags = TraceFlags::default().with_sampled(is_sampled(parent));
        let parent = SpanContext::new(
            TraceId::from_bytes(parent.trace_id),
            SpanId::from_bytes(parent.span_id),
            flags,
            true,
            TraceState::NONE,
        );
        // Without traces there is nothing to set.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    let context = span.context();
    let own = context.span().span_context().clone();
    if own.is_valid() {
        return Some(hex(&own.trace_id().to_bytes()));
    }
    parent.map(|parent| hex(&parent.trace_id))
}

#[cfg(not(feature = "otlp"))]
fn place(_: &Span, parent: Option<&Traceparent>) -> Option<String> {
    parent.map(|parent| hex(&parent.trace_id))
}

#[cfg(feature = "otlp")]
fn describe(span: &Span, request: &EndedRequest<'_>) {
    use opentelemetry::trace::{Status, TraceContextExt as _};
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    let operation = request.operation.unwrap_or("none");
    span.context().span().update_name(operation);
    span.set_attribute("codec.operation", operation);
    span.set_attribute("http.response.status_code", i64::from(request.status));
    for (name, count) in [
        ("codec.payloads", request.payloads),
        ("codec.placeholders", request.placeholders),
    ] {
        span.set_attribute(name, i64::try_from(count).unwrap_or(i64::MAX));
    }
    if request.status >= 500 {
        span.set_status(Status::error(""));
    }
}

#[cfg(not(feature = "otlp"))]
fn describe(_: &Span, _: &EndedRequest<'_>) {}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_trace_of_the_caller_is_known_even_where_none_is_sent() {
        let span = RequestSpan::new(&"1", &headers(&[VALID]));
        assert_eq!(span.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(RequestSpan::new(&"1", &headers(&[])).trace_id(), None);
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn a_caller_does_not_decide_what_is_sent() {
        let chosen = |ratio| (0..1000).filter(|_| is_in(ratio)).count();
        assert_eq!((chosen(0.0), chosen(1.0)), (0, 1000));
        let half = chosen(0.5);
        assert!((300..700).contains(&half), "{half}");
    }

    #[test]
    fn only_valid_headers_count() {
        let parent = Traceparent::parse(VALID).unwrap();
        assert!(parent.sampled);
        assert_eq!(
            parent.span_id,
            [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
        );
        let later = VALID.replacen("00", "01", 1) + "-more";
        assert!(Traceparent::parse(&later).is_some());
        for bad in [
            "",
            "00",
            &VALID.to_uppercase(),
            &VALID.replacen("00", "ff", 1),
            &(VALID.to_owned() + "-more"),
            &VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &VALID[1..],
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Traceparent::parse(bad), None, "{bad}");
        }
        assert_eq!(Traceparent::in_headers(&headers(&[VALID, VALID])), None);
    }
}
