//! A task with a repository: clone, files, commands, Claude Code, commit, push, upload, webhook.

use crate::support::{
    RESULT, Rig, end, fresh,
    repository::{SshRepository, bare, git},
    task_ended,
};
use claude_tasks::{ConnectOptions, EndKind, RequestRules, SubmitOptions, TaskClient, TaskRequest};
use dev_servers::WebhookReceiver;
use integration_tests::until;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

async fn client(rig: &Rig, store: &Path) -> TaskClient {
    let options = ConnectOptions::new(rig.server.url().parse().unwrap())
        .with_task_queue(rig.queue())
        .with_keyring(rig.keyring().folder())
        .with_store(store.to_str().unwrap().parse().unwrap());
    TaskClient::connect(&options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_commits_pushes_uploads_and_tells() {
    let mut rig = Rig::new().await;
    let store = rig.use_store();
    rig.set("CLAUDE_TASKS_GIT_FILES", "true");
    rig.enable_webhooks();
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let bare = bare(rig.folder.path());
    let claude = rig.claude(&format!(
        "cat >/dev/null; pwd; cat prepared.txt README; echo changed > README; echo made > ../made.txt; echo '{RESULT}'"
    ));
    let worker = rig.worker_with(&claude, &[]);
    let client = client(&rig, &store).await;
    let task = fresh("task");
    let request = json!({
        "prompt": "go", "anthropicApiKey": "sk-ant-repository", "callbackUrl": receiver.url(),
        "gitRepo": format!("file://{}", bare.display()), "cwdRelative": "src",
        "preExecutionCommands": ["echo prepared > src/prepared.txt"],
        "environmentSecrets": {"TOKEN": "environment-secret-1"},
        "slashCommands": {"fix": {"content": "Fix it"}},
        "postExecutionActions": {
            "git": {"commit": true, "commitMessage": "by the task", "push": true},
            "uploadFiles": {"globPatterns": ["*.txt"], "gcsPrefix": "out"},
        },
    });
    let rules = RequestRules::default().with_file_repositories(true);
    let request = TaskRequest::from_value_with(request, rules).unwrap();
    let options = SubmitOptions::new().with_task_id(task.parse().unwrap());
    let submitted = client.submit(request, options).await.unwrap();
    let end = submitted.result().await.unwrap();
    assert_eq!(
        end.kind(),
        EndKind::Completed,
        "{end:?}\n{}",
        worker.output()
    );
    let result = end.result().unwrap();
    let commit = result
        .git_commit
        .as_ref()
        .unwrap_or_else(|| panic!("{result:?}"));
    assert!(commit.pushed, "{result:?}");
    assert_eq!(
        git(&bare, &["log", "-1", "--format=%H %s", "main"]),
        format!("{} by the task", commit.sha)
    );
    assert_eq!(git(&bare, &["show", "main:src/README"]), "changed");
    let committed = git(&bare, &["ls-tree", "-r", "--name-only", "main"]);
    for generated in [".env", ".claude"] {
        assert!(!committed.contains(generated), "{committed}");
    }
    let uploaded = &result.uploaded_files[0];
    assert_eq!(uploaded.original_path, "made.txt");
    let object = format!("sessions/{task}/uploads/out/made.txt");
    assert_eq!(
        (uploaded.gcs_path.as_str(), uploaded.size_bytes),
        (object.as_str(), 5)
    );
    let sealed = fs::read(store.join(&object)).unwrap();
    assert!(!sealed.windows(4).any(|part| part == b"made"));
    let webhook: Value = until("the webhook", async || receiver.accepted().pop()).await;
    assert_eq!(webhook["gitCommit"]["sha"], commit.sha);
    assert_eq!(webhook["uploadedFiles"][0]["gcsPath"], object);
    assert_eq!(rig.workspaces(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_command_stops_the_task_before_claude_code_starts() {
    let mut rig = Rig::new().await;
    let store = rig.use_store();
    let mark = rig.folder.path().join("ran");
    let claude = rig.claude(&format!("touch {}; cat >/dev/null", mark.display()));
    let _worker = rig.worker_with(&claude, &[]);
    let client = client(&rig, &store).await;
    let request = json!({"prompt": "go", "anthropicApiKey": "sk-ant-command",
        "environmentSecrets": {"TOKEN": "environment-secret-2"},
        "preExecutionCommands": ["true", "echo failing with $TOKEN >&2; exit 7"]});
    let request = TaskRequest::from_value(request).unwrap();
    let submitted = client.submit(request, SubmitOptions::new()).await.unwrap();
    let end = submitted.result().await.unwrap();
    let problem = end.problem().unwrap();
    assert!(
        problem.contains("preExecutionCommands") && problem.contains('7'),
        "{problem}"
    );
    assert!(!problem.contains("environment-secret-2"), "{problem}");
    assert!(!mark.exists());
    assert_eq!(rig.workspaces(), Vec::<PathBuf>::new());
}

/// The real Claude Code, the real sshd and the real Temporal together.
#[tokio::test(flavor = "multi_thread")]
async fn claude_code_changes_a_repository_that_is_cloned_and_pushed_over_ssh() {
    let mut rig = Rig::new().await;
    let repository = SshRepository::of(&mut rig);
    rig.enable_webhooks();
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let worker = rig.worker(&["--sandbox", "required"]);
    let tools = r#"[[tool:Write {"file_path":"made.txt","content":"by the tool\n"}]]
        [[tool:Bash {"command":"sed -i s/first/second/ src/README && git log --format=%s"}]]"#;
    let mut request = repository.fields();
    for (field, value) in [
        ("prompt", json!(format!("Change it {tools}"))),
        ("anthropicApiKey", json!("sk-ant-over-ssh")),
        ("callbackUrl", json!(receiver.url())),
        ("permissionMode", json!("acceptEdits")),
        ("allowedTools", json!(["Bash"])),
    ] {
        request[field] = value;
    }
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request, &["--json"]));
    assert_eq!(code, 0, "{output}\n{}", worker.output());
    let commit = task_ended(&output)["result"]["gitCommit"].clone();
    assert_eq!(commit["pushed"], true, "{output}");
    assert_eq!(repository.git(&["rev-parse", "main"]), commit["sha"]);
    assert_eq!(repository.git(&["show", "main:made.txt"]), "by the tool");
    assert_eq!(repository.git(&["show", "main:src/README"]), "second");
    assert_eq!(
        repository.git(&["log", "--format=%s", "main"]),
        "by the task\nfirst"
    );
    let webhook: Value = until("the webhook", async || receiver.accepted().pop()).await;
    assert_eq!(webhook["gitCommit"], commit);
    assert_eq!(rig.workspaces(), Vec::<PathBuf>::new());
}
