//! `cargo xtask ci`: everything that has to pass before a change is taken, quick checks first.

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::{book, demo, step, test, tools, workspace::Workspace};

/// Runs every stage, and prints what each one took, also when one fails.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let stages: [(&str, &dyn Fn() -> anyhow::Result<()>); 7] = [
        ("Format", &|| cargo(workspace, &["fmt", "--all", "--check"])),
        ("Lints", &|| lints(workspace)),
        ("Documentation", &|| documentation(workspace)),
        ("Licences, bans and sources", &|| licences(workspace)),
        ("Tests", &|| {
            test::run(workspace, &test::Arguments::everything())
        }),
        ("Book", &|| book::run(workspace, &book::Arguments::check())),
        ("Demo", &|| {
            demo::run(workspace, &demo::Arguments::check_built())
        }),
    ];
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for (title, stage) in stages {
        step::heading(title);
        let started = Instant::now();
        outcome = stage().with_context(|| format!("the stage `{title}` failed"));
        times.push((title, started.elapsed()));
        if outcome.is_err() {
            break;
        }
    }
    step::heading("Time of each stage");
    for (title, time) in &times {
        step::note(&format!("{:>8}  {title}", minutes(*time)));
    }
    let total = times.iter().map(|(_, time)| *time).sum();
    step::note(&format!("{:>8}  in all", minutes(total)));
    outcome
}

fn minutes(time: Duration) -> String {
    format!("{}:{:02} min", time.as_secs() / 60, time.as_secs() % 60)
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
        .args(["doc", "--workspace", "--no-deps"])
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
