//! The files in `deploy/kubernetes/claude-tasks` and `deploy/helm/claude-tasks`: the API and the worker of the Claude task
//! service.

use std::{collections::BTreeMap, process::Output};

use serde_json::{Value, json};

use super::{Objects, actions, assert_refused, calls, file, helm, list, parsed, rendered};

const FOLDERS: [&str; 3] = ["base", "overlays/gke", "overlays/eks"];
const PROGRAMS: [&str; 2] = ["claude-tasks-api", "claude-tasks-worker"];
/// Where cloud metadata, private networks and link-local addresses are.
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
];

fn all() -> Vec<(&'static str, Objects)> {
    let folders = FOLDERS.map(|folder| format!("kubernetes/claude-tasks/{folder}"));
    let mut arguments = vec!["kustomize"];
    arguments.extend(folders.iter().map(String::as_str));
    let mut all: Vec<_> = FOLDERS.into_iter().zip(rendered(&arguments)).collect();
    all.push(("helm", chart(&json!({}))));
    all.push(("helm, everything on", chart(&everything())));
    all
}

fn chart(values: &Value) -> Objects {
    parsed(&helm("claude-tasks", values)).remove(0)
}

fn everything() -> Value {
    json!({
        "imagePullSecrets": ["registry"],
        "envFrom": [{ "secretRef": { "name": "temporal-api-key" } }],
        "api": { "serviceAccount": { "annotations": { "a": "b" } }, "maxReplicas": 3 },
        "worker": {
            "replicas": null,
            "drainMinutes": 60,
            "runtimeClassName": "gvisor",
            "serviceAccount": { "annotations": { "a": "b" } },
            "settings": { "CLAUDE_TASKS_MAX_TIMEOUT": "2h" }
        },
        "networkPolicy": { "gkeMetadata": true, "extraEgress": [{ "ports": [{ "port": 4318 }] }] },
        "nodeSelector": { "pool": "workflows" },
        "tolerations": [{ "key": "pool", "operator": "Exists" }]
    })
}

impl Objects {
    fn named<'a>(&'a self, kind: &'a str, name: &str) -> &'a Value {
        self.of_kind(kind)
            .find(|object| object["metadata"]["name"] == name)
            .unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    fn pod_of(&self, program: &str) -> &Value {
        &self.named("Deployment", program)["spec"]["template"]["spec"]
    }

    /// The variables of a program, also those of its `ConfigMap`s.
    fn variables(&self, program: &str) -> BTreeMap<String, String> {
        let container = &self.pod_of(program)["containers"][0];
        let mut variables = BTreeMap::new();
        for source in list(&container["envFrom"]) {
            // Secrets are made by hand.
            let Some(name) = source["configMapRef"]["name"].as_str() else {
                continue;
            };
            let map = self.named("ConfigMap", name)["data"]
                .as_object()
                .expect("data");
            for (name, value) in map {
                variables.insert(name.clone(), value.as_str().expect("text").to_owned());
            }
        }
        for variable in list(&container["env"]) {
            let name = variable["name"].as_str().expect("a name").to_owned();
            let value = variable["value"].as_str().unwrap_or_default().to_owned();
            variables.insert(name, value);
        }
        variables
    }
}

#[test]
fn the_api_and_the_worker_have_identities_and_objects_of_their_own() {
    for (name, objects) in all() {
        for program in PROGRAMS {
            let deployment = objects.named("Deployment", program);
            let labels = &deployment["spec"]["template"]["metadata"]["labels"];
            let own = json!({ "app.kubernetes.io/name": program });
            assert_eq!(labels["app.kubernetes.io/name"], program, "{name}");
            assert_eq!(deployment["spec"]["selector"]["matchLabels"], own, "{name}");
            assert_eq!(
                objects.pod_of(program)["serviceAccountName"],
                program,
                "{name}"
            );
            objects.named("ServiceAccount", program);
            for kind in ["NetworkPolicy", "PodDisruptionBudget"] {
                let spec = &objects.named(kind, program)["spec"];
                let selector = match kind {
                    "NetworkPolicy" => &spec["podSelector"],
                    _ => &spec["selector"],
                };
                assert_eq!(selector["matchLabels"], own, "{name}: {kind} {program}");
            }
        }
        let service = objects.one("Service");
        assert_eq!(
            service["spec"]["selector"],
            json!({ "app.kubernetes.io/name": PROGRAMS[0] })
        );
        let scaler = objects.one("HorizontalPodAutoscaler");
        assert_eq!(
            scaler["spec"]["scaleTargetRef"]["name"], PROGRAMS[0],
            "{name}"
        );
        let api = objects.named("Deployment", PROGRAMS[0]);
        assert!(
            api["spec"]["replicas"].is_null(),
            "{name}: two programs scale it"
        );
    }
}

#[test]
fn no_pod_has_more_rights_than_it_needs() {
    for (name, objects) in all() {
        for program in PROGRAMS {
            let pod = objects.pod_of(program);
            let identity = &pod["securityContext"];
            assert_eq!(identity["runAsNonRoot"], true, "{name}");
            assert_eq!(
                identity["seccompProfile"]["type"], "RuntimeDefault",
                "{name}"
            );
            let user = &identity["runAsUser"];
            assert!(
                file("Dockerfile").contains(&format!("--uid {user} ")),
                "{name}"
            );
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
            assert_eq!(pod["enableServiceLinks"], false, "{name}");
            for shared in ["hostNetwork", "hostPID", "hostIPC"] {
                assert!(pod[shared].is_null(), "{name}: {shared}");
            }
            assert_ne!(pod["shareProcessNamespace"], true, "{name}");
            for container in list(&pod["containers"]) {
                let rights = &container["securityContext"];
                assert_eq!(rights["allowPrivilegeEscalation"], false, "{name}");
                assert_eq!(rights["readOnlyRootFilesystem"], true, "{name}");
                assert_eq!(rights["capabilities"], json!({ "drop": ["ALL"] }), "{name}");
                let resources = &container["resources"];
                assert_eq!(
                    resources["limits"]["memory"], resources["requests"]["memory"],
                    "{name}"
                );
            }
            for volume in list(&pod["volumes"]) {
                assert!(volume["hostPath"].is_null(), "{name}: {volume}");
                if volume["emptyDir"].is_object() {
                    assert!(
                        volume["emptyDir"]["sizeLimit"].is_string(),
                        "{name}: {volume}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_api_and_the_worker_use_the_same_keys_and_one_task_queue() {
    for (name, objects) in all() {
        let (api, worker) = (
            objects.variables(PROGRAMS[0]),
            objects.variables(PROGRAMS[1]),
        );
        for shared in [
            "TEMPORAL_ADDRESS",
            "TEMPORAL_CODEC_KEY",
            "CLAUDE_TASKS_SECRETS_KEY",
            "TEMPORAL_NAMESPACE",
            "CLAUDE_TASKS_TASK_QUEUE",
        ] {
            assert_eq!(api[shared], worker[shared], "{name}");
        }
        let keys = ["TEMPORAL_CODEC_KEY", "CLAUDE_TASKS_SECRETS_KEY"].map(|name| &api[name]);
        assert_ne!(
            keys[0], keys[1],
            "{name}: the API could open the secrets of requests"
        );
        for key in keys {
            let key: Result<temporal_kms_codec::KeyUri, _> = key.parse();
            assert!(key.is_ok(), "{name}");
        }
        assert_eq!(worker["CLAUDE_TASKS_MAX_TASKS"], "1", "{name}");
        // Only the worker signs webhooks.
        assert!(!api.contains_key("CLOUDRUN_CALLBACK_SECRET"), "{name}");
    }
}

#[test]
fn nobody_reaches_the_worker_and_it_reaches_no_private_network() {
    for (name, objects) in all() {
        let worker = &objects.named("NetworkPolicy", PROGRAMS[1])["spec"];
        assert_eq!(
            worker["policyTypes"],
            json!(["Ingress", "Egress"]),
            "{name}"
        );
        assert_eq!(list(&worker["ingress"]), [] as [Value; 0], "{name}");
        for peer in list(&worker["egress"])
            .iter()
            .flat_map(|rule| list(&rule["to"]))
        {
            if peer["ipBlock"]["cidr"] == "0.0.0.0/0" {
                assert_eq!(peer["ipBlock"]["except"], json!(PRIVATE), "{name}");
            }
        }
        let api = &objects.named("NetworkPolicy", PROGRAMS[0])["spec"];
        assert_eq!(api["policyTypes"], json!(["Ingress", "Egress"]), "{name}");
        for rule in list(&api["ingress"]) {
            for peer in list(&rule["from"]) {
                assert!(
                    peer["podSelector"]["matchLabels"].is_object(),
                    "{name}: {peer}"
                );
            }
        }
    }
}

#[test]
fn the_worker_ends_before_kubernetes_kills_it() {
    let seconds = |text: &str| -> u64 {
        let (number, unit) = text.split_at(text.len() - 1);
        let number: u64 = number.parse().expect("a number");
        if unit == "m" { number * 60 } else { number }
    };
    for (name, objects) in all() {
        let variables = objects.variables(PROGRAMS[1]);
        let needed = seconds(&variables["CLAUDE_TASKS_DRAIN_TIME"])
            + seconds(&variables["CLAUDE_TASKS_GRACE_TIME"]);
        let granted = objects.pod_of(PROGRAMS[1])["terminationGracePeriodSeconds"].as_u64();
        assert!(granted.expect("seconds") > needed + 5, "{name}");
    }
}

#[test]
fn every_variable_is_one_that_a_program_reads() {
    let known = file("docs/reference/variables.md") + &file("docs/claude-tasks/deployment.md");
    for (name, objects) in all() {
        for program in PROGRAMS {
            for variable in objects.variables(program).keys() {
                let is_known = variable == "HOME" || known.contains(&format!("`{variable}`"));
                assert!(is_known, "{name}: {program} knows no {variable}");
            }
        }
    }
}

/// The chart and the base are two forms of one deployment.
#[test]
fn the_chart_and_the_base_do_not_differ() {
    let base = all().swap_remove(0).1;
    let chart = chart(&json!({}));
    for program in PROGRAMS {
        assert_eq!(
            chart.variables(program),
            base.variables(program),
            "{program}"
        );
        for field in [
            "securityContext",
            "terminationGracePeriodSeconds",
            "topologySpreadConstraints",
        ] {
            assert_eq!(
                chart.pod_of(program)[field],
                base.pod_of(program)[field],
                "{program} {field}"
            );
        }
        let (of_chart, of_base) = (
            &chart.pod_of(program)["containers"][0],
            &base.pod_of(program)["containers"][0],
        );
        for field in [
            "image",
            "ports",
            "resources",
            "securityContext",
            "volumeMounts",
            "startupProbe",
            "readinessProbe",
        ] {
            assert_eq!(of_chart[field], of_base[field], "{program} {field}");
        }
        let policy = |objects: &Objects| objects.named("NetworkPolicy", program)["spec"].clone();
        assert_eq!(policy(&chart), policy(&base), "{program}");
    }
    let config = |objects: &Objects| {
        let map = objects
            .of_kind("ConfigMap")
            .find(|map| map["data"]["api.toml"].is_string());
        map.expect("the configuration")["data"]["api.toml"].clone()
    };
    assert_eq!(config(&chart), config(&base));
}

#[test]
fn the_chart_refuses_values_that_it_does_not_know() {
    for (values, words) in [
        (json!({ "replicas": 3 }), "replicas"),
        (json!({ "worker": { "image": { "tga": "1" } } }), "tga"),
        (json!({ "settings": { "A B": "x" } }), "A B"),
        (json!({ "settings": { "PORT": 8080 } }), "PORT"),
    ] {
        assert_refused("claude-tasks", &values, words);
    }
}

#[test]
fn images_have_the_version_of_the_workspace() {
    let manifest = file("Cargo.toml");
    let version = manifest.split("\nversion = \"").nth(1).expect("a version");
    let version = version.split('"').next().expect("a version");
    for (name, objects) in all() {
        for program in PROGRAMS {
            let image = objects.pod_of(program)["containers"][0]["image"].as_str();
            let image = image.expect("an image");
            assert!(image.ends_with(&format!(":{version}")), "{name}: {image}");
        }
    }
}

/// The calls that a script makes of `aws`, each with its arguments. The recorder fails for `absent`.
fn calls_of_aws(script: &str, absent: &str, variables: &[(&str, &str)]) -> Output {
    let recorder =
        format!("case $* in {absent}) exit 1 ;; esac\nprintf '%s\\037' \"$@\"\nprintf '\\036'\n");
    calls(script, ("aws", &recorder), variables)
}

const EKS: [(&str, &str); 7] = [
    ("ACCOUNT", "444455556666"),
    (
        "OIDC_PROVIDER",
        "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF",
    ),
    ("KEY", "arn:aws:kms:eu-central-1:444455556666:key/payloads"),
    (
        "SECRETS_KEY",
        "arn:aws:kms:eu-central-1:444455556666:key/secrets",
    ),
    ("STORE", "s3://tasks/of/prod"),
    ("NAMESPACE", "claude-tasks"),
    ("TEMPORAL_NAMESPACE", "prod.a1b2c"),
];

/// The documents that the script for EKS gives, by role and name.
fn roles_at_aws(absent: &str) -> BTreeMap<(String, String), Value> {
    let script = "deploy/iam/aws/grant-claude-tasks.sh";
    let ran = calls_of_aws(script, absent, &EKS);
    assert!(ran.status.success(), "{ran:?}");
    let said = String::from_utf8(ran.stdout).expect("UTF-8");
    for example in ["111122223333", "EXAMPLE", "my-bucket", "eu-west-1"] {
        assert!(!said.contains(example), "{example}: {said}");
    }
    let mut documents = BTreeMap::new();
    for call in said.split_terminator('\u{1e}') {
        let words: Vec<_> = call.split_terminator('\u{1f}').collect();
        let (role, name, document) = match words.as_slice() {
            ["iam", "get-role", ..] => continue,
            [
                "iam",
                "create-role",
                "--role-name",
                role,
                "--assume-role-policy-document",
                trust,
            ] => (role, &"create", trust),
            [
                "iam",
                "update-assume-role-policy",
                "--role-name",
                role,
                "--policy-document",
                trust,
            ] => (role, &"update", trust),
            [
                "iam",
                "put-role-policy",
                "--role-name",
                role,
                "--policy-name",
                name,
                "--policy-document",
                document,
            ] => (role, name, document),
            other => panic!("{other:?}"),
        };
        let document = serde_json::from_str(document).expect("JSON");
        let names = (role.to_string(), name.to_string());
        assert!(documents.insert(names, document).is_none(), "{call}");
    }
    documents
}

#[test]
fn roles_at_aws_trust_one_service_account_each_and_separate_them() {
    let documents = roles_at_aws("*get-role*");
    let variable = |name: &str| EKS.iter().find(|(key, _)| *key == name).expect("set").1;
    let eks = all().swap_remove(2).1;
    let document = |role: &str, name: &str| &documents[&(role.to_owned(), name.to_owned())];
    for program in PROGRAMS {
        let account = &eks.named("ServiceAccount", program)["metadata"];
        let arn = &account["annotations"]["eks.amazonaws.com/role-arn"];
        let arn = arn.as_str().expect("an ARN");
        assert!(arn.ends_with(&format!(":role/{program}")), "{arn}");
        assert_eq!(account["namespace"], variable("NAMESPACE"));

        let trust = &document(program, "create")["Statement"][0];
        let issuer = variable("OIDC_PROVIDER");
        let provider = format!("arn:aws:iam::444455556666:oidc-provider/{issuer}");
        assert_eq!(trust["Principal"]["Federated"], provider);
        let condition = &trust["Condition"]["StringEquals"];
        assert_eq!(condition[format!("{issuer}:aud")], "sts.amazonaws.com");
        let subject = format!("system:serviceaccount:claude-tasks:{program}");
        assert_eq!(condition[format!("{issuer}:sub")], subject);
    }
    let [api, worker] = PROGRAMS;
    let (read, write) = ("kms:Decrypt", "kms:GenerateDataKey");
    for (role, name, key, can_read, can_write) in [
        (api, "payloads", "KEY", true, true),
        (worker, "payloads", "KEY", true, true),
        (api, "secrets", "SECRETS_KEY", false, true),
        (worker, "secrets", "SECRETS_KEY", true, false),
    ] {
        let policy = document(role, name);
        let actions = actions(policy);
        assert_eq!(actions.contains(read), can_read, "{role} {name}");
        assert_eq!(actions.contains(write), can_write, "{role} {name}");
        for statement in list(&policy["Statement"]) {
            assert_eq!(statement["Resource"], variable(key), "{role} {name}");
        }
        let condition = &policy["Statement"][0]["Condition"]["StringEquals"];
        let namespace = json!([variable("TEMPORAL_NAMESPACE")]);
        assert_eq!(condition["kms:EncryptionContext:namespace"], namespace);
    }
    let rights = |role: &str| -> Vec<(String, String)> {
        let statements = list(&document(role, "store")["Statement"]).iter();
        let rights = statements.flat_map(|statement| {
            let resource = statement["Resource"].as_str().expect("one resource");
            let place = resource.strip_prefix("arn:aws:s3:::").expect("an ARN");
            let place = place.to_owned();
            actions(&json!({ "Statement": [statement] }))
                .into_iter()
                .map(move |action| (action, place.clone()))
        });
        rights.collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };
    let of_api = [
        ("s3:PutObject", "tasks/of/prod/encrypted-payloads/*"),
        ("s3:GetObject", "tasks/of/prod/sessions/*"),
        ("s3:ListBucket", "tasks"),
    ];
    assert_eq!(rights(api), pairs(&of_api));
    let of_worker = [
        ("s3:DeleteObject", "tasks/of/prod/*"),
        ("s3:GetObject", "tasks/of/prod/*"),
        ("s3:PutObject", "tasks/of/prod/*"),
        ("s3:ListBucket", "tasks"),
    ];
    assert_eq!(rights(worker), pairs(&of_worker));
}

#[test]
fn roles_at_aws_that_exist_are_brought_up_to_date() {
    let documents = roles_at_aws("nothing");
    for program in PROGRAMS {
        let role = |name: &str| (program.to_owned(), name.to_owned());
        assert!(documents.contains_key(&role("update")));
        assert!(!documents.contains_key(&role("create")));
    }
}

#[test]
fn no_value_changes_the_form_of_a_policy() {
    for (name, value) in [
        ("KEY", "arn:aws:kms:x:1:key/a\", \"*"),
        ("TEMPORAL_NAMESPACE", "a|g; s|Allow|Deny"),
        ("STORE", "s3://bucket/&"),
        ("STORE", "gs://bucket"),
    ] {
        let mut variables = EKS;
        for variable in &mut variables {
            if variable.0 == name {
                variable.1 = value;
            }
        }
        let script = "deploy/iam/aws/grant-claude-tasks.sh";
        let ran = calls_of_aws(script, "nothing", &variables);
        assert_eq!(ran.status.code(), Some(64), "{ran:?}");
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
}

/// The script grants what the manifests need, with a gcloud that records its arguments.
#[test]
fn grants_name_both_service_accounts_and_separate_them() {
    let recorder = "case $1 in projects) echo 123 ;; *) echo \"$@\" ;; esac\n";
    let variables = [
        ("PROJECT", "p"),
        ("KEY_RING", "r"),
        ("KEY", "k"),
        ("SECRETS_KEY", "secrets"),
        ("BUCKET", "b"),
    ];
    let script = "deploy/iam/gcp/grant-claude-tasks.sh";
    let ran = calls(script, ("gcloud", recorder), &variables);
    assert!(ran.status.success(), "{ran:?}");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let gke = all().swap_remove(1).1;
    for program in PROGRAMS {
        let account = &gke.named("ServiceAccount", program)["metadata"];
        let namespace = account["namespace"].as_str().expect("a namespace");
        assert!(
            said.contains(&format!("/subject/ns/{namespace}/sa/{program} ")),
            "{said}"
        );
    }
    let on_secrets: Vec<_> = said
        .lines()
        .filter(|line| line.contains("binding secrets "))
        .collect();
    assert_eq!(on_secrets.len(), 2, "{said}");
    assert!(on_secrets[0].contains("claude-tasks-api ") && on_secrets[0].ends_with("Encrypter"));
    assert!(
        on_secrets[1].contains("claude-tasks-worker ") && on_secrets[1].ends_with("KeyDecrypter")
    );
    // The API writes sealed requests and cannot read them.
    let of_api = said
        .lines()
        .filter(|line| line.contains("storage") && line.contains("claude-tasks-api "));
    let rights: Vec<_> = of_api.collect();
    assert_eq!(rights.len(), 2, "{said}");
    assert!(rights[0].contains("objectCreator") && rights[0].contains("/encrypted-payloads/"));
    assert!(rights[1].contains("objectViewer") && rights[1].contains("/sessions/"));
}
