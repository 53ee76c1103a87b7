//! Release builds without names and paths of this machine.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::{PROGRAMS, platform::Platform};
use crate::{step, workspace::Workspace};

pub(super) struct Builder<'a> {
    workspace: &'a Workspace,
    target: PathBuf,
    time: u64,
    builds: bool,
}

impl<'a> Builder<'a> {
    /// A builder that compiles, or with `builds` false only says where programs were compiled to.
    pub(super) fn new(workspace: &'a Workspace, builds: bool) -> anyhow::Result<Self> {
        Ok(Self {
            workspace,
            // Other flags than those of `cargo build --release`, which must not replace its programs.
            target: workspace.target().join("dist-build"),
            time: commit_time(workspace)?,
            builds,
        })
    }

    /// When the commit was made, in seconds since 1970.
    pub(super) fn time(&self) -> u64 {
        self.time
    }

    /// Where cargo builds to.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Builds both programs, and returns the folder with them.
    pub(super) fn programs(&self, platform: &Platform) -> anyhow::Result<PathBuf> {
        let mut build = self.cargo(platform)?;
        for program in &PROGRAMS {
            build.args(["--package", program.package]);
        }
        build.args(["--bins", "--no-default-features"]);
        build.arg(format!(
            "--features={}",
            platform.features(self.workspace, &PROGRAMS)?
        ));
        self.run(build)?;
        Ok(self.target.join(platform.triple).join("release"))
    }

    /// Builds the program `name` of the package of that name, and returns its path.
    pub(super) fn helper(&self, platform: &Platform, name: &str) -> anyhow::Result<PathBuf> {
        let mut build = self.cargo(platform)?;
        build.args(["--package", name]);
        self.run(build)?;
        Ok(self.target.join(platform.triple).join("release").join(name))
    }

    fn run(&self, build: Command) -> anyhow::Result<()> {
        if self.builds {
            step::loudly(build)?;
        }
        Ok(())
    }

    fn cargo(&self, platform: &Platform) -> anyhow::Result<Command> {
        let root = self.workspace.root();
        let replaced = [
            (cargo_home()?, "/cargo"),
            (self.target.clone(), "/target"),
            (root.to_owned(), "/source"),
        ];
        let rust: Vec<String> = replaced
            .iter()
            .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()))
            .collect();
        let c: Vec<String> = replaced
            .iter()
            .map(|(path, name)| format!("-ffile-prefix-map={}={name}", path.display()))
            .collect();
        let mut build = self.workspace.cargo();
        build.args([
            "build",
            "--release",
            "--locked",
            "--target",
            platform.triple,
        ]);
        build.arg("--target-dir").arg(&self.target);
        build.env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}"));
        build.env("CFLAGS", c.join(" "));
        build.env("SOURCE_DATE_EPOCH", self.time.to_string());
        build.envs(platform.variables());
        Ok(build)
    }
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cargo"))
}

fn commit_time(workspace: &Workspace) -> anyhow::Result<u64> {
    let mut log = Command::new("git");
    log.current_dir(workspace.root())
        .args(["log", "-1", "--format=%ct"]);
    let time = String::from_utf8(step::output(log)?)?;
    time.trim()
        .parse()
        .context("git does not tell when the commit was made")
}
