//! Programs of a task without a sandbox, for unit tests of the steps that run them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use integration_tests::tool;

use super::{Launcher, Programs, Sandbox, SandboxMode, SandboxSettings, Workspace};

/// Takes the place of `claude-tasks supervise`, which unit tests do not have: runs the program of the first line, with the
/// bytes behind it as standard input.
const SUPERVISE: &str = r#"
import json, os, subprocess, sys
spec = json.loads(sys.stdin.buffer.readline())
given = sys.stdin.buffer.read(spec["input"])
arguments = [bytes(a["Unix"]) for a in spec["arguments"]]
variables = {name: value for name, value in spec["environment"]}
try:
    ended = subprocess.run([spec["program"], *arguments], input=given, env=variables, cwd=spec["folder"])
except FileNotFoundError:
    sys.exit(127)
sys.exit(ended.returncode if ended.returncode >= 0 else 128 - ended.returncode)
"#;

/// A workspace and its programs below a folder.
pub(crate) async fn unconfined(folder: &Path) -> (Workspace, Programs) {
    let supervise = folder.join("supervise");
    let python = tool("TKC_PYTHON").display().to_string();
    fs::write(&supervise, format!("#!{python}\n{SUPERVISE}")).unwrap();
    fs::set_permissions(&supervise, fs::Permissions::from_mode(0o755)).unwrap();
    let workdir = folder.join("work");
    let workspace = Workspace::create(&workdir, &"t-1".parse().unwrap()).unwrap();
    let off = SandboxSettings {
        mode: SandboxMode::Off,
        ..SandboxSettings::default()
    };
    let (launcher, grace) = (Launcher::new(supervise), Duration::from_secs(5));
    let sandbox = Sandbox::find(off, launcher, &workdir, grace).await.unwrap();
    let programs = Programs::new(&sandbox, &workspace).unwrap();
    (workspace, programs)
}
