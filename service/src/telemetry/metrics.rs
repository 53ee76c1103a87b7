//! The metrics of a program: one registry, which Prometheus reads and OTLP sends.

use std::{collections::BTreeMap, fmt, sync::Arc};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};
use prometheus::{Registry, TextEncoder};
use temporal_kms_codec::{
    KeyUri, Namespace,
    kms::{Kms, MetricsSink},
};

use super::{
    data_keys::{self, Watched},
    instruments::Instruments,
    key_ages::{KeyAges, PrimaryVersion},
    kms_calls::KmsCallMetrics,
    labels::Labels,
    process::ProcessMetrics,
    requests::RequestMetrics,
    security::SecurityMetrics,
};
use crate::{
    lifecycle::Readiness,
    namespaces::{Namespaces, NamespacesConfig},
};

/// The content type of [`Metrics::text`].
pub const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A program that exports metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// The program's name, such as `codec-server`: the name of the service in traces.
    pub name: &'static str,
    /// How the names of its metrics begin, such as `codec_server`.
    pub prefix: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Program {
    /// The codec server, in a version.
    #[must_use]
    pub const fn codec_server(version: &'static str) -> Self {
        Self {
            name: "codec-server",
            prefix: "codec_server",
            version,
        }
    }

    /// The worker of Claude Code tasks, in a version.
    #[must_use]
    pub const fn claude_tasks(version: &'static str) -> Self {
        Self {
            name: "claude-tasks",
            prefix: "claude_tasks",
            version,
        }
    }
}

/// The metrics of a program. The values of their labels come from its configuration, so no caller can invent one.
pub struct Metrics {
    labels: Arc<Labels>,
    requests: RequestMetrics,
    kms: Arc<KmsCallMetrics>,
    security: SecurityMetrics,
    process: ProcessMetrics,
    watched: Watched,
    key_ages: KeyAges,
    registry: Registry,
    provider: SdkMeterProvider,
}

impl Metrics {
    /// Metrics that only [`text`](Self::text) shows.
    #[must_use]
    pub fn new(program: Program) -> Arc<Self> {
        Self::with(program, |builder| builder)
    }

    /// As [`new`](Self::new), with further readers.
    pub(super) fn with(
        program: Program,
        add_readers: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder,
    ) -> Arc<Self> {
        let registry = Registry::new();
        let prometheus = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build();
        let mut builder = add_readers(SdkMeterProvider::builder());
        match prometheus {
            Ok(reader) => builder = builder.with_reader(reader),
            Err(error) => tracing::error!(%error, "the metrics cannot be read by Prometheus"),
        }
        let provider = builder.build();
        let meter = provider.meter(program.name);
        let instruments = Instruments {
            meter: &meter,
            program: program.prefix,
        };
        let labels = Arc::<Labels>::default();
        let (watched, key_ages) = (Watched::default(), KeyAges::default());
        data_keys::register(&instruments, &labels, &watched);
        key_ages.register(&instruments, &labels);
        Arc::new(Self {
            requests: RequestMetrics::new(&instruments, &labels),
            kms: Arc::new(KmsCallMetrics::new(&instruments, &labels)),
            security: SecurityMetrics::new(&instruments, &labels),
            process: ProcessMetrics::new(&instruments, program.version),
            labels,
            watched,
            key_ages,
            registry,
            provider,
        })
    }

    /// Requests and connections.
    #[must_use]
    pub fn requests(&self) -> &RequestMetrics {
        &self.requests
    }

    /// Authentication, the audit log and certificates.
    #[must_use]
    pub fn security(&self) -> &SecurityMetrics {
        &self.security
    }

    /// The program itself and its configuration.
    #[must_use]
    pub fn process(&self) -> &ProcessMetrics {
        &self.process
    }

    /// Counts the calls of `kms` from now on, by the names that `namespaces` has. Call it for each configuration that takes
    /// effect.
    pub fn configure(&self, namespaces: &NamespacesConfig, kms: &Kms) {
        self.labels.set_patterns(namespaces.patterns());
        self.configure_names(namespaces.names(), namespaces.keys(), kms);
    }

    /// As [`configure`](Self::configure), for a program without a configuration of namespaces.
    pub fn configure_names(
        &self,
        namespaces: impl IntoIterator<Item = Namespace>,
        keys: impl IntoIterator<Item = KeyUri>,
        kms: &Kms,
    ) {
        self.labels.set_namespaces(namespaces);
        self.labels.set_keys(keys);
        let sink: Arc<dyn MetricsSink> = self.kms.clone();
        kms.metrics().set_sink(sink);
        self.requests.show_zeros();
        self.kms.show_zeros();
    }

    /// Reads from now on whether the server is ready, and tells `readiness` how calls of key services end.
    pub fn watch_readiness(&self, readiness: &Arc<Readiness>) {
        self.process.watch_readiness(readiness);
        self.kms.tell(readiness);
    }

    /// Reads the codecs of `namespaces` from now on. They are not kept alive.
    pub fn watch_namespaces(&self, namespaces: &Arc<Namespaces>) {
        self.watched.set(namespaces);
    }

    /// Asks the key services of `keys` again and again for the version that encrypts, and for its age. It ends when none of them
    /// answers that.
    pub async fn watch_key_ages(&self, kms: Kms, keys: Vec<KeyUri>) {
        self.key_ages.clone().watch(kms, keys).await;
    }

    /// The version of each watched key that encrypts now, as far as its service has told it. No service is asked.
    #[must_use]
    pub fn primary_versions(&self) -> BTreeMap<KeyUri, PrimaryVersion> {
        self.key_ages.known()
    }

    /// All metrics in the text format of Prometheus, whose type is [`PROMETHEUS_TEXT`].
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }

    #[cfg(feature = "otlp")]
    pub(super) fn provider(&self) -> &SdkMeterProvider {
        &self.provider
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        // Ends the threads of its readers.
        let _ = self.provider.shutdown();
    }
}
