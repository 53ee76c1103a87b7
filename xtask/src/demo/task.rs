//! The demo's task.

use std::time::Duration;

use anyhow::ensure;
use dev_servers::Process;
use uuid::Uuid;

use super::{credential::Credential, programs::Programs, stage::Stage, watch::Watch};
use crate::step;

const LIMIT: Duration = Duration::from_mins(3);

/// A task that has run.
pub(super) struct Task {
    id: String,
    prompt: String,
    output: String,
    seen: Vec<String>,
}

impl Task {
    /// Submits a task and shows its events as they come.
    pub(super) fn run(
        programs: &Programs,
        stage: &Stage,
        credential: &Credential,
    ) -> anyhow::Result<Self> {
        let id = format!("demo-{:.8}", Uuid::new_v4().simple().to_string());
        let prompt = "Explain in one short sentence why an envelope has two keys.".to_owned();
        let mut command = stage.submit(programs);
        command.args(["--task-id", &id, "--prompt", &prompt]);
        credential.give_to(&mut command);
        command.env("RUST_LOG", "error");
        step::note(&format!("$ export {}=…", credential.variable()));
        let shown = step::describe(&command).replace(" --", " \\\n        --");
        step::note(&format!("$ {shown}"));

        let watch = Watch::start(&[credential.bytes()]);
        let mut process = Process::spawn("claude-tasks submit", command)?;
        let status = process.follow(LIMIT, |line| step::note(&credential.mask(line)))?;
        let seen = watch.stop();
        ensure!(status.success(), "claude-tasks submit failed ({status})");
        Ok(Self {
            id,
            prompt,
            output: process.output(),
            seen,
        })
    }

    /// The task's id, which is also the workflow's.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn prompt(&self) -> &str {
        &self.prompt
    }

    /// What `claude-tasks submit` has printed.
    pub(super) fn output(&self) -> &str {
        &self.output
    }

    /// The programs that had the credential among their arguments while the task ran.
    pub(super) fn argument_leaks(&self) -> &[String] {
        &self.seen
    }
}
