#![expect(clippy::float_cmp, reason = "counts, which are whole numbers")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use temporal_kms_codec::{
    KeyUri, Namespace, Payload, PlaintextPolicy,
    kms::{CallObserver, EndedCall, Kms, ProviderError, local::LocalKeyring},
};

use super::*;
use crate::{
    lifecycle::{Condition, KEYS, Phase, Readiness},
    namespaces::{NamedNamespaces, NamespaceConfig, Namespaces, NamespacesConfig, Pattern},
};

const SECRET: &str = "correct-horse-battery-staple";

/// The metrics of a server with one namespace `prod` and a local key, which has done some work.
async fn busy() -> (Arc<Metrics>, Arc<Namespaces>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    LocalKeyring::open(folder.path())
        .key_or_create("k")
        .unwrap();
    let key: KeyUri = "local://k".parse().unwrap();
    let kms = Kms::builder().local_keyring(folder.path()).build();
    let prod = Namespace::new("prod").unwrap();
    let config = NamespacesConfig::Named([(prod.clone(), NamespaceConfig::with_key(key))].into());

    let metrics = Metrics::new(Program::codec_server("1.2.3"));
    metrics.configure(&config, &kms);
    let namespaces = Arc::new(Namespaces::open(&config, &kms).await.unwrap());
    metrics.watch_namespaces(&namespaces);
    let codec = namespaces.resolve(prod.clone()).unwrap().codec;
    let payload = Payload {
        data: SECRET.into(),
        ..Payload::default()
    };
    let sealed = codec.encode(vec![payload]).await.unwrap();
    codec.decode(sealed).await.unwrap();
    metrics.requests().ended(&EndedRequest {
        operation: Some("decode"),
        namespace: Some(&prod),
        status: 200,
        took: Duration::from_millis(3),
        payloads: 10,
        placeholders: 2,
        references: 1,
        body: 100,
        answer: 50,
    });
    (metrics, namespaces, folder)
}

/// The value of a series, as it is written.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    let line = line.unwrap_or_else(|| panic!("{series} is not in\n{text}"));
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn work_is_counted() {
    let (metrics, namespaces, _folder) = busy().await;
    let text = metrics.text();
    for (series, expected) in [
        (
            r#"codec_server_requests_total{namespace="prod",operation="decode",result="ok"}"#,
            1.0,
        ),
        (
            r#"codec_server_requests_total{namespace="prod",operation="encode",result="ok"}"#,
            0.0,
        ),
        (
            r#"codec_server_request_duration_seconds_bucket{operation="decode",le="0.005"}"#,
            1.0,
        ),
        (
            r#"codec_server_request_body_bytes_total{namespace="prod",operation="decode"}"#,
            100.0,
        ),
        (
            r#"codec_server_payloads_total{namespace="prod",operation="decode",outcome="decoded"}"#,
            7.0,
        ),
        (
            r#"codec_server_payloads_total{namespace="prod",operation="encode",outcome="encoded"}"#,
            0.0,
        ),
        (
            r#"codec_server_payloads_total{namespace="prod",operation="decode",outcome="placeholder"}"#,
            2.0,
        ),
        (
            r#"codec_server_data_key_cache_hits_total{namespace="prod"}"#,
            1.0,
        ),
        (
            r#"codec_server_data_key_cache_entries{namespace="prod"}"#,
            1.0,
        ),
        (
            r#"codec_server_data_keys_made_total{namespace="prod"}"#,
            1.0,
        ),
        (
            r#"codec_server_kms_calls_total{key="local://k",operation="wrap",result="ok"}"#,
            1.0,
        ),
        (
            r#"codec_server_kms_calls_total{key="local://k",operation="unwrap",result="permission_denied"}"#,
            0.0,
        ),
        (
            r#"codec_server_kms_call_duration_seconds_count{key="local://k",operation="wrap"}"#,
            1.0,
        ),
        (r#"codec_server_build_info{version="1.2.3"}"#, 1.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    assert!(
        value(
            &text,
            r#"codec_server_data_key_age_seconds{namespace="prod"}"#
        ) < 60.0
    );
    let version = r#"codec_server_kms_key_version_uses_total{key="local://k",operation="unwrap",primary="yes",version=""#;
    assert!(text.contains(version), "{text}");

    drop(namespaces);
    assert!(
        !metrics
            .text()
            .contains("codec_server_data_key_age_seconds{"),
        "the metrics keep no data key alive"
    );
}

#[tokio::test]
async fn an_old_version_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = LocalKeyring::open(folder.path());
    let key = keyring.key_or_create("k").unwrap();
    let context = temporal_kms_codec::EncryptionContext::empty();
    let (_, wrapped) = key.generate_dek(&context).await.unwrap();
    let kms = Kms::builder().local_keyring(folder.path()).build();
    let uri: KeyUri = "local://k".parse().unwrap();
    kms.admin(&uri).await.unwrap().rotate(&uri).await.unwrap();

    let metrics = Metrics::new(Program::codec_server("1"));
    metrics.configure_names([], [uri.clone()], &kms);
    kms.key(&uri)
        .await
        .unwrap()
        .unwrap(&wrapped, &context)
        .await
        .unwrap();
    let old = r#"key="local://k",operation="unwrap",primary="no""#;
    assert!(metrics.text().contains(old), "{}", metrics.text());
}

#[tokio::test]
async fn states_are_shown() {
    let (metrics, _namespaces, _folder) = busy().await;
    let readiness = Readiness::new();
    metrics.process().watch_readiness(&readiness);
    assert_eq!(value(&metrics.text(), "codec_server_ready"), 0.0);
    readiness.advance(Phase::Ready);
    readiness.set(KEYS, Condition::Met);
    metrics.process().configuration_loaded();
    metrics.process().configuration_refused();
    metrics.security().set_insecure(true);
    metrics.security().set_audited(true);
    metrics.security().audit_written(3);
    metrics.security().audit_failed("full", 1);
    metrics.security().anchors_failed(2);
    let anchored = std::time::UNIX_EPOCH + Duration::from_secs(5);
    metrics.security().set_last_anchor(Some(anchored));
    let security = metrics.security();
    security.authenticated("jwt", Some("https://id.example.com"));
    security.not_authenticated("signature");
    let expiry = std::time::UNIX_EPOCH + Duration::from_secs(7);
    security.watch_certificate("public", move || Some(expiry));
    let open = metrics.requests().connected("public");
    metrics.requests().shed(ShedReason::Memory);
    let text = metrics.text();
    for (series, expected) in [
        ("codec_server_ready", 1.0),
        ("codec_server_configuration_generation", 1.0),
        ("codec_server_configuration_last_reload_success", 0.0),
        (
            r#"codec_server_configuration_reloads_total{result="failed"}"#,
            1.0,
        ),
        ("codec_server_insecure_without_authentication", 1.0),
        ("codec_server_audit_enabled", 1.0),
        ("codec_server_audit_lines_total", 3.0),
        (r#"codec_server_audit_failures_total{reason="full"}"#, 1.0),
        ("codec_server_audit_anchor_failures_total", 2.0),
        ("codec_server_audit_last_anchor_timestamp_seconds", 5.0),
        (
            r#"codec_server_authentications_total{issuer="https://id.example.com",method="jwt",result="ok"}"#,
            1.0,
        ),
        (
            r#"codec_server_authentications_total{issuer="none",method="none",result="signature"}"#,
            1.0,
        ),
        (
            r#"codec_server_tls_certificate_expiry_timestamp_seconds{listener="public"}"#,
            7.0,
        ),
        (r#"codec_server_open_connections{listener="public"}"#, 1.0),
        (r#"codec_server_requests_shed_total{reason="memory"}"#, 1.0),
        (
            r#"codec_server_requests_shed_total{reason="rate_limit"}"#,
            0.0,
        ),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    drop(open);
    let closed = r#"codec_server_open_connections{listener="public"}"#;
    assert_eq!(value(&metrics.text(), closed), 0.0);
}

#[tokio::test]
async fn the_namespaces_of_a_pattern_are_counted_together() {
    let folder = tempfile::tempdir().unwrap();
    LocalKeyring::open(folder.path())
        .key_or_create("k")
        .unwrap();
    let kms = Kms::builder().local_keyring(folder.path()).build();
    let mut settings = NamespaceConfig::with_key("local://k".parse().unwrap());
    settings.plaintext = PlaintextPolicy::Reject;
    let patterns = [(Pattern::new("team-*").unwrap(), settings)];
    let named = NamedNamespaces::new(BTreeMap::new(), patterns.into_iter().collect());
    let config = NamespacesConfig::Named(named);
    let metrics = Metrics::new(Program::codec_server("1"));
    metrics.configure(&config, &kms);
    let namespaces = Arc::new(Namespaces::open(&config, &kms).await.unwrap());
    metrics.watch_namespaces(&namespaces);
    // More than are kept, so that the first ones are gone again.
    for number in 0..300 {
        let name = Namespace::new(&format!("team-{number}")).unwrap();
        let codec = namespaces.resolve(name).unwrap().codec;
        let plain = vec![Payload::default()];
        if number < 2 {
            codec.encode(plain.clone()).await.unwrap();
        }
        codec.decode(plain).await.unwrap_err();
    }
    let text = metrics.text();
    for (metric, expected) in [
        ("payloads_rejected_total", 300.0),
        ("data_keys_made_total", 2.0),
    ] {
        let series = format!(r#"codec_server_{metric}{{namespace="team-*"}}"#);
        assert_eq!(value(&text, &series), expected, "{series}");
    }
}

/// The names of the labels of each metric that the text shows.
fn labels(text: &str) -> BTreeMap<String, Vec<String>> {
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let labels = series.map(|line| {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let labels = rest.split("\",").filter_map(|pair| pair.split_once("=\""));
        let labels = labels.map(|(label, _)| label.to_owned());
        (name.to_owned(), labels.collect())
    });
    labels.collect()
}

#[tokio::test]
async fn every_metric_is_in_the_catalogue_with_its_labels() {
    let (metrics, _namespaces, _folder) = busy().await;
    metrics.process().configuration_loaded();
    for (name, mut labels) in labels(&metrics.text()) {
        let plain = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|part| name.strip_suffix(part))
            .unwrap_or(&name);
        let mut all = CATALOGUE.iter();
        let known = all.find(|metric| metric.prometheus_name("codec_server") == plain);
        let known = known.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        labels.retain(|label| label != "le");
        let mut expected = known.labels.to_vec();
        expected.sort_unstable();
        assert_eq!(labels, expected, "{name}");
    }
}

#[tokio::test]
async fn callers_cannot_make_series() {
    let (metrics, _namespaces, _folder) = busy().await;
    let invent = |round: &str| {
        for number in 0..10_000 {
            let name = Namespace::new(&format!("{round}{number}-{SECRET}")).unwrap();
            metrics.requests().ended(&EndedRequest {
                operation: Some("decode"),
                namespace: Some(&name),
                status: 404,
                payloads: 1,
                ..EndedRequest::default()
            });
            let issuer = format!("https://{round}{number}.example.com");
            metrics.security().authenticated("jwt", Some(&issuer));
        }
        metrics.text()
    };
    let text = invent("a");
    assert!(!text.contains(SECRET), "{text}");
    assert!(text.lines().count() < 1000, "{text}");
    assert_eq!(invent("b").lines().count(), text.lines().count());
    let other =
        r#"codec_server_requests_total{namespace="other",operation="decode",result="not_found"}"#;
    assert_eq!(value(&metrics.text(), other), 20_000.0);
}

/// The calls that an observer was told of.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl CallObserver for Told {
    fn ended(&self, call: &EndedCall<'_>) -> BoxFuture<'static, Result<(), ProviderError>> {
        let EndedCall { operation, key, .. } = call;
        let outcome = call.outcome.as_str();
        self.0.lock().push(format!("{operation} {key} {outcome}"));
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn the_version_and_the_age_of_a_key_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    LocalKeyring::open(folder.path())
        .key_or_create("k")
        .unwrap();
    let key: KeyUri = "local://k".parse().unwrap();
    let told = Arc::<Told>::default();
    let kms = Kms::builder()
        .local_keyring(folder.path())
        .observer(told.clone())
        .build();
    let metrics = Metrics::new(Program::codec_server("1"));
    metrics.configure_names([], [key.clone()], &kms);
    let keys = Kms::builder().local_keyring(folder.path()).build();
    let admin = keys.admin(&key).await.unwrap();
    let details = admin.details(&key).await.unwrap();
    let watch = metrics.watch_key_ages(kms, vec![key.clone()]);
    let is_told = async {
        while metrics.primary_versions().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = watch => panic!("the question is repeated"),
        () = is_told => {}
    }
    // A local key does not say how old its versions are.
    let known = metrics.primary_versions().remove(&key).unwrap();
    let primary = details.primary.unwrap();
    assert_eq!((known.version, known.created), (Some(primary.id), None));
    assert!(!metrics.text().contains("primary_version_age"));
    // The audit log has a line for this call too.
    assert_eq!(*told.0.lock(), ["describe local://k ok"]);
}
