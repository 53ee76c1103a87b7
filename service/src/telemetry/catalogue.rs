//! Every metric that our programs export: its names, its labels, and what it says. The documentation and the tests of
//! dashboards and alert rules use this table.

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows, until the program starts again.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts measured values in buckets.
    Histogram,
}

impl MetricKind {
    /// The type's name in Prometheus.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Things are counted.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// The unit's code in OpenTelemetry (UCUM).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "s",
            Self::Bytes => "By",
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "_seconds",
            Self::Bytes => "_bytes",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MetricInfo {
    /// The name in OpenTelemetry, without the program.
    pub name: &'static str,
    /// How its values behave.
    pub kind: MetricKind,
    /// What it is measured in.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl MetricInfo {
    /// The name in OpenTelemetry, such as `codec_server.kms.calls`.
    #[must_use]
    pub fn otlp_name(&self, program: &str) -> String {
        format!("{program}.{}", self.name)
    }

    /// The name in Prometheus, such as `codec_server_kms_calls_total`.
    #[must_use]
    pub fn prometheus_name(&self, program: &str) -> String {
        let name = self.name.replace('.', "_");
        let total = match self.kind {
            MetricKind::Counter => "_total",
            _ => "",
        };
        format!("{program}_{name}{}{total}", self.unit.suffix())
    }
}

macro_rules! catalogue {
    ($($constant:ident: $kind:ident $name:literal $unit:ident [$($label:literal),*] $help:literal;)*) => {
        $(
            pub(super) const $constant: MetricInfo = MetricInfo {
                name: $name,
                kind: MetricKind::$kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// Every metric, in the order of the documentation.
        pub const CATALOGUE: &[MetricInfo] = &[$($constant),*];
    };
}

catalogue! {
    REQUESTS: Counter "requests" None ["operation", "namespace", "result"]
        "Requests that were answered, by result";
    REQUEST_DURATION: Histogram "request.duration" Seconds ["operation"]
        "Time from the head of a request to its answer";
    REQUESTS_IN_FLIGHT: Gauge "requests_in_flight" None []
        "Requests that are being worked on";
    REQUESTS_SHED: Counter "requests_shed" None ["reason"]
        "Requests that were refused because a limit was reached";
    REQUEST_BODY: Counter "request.body" Bytes ["operation", "namespace"]
        "Bytes of the bodies of requests";
    RESPONSE_BODY: Counter "response.body" Bytes ["operation", "namespace"]
        "Bytes of the bodies of answers";
    PAYLOADS: Counter "payloads" None ["operation", "namespace", "outcome"]
        "Payloads in answers: encoded, decoded, answered by a placeholder, or a storage reference that was returned unchecked";
    CONNECTIONS: Counter "connections" None ["listener"]
        "Connections that were accepted";
    OPEN_CONNECTIONS: Gauge "open_connections" None ["listener"]
        "Connections that are open";

    DATA_KEY_AGE: Gauge "data_key.age" Seconds ["namespace"]
        "Age of the data key that encrypts now";
    DATA_KEYS_MADE: Counter "data_keys.made" None ["namespace"]
        "Data keys that were made";
    DATA_KEY_FAILURES: Counter "data_keys.failures" None ["namespace"]
        "Attempts to make a data key that failed";
    CACHE_ENTRIES: Gauge "data_key_cache.entries" None ["namespace"]
        "Data keys that are kept in memory for decoding";
    CACHE_HITS: Counter "data_key_cache.hits" None ["namespace"]
        "Payloads whose data key was in memory";
    CACHE_MISSES: Counter "data_key_cache.misses" None ["namespace"]
        "Payloads whose data key had to be unwrapped";
    CACHE_EVICTIONS: Counter "data_key_cache.evictions" None ["namespace"]
        "Data keys that left the memory before their time, because others needed the room";
    PAYLOADS_REJECTED: Counter "payloads_rejected" None ["namespace"]
        "Payloads that could not be encoded or decoded";
    PAYLOADS_NOT_TRIED: Counter "payloads_not_tried" None ["namespace"]
        "Payloads that were refused without a call, because too many others could not be decoded";
    PAYLOADS_UNENCRYPTED: Counter "payloads_unencrypted" None ["namespace"]
        "Payloads that were not encrypted and passed the decoder as they were";

    KMS_CALLS: Counter "kms.calls" None ["operation", "key", "result"]
        "Calls of key services that ended, with all their attempts; the result is `ok`, the kind of the error, or `given_up` by the caller";
    KMS_CALL_DURATION: Histogram "kms.call.duration" Seconds ["operation", "key"]
        "Time of a call of a key service with all its attempts";
    KMS_RETRIES: Counter "kms.retries" None ["operation", "key"]
        "Attempts of calls beyond the first";
    KMS_KEY_VERSION_USES: Counter "kms.key_version.uses" None ["operation", "key", "version", "primary"]
        "Calls by the version of the key that answered, where the service tells it";
    KMS_PRIMARY_VERSION_AGE: Gauge "kms.primary_version.age" Seconds ["key"]
        "Age of the version of a key that encrypts now";

    AUTHENTICATIONS: Counter "authentications" None ["method", "issuer", "result"]
        "Callers that were authenticated, or refused";
    INSECURE: Gauge "insecure_without_authentication" None []
        "1 while the server decrypts for callers on other machines that it does not authenticate";
    AUDIT_ENABLED: Gauge "audit.enabled" None []
        "1 while the server writes an audit log";
    AUDIT_LINES: Counter "audit.lines" None []
        "Lines written to the audit log";
    AUDIT_FAILURES: Counter "audit.failures" None ["reason"]
        "Lines that could not be written to the audit log";
    AUDIT_ANCHOR_FAILURES: Counter "audit.anchor_failures" None []
        "Anchors of the audit log that could not be signed";
    AUDIT_LAST_ANCHOR: Gauge "audit.last_anchor.timestamp" Seconds []
        "When the audit log was last anchored with a signature, as seconds since 1970";
    CERTIFICATE_EXPIRY: Gauge "tls.certificate.expiry.timestamp" Seconds ["listener"]
        "When the certificate of a listener expires, as seconds since 1970";

    CONFIGURATION_GENERATION: Gauge "configuration.generation" None []
        "How many configurations took effect since the start, the first one included";
    CONFIGURATION_RELOADS: Counter "configuration.reloads" None ["result"]
        "Attempts to load a changed configuration";
    CONFIGURATION_LAST_RELOAD_SUCCESS: Gauge "configuration.last_reload.success" None []
        "1 if the newest configuration took effect, 0 if it was refused and the one before it is in use";
    CONFIGURATION_LAST_RELOAD: Gauge "configuration.last_reload.timestamp" Seconds []
        "When the configuration was last loaded, or refused, as seconds since 1970";
    READY: Gauge "ready" None []
        "1 while the server is ready to work";
    START: Gauge "start.timestamp" Seconds []
        "When the program started, as seconds since 1970";
    BUILD: Gauge "build_info" None ["version"]
        "1; the label is the version of the program";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let mut names = BTreeSet::new();
        for metric in CATALOGUE {
            let name = metric.prometheus_name("codec_server");
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(name.bytes().all(is_plain), "{name}");
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == MetricKind::Counter,
                "{name}"
            );
            assert!(!metric.help.ends_with('.'), "{name}");
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
        assert_eq!(
            KMS_CALL_DURATION.prometheus_name("codec_server"),
            "codec_server_kms_call_duration_seconds"
        );
        assert_eq!(
            REQUEST_BODY.prometheus_name("codec_server"),
            "codec_server_request_body_bytes_total"
        );
    }
}
