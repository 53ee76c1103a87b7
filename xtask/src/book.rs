//! `cargo xtask book`: the book in `docs/`, with the reference pages that are generated from the programs.

mod reference;

use std::fs;

use anyhow::{Context, ensure};

use crate::{step, tools, workspace::Workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Change nothing: fail when a reference page is out of date
    #[arg(long)]
    check: bool,
    /// Only the reference pages; do not build the book
    #[arg(long)]
    reference_only: bool,
}

impl Arguments {
    /// The options for checking a change.
    pub(crate) fn check() -> Self {
        Self {
            check: true,
            reference_only: false,
        }
    }
}

/// Generates or checks the reference pages, and builds the book into `target/book`.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let workspace = &workspace.lean();
    step::heading("The programs that the reference pages are generated from");
    let mut build = workspace.cargo();
    // With all targets, as the tests build: features are the same, and nothing is built twice.
    build.args(["build", "--workspace", "--all-targets"]);
    step::loudly(build)?;

    step::heading("Reference pages");
    let mut outdated = Vec::new();
    for page in reference::pages(workspace)? {
        let path = workspace.root().join("docs/reference").join(page.file);
        if fs::read_to_string(&path).is_ok_and(|found| found == page.text) {
            continue;
        }
        if arguments.check {
            outdated.push(page.file);
        } else {
            fs::write(&path, page.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            step::note(&format!("docs/reference/{} is new", page.file));
        }
    }
    ensure!(
        outdated.is_empty(),
        "out of date in docs/reference: {}. Run `cargo xtask book` and commit the result",
        outdated.join(", ")
    );
    if arguments.reference_only {
        return Ok(());
    }

    let mdbook = tools::provide(workspace, &tools::MDBOOK)?;
    step::heading("The book");
    let mut build = std::process::Command::new(mdbook);
    build.arg("build").arg(workspace.root().join("docs"));
    build.arg("--dest-dir").arg(workspace.book());
    step::loudly(build)?;
    step::note(&format!(
        "{}",
        workspace.book().join("index.html").display()
    ));
    Ok(())
}
