//! Runs the codec server under load for long, while its key service throttles, goes down and rotates its key.
//!
//! A request that needs the key service may fail while the service is down. Every other failure counts, and so do payloads
//! that do not come back as they were, memory that grows, and answers that get slower.

mod kept;
mod load;
mod plan;
mod report;
mod stage;
mod tally;

use std::{
    path::PathBuf,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use self::{
    load::Client,
    plan::Phase,
    report::Report,
    stage::Stage,
    tally::{Shared, Tally},
};
use crate::{
    bench::{build_server, figures},
    step,
    workspace::Workspace,
};

/// How often memory is measured.
const BEAT: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long the load lasts
    #[arg(long, value_name = "NUMBER", default_value_t = 30.0)]
    minutes: f64,
    /// Print one JSON document in the last line, and no table
    #[arg(long)]
    json: bool,
    /// Clients at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    clients: u32,
    /// Use this codec server; without it, one is built with optimisation
    #[arg(long, value_name = "FILE")]
    codec_server: Option<PathBuf>,
    /// Use this fake of Cloud KMS; without it, it is built
    #[arg(long, value_name = "FILE")]
    fake_cloud_kms: Option<PathBuf>,
    /// The most MiB that the server's memory may grow by after the first quarter
    #[arg(long, value_name = "MIB", default_value_t = 32.0)]
    most_growth: f64,
    /// How many times slower the last quarter may be than the first
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0)]
    most_drift: f64,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let time = Duration::try_from_secs_f64(arguments.minutes * 60.0)
        .context("--minutes is not a time; give a number such as 30 or 0.5")?;
    let codec_server = match &arguments.codec_server {
        Some(program) => program.clone(),
        None => build_server(workspace)?,
    };
    let fake_cloud_kms = match &arguments.fake_cloud_kms {
        Some(program) => program.clone(),
        None => build_key_service(workspace)?,
    };
    let stage = Stage::start(codec_server, &fake_cloud_kms)?;
    let (clients, tally) = load(&stage, time, arguments.clients)?;
    let lost = clients.into_iter().map(Client::lost).sum();
    let audit_log_is_whole = stage.stop_and_verify_audit_log()?;
    let report = Report::new(arguments, &tally, lost, audit_log_is_whole);
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        report.print();
    }
    let passed = report.passed_limits();
    ensure!(
        passed.is_empty(),
        "limits were passed: {}",
        passed.join(", ")
    );
    Ok(())
}

/// Has the clients send requests for `time`, and the key service misbehave meanwhile. Returns the clients, and what was
/// counted until the last of them ended.
fn load(stage: &Stage, time: Duration, clients: u32) -> anyhow::Result<(Vec<Client>, Tally)> {
    let own = Shared::new();
    let shared = &own;
    let ends = Instant::now() + time;
    let clients = thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|number| {
                let mut client = Client::new(stage.codec(), number);
                scope.spawn(move || {
                    while Instant::now() < ends && !shared.is_stopped() {
                        client.round(shared);
                    }
                    client
                })
            })
            .collect();
        let ruled = rule(stage, shared, time);
        if ruled.is_err() {
            shared.stop();
        }
        let clients: Result<Vec<_>, _> = running.into_iter().map(ScopedJoinHandle::join).collect();
        let clients = clients.map_err(|_| anyhow::anyhow!("a client panicked"))?;
        ruled.map(|()| clients)
    })?;
    Ok((clients, own.finish()))
}

/// Goes through the phases of the key service, measures the server, and rotates the key once in each cycle.
fn rule(stage: &Stage, shared: &Shared, time: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut current = None;
    while started.elapsed() < time {
        let (phase, cycle) = plan::at(started.elapsed(), time);
        if current != Some((phase, cycle)) {
            shared.enter(phase);
            if phase == Phase::Rotates {
                stage.rotate()?;
                shared.rotated();
            }
            stage.set_faults(phase.faults())?;
            current = Some((phase, cycle));
        }
        shared.measured(figures::memory_now(stage.codec_id())?);
        thread::sleep(BEAT.min(time.saturating_sub(started.elapsed())));
    }
    stage.set_faults(&[])?;
    shared.enter(Phase::Works);
    Ok(())
}

fn build_key_service(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let workspace = workspace.lean();
    let mut build = workspace.cargo();
    build.args(["build", "--package", "fake-cloud-kms", "--bins"]);
    step::quietly("Building the fake of Cloud KMS", build)?;
    Ok(workspace.programs().join("fake-cloud-kms"))
}
