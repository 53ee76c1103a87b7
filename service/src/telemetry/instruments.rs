//! Makes the instruments of the catalogue's metrics.

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Counter, Histogram, Meter, UpDownCounter},
};

use super::catalogue::MetricInfo;

/// Upper bounds of the buckets of latency histograms, in seconds. A request with warm keys takes less than a millisecond,
/// a call of a key service 10 to 130.
const LATENCY: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.3, 1.0, 5.0, 10.0,
];

/// Makes instruments whose names begin with the program's.
pub(super) struct Instruments<'a> {
    pub(super) meter: &'a Meter,
    pub(super) program: &'static str,
}

impl Instruments<'_> {
    pub(super) fn counter(&self, metric: &MetricInfo) -> Counter<u64> {
        self.meter
            .u64_counter(metric.otlp_name(self.program))
            .with_unit(metric.unit.code())
            .with_description(metric.help)
            .build()
    }

    pub(super) fn latency(&self, metric: &MetricInfo) -> Histogram<f64> {
        self.meter
            .f64_histogram(metric.otlp_name(self.program))
            .with_unit(metric.unit.code())
            .with_description(metric.help)
            .with_boundaries(LATENCY.to_vec())
            .build()
    }

    pub(super) fn up_down(&self, metric: &MetricInfo) -> UpDownCounter<i64> {
        self.meter
            .i64_up_down_counter(metric.otlp_name(self.program))
            .with_unit(metric.unit.code())
            .with_description(metric.help)
            .build()
    }

    /// A gauge that `read` answers when the metrics are read.
    pub(super) fn gauge(
        &self,
        metric: &MetricInfo,
        read: impl Fn(&Seen<'_, f64>) + Send + Sync + 'static,
    ) {
        self.meter
            .f64_observable_gauge(metric.otlp_name(self.program))
            .with_unit(metric.unit.code())
            .with_description(metric.help)
            .with_callback(move |observer| read(&Seen(observer)))
            .build();
    }

    /// A counter that is kept elsewhere, and read when the metrics are read.
    pub(super) fn read_counter(
        &self,
        metric: &MetricInfo,
        read: impl Fn(&Seen<'_, u64>) + Send + Sync + 'static,
    ) {
        self.meter
            .u64_observable_counter(metric.otlp_name(self.program))
            .with_unit(metric.unit.code())
            .with_description(metric.help)
            .with_callback(move |observer| read(&Seen(observer)))
            .build();
    }
}

/// Where a value goes that was read.
pub(super) struct Seen<'a, T>(&'a dyn AsyncInstrument<T>);

impl<T> Seen<'_, T> {
    pub(super) fn set(&self, value: T, labels: &[KeyValue]) {
        self.0.observe(value, labels);
    }
}
