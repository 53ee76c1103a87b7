//! Runs fuzz targets, several at the same time.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use anyhow::Context;
use tempfile::TempDir;

use super::{plan::Plan, target::Target};
use crate::{step, workspace::Workspace};

/// Memory for temporary files: a target that writes some runs a hundred times as fast as on a disk.
const MEMORY: &str = "/dev/shm";
/// A slower input, or one that takes more memory, is a finding.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1024"];
/// How much of a failed target's output is shown.
const SHOWN_LINES: usize = 30;

/// How a target ended.
pub(super) struct Outcome {
    name: String,
    status: ExitStatus,
    log: String,
    remark: &'static str,
    findings: PathBuf,
}

impl Outcome {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn has_failed(&self) -> bool {
        !self.status.success()
    }

    /// One line: how often it ran, and what it reached.
    pub(super) fn summary(&self) -> String {
        let executions = executions(&self.log);
        let reached = reached(&self.log).unwrap_or("no");
        let end = if self.has_failed() {
            "; it FAILED"
        } else {
            self.remark
        };
        format!(
            "{}: {executions} executions, {reached} branches reached{end}",
            self.name
        )
    }

    /// What a failed target wrote last, and how to run the input again.
    pub(super) fn diagnosis(&self) -> String {
        let lines: Vec<&str> = self.log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(SHOWN_LINES)..);
        format!(
            "{}\n\n{} has failed. Its input is in {}. Run it again with\n    cargo xtask fuzz {} --input FILE",
            last.unwrap_or_default().join("\n"),
            self.name,
            self.findings.display(),
            self.name
        )
    }
}

/// Runs each target as planned, `jobs` of them at the same time.
pub(super) fn run(
    workspace: &Workspace,
    programs: &Path,
    targets: &[Target],
    plan: &Plan,
    jobs: usize,
) -> anyhow::Result<Vec<Outcome>> {
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        while let Some(target) = targets.get(next.fetch_add(1, Relaxed)) {
            step::note(&format!("{} …", target.name));
            outcomes.push(run_one(workspace, programs, &target.name, plan)?);
        }
        Ok(outcomes)
    };
    let outcomes = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| {
            let outcome = worker.join();
            outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("a worker has panicked")))
        });
        ended.collect::<anyhow::Result<Vec<_>>>()
    });
    let mut outcomes: Vec<Outcome> = outcomes?.into_iter().flatten().collect();
    outcomes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(outcomes)
}

fn run_one(
    workspace: &Workspace,
    programs: &Path,
    name: &str,
    plan: &Plan,
) -> anyhow::Result<Outcome> {
    let own = workspace.target().join("fuzz").join("work").join(name);
    let findings = own.join("findings");
    fs::create_dir_all(&findings)?;
    let log = own.join("log");
    let temporary = temporary_folder()?;
    let seeds = workspace.root().join("fuzz/corpus").join(name);
    let mut command = plan.command(&programs.join(name), &seeds, &own)?;
    command
        .args(LIMITS)
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let status = command
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    let log = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    Ok(Outcome {
        name: name.to_owned(),
        status,
        remark: plan.remark(executions(&log)),
        log,
        findings,
    })
}

/// Runs one target with one input.
pub(super) fn repeat(programs: &Path, targets: &[Target], input: &Path) -> anyhow::Result<()> {
    for target in targets {
        let mut command = Command::new(programs.join(&target.name));
        command.args(LIMITS).arg(input);
        step::loudly(command)?;
    }
    Ok(())
}

fn temporary_folder() -> anyhow::Result<TempDir> {
    if Path::new(MEMORY).is_dir() {
        return Ok(TempDir::new_in(MEMORY)?);
    }
    Ok(TempDir::new()?)
}

/// The number of `stat::number_of_executed_units: 12`.
fn executions(log: &str) -> u64 {
    let mut lines = log.lines().rev();
    let number = lines.find_map(|line| {
        let number = line.strip_prefix("stat::number_of_executed_units:");
        number?.trim().parse().ok()
    });
    number.unwrap_or_default()
}

/// The last `cov: 12`.
fn reached(log: &str) -> Option<&str> {
    let (_, behind) = log.rsplit_once(" cov: ")?;
    behind.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#2\tINITED cov: 3 ft: 4 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                       #9\tDONE   cov: 17 ft: 20 corp: 2/2b exec/s: 9 rss: 30Mb\n\
                       stat::number_of_executed_units: 9\nstat::peak_rss_mb: 30\n";

    #[test]
    fn the_counts_of_a_log_are_read() {
        assert_eq!(executions(LOG), 9);
        assert_eq!(reached(LOG), Some("17"));
        assert_eq!((executions("no log"), reached("no log")), (0, None));
    }
}
