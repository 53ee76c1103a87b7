//! The files in `deploy/kubernetes`, `deploy/helm` and `deploy/iam`. Kustomize and Helm render them, the types of each API
//! group check every object, and `codec-server config check` reads the configuration inside.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

mod claude_tasks;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use dev_servers::{certificates::Authority, sibling_binary};
use integration_tests::tool;
use serde_json::{Value, json};

const OVERLAYS: [&str; 4] = ["base", "overlays/gke", "overlays/eks", "overlays/local"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a script of this repository with a program of one name, whose shell commands record how the script calls it.
fn calls(script: &str, (program, recorder): (&str, &str), variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(program);
    fs::write(&path, format!("#!/bin/sh\n{recorder}")).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    Command::new("/bin/sh")
        .arg(root().join(script))
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .envs(variables.iter().copied())
        .output()
        .expect("a shell")
}

/// What `manifests` prints: a list of objects for each argument.
fn manifests(arguments: &[&str]) -> Output {
    let mut command = Command::new(tool("TKC_MANIFESTS"));
    command.current_dir(root().join("deploy")).args(arguments);
    command.output().expect("it runs")
}

fn rendered(arguments: &[&str]) -> Vec<Objects> {
    parsed(&manifests(arguments))
}

fn parsed(output: &Output) -> Vec<Objects> {
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    let lists: Vec<Vec<Value>> = serde_json::from_slice(&output.stdout).expect("lists of objects");
    lists.into_iter().map(Objects).collect()
}

/// What `manifests` prints for the chart of a program with these values.
fn helm(program: &str, values: &Value) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("values.yaml");
    fs::write(&path, values.to_string()).expect("JSON is YAML");
    let chart = format!("helm/{program}");
    manifests(&["helm", &chart, path.to_str().expect("UTF-8")])
}

/// Asserts that the chart of a program refuses these values, and says these words.
fn assert_refused(program: &str, values: &Value, words: &str) {
    let output = helm(program, values);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains(words),
        "{values}: {said}"
    );
}

/// Every overlay with its name, and the chart with its values and with everything switched on.
fn all() -> Vec<(&'static str, Objects)> {
    let folders = OVERLAYS.map(|overlay| format!("kubernetes/{overlay}"));
    let mut arguments = vec!["kustomize"];
    arguments.extend(folders.iter().map(String::as_str));
    let mut all: Vec<_> = OVERLAYS.into_iter().zip(rendered(&arguments)).collect();
    all.push(("overlays/gke with an audit log", with_audit_log()));
    all.push(("helm", chart(&json!({}))));
    all.push(("helm, everything on", chart(&everything())));
    all
}

/// What a copy of an overlay renders that switches the audit log on.
fn with_audit_log() -> Objects {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = fs::canonicalize(folder.path()).expect("a folder");
    let deployed = fs::canonicalize(root().join("deploy/kubernetes")).expect("a folder");
    // Kustomize takes relative paths only.
    let up = "../".repeat(copy.components().count() - 1);
    let deployed = format!(
        "{up}{}",
        deployed.display().to_string().trim_start_matches('/')
    );
    let text = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\
         resources: ['{deployed}/overlays/gke']\ncomponents: ['{deployed}/components/audit-log']\n"
    );
    fs::write(copy.join("kustomization.yaml"), text).expect("a file");
    rendered(&["kustomize", copy.to_str().expect("UTF-8")]).remove(0)
}

fn chart(values: &Value) -> Objects {
    parsed(&helm("codec-server", values)).remove(0)
}

fn everything() -> Value {
    json!({
        "image": { "digest": format!("sha256:{}", "0".repeat(64)) },
        "imagePullSecrets": ["registry"],
        "auditLog": {
            "enabled": true,
            "anchorKey": "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/audit"
        },
        "env": { "AWS_REGION": "eu-west-1" },
        "envFrom": [{ "secretRef": { "name": "key-service" } }],
        "serviceAccount": {
            "annotations": { "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/codec" }
        },
        "service": { "annotations": { "a": "b" } },
        "networkPolicy": { "gkeMetadata": true, "extraEgress": [{ "ports": [{ "port": 4318 }] }] },
        "ingress": { "enabled": true },
        "httpRoute": { "enabled": true, "parentRefs": [{ "name": "internal" }] },
        "serviceMonitor": { "enabled": true, "labels": { "release": "prometheus" } },
        "podLabels": { "team": "workflows" },
        "podAnnotations": { "a": "b" },
        "nodeSelector": { "pool": "workflows" },
        "tolerations": [{ "key": "pool", "operator": "Exists" }],
        "affinity": { "nodeAffinity": {} },
        "priorityClassName": "high"
    })
}

/// The objects of one deployment.
struct Objects(Vec<Value>);

impl Objects {
    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    fn one<'a>(&'a self, kind: &'a str) -> &'a Value {
        let mut found = self.of_kind(kind);
        let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
        assert!(found.next().is_none(), "several objects of kind {kind}");
        first
    }

    fn pod(&self) -> &Value {
        &self.one("Deployment")["spec"]["template"]["spec"]
    }

    fn server(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    fn config(&self) -> &str {
        self.one("ConfigMap")["data"]["codec.toml"]
            .as_str()
            .expect("a file")
    }

    /// A setting of the configuration file that is written on a line of its own.
    fn setting(&self, name: &str) -> &str {
        let config = self.config();
        let (_, rest) = config.split_once(&format!("\n{name} = \"")).expect(name);
        rest.split('"').next().expect("a value")
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn every_deployment_has_the_objects_that_it_needs() {
    for (name, objects) in all() {
        let kinds: BTreeSet<_> = objects
            .0
            .iter()
            .map(|object| object["kind"].as_str())
            .collect();
        let mut needed = vec![
            "ConfigMap",
            "Deployment",
            "NetworkPolicy",
            "Service",
            "ServiceAccount",
        ];
        if name != "overlays/local" {
            needed.extend(["HorizontalPodAutoscaler", "PodDisruptionBudget"]);
        }
        for kind in needed {
            assert!(kinds.contains(&Some(kind)), "{name} has no {kind}");
        }
        let has = |kind| kinds.contains(&Some(kind));
        assert_eq!(
            has("HTTPRoute"),
            ["overlays/gke", "helm, everything on"].contains(&name),
            "{name}"
        );
        assert_eq!(
            has("Ingress"),
            ["overlays/eks", "helm, everything on"].contains(&name),
            "{name}"
        );
    }
    // The components that no overlay uses as it is.
    let overlay = tempfile::tempdir_in(root().join("deploy/kubernetes")).expect("a folder");
    let kustomization = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../base]\n\
                         components: [../components/monitoring, ../components/ingress, ../components/gateway]\n";
    fs::write(overlay.path().join("kustomization.yaml"), kustomization).expect("a file");
    let path = overlay.path().to_str().expect("UTF-8");
    let objects = rendered(&["kustomize", path]).remove(0);
    let monitor = objects.one("ServiceMonitor");
    let labels = &monitor["spec"]["selector"]["matchLabels"];
    let selected = objects.of_kind("Service").filter(|service| {
        let own = &service["metadata"]["labels"];
        labels
            .as_object()
            .expect("labels")
            .iter()
            .all(|(name, value)| own[name] == *value)
    });
    let names: Vec<_> = selected
        .map(|service| service["metadata"]["name"].as_str())
        .collect();
    assert_eq!(names, [Some("codec-server-metrics")]);
    // The alert rules select by this label.
    let chart = chart(&everything());
    for objects in [&objects, &chart] {
        let job = objects.one("ServiceMonitor")["spec"]["jobLabel"].as_str();
        let job = job.expect("a label");
        let mut metrics = objects
            .of_kind("Service")
            .filter(|service| service["spec"]["clusterIP"] == "None");
        let service = metrics.next().expect("the metrics have a Service");
        assert_eq!(service["metadata"]["labels"][job], "codec-server");
    }
    assert!(file("deploy/prometheus/rules.yml").contains("job=\"codec-server\""));
}

/// The level `restricted` of the Pod Security Standards, and more.
#[test]
fn no_container_has_more_rights_or_resources_than_it_needs() {
    let stages = file("Dockerfile");
    for (name, objects) in all() {
        let pod = objects.pod();
        let identity = &pod["securityContext"];
        assert_eq!(identity["runAsNonRoot"], true, "{name}");
        assert_eq!(
            identity["seccompProfile"]["type"], "RuntimeDefault",
            "{name}"
        );
        let user = &identity["runAsUser"];
        assert!(
            stages.contains(&format!("--uid {user} ")),
            "{name}: the image has no user {user}"
        );
        assert_eq!(identity["fsGroup"], *user, "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        for shared in ["hostNetwork", "hostPID", "hostIPC", "hostUsers"] {
            assert!(pod[shared].is_null(), "{name}: {shared}");
        }
        let containers = list(&pod["containers"])
            .iter()
            .chain(list(&pod["initContainers"]));
        for container in containers {
            let rights = &container["securityContext"];
            assert_eq!(rights["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(rights["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(rights["capabilities"], json!({ "drop": ["ALL"] }), "{name}");
            assert!(rights["privileged"].is_null(), "{name}");
            let resources = &container["resources"];
            let memory = &resources["limits"]["memory"];
            assert!(memory.is_string(), "{name}");
            assert_eq!(resources["requests"]["memory"], *memory, "{name}");
            assert!(resources["requests"]["cpu"].is_string(), "{name}");
        }
        for volume in list(&pod["volumes"]) {
            if volume["name"] == "config" {
                let map = &objects.one("ConfigMap")["metadata"]["name"];
                assert_eq!(volume["configMap"]["name"], *map, "{name}");
            }
            assert!(volume["hostPath"].is_null(), "{name}: {volume}");
        }
        for mount in list(&objects.server()["volumeMounts"]) {
            assert_eq!(mount["readOnly"], true, "{name}: {mount}");
        }
    }
}

/// Kubernetes would set variables such as `CODEC_SERVER_PORT` for the Service, which the server takes for misspelt settings.
#[test]
fn no_variable_of_kubernetes_is_taken_for_a_setting() {
    for (name, objects) in all() {
        assert_eq!(objects.pod()["enableServiceLinks"], false, "{name}");
        let known = [
            file("docs/reference/variables.md"),
            file("codec-server/codec.example.toml"),
        ];
        for variable in list(&objects.server()["env"]) {
            let variable = variable["name"].as_str().expect("a name");
            let is_of_libc = variable == "MALLOC_ARENA_MAX";
            assert!(
                is_of_libc || known.iter().any(|text| text.contains(variable)),
                "{name}: {variable}"
            );
        }
    }
}

#[test]
fn the_server_ends_before_kubernetes_kills_it_and_has_memory_for_what_it_accepts() {
    for (name, objects) in all() {
        let seconds = |setting| -> u64 {
            let text = objects.setting(setting).strip_suffix('s').expect("seconds");
            text.parse().expect("a number")
        };
        let granted = objects.pod()["terminationGracePeriodSeconds"]
            .as_u64()
            .expect("seconds");
        let delay = seconds("shutdown_delay");
        assert!(granted > delay + seconds("shutdown_grace") + 5, "{name}");
        // Proxies and load balancers learn of the end meanwhile.
        assert!(delay >= 5, "{name}");
        assert!(objects.server()["lifecycle"].is_null(), "{name}");

        let mebibytes = |text: &str, unit: &str| -> u64 {
            let number = text
                .strip_suffix(unit)
                .unwrap_or_else(|| panic!("{name}: {text}"));
            number.parse().expect("a number")
        };
        let accepted = mebibytes(objects.setting("max_memory"), "MiB");
        let limit = objects.server()["resources"]["limits"]["memory"]
            .as_str()
            .expect("a limit");
        let limit = mebibytes(limit, "Mi");
        assert!(limit >= 2 * accepted, "{name}");

        // Freed memory that the allocator keeps, and what connections, keys and the program take.
        let variables = list(&objects.server()["env"]).iter();
        let arenas: u64 = variables
            .filter(|variable| variable["name"] == "MALLOC_ARENA_MAX")
            .find_map(|variable| variable["value"].as_str()?.parse().ok())
            .expect("a number of arenas");
        assert!(limit >= accepted + 64 * arenas + 128, "{name}");
    }
}

#[test]
fn ports_and_probes_are_those_of_the_configuration() {
    for (name, objects) in all() {
        let server = objects.server();
        let ports: BTreeMap<_, _> = list(&server["ports"])
            .iter()
            .map(|port| {
                (
                    port["name"].as_str().expect("a name"),
                    port["containerPort"].to_string(),
                )
            })
            .collect();
        for (setting, port) in [("listen", "https"), ("admin_listen", "admin")] {
            let (host, number) = objects
                .setting(setting)
                .rsplit_once(':')
                .expect("ADDRESS:PORT");
            assert_eq!(ports[port], number, "{name}: {setting}");
            if port == "admin" {
                assert_eq!(host, "0.0.0.0", "{name}: the kubelet does not reach it");
            }
        }
        for (probe, path) in [
            ("startupProbe", "/healthz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ] {
            let get = json!({ "path": path, "port": "admin" });
            assert_eq!(server[probe]["httpGet"], get, "{name}: {probe}");
        }
        // A client of the Service does not reach the admin port through it.
        for service in objects.of_kind("Service") {
            for port in list(&service["spec"]["ports"]) {
                let target = port["targetPort"].as_str().expect("a name");
                let is_admin = service["spec"]["clusterIP"] == "None";
                assert_eq!(target, if is_admin { "admin" } else { "https" }, "{name}");
            }
        }
    }
}

/// Each selector finds the pods of the Deployment.
#[test]
fn every_selector_finds_the_pods() {
    for (name, objects) in all() {
        let deployment = objects.one("Deployment");
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        let finds = |selector: &Value| {
            let wanted = selector.as_object().expect("labels");
            assert!(!wanted.is_empty(), "{name}");
            wanted.iter().all(|(key, value)| labels[key] == *value)
        };
        assert!(
            finds(&deployment["spec"]["selector"]["matchLabels"]),
            "{name}"
        );
        for spread in list(&objects.pod()["topologySpreadConstraints"]) {
            assert!(finds(&spread["labelSelector"]["matchLabels"]), "{name}");
        }
        for service in objects.of_kind("Service") {
            assert!(finds(&service["spec"]["selector"]), "{name}");
        }
        for policy in objects.of_kind("NetworkPolicy") {
            assert!(
                finds(&policy["spec"]["podSelector"]["matchLabels"]),
                "{name}"
            );
        }
        for budget in objects.of_kind("PodDisruptionBudget") {
            assert!(finds(&budget["spec"]["selector"]["matchLabels"]), "{name}");
        }
        for scaler in objects.of_kind("HorizontalPodAutoscaler") {
            let target = &scaler["spec"]["scaleTargetRef"]["name"];
            assert_eq!(*target, deployment["metadata"]["name"], "{name}");
            assert!(
                deployment["spec"]["replicas"].is_null(),
                "{name}: two programs scale it"
            );
        }
        let account = &objects.one("ServiceAccount")["metadata"]["name"];
        assert_eq!(*account, objects.pod()["serviceAccountName"], "{name}");
    }
}

/// A namespace that lets every pod call would show plaintext to all of them if authentication were misconfigured.
#[test]
fn network_policies_let_only_named_callers_in() {
    for (name, objects) in all() {
        let main = objects.of_kind("NetworkPolicy").find(|policy| {
            let types = &policy["spec"]["policyTypes"];
            *types == json!(["Ingress", "Egress"])
        });
        assert!(main.is_some(), "{name} leaves one direction open");
        for policy in objects.of_kind("NetworkPolicy") {
            for rule in list(&policy["spec"]["ingress"]) {
                assert!(!list(&rule["ports"]).is_empty(), "{name}: {rule}");
                assert!(!list(&rule["from"]).is_empty(), "{name}: {rule}");
                for peer in list(&rule["from"]) {
                    let named = [&peer["podSelector"], &peer["namespaceSelector"]]
                        .iter()
                        .any(|selector| selector["matchLabels"].is_object());
                    assert!(named, "{name}: {peer}");
                }
            }
            for peer in list(&policy["spec"]["egress"])
                .iter()
                .flat_map(|rule| list(&rule["to"]))
            {
                if peer["ipBlock"]["cidr"] == "0.0.0.0/0" {
                    assert_eq!(
                        peer["ipBlock"]["except"],
                        json!(["169.254.0.0/16"]),
                        "{name}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_configuration_is_one_that_the_server_takes() {
    let program = sibling_binary("codec-server").expect("it is built");
    let authority = Authority::new("internal").expect("an authority");
    let certificate = authority
        .server(&["codec-server.temporal.svc"])
        .expect("a certificate");
    for (name, objects) in all() {
        let folder = tempfile::tempdir().expect("a folder");
        let secrets = folder.path().join("tls");
        fs::create_dir(&secrets).expect("a folder");
        fs::write(secrets.join("tls.crt"), &certificate.certificate).expect("a file");
        fs::write(secrets.join("tls.key"), &certificate.key).expect("a file");
        let mounted = list(&objects.server()["volumeMounts"]);
        let paths = [
            "/run/secrets/codec-server-tls",
            "/var/lib/keys",
            "/etc/codec-server",
        ];
        for mount in mounted {
            let path = mount["mountPath"].as_str().expect("a path");
            assert!(paths.contains(&path), "{name}: {path}");
        }
        let mut text = objects.config().to_owned();
        if text.contains("local://") {
            let keyring = folder.path().join("keyring");
            let mut create = Command::new(&program);
            create
                .args(["keys", "create", "local://default", "--keyring"])
                .arg(&keyring);
            assert!(create.output().expect("it runs").status.success());
            text = text.replace("/var/lib/keys/keyring", keyring.to_str().expect("UTF-8"));
        }
        text = text.replace(
            "/run/secrets/codec-server-tls",
            secrets.to_str().expect("UTF-8"),
        );
        let path = folder.path().join("codec.toml");
        fs::write(&path, text).expect("a file");
        let mut check = Command::new(&program);
        check.env_clear().args(["config", "check"]).arg(&path);
        check.envs(variables(objects.server()));
        let checked = check.output().expect("it runs");
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{name}: {said}");
    }
}

/// The variables of a container.
fn variables(container: &Value) -> impl Iterator<Item = (&str, &str)> {
    list(&container["env"]).iter().map(|variable| {
        let text = |name: &str| variable[name].as_str().expect("a text");
        (text("name"), text("value"))
    })
}

#[test]
fn an_audit_log_goes_to_standard_output_and_is_signed() {
    for objects in [with_audit_log(), chart(&everything())] {
        let set: BTreeMap<_, _> = variables(objects.server()).collect();
        assert_eq!(set.get("CODEC_AUDIT_STDOUT"), Some(&"true"));
        assert!(set.contains_key("CODEC_AUDIT_ANCHOR_KEY"));
    }
    // The server takes what a pod has in its environment for settings.
    let program = sibling_binary("codec-server").expect("it is built");
    let objects = with_audit_log();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("codec.toml");
    fs::write(&path, objects.config()).expect("a file");
    let mut show = Command::new(program);
    show.env_clear()
        .args(["config", "show", "--toml"])
        .arg(&path);
    show.envs(variables(objects.server()));
    let shown = show.output().expect("it runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let key = "projects/my-project/locations/global/keyRings/temporal/cryptoKeys/audit";
    assert!(
        shown.contains("stdout = true") && shown.contains(key),
        "{shown}"
    );
}

/// The chart and the base are two forms of one deployment.
#[test]
fn the_chart_and_the_base_do_not_differ() {
    let base = rendered(&["kustomize", "kubernetes/base"]).remove(0);
    let chart = chart(&json!({}));
    assert_eq!(chart.config(), base.config());
    let same = |path: &[&str], kind: &str| {
        let find = |objects: &Objects| {
            let object = objects.one(kind);
            path.iter()
                .fold(object.clone(), |value, key| value[*key].clone())
        };
        assert_eq!(find(&chart), find(&base), "{kind} {path:?}");
    };
    for path in [
        &["spec", "strategy"][..],
        &["spec", "template", "spec", "securityContext"],
    ] {
        same(path, "Deployment");
    }
    same(&["spec", "ports"], "Service");
    for path in [
        ["spec", "ingress"],
        ["spec", "egress"],
        ["spec", "policyTypes"],
    ] {
        same(&path, "NetworkPolicy");
    }
    same(&["spec", "metrics"], "HorizontalPodAutoscaler");
    same(&["spec", "minReplicas"], "HorizontalPodAutoscaler");
    same(&["spec", "behavior"], "HorizontalPodAutoscaler");
    same(&["spec", "maxUnavailable"], "PodDisruptionBudget");
    let mut differs = chart.server().clone();
    let fields = differs.as_object_mut().expect("a container");
    assert_eq!(
        fields.remove("imagePullPolicy"),
        Some(json!("IfNotPresent"))
    );
    assert_eq!(&differs, base.server());
}

#[test]
fn versions_are_those_of_the_workspace() {
    let manifest = file("Cargo.toml");
    let version = manifest
        .split("\nversion = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let version = version.expect("a version");
    for (name, objects) in all() {
        let containers = list(&objects.pod()["containers"]).iter();
        for container in containers.chain(list(&objects.pod()["initContainers"])) {
            let image = container["image"].as_str().expect("an image");
            let is_right =
                image.ends_with(&format!("codec-server:{version}")) || image.contains("@sha256:");
            assert!(is_right, "{name}: {image}");
        }
    }
    let chart: Value =
        serde_saphyr::from_str(&file("deploy/helm/codec-server/Chart.yaml")).expect("YAML");
    assert_eq!(chart["version"], version);
    assert_eq!(chart["appVersion"], version);
}

#[test]
fn the_chart_refuses_values_that_it_does_not_know() {
    let refused = |values: &Value, words: &str| assert_refused("codec-server", values, words);
    refused(&json!({ "replicaCount": 3 }), "replicaCount");
    refused(&json!({ "image": { "tga": "1" } }), "tga");
    refused(&json!({ "ports": { "https": 99_999 } }), "99,999");
    refused(&json!({ "env": { "A B": "x" } }), "A B");
    refused(&json!({ "httpRoute": { "enabled": true } }), "parentRefs");
    // Every value of the chart is in the schema, and has an example.
    let values: Value =
        serde_saphyr::from_str(&file("deploy/helm/codec-server/values.yaml")).expect("YAML");
    let schema: Value =
        serde_json::from_str(&file("deploy/helm/codec-server/values.schema.json")).expect("JSON");
    same_keys(&values, &schema, "");
}

fn same_keys(values: &Value, schema: &Value, place: &str) {
    let Some(known) = schema["properties"].as_object() else {
        return;
    };
    for (name, inner) in known {
        let is_optional = ["global", "claims"].contains(&&**name);
        assert!(
            is_optional || !values[name].is_null(),
            "values.yaml has no {place}{name}"
        );
        same_keys(&values[name], inner, &format!("{place}{name}."));
    }
}

/// The program itself finds a field that the API does not have, and a value of the wrong type.
#[test]
fn a_mistake_in_an_object_is_found() {
    let good = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 443}]}\n";
    for (text, words) in [
        (good.to_owned(), ""),
        (good.replace("ports:", "prots:"), "prots"),
        (good.replace("443", "\"443\""), "string"),
        (good.replace("kind: Service", "kind: Servcie"), "Servcie"),
        (good.replace("spec:", "metadata: {}\nspec:"), "metadata"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("object.yaml");
        fs::write(&path, &text).expect("a file");
        let output = manifests(&["files", path.to_str().expect("UTF-8")]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), words.is_empty(), "{text}: {said}");
        assert!(said.contains(words), "{text}: {said}");
    }
}

fn policy(name: &str) -> Value {
    let text = file(&format!("deploy/iam/aws/{name}.json"));
    let policy: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(policy["Version"], "2012-10-17", "{name}");
    policy
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let of_statement = |statement: &Value| match &statement["Action"] {
        Value::String(action) => vec![action.clone()],
        list => list
            .as_array()
            .into_iter()
            .flatten()
            .map(|action| action.as_str().expect("a name").to_owned())
            .collect(),
    };
    list(&policy["Statement"])
        .iter()
        .flat_map(of_statement)
        .collect()
}

/// A role whose trust policy names only the subject could be assumed with a token for another audience.
#[test]
fn aws_roles_trust_one_service_account_only() {
    let eks = rendered(&["kustomize", "kubernetes/overlays/eks"]).remove(0);
    let account = eks.one("ServiceAccount");
    let (namespace, name) = (
        &account["metadata"]["namespace"],
        &account["metadata"]["name"],
    );
    let (namespace, name) = (
        namespace.as_str().expect("a namespace"),
        name.as_str().expect("a name"),
    );

    let irsa = policy("trust-irsa");
    let statement = &irsa["Statement"][0];
    let issuer = statement["Principal"]["Federated"]
        .as_str()
        .expect("an issuer");
    let issuer = issuer.split_once("oidc-provider/").expect("an ARN").1;
    let condition = &statement["Condition"]["StringEquals"];
    assert_eq!(condition[format!("{issuer}:aud")], "sts.amazonaws.com");
    let subject = format!("system:serviceaccount:{namespace}:{name}");
    assert_eq!(condition[format!("{issuer}:sub")], subject);

    let pod_identity = policy("trust-pod-identity");
    let condition = &pod_identity["Statement"][0]["Condition"]["StringEquals"];
    assert_eq!(condition["aws:RequestTag/kubernetes-namespace"], namespace);
    assert_eq!(condition["aws:RequestTag/kubernetes-service-account"], name);
    assert!(condition["aws:RequestTag/eks-cluster-arn"].is_string());
}

/// The actions are those that the code calls, and only administrators have those that change keys.
#[test]
fn aws_policies_permit_what_the_code_calls() {
    let documented = file("docs/key-services/aws-kms.md");
    let mut permitted = BTreeSet::new();
    let use_only = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
    ];
    for (name, most) in [
        ("use-codec-server", &use_only[..2]),
        ("use-codec-server-encrypt", &use_only),
        ("use-worker", &use_only),
        ("use-client", &use_only[1..]),
        ("sign", &["kms:DescribeKey", "kms:GetPublicKey", "kms:Sign"]),
        ("sign-audit-log", &["kms:Sign"]),
    ] {
        let policy = policy(name);
        let actions = actions(&policy);
        let wanted: BTreeSet<_> = most.iter().map(|action| (*action).to_owned()).collect();
        assert_eq!(actions, wanted, "{name}");
        for statement in list(&policy["Statement"]) {
            let key = statement["Resource"].as_str().expect("one key");
            assert!(
                key.starts_with("arn:aws:kms:") && !key.contains('*'),
                "{name}: {key}"
            );
            // Aliases can be pointed at other keys, and DescribeKey by ARN does not fulfil the condition.
            assert!(
                !statement.to_string().contains("kms:RequestAlias"),
                "{name}"
            );
        }
        permitted.extend(actions);
    }
    let administer = policy("administer");
    let administered = actions(&administer);
    for action in [
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:Sign",
    ] {
        assert!(
            !administered.contains(action),
            "an administrator can {action}"
        );
    }
    permitted.extend(administered);
    for action in &permitted {
        assert!(
            documented.contains(&format!("`{action}`")),
            "nothing documents {action}"
        );
    }
    let (_, table) = documented
        .split_once("\n## Permissions\n")
        .expect("a section");
    let (table, _) = table.split_once("\n\nAs IAM policies").expect("its table");
    for action in table.split('`').filter(|word| word.starts_with("kms:")) {
        assert!(permitted.contains(action), "no policy permits {action}");
    }
}

#[test]
fn grants_at_google_cloud_name_the_service_account_of_the_pods() {
    let gke = rendered(&["kustomize", "kubernetes/overlays/gke"]).remove(0);
    let account = gke.one("ServiceAccount");
    let namespace = account["metadata"]["namespace"]
        .as_str()
        .expect("a namespace");
    let name = account["metadata"]["name"].as_str().expect("a name");
    let script = file("deploy/iam/gcp/grant.sh");
    assert!(
        script.contains(&format!("NAMESPACE=${{NAMESPACE:-{namespace}}}")),
        "{script}"
    );
    assert!(
        script.contains(&format!("SERVICE_ACCOUNT=${{SERVICE_ACCOUNT:-{name}}}")),
        "{script}"
    );
    let terraform = file("deploy/iam/gcp/main.tf");
    for default in [namespace, name] {
        assert!(
            terraform.contains(&format!("default     = \"{default}\"")),
            "{default}"
        );
    }
    for role in [
        "roles/cloudkms.cryptoKeyDecrypter",
        "roles/cloudkms.cryptoKeyEncrypterDecrypter",
    ] {
        for text in [&script, &terraform] {
            assert!(text.contains(role), "{role}");
        }
    }
    // The script names the principal, with a gcloud that records its arguments.
    let recorder = "case $1 in projects) echo 123 ;; *) printf '%s\\n' \"$@\" ;; esac\n";
    let variables = [("PROJECT", "p"), ("KEY_RING", "r"), ("KEY", "k")];
    let ran = calls("deploy/iam/gcp/grant.sh", ("gcloud", recorder), &variables);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{ran:?}");
    let member = format!(
        "--member=principal://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/p.svc.id.goog/subject/\
         ns/{namespace}/sa/{name}"
    );
    assert!(said.lines().any(|line| line == member), "{said}");
    assert!(!said.contains("signer"), "{said}");
    let variables = [&variables[..], &[("AUDIT_KEY", "a")]].concat();
    let ran = calls("deploy/iam/gcp/grant.sh", ("gcloud", recorder), &variables);
    let said = String::from_utf8_lossy(&ran.stdout);
    let granted = |role: &str| said.lines().any(|line| line == format!("--role={role}"));
    assert!(
        granted("roles/cloudkms.signer") && granted("roles/cloudkms.viewer"),
        "{said}"
    );
    assert!(!terraform.contains("signerVerifier") && terraform.contains("roles/cloudkms.signer"));
}
