//! Finds the workspace and calls cargo in it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde_json::Value;

/// Saves disk space and time for builds without backtraces and without a second build.
const LEAN: [(&str, &str); 2] = [
    ("CARGO_INCREMENTAL", "0"),
    ("CARGO_PROFILE_DEV_DEBUG", "none"),
];

/// Where this workspace is stored and builds to.
#[derive(Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    lean: bool,
}

impl Workspace {
    pub(crate) fn discover() -> anyhow::Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version=1"])
            .args([
                "--manifest-path",
                concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            ])
            .output()
            .context("cannot run cargo")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "cargo metadata failed:\n{complaint}"
        );
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let folder = |key: &str| {
            let path = metadata.get(key).and_then(Value::as_str);
            path.map(PathBuf::from)
                .with_context(|| format!("cargo metadata has no {key}"))
        };
        Ok(Self {
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
            lean: false,
        })
    }

    /// The same workspace, built without debug information and without state for the next build.
    pub(crate) fn lean(&self) -> Self {
        Self {
            lean: true,
            ..self.clone()
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo writes to.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where `cargo build` puts programs.
    pub(crate) fn programs(&self) -> PathBuf {
        self.target.join("debug")
    }

    /// Where the pinned tools are installed.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Where the book is built.
    pub(crate) fn book(&self) -> PathBuf {
        self.target.join("book")
    }

    /// `cargo` in the root of this workspace.
    pub(crate) fn cargo(&self) -> Command {
        self.prepare(cargo())
    }

    /// `cargo` as [`cargo`](Self::cargo) gives it, with SIGHUP as it is by default. Tests send SIGHUP, and programs ignore
    /// it for good where `nohup` has started this one.
    pub(crate) fn cargo_for_tests(&self) -> Command {
        if !cfg!(target_os = "linux") {
            return self.cargo();
        }
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(program());
        self.prepare(without_own_variables(command))
    }

    fn prepare(&self, mut command: Command) -> Command {
        command.current_dir(&self.root);
        if self.lean {
            // Keep a value that the user has set.
            let unset = LEAN.iter().filter(|(name, _)| env::var_os(name).is_none());
            command.envs(unset.copied());
        }
        command
    }
}

fn cargo() -> Command {
    without_own_variables(Command::new(program()))
}

fn program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// `command` without what the cargo that runs this program has told it about this program: some build
/// scripts look there, and would have half of the workspace built again.
fn without_own_variables(mut command: Command) -> Command {
    let own = |name: &str| {
        let kinds = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ];
        kinds.iter().any(|kind| name.starts_with(kind)) || name == "CARGO_PRIMARY_PACKAGE"
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(own) {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lean_builds_have_no_debug_information_and_no_incremental_state() {
        let workspace = Workspace::discover().unwrap();
        let set = |workspace: &Workspace, name: &str| {
            workspace
                .cargo()
                .get_envs()
                .any(|(known, value)| known == name && value.is_some())
        };
        for (name, _) in LEAN {
            let chosen_by_the_user = env::var_os(name).is_some();
            assert!(set(&workspace.lean(), name) || chosen_by_the_user, "{name}");
            assert!(!set(&workspace, name), "{name}");
        }
    }
}
