use anyhow::Context;

use crate::{demo, step, test, tools, workspace::Workspace};

/// Everything that has to pass, quick checks first.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    step::heading("Format");
    cargo(workspace, &["fmt", "--all", "--check"])?;

    step::heading("Lints");
    cargo(
        workspace,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    )?;

    step::heading("Documentation");
    let mut documentation = workspace.cargo();
    documentation
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    step::loudly(documentation)?;

    let deny = tools::provide(workspace, &tools::CARGO_DENY)?;
    step::heading("Licences, bans and sources");
    let mut check = std::process::Command::new(deny);
    check.current_dir(workspace.root());
    // Advisories are left to where the RustSec database can be reached. The SDK's crates name their
    // licence in a file only, which is read.
    check.args(["--locked", "check", "--allow", "no-license-field"]);
    check.args(["bans", "licenses", "sources"]);
    step::loudly(check)?;

    test::run(workspace, &test::Arguments::everything())?;
    demo::run(workspace, &demo::Arguments::check_built())
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = workspace.cargo();
    command.args(arguments);
    step::loudly(command).with_context(|| format!("cargo {}", arguments.join(" ")))
}
