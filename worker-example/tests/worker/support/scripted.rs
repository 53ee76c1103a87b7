//! A rig whose Claude Code is a script. It leaves a mark for each run, and waits if its prompt says so.

use super::{RESULT, Rig};
use claude_tasks::ClaudeTask;
use dev_servers::Process;
use integration_tests::until;
use serde_json::json;
use std::{fs, path::PathBuf};
use temporalio_client::{WorkflowGetResultOptions, errors::WorkflowGetResultError};
use temporalio_common::protos::temporal::api::history::v1::{
    HistoryEvent, history_event::Attributes,
};

/// A rig whose Claude Code appends a line to a file for each run. If its prompt is `wait`, it waits for another file.
pub(crate) struct Scripted {
    pub(crate) rig: Rig,
    runs: PathBuf,
    gate: PathBuf,
}

impl Scripted {
    pub(crate) async fn new() -> Self {
        Self::of(Rig::new().await)
    }

    pub(crate) fn of(rig: Rig) -> Self {
        let (runs, gate) = (
            rig.folder.path().join("runs"),
            rig.folder.path().join("gate"),
        );
        Self { rig, runs, gate }
    }

    pub(crate) fn worker(&self, arguments: &[&str]) -> Process {
        self.rig.worker_with(&self.claude(), arguments)
    }

    pub(crate) fn claude(&self) -> PathBuf {
        let script = format!(
            "echo run >> {}; echo begun; [ \"$(cat)\" = wait ] && while [ ! -e {} ]; do sleep 0.1; done
             echo '{RESULT}'",
            self.runs.display(),
            self.gate.display(),
        );
        self.rig.claude(&script)
    }

    pub(crate) fn submit(&self, task: &str, prompt: &str) -> Process {
        let request = json!({"prompt": prompt, "anthropicApiKey": "sk-ant-hostile-input"});
        self.rig.submit(task, &request, &["--json"])
    }

    /// Submits a task and does not wait for it.
    pub(crate) fn detach(&self, task: &str, prompt: &str) -> Process {
        let request = json!({"prompt": prompt, "anthropicApiKey": "sk-ant-hostile-input"});
        self.rig.submit(task, &request, &["--detach"])
    }

    /// How often Claude Code was started.
    pub(crate) fn runs(&self) -> usize {
        fs::read_to_string(&self.runs).map_or(0, |text| text.lines().count())
    }

    /// Waits until Claude Code was started so often.
    pub(crate) async fn until_runs(&self, runs: usize) {
        until("the task runs", async || {
            (self.runs() == runs).then_some(())
        })
        .await;
    }

    /// Lets waiting tasks continue.
    pub(crate) fn open_gate(&self) {
        fs::write(&self.gate, "").unwrap();
    }

    /// What `temporal workflow …` prints, and whether it succeeded.
    pub(crate) fn temporal(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.rig.server.cli();
        let output = command.arg("workflow").args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    /// Sends each query that the Web UI and people send, and asserts that it fails.
    pub(crate) fn assert_queries_fail(&self, task: &str) {
        for query in [
            "last_progress",
            "__temporal_workflow_metadata",
            "__stack_trace",
        ] {
            let limit = "--command-timeout=3s";
            let (answered, text) = self.temporal(&["query", "-w", task, "--type", query, limit]);
            assert!(!answered, "{query}: {text}");
        }
    }

    /// Waits for the end of a task that fails. Returns its error.
    pub(crate) async fn failure(&self, task: &str) -> String {
        let client = self.rig.client().await;
        let handle = client.get_workflow_handle::<ClaudeTask>(task);
        let ended = handle.get_result(WorkflowGetResultOptions::default()).await;
        match ended.expect_err("the task fails") {
            WorkflowGetResultError::Failed(error) => error.to_string(),
            error => panic!("{error}"),
        }
    }

    /// Waits until a workflow task of this task fails. Returns the reason.
    pub(crate) async fn failed_workflow_task(&self, task: &str) -> String {
        until("a failed workflow task", async || {
            let history = self.rig.history(task).await;
            history.events.into_iter().find_map(failure_message)
        })
        .await
    }
}

fn failure_message(event: HistoryEvent) -> Option<String> {
    match event.attributes? {
        Attributes::WorkflowTaskFailedEventAttributes(failed) => Some(failed.failure?.message),
        _ => None,
    }
}
