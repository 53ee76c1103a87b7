//! The alert rules and dashboards, with Prometheus itself and a running server.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use dev_servers::{Process, Service, free_port, sibling_binary};
use integration_tests::{Keyring, tool, until};
use serde::Deserialize;
use serde_json::Value;
use temporal_kms_codec_service::telemetry::CATALOGUE;

const PATIENCE: Duration = Duration::from_mins(1);

/// A file of this repository.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    annotations: BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let rules: Rules = serde_saphyr::from_str(&text("deploy/prometheus/rules.yml")).unwrap();
    rules
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

/// The queries of all dashboards.
fn queries() -> Vec<String> {
    let mut queries = Vec::new();
    for dashboard in ["codec-server", "codec-server-keys"] {
        let dashboard: Value =
            serde_json::from_str(&text(&format!("deploy/grafana/{dashboard}.json"))).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                queries.push(target["expr"].as_str().unwrap().to_owned());
            }
        }
    }
    queries
}

/// The metrics of the server that a query names.
fn metrics_of(query: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    query
        .split(|c| !is_name(c))
        .filter(|word| word.starts_with("codec_server_"))
        .map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned())
        .collect()
}

#[track_caller]
fn promtool(arguments: &[&str], name: &str) {
    let output = Command::new(tool("TKC_PROMTOOL"))
        .args(arguments)
        .arg(file(name))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn prometheus_accepts_the_rules_and_each_alert_fires_for_its_cause() {
    promtool(
        &["check", "rules", "--lint=all", "--lint-fatal"],
        "deploy/prometheus/rules.yml",
    );
    promtool(&["test", "rules"], "deploy/prometheus/rules_test.yml");
}

#[derive(Deserialize)]
struct RuleTests {
    tests: Vec<RuleTest>,
}

#[derive(Deserialize)]
struct RuleTest {
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<Value>,
}

#[test]
fn each_alert_is_tested_both_ways_and_documented() {
    let tests: RuleTests =
        serde_saphyr::from_str(&text("deploy/prometheus/rules_test.yml")).unwrap();
    let tests: Vec<AlertTest> = tests
        .tests
        .into_iter()
        .flat_map(|test| test.alert_rule_test)
        .collect();
    let documentation = text("docs/operations/monitoring.md");
    for Rule {
        alert, annotations, ..
    } in rules()
    {
        let of_alert = tests.iter().filter(|test| test.alertname == alert);
        let (fires, silent): (Vec<_>, Vec<_>) =
            of_alert.partition(|test| !test.exp_alerts.is_empty());
        assert!(!fires.is_empty(), "no test makes {alert} fire");
        let has_clear_cause = ["CodecServerCertificateExpires", "CodecServerKeyNotRotated"];
        let is_clear = has_clear_cause.contains(&alert.as_str());
        assert!(
            is_clear || !silent.is_empty(),
            "no test shows {alert} silent"
        );
        assert!(
            documentation.contains(&format!("\n### {alert}\n")),
            "{alert} is not documented"
        );
        let anchor = format!("docs/operations/monitoring.md#{}", alert.to_lowercase());
        assert_eq!(annotations["runbook"], anchor);
    }
}

#[test]
fn every_metric_is_documented() {
    let documentation = text("docs/operations/monitoring.md");
    for metric in CATALOGUE {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let labels = if labels.is_empty() {
            "–".to_owned()
        } else {
            labels.join(", ")
        };
        let row = format!(
            "| `{}` | {} | {} | {} |",
            metric.prometheus_name("codec_server"),
            metric.kind.as_str(),
            labels,
            metric.help
        );
        assert!(
            documentation.contains(&row),
            "the table of metrics lacks this row:\n{row}"
        );
    }
    let rows = documentation
        .lines()
        .filter(|line| line.starts_with("| `codec_server_"));
    assert_eq!(
        rows.count(),
        CATALOGUE.len(),
        "the table has metrics that do not exist"
    );
}

#[test]
fn rules_and_dashboards_name_existing_metrics_and_every_metric_is_shown() {
    let known: BTreeSet<String> = CATALOGUE
        .iter()
        .map(|metric| metric.prometheus_name("codec_server"))
        .collect();
    let mut shown = BTreeSet::new();
    for query in queries() {
        shown.extend(metrics_of(&query));
    }
    let mut named = shown.clone();
    for rule in rules() {
        named.extend(metrics_of(&rule.expr));
    }
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "there are no such metrics: {unknown:?}");
    let hidden: Vec<_> = known.difference(&shown).collect();
    assert!(hidden.is_empty(), "no dashboard shows {hidden:?}");
}

/// Where a server answers `/metrics`.
fn admin(server: &mut Service) -> String {
    let admin = |line: &str| {
        line.strip_prefix("admin listening on http://")
            .map(str::to_owned)
    };
    server.process_mut().wait_for_line(PATIENCE, admin).unwrap()
}

fn get(url: &str) -> Value {
    ureq::get(url)
        .call()
        .unwrap()
        .body_mut()
        .read_json()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_a_server_and_answers_every_query() {
    let keyring = Keyring::new();
    let mut command = Command::new(sibling_binary("codec-server").unwrap());
    command.args([
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ]);
    command.arg("--keyring").arg(keyring.folder());
    let mut server = Service::start("the codec server", command).unwrap();
    let target = admin(&mut server);
    let body = r#"{"payloads":[{"metadata":{"encoding":"anNvbi9wbGFpbg=="},"data":"MQ=="}]}"#;
    let encode = format!("{}/encode", server.url());
    ureq::post(&encode)
        .content_type("application/json")
        .send(body)
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let configuration = format!(
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  evaluation_interval: 200ms\n\
         rule_files: ['{}']\n\
         scrape_configs:\n  - job_name: codec-server\n    static_configs:\n      - targets: ['{target}']\n",
        fs::canonicalize(file("deploy/prometheus/rules.yml"))
            .unwrap()
            .display()
    );
    let configured = folder.path().join("prometheus.yml");
    fs::write(&configured, configuration).unwrap();
    let port = free_port().unwrap();
    let mut command = Command::new(tool("TKC_PROMETHEUS"));
    command
        .arg(format!("--config.file={}", configured.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut prometheus = Process::spawn("Prometheus", command).unwrap();
    let ready = |line: &str| line.contains("Server is ready").then_some(());
    prometheus.wait_for_line(PATIENCE, ready).unwrap();

    let api = format!("http://127.0.0.1:{port}/api/v1");
    let query = |expression: &str| {
        let answer: Value = ureq::get(format!("{api}/query"))
            .query("query", expression)
            .call()
            .unwrap_or_else(|error| panic!("{expression}: {error}"))
            .body_mut()
            .read_json()
            .unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    };
    let encoded = r#"codec_server_requests_total{operation="encode",result="ok"}"#;
    let found = until("a scrape", async || query(encoded).into_iter().next()).await;
    assert_eq!(found["value"][1], "1", "{found}");
    assert_eq!(query(r#"up{job="codec-server"}"#)[0]["value"][1], "1");

    // Every query of a dashboard is one for Prometheus, too.
    for expression in queries() {
        let expression = expression
            .replace("$__rate_interval", "1m")
            .replace("$job", ".*");
        query(&expression);
    }
    // Prometheus knows each metric by the type and the help of the catalogue.
    let metadata = get(&format!("{api}/metadata"));
    for metric in CATALOGUE {
        let name = metric.prometheus_name("codec_server");
        let known = &metadata["data"][&name][0];
        if !known.is_null() {
            assert_eq!(known["type"], metric.kind.as_str(), "{name}");
            assert_eq!(known["help"], metric.help, "{name}");
        }
    }
    let loaded = get(&format!("{api}/rules"));
    let groups = loaded["data"]["groups"].as_array().unwrap();
    let loaded: usize = groups
        .iter()
        .map(|group| group["rules"].as_array().unwrap().len())
        .sum();
    assert_eq!(loaded, rules().len());
}
