//! The search attributes of tasks at a real server: the status and the host of the repository, and nothing else.

use crate::support::{Rig, end, fresh, repository::SshRepository, scripted::Scripted};
use dev_servers::TemporalOptions;
use integration_tests::assert_absent;
use prost::Message as _;
use serde_json::json;
use std::collections::BTreeMap;

/// Attributes that Temporal and its SDK set on every workflow.
const OF_TEMPORAL: [&str; 3] = [
    "BuildIds",
    "TemporalChangeVersion",
    "TemporalUsedWorkerDeploymentVersions",
];

/// Creates the attributes in the rig's namespace.
pub(crate) fn create_attributes(rig: &Rig) {
    for name in ["ClaudeTaskStatus", "ClaudeTaskRepositoryHost"] {
        let mut create = rig.server.cli();
        create.args([
            "operator",
            "search-attribute",
            "create",
            "--type",
            "Keyword",
        ]);
        let created = create.args(["--name", name]).output().unwrap();
        assert!(created.status.success(), "{created:?}");
    }
}

/// The attributes of a task, without those of Temporal.
async fn attributes(scripted: &Scripted, task: &str) -> BTreeMap<String, String> {
    let description = scripted.rig.raw().await.describe(task).await;
    let info = description.workflow_execution_info.unwrap();
    let fields = info.search_attributes.unwrap_or_default().indexed_fields;
    fields
        .into_iter()
        .filter(|(name, _)| !OF_TEMPORAL.contains(&name.as_str()))
        .map(|(name, payload)| (name, String::from_utf8(payload.data).unwrap()))
        .collect()
}

fn expected(status: &str) -> BTreeMap<String, String> {
    let fields = [
        ("ClaudeTaskStatus", format!("\"{status}\"")),
        ("ClaudeTaskRepositoryHost", "\"127.0.0.1\"".to_owned()),
    ];
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_found_by_their_status_and_the_host_of_their_repository() {
    let mut rig = Rig::with_server(TemporalOptions::default()).await;
    let repository = SshRepository::of(&mut rig);
    create_attributes(&rig);
    let scripted = Scripted::of(rig);
    let worker = scripted.worker(&[]);
    let (task, credential) = (fresh("task"), fresh("sk-ant-attributes"));
    let mut request = repository.fields();
    request["prompt"] = json!("wait");
    request["anthropicApiKey"] = json!(credential);
    let mut running = scripted.rig.submit(&task, &request, &[]);
    scripted.until_runs(1).await;
    assert_eq!(attributes(&scripted, &task).await, expected("running"));
    scripted.open_gate();
    let (code, output) = end(&mut running);
    assert_eq!(code, 0, "{output}\n{}", worker.output());
    assert_eq!(attributes(&scripted, &task).await, expected("completed"));

    let failed = fresh("task");
    let mut request = repository.fields();
    request["prompt"] = json!("go");
    request["anthropicApiKey"] = json!(credential);
    request["preExecutionCommands"] = json!(["exit 7"]);
    assert_eq!(end(&mut scripted.rig.submit(&failed, &request, &[])).0, 1);
    let query = "ClaudeTaskStatus = 'completed' AND ClaudeTaskRepositoryHost = '127.0.0.1'";
    let (listed, text) = scripted.temporal(&["list", "--query", query, "-o", "json"]);
    assert!(
        listed && text.contains(&task) && !text.contains(&failed),
        "{text}"
    );

    // The repository's path, its user and the rest of the request are in no attribute.
    for task in [&task, &failed] {
        let description = scripted.rig.raw().await.describe(task).await;
        let secrets = [&*credential, "bare.git", "by the task"];
        assert_absent("the description", &description.encode_to_vec(), &secrets);
    }
}
