//! `cargo xtask fuzz`: builds the fuzz targets with the pinned compiler, and lets them run.
//!
//! `cargo fuzz` works with the same folder. It needs a nightly compiler for its sanitizers. The flags here are stable.

mod build;
mod plan;
mod run;
mod target;

use std::{num::NonZeroUsize, path::PathBuf, thread, time::Duration};

use anyhow::ensure;

pub(crate) use self::target::MANIFEST;
use self::{plan::Plan, run::Outcome, target::Target};
use crate::{step, workspace::Workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which targets; without any name all of them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How long each target runs
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// How many targets run at the same time [default: as many as there are processors]
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<NonZeroUsize>,
    /// Give each target the same inputs each time, as `cargo xtask ci` does
    #[arg(long, conflicts_with = "minutes")]
    repeatable: bool,
    /// Run one target with this input only, such as one that it has failed with
    #[arg(long, value_name = "FILE", conflicts_with_all = ["minutes", "jobs", "repeatable"])]
    input: Option<PathBuf>,
    /// Print the names of the targets
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let all = target::all(workspace)?;
    if arguments.list {
        for target in all {
            println!("{}", target.name);
        }
        return Ok(());
    }
    let chosen = target::named(all, &arguments.names)?;
    if let Some(input) = &arguments.input {
        ensure!(
            chosen.len() == 1,
            "name the one target that reads this input"
        );
        let programs = build::build(workspace, &chosen)?;
        return run::repeat(&programs, &chosen, input);
    }
    let plan = if arguments.repeatable {
        Plan::repeat()
    } else {
        Plan::Explore(Duration::from_secs(60 * arguments.minutes))
    };
    let jobs = arguments.jobs.map_or_else(processors, NonZeroUsize::get);
    fuzz(workspace, &chosen, &plan, jobs)
}

/// Runs the targets of the library with the same inputs each time, so that the same tree gives the same answer. The others
/// take too long to build for `cargo xtask ci`.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let all = target::all(workspace)?.into_iter();
    let quick: Vec<Target> = all.filter(|target| target.features.is_empty()).collect();
    fuzz(workspace, &quick, &Plan::repeat(), processors())
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn fuzz(workspace: &Workspace, targets: &[Target], plan: &Plan, jobs: usize) -> anyhow::Result<()> {
    let programs = build::build(workspace, targets)?;
    plan.announce();
    let outcomes = run::run(workspace, &programs, targets, plan, jobs)?;
    step::heading("Fuzzing");
    for outcome in &outcomes {
        step::note(&outcome.summary());
    }
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.has_failed())
        .collect();
    for outcome in &failed {
        anstream::eprintln!("{}", outcome.diagnosis());
    }
    let names: Vec<&str> = failed
        .iter()
        .map(|outcome: &&Outcome| outcome.name())
        .collect();
    ensure!(
        names.is_empty(),
        "fuzz targets failed: {}",
        names.join(", ")
    );
    Ok(())
}
