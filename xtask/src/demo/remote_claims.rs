//! The claims about the task over HTTP, and the proof of each.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, bail, ensure};
use dev_servers::{Forms, Webhook, find_secret};
use serde_json::Value;

use super::{
    claims::{Claims, all_encrypted},
    credential::Credential,
    field,
    history::History,
    http,
    programs::Programs,
    remote_task::{FILE, MESSAGE, PROMPT, RemoteTask},
    repository::BRANCH,
    service::{CALLBACK_SECRET, TaskService},
};

/// The author of commits in a repository that names nobody else.
const AUTHOR: &str = "Claude Code <noreply@anthropic.com>";
const SIGNATURE: &str = "x-webhook-signature";
const TIMESTAMP: &str = "x-webhook-timestamp";

/// Checks what the task left at the service, in the repository, at the receiver and in Temporal.
pub(super) fn check_all(
    claims: &mut Claims,
    programs: &Programs,
    service: &TaskService,
    task: &RemoteTask,
    history: &History,
    credential: &Credential,
) {
    claims.claim(
        "The API refuses a caller without its token",
        needs_token(service),
    );
    claims.claim(
        "The stream brought every event once and in order, up to the end of the task",
        streamed(task),
    );
    let commit = format!("{BRANCH} has a commit of {AUTHOR} that adds {FILE}, and nothing else");
    claims.claim(&commit, committed(service, task));
    claims.claim(
        "The webhook was tried again after a refusal, accepted once, and its signature is genuine",
        told(programs, service, task),
    );
    claims.claim(
        "The request's secrets were a sealed object, which was deleted when the task ended",
        secrets_are_gone(service, task, credential),
    );
    claims.claim(
        "A person who decrypts this history finds the prompt, and none of the request's secrets",
        history_without_secrets(task, history, credential),
    );
}

fn needs_token(service: &TaskService) -> anyhow::Result<()> {
    let answer = http::get(&format!("{}/tasks/status", service.url()))?;
    ensure!(answer.status() == 401, "it got {}", answer.status());
    Ok(())
}

fn streamed(task: &RemoteTask) -> anyhow::Result<()> {
    let (end, events) = task.events().split_last().context("no event came")?;
    ensure!(end.name == "end", "the stream ended without the task");
    let end = end.json();
    ensure!(
        field(&end, "status")? == "completed",
        "the task ended as {end}"
    );
    for (number, event) in (0..).zip(events) {
        ensure!(event.id == Some(number), "event {number} is missing");
    }
    let count = end.get("events").and_then(Value::as_u64);
    ensure!(
        count == u64::try_from(events.len()).ok(),
        "{} of {count:?} events came",
        events.len()
    );
    for kind in ["system", "assistant", "result"] {
        let is_there = events.iter().any(|event| event.kind() == kind);
        ensure!(is_there, "no event has the type {kind}");
    }
    Ok(())
}

fn committed(service: &TaskService, task: &RemoteTask) -> anyhow::Result<()> {
    let git = |arguments: &[&str]| service.repository().git(arguments);
    let commits = git(&["rev-list", "--count", BRANCH])?;
    ensure!(commits == "2", "{BRANCH} has {commits} commits");
    let commit = git(&["log", "-1", "--format=%H|%an <%ae>|%s", BRANCH])?;
    let sha = sha_in_result(task)?;
    let expected = format!("{sha}|{AUTHOR}|{MESSAGE}");
    ensure!(commit == expected, "the commit is {commit}, not {expected}");
    let range = format!("{BRANCH}~1..{BRANCH}");
    let changed = git(&["diff", "--name-status", &range])?;
    ensure!(changed == format!("A\t{FILE}"), "it changes {changed}");
    let content = git(&["show", &format!("{BRANCH}:{FILE}")])?;
    ensure!(content.contains("key"), "{FILE} has the text {content:?}");
    Ok(())
}

/// The commit that the stream's end names.
fn sha_in_result(task: &RemoteTask) -> anyhow::Result<String> {
    let end = task.events().last().context("no event came")?.json();
    let commit = end.get("gitCommit").context("the result has no commit")?;
    let is_pushed = commit.get("pushed").and_then(Value::as_bool);
    ensure!(is_pushed == Some(true), "the commit is not pushed: {end}");
    Ok(field(commit, "sha")?.to_owned())
}

fn told(programs: &Programs, service: &TaskService, task: &RemoteTask) -> anyhow::Result<()> {
    let received = service.receiver().received();
    let statuses: Vec<u16> = received.iter().map(|webhook| webhook.status).collect();
    ensure!(statuses == [503, 200], "it was answered with {statuses:?}");
    let webhook = received.last().context("no webhook came")?;
    let body = webhook.json();
    ensure!(
        field(&body, "taskId")? == task.id() && field(&body, "status")? == "completed",
        "it says {body}"
    );
    let commit = body.pointer("/gitCommit/sha").and_then(Value::as_str);
    ensure!(
        commit == Some(&*sha_in_result(task)?),
        "it names another commit"
    );
    let genuine = verify(programs, service, webhook, &webhook.body)?;
    let said = String::from_utf8_lossy(&genuine.stderr);
    ensure!(genuine.status.success(), "it is not genuine: {said}");
    // The check must be able to fail.
    let mut forged = webhook.body.clone();
    forged.push(b' ');
    let refused = verify(programs, service, webhook, &forged)?;
    ensure!(!refused.status.success(), "a forged body is genuine, too");
    Ok(())
}

/// `claude-tasks verify-webhook` for a webhook with this body.
fn verify(
    programs: &Programs,
    service: &TaskService,
    webhook: &Webhook,
    body: &[u8],
) -> anyhow::Result<Output> {
    let mut command = Command::new(&programs.claude_tasks);
    command.arg("verify-webhook");
    for name in [SIGNATURE, TIMESTAMP] {
        let value = webhook.header(name).context("it is not signed")?;
        command.args(["--header", &format!("{name}: {value}")]);
    }
    let mut child = command
        .env_clear()
        .env(CALLBACK_SECRET, service.callback_secret())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run claude-tasks verify-webhook")?;
    // The program may end before it reads the body.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(body));
    Ok(child.wait_with_output()?)
}

fn secrets_are_gone(
    service: &TaskService,
    task: &RemoteTask,
    credential: &Credential,
) -> anyhow::Result<()> {
    let sealed = task.sealed().context("there was no such object")?;
    for secret in task.secrets(credential) {
        if let Some(form) = find_secret(sealed, secret) {
            bail!("it held a secret as {form}");
        }
    }
    let object = service.secrets_of(task.id());
    ensure!(!object.exists(), "{} still exists", object.display());
    Ok(())
}

fn history_without_secrets(
    task: &RemoteTask,
    history: &History,
    credential: &Credential,
) -> anyhow::Result<()> {
    all_encrypted(history)?;
    let documents = [history.stored(), history.shown()];
    for secret in task.secrets(credential) {
        let secret = Forms::of(secret);
        for document in documents {
            if let Some(form) = secret.find_in(document.as_bytes()) {
                bail!("a secret is there as {form}");
            }
        }
    }
    let prompt = Forms::of(PROMPT.as_bytes());
    let [stored, shown] = documents.map(|document| prompt.find_in(document.as_bytes()));
    ensure!(stored.is_none(), "the prompt is there without decryption");
    ensure!(shown.is_some(), "the prompt is not there");
    Ok(())
}
