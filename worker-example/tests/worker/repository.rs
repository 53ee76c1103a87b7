//! A task with a repository: clone, files, commands, Claude Code, commit, push, upload, webhook.

use crate::support::{Rig, fresh};
use claude_tasks::{ConnectOptions, EndKind, RequestRules, SubmitOptions, TaskClient, TaskRequest};
use dev_servers::WebhookReceiver;
use integration_tests::until;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    let done = command.output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A bare repository with one commit.
fn repository(folder: &Path) -> PathBuf {
    let (bare, work) = (folder.join("bare.git"), folder.join("work"));
    for path in [&bare, &work] {
        fs::create_dir(path).unwrap();
    }
    git(&bare, &["init", "--bare", "--initial-branch=main", "."]);
    git(&work, &["init", "--initial-branch=main", "."]);
    fs::create_dir(work.join("src")).unwrap();
    fs::write(work.join("src/README"), "first\n").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-m", "first"]);
    let url = format!("file://{}", bare.display());
    git(&work, &["push", &url, "main"]);
    bare
}

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
    rig.set("CLOUDRUN_CALLBACK_SECRET", "a-secret-that-signs-webhooks");
    rig.set("CLAUDE_TASKS_WEBHOOK_ALLOW", "127.0.0.1");
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let bare = repository(rig.folder.path());
    let result = r#"{"type":"result","is_error":false,"num_turns":1,"result":"done"}"#;
    let claude = rig.claude(&format!(
        "cat >/dev/null; pwd; cat prepared.txt README; echo changed > README; echo made > ../made.txt; echo '{result}'"
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
