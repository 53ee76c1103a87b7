//! The metrics of requests and connections.

use std::sync::Arc;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, UpDownCounter},
};

use super::{
    catalogue::{
        CONNECTIONS, OPEN_CONNECTIONS, REQUEST_DURATION, REQUESTS_IN_FLIGHT, REQUESTS_SHED,
    },
    ended_request::EndedRequest,
    instruments::Instruments,
    labels::Labels,
    request_counts::RequestCounts,
};

/// The limit for which a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShedReason {
    /// Too many requests are being worked on.
    Concurrency,
    /// The bodies of all requests take too much memory.
    Memory,
    /// A caller sends more than its rate.
    RateLimit,
}

impl ShedReason {
    const ALL: [Self; 3] = [Self::Concurrency, Self::Memory, Self::RateLimit];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Memory => "memory",
            Self::RateLimit => "rate_limit",
        }
    }
}

/// The metrics of requests.
#[derive(Debug)]
pub struct RequestMetrics {
    labels: Arc<Labels>,
    counts: Arc<RequestCounts>,
    duration: Histogram<f64>,
    in_flight: UpDownCounter<i64>,
    shed: Counter<u64>,
    connections: Counter<u64>,
    open_connections: UpDownCounter<i64>,
}

impl RequestMetrics {
    pub(super) fn new(instruments: &Instruments<'_>, labels: &Arc<Labels>) -> Self {
        let counts = Arc::<RequestCounts>::default();
        counts.register(instruments);
        Self {
            labels: Arc::clone(labels),
            counts,
            duration: instruments.latency(&REQUEST_DURATION),
            in_flight: instruments.up_down(&REQUESTS_IN_FLIGHT),
            shed: instruments.counter(&REQUESTS_SHED),
            connections: instruments.counter(&CONNECTIONS),
            open_connections: instruments.up_down(&OPEN_CONNECTIONS),
        }
    }

    /// Shows what has not happened yet as 0, so that the first time is an increase.
    pub(super) fn show_zeros(&self) {
        for reason in ShedReason::ALL {
            let reason = KeyValue::new("reason", reason.as_str());
            self.shed.add(0, &[reason]);
        }
        self.in_flight.add(0, &[]);
        for namespace in self.labels.namespaces() {
            for operation in ["encode", "decode"] {
                self.counts.show_zero(operation, &namespace.as_str());
            }
        }
    }

    /// Counts a request as in flight until the guard is dropped.
    #[must_use]
    pub fn started(&self) -> InFlight {
        InFlight::new(&self.in_flight, &[])
    }

    /// Counts a request that was answered.
    pub fn ended(&self, request: &EndedRequest<'_>) {
        let operation = KeyValue::new("operation", request.operation.unwrap_or("none"));
        self.duration
            .record(request.took.as_secs_f64(), &[operation]);
        let namespace = self.labels.namespace(request.namespace);
        self.counts.add(request, &namespace.as_str());
    }

    /// Counts a request that was refused because a limit was reached.
    pub fn shed(&self, reason: ShedReason) {
        let reason = KeyValue::new("reason", reason.as_str());
        self.shed.add(1, &[reason]);
    }

    /// Counts a connection of a listener, such as `public` or `admin`, as open until the guard is dropped.
    #[must_use]
    pub fn connected(&self, listener: &'static str) -> InFlight {
        let listener = [KeyValue::new("listener", listener)];
        self.connections.add(1, &listener);
        InFlight::new(&self.open_connections, &listener)
    }
}

/// Something that is counted until this is dropped.
#[derive(Debug)]
pub struct InFlight {
    gauge: UpDownCounter<i64>,
    labels: Vec<KeyValue>,
}

impl InFlight {
    fn new(gauge: &UpDownCounter<i64>, labels: &[KeyValue]) -> Self {
        gauge.add(1, labels);
        Self {
            gauge: gauge.clone(),
            labels: labels.to_vec(),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.add(-1, &self.labels);
    }
}
