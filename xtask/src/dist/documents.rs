//! Manual pages and completions, from the programs' own definitions of their command lines.

use std::{path::PathBuf, process::Command};

use super::{build::Builder, platform::Platform};
use crate::step;

/// The package of this workspace that writes them.
const GENERATOR: &str = "program-documents";

/// Where the documents of every program are.
pub(super) struct Documents {
    folder: PathBuf,
}

impl Documents {
    pub(super) fn generate(builder: &Builder<'_>, host: &Platform) -> anyhow::Result<Self> {
        step::heading("Manual pages and completions");
        let generator = builder.helper(host, GENERATOR)?;
        let folder = builder.target().join("documents");
        let mut generate = Command::new(generator);
        generate.arg(&folder);
        step::loudly(generate)?;
        Ok(Self { folder })
    }

    /// The folder with `man/` and `completions/` of `program`.
    pub(super) fn of(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}
