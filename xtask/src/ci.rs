//! `cargo xtask ci`: everything that has to pass before a change is taken, quick checks first.

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::{
    book, check, demo, disk, fuzz, publish,
    step::{self, Background},
    test, tools,
    workspace::Workspace,
};

/// Runs every stage, and prints the time and the disk space that each one took, also when one fails.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let workspace = &workspace.lean();
    // Installing them waits for the network as much as for the processor.
    let installation = Background::start({
        let workspace = workspace.clone();
        move || {
            tools::provide_all(&workspace, &tools::TESTING)?;
            tools::provide_all(&workspace, &tools::CHECKING)
        }
    });
    let mut stages = Stages::new(workspace);
    let outcome = stages.run_all(installation);
    stages.summarize();
    outcome
}

/// The stages that ran so far.
struct Stages<'a> {
    workspace: &'a Workspace,
    times: Vec<(&'static str, Duration)>,
}

impl<'a> Stages<'a> {
    fn new(workspace: &'a Workspace) -> Self {
        step::note(&room(workspace));
        Self {
            workspace,
            times: Vec::new(),
        }
    }

    fn run_all(&mut self, installation: Background<()>) -> anyhow::Result<()> {
        let workspace = self.workspace;
        self.run("Format", || format(workspace))?;
        self.run("Lints", || lints(workspace))?;
        self.run("Documentation", || documentation(workspace))?;
        self.run("Types in public signatures", || {
            check::public_api(workspace)
        })?;
        self.run("Waiting for the tools", || installation.finish())?;
        self.run("Licences, bans and sources", || licences(workspace))?;
        self.run("Unused dependencies", || check::unused(workspace))?;
        self.run("Packages for the registry", || {
            publish::check_manifests(workspace)
        })?;
        self.run("Room for the tests", || disk::forget_checks(workspace))?;
        self.run("Tests", || {
            test::run(workspace, &test::Arguments::everything())
        })?;
        self.run("Book", || book::run(workspace, &book::Arguments::check()))?;
        self.run("Fuzzing", || fuzz::check(workspace))?;
        self.run("Room for the demo", || {
            disk::forget_test_programs(workspace)
        })?;
        self.run("Demo", || {
            demo::run(workspace, &demo::Arguments::check_built())
        })
    }

    fn run(
        &mut self,
        title: &'static str,
        stage: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        step::heading(title);
        let started = Instant::now();
        let outcome = stage().with_context(|| format!("the stage `{title}` failed"));
        let time = started.elapsed();
        self.times.push((title, time));
        step::note(&format!(
            "{title}: {}; {}",
            step::minutes(time),
            room(self.workspace)
        ));
        outcome
    }

    fn summarize(&self) {
        step::heading("Time of each stage");
        for (title, time) in &self.times {
            step::note(&format!("{:>10}  {title}", step::minutes(*time)));
        }
        let total = self.times.iter().map(|(_, time)| *time).sum();
        step::note(&format!("{:>10}  in all", step::minutes(total)));
    }
}

/// The free disk space. A stage does not fail if this is unknown.
fn room(workspace: &Workspace) -> String {
    disk::report(workspace).unwrap_or_else(|error| format!("{error:#}"))
}

fn format(workspace: &Workspace) -> anyhow::Result<()> {
    cargo(workspace, &["fmt", "--all", "--check"])?;
    // The fuzz targets are a workspace of their own.
    cargo(
        workspace,
        &["fmt", "--check", "--manifest-path", fuzz::MANIFEST],
    )
}

fn lints(workspace: &Workspace) -> anyhow::Result<()> {
    let workspace_lints = ["clippy", "--workspace", "--all-targets", "--"];
    cargo(
        workspace,
        &[&workspace_lints[..], &["-D", "warnings"]].concat(),
    )
}

fn documentation(workspace: &Workspace) -> anyhow::Result<()> {
    let mut documentation = workspace.cargo();
    documentation
        // With the examples, features of dependencies are those of the lints, and nothing is compiled a second time. A
        // program has its documentation in the library beside it.
        .args(["doc", "--workspace", "--no-deps", "--lib", "--examples"])
        .env("RUSTDOCFLAGS", "-D warnings");
    step::loudly(documentation)
}

fn licences(workspace: &Workspace) -> anyhow::Result<()> {
    let deny = tools::provide(workspace, &tools::CARGO_DENY)?;
    let mut check = std::process::Command::new(deny);
    check.current_dir(workspace.root());
    // Advisories are checked where the RustSec database can be reached. The SDK's crates name their licence in a file
    // only, which is read.
    check.args(["--locked", "check", "--allow", "no-license-field"]);
    check.args(["bans", "licenses", "sources"]);
    step::loudly(check)
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = workspace.cargo();
    command.args(arguments);
    step::loudly(command).with_context(|| format!("cargo {}", arguments.join(" ")))
}
