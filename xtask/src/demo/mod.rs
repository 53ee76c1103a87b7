//! The whole product on one machine: Temporal, the codec server, the task service, and two tasks.

mod claims;
mod credential;
mod events;
mod history;
mod http;
mod programs;
mod remote_claims;
mod remote_task;
mod repository;
mod service;
mod stage;
mod table;
mod task;
mod watch;

use std::path::Path;

use anyhow::{Context, ensure};

use self::{
    claims::Claims, credential::Credential, history::History, programs::Programs,
    remote_task::RemoteTask, stage::Stage, task::Task,
};
use crate::{interrupt::Interrupts, path, step, workspace::Workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Do not stay up, take no terminal and no fixed port, and fail when a claim does not hold
    #[arg(long)]
    check: bool,
    /// Take the programs as they were built last
    #[arg(long)]
    no_build: bool,
}

impl Arguments {
    /// The check of programs that have just been built.
    pub(crate) fn check_built() -> Self {
        Self {
            check: true,
            no_build: true,
        }
    }
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let interrupts = Interrupts::watch()?;
    let credential = Credential::choose();
    let programs = Programs::provide(workspace, !arguments.no_build)?;

    let mut claims = Claims::default();
    let outcome = play(arguments, &programs, &credential, &interrupts, &mut claims);
    if interrupts.came() {
        step::note("Stopped.");
        ensure!(!arguments.check, "interrupted");
        return claims.conclude();
    }
    outcome?;
    claims.conclude()
}

/// Runs all servers. They all end with this function.
fn play(
    arguments: &Arguments,
    programs: &Programs,
    credential: &Credential,
    interrupts: &Interrupts,
    claims: &mut Claims,
) -> anyhow::Result<()> {
    step::heading("Servers");
    let stage = Stage::start(programs, credential, arguments.check)?;
    stage.describe()?;

    step::heading("Task");
    let task = Task::run(programs, &stage, credential)?;

    step::heading(&format!("The history of {}", task.id()));
    let history = History::fetch(&stage, task.id())?;
    table::print(&history, credential);

    step::heading("A task over HTTP, with a repository and a webhook");
    let service = stage.service();
    let remote = RemoteTask::run(service, credential)?;
    let remote_history = History::fetch(&stage, remote.id())?;

    step::heading("Checked just now");
    claims.check_all(&stage, &task, &remote, &history, credential);
    remote_claims::check_all(
        claims,
        programs,
        service,
        &remote,
        &remote_history,
        credential,
    );

    if !arguments.check {
        invite(programs, &stage, &task);
        interrupts.wait();
        step::note("Stopping everything …");
    }
    let left = stage.stop();
    claims.claim(
        "Nothing runs any more, the ports are free and the folder is gone",
        left,
    );
    Ok(())
}

fn invite(programs: &Programs, stage: &Stage, task: &Task) {
    let id = task.id();
    let on_path = path::find("temporal").as_ref() == Some(&programs.temporal);
    let temporal = Path::new("temporal");
    let temporal = if on_path {
        temporal
    } else {
        &programs.temporal
    };
    step::heading("Look for yourself");
    step::note(&format!(
        "Web UI      {}/namespaces/default/workflows/{id}",
        stage.ui()
    ));
    step::note(
        "            It asks the codec server; switch that off behind the glasses at the top right.",
    );
    let show = format!(
        "{} workflow show --address {} -w {id}",
        temporal.display(),
        stage.temporal().address()
    );
    step::note(&format!("ciphertext  {show}"));
    step::note(&format!("plaintext   {show} \\"));
    step::note(&format!("              --codec-endpoint {}", stage.codec()));
    step::note("");
    step::note("Ctrl-C stops everything and leaves nothing behind.");
}

/// A property that the demo's JSON documents must have.
fn field<'a>(value: &'a serde_json::Value, name: &str) -> anyhow::Result<&'a str> {
    let text = value.get(name).and_then(serde_json::Value::as_str);
    text.with_context(|| format!("the answer has no `{name}`"))
}
