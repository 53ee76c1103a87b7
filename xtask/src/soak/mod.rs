//! Runs the codec server under load for long, while its key service throttles, goes down and rotates its key.
//!
//! A request that needs the key service may fail while the service is down. Every other failure counts, and so do payloads
//! that do not come back as they were, memory that grows, and answers that get slower.
//!
//! With a limit of memory, the server runs in a control group. It may refuse some of the large requests that come at
//! once, and others while these are in work.

mod caller;
mod control_group;
mod kept;
mod large;
mod load;
mod memory_limit;
mod plan;
mod report;
mod sizing;
mod stage;
mod tally;

use std::{
    path::PathBuf,
    process::ExitStatus,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use self::{
    large::LargeClient,
    load::Client,
    plan::Phase,
    report::{End, Report},
    stage::Stage,
    tally::{Shared, Tally},
};
use crate::{
    bench::{build_server, figures},
    interrupt::Interrupts,
    step,
    workspace::Workspace,
};

/// How often memory is measured.
const BEAT: Duration = Duration::from_millis(500);
/// How long a server whose memory is gone may take to end.
const LAST_MOMENTS: Duration = Duration::from_secs(5);
const INTERRUPTED: &str = "the soak was interrupted";

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
    /// Run the codec server in a control group with so many MiB of memory, as a container does, and send large requests, too
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    memory_limit: Option<u32>,
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
    let interrupts = Interrupts::watch()?;
    let mut stage = Stage::start(codec_server, &fake_cloud_kms, arguments.memory_limit)?;
    let loaded = load(&mut stage, time, arguments);
    ensure!(!interrupts.came(), INTERRUPTED);
    let (clients, tally) = loaded?;
    let lost = clients
        .iter()
        .map(|client| client.lost(|| stage.ended(Duration::ZERO).is_some()))
        .sum();
    ensure!(!interrupts.came(), INTERRUPTED);
    let end = End {
        status: stage.ended(Duration::ZERO),
        lost,
        memory: stage.memory()?,
        audit_log_is_whole: stage.stop_and_verify_audit_log()?,
    };
    let report = Report::new(arguments, &tally, end);
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
fn load(
    stage: &mut Stage,
    time: Duration,
    arguments: &Arguments,
) -> anyhow::Result<(Vec<Client>, Tally)> {
    let has_large = arguments.memory_limit.is_some();
    let own = Shared::new();
    let shared = &own;
    let ends = Instant::now() + time;
    let goes_on = || Instant::now() < ends && !shared.is_stopped();
    let clients = thread::scope(|scope| {
        let running: Vec<_> = (0..arguments.clients)
            .map(|number| {
                let mut client = Client::new(stage.codec(), number);
                scope.spawn(move || {
                    while goes_on() {
                        client.round(shared);
                    }
                    client
                })
            })
            .collect();
        for number in (0..arguments.clients).filter(|_| has_large) {
            let mut client = LargeClient::new(stage.codec(), number);
            scope.spawn(move || {
                while goes_on() {
                    client.turn(shared);
                }
            });
        }
        let ruled = rule(stage, shared, time);
        if !matches!(ruled, Ok(None)) {
            shared.stop();
        }
        let clients: Result<Vec<_>, _> = running.into_iter().map(ScopedJoinHandle::join).collect();
        let clients = clients.map_err(|_| anyhow::anyhow!("a client panicked"))?;
        ruled.map(|_| clients)
    })?;
    Ok((clients, own.finish()))
}

/// Goes through the phases of the key service, measures the server, and rotates the key once in each cycle. Returns early when
/// the server ends.
fn rule(stage: &mut Stage, shared: &Shared, time: Duration) -> anyhow::Result<Option<ExitStatus>> {
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
        let memory = figures::memory_now(stage.codec_id());
        let wait = if memory.is_ok() {
            Duration::ZERO
        } else {
            LAST_MOMENTS
        };
        if let Some(status) = stage.ended(wait) {
            return Ok(Some(status));
        }
        shared.measured(memory?);
        thread::sleep(BEAT.min(time.saturating_sub(started.elapsed())));
    }
    stage.set_faults(&[])?;
    shared.enter(Phase::Works);
    Ok(None)
}

fn build_key_service(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let workspace = workspace.lean();
    let mut build = workspace.cargo();
    build.args(["build", "--package", "fake-cloud-kms", "--bins"]);
    step::quietly("Building the fake of Cloud KMS", build)?;
    Ok(workspace.programs().join("fake-cloud-kms"))
}
