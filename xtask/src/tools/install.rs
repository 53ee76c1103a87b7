//! How each kind of tool is installed.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use super::{Tool, catalog::Install};
use crate::{path, step, workspace::Workspace};

const GO: &str = "install Go 1.26 or newer (https://go.dev/dl)";
const NPM: &str = "install Node.js 18 or newer with npm (https://nodejs.org)";
const PYTHON: &str = "install Python 3.10 or newer (https://python.org)";
/// No debug information: compiling takes a tenth less time.
const GO_FLAGS: &str = "'-gcflags=all=-dwarf=false' '-ldflags=-s -w'";
/// How much the heap of Go's compiler grows before it is collected, in percent. It is 100 otherwise, and compiling takes a sixth
/// more time of the processor.
const GO_GARBAGE: &str = "400";

/// A description of an installation. If the text changes, the tool is installed again.
pub(super) fn identity(workspace: &Workspace, tool: &Tool) -> anyhow::Result<String> {
    let root = workspace.root();
    let pinned_by = match tool.install {
        Install::GoModule { folder, .. } => go_sources(&root.join(folder))?,
        Install::NpmProject { folder } => vec![root.join(folder).join("package-lock.json")],
        Install::Python { requirements } => vec![root.join(requirements)],
        Install::System { .. }
        | Install::SystemFile { .. }
        | Install::Go { .. }
        | Install::NpmNative { .. }
        | Install::Cargo { .. } => Vec::new(),
    };
    let mut identity = format!("{} {}\n", tool.name, tool.version);
    for file in pinned_by {
        let text = fs::read_to_string(&file);
        identity += &text.with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(identity)
}

/// `go.mod` and the sources beside it, in the order of their names.
fn go_sources(module: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = vec![module.join("go.mod")];
    for entry in module.read_dir().context("cannot list a Go module")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "go") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Installs `tool`, and replaces remains of an earlier attempt.
pub(super) fn install(workspace: &Workspace, tool: &Tool) -> anyhow::Result<()> {
    fs::create_dir_all(workspace.tools().join("bin"))?;
    match tool.install {
        Install::Go { package } => {
            let program = workspace.tools().join(tool.program);
            let folder = program.parent().context("a tool lies in a folder")?;
            go_install(package, tool.version, folder)
        }
        Install::GoModule { folder, package } => {
            let output = workspace.tools().join(tool.program);
            go_build(&workspace.root().join(folder), package, &output)
        }
        Install::NpmNative { package, program } => {
            let folder = workspace.tools().join("npm").join(tool.name);
            let native = npm_install(package, tool.version, program, &folder)?;
            link(&native, &workspace.tools().join(tool.program))
        }
        Install::NpmProject { folder } => {
            let modules = workspace.tools().join("npm").join(tool.name);
            npm_project(&workspace.root().join(folder), &modules)
        }
        Install::System { package, .. } | Install::SystemFile { package, .. } => {
            let found = system(tool, package)?;
            let name = workspace.tools().join(tool.program);
            fs::create_dir_all(name.parent().context("a tool lies in a folder")?)?;
            link(&found, &name)
        }
        Install::Python { requirements } => {
            let folder = workspace.tools().join(tool.name);
            python_environment(&folder, &workspace.root().join(requirements))
        }
        Install::Cargo { package, arguments } => {
            cargo_install(workspace, package, tool.version, arguments)
        }
    }
}

/// Go with the installed toolchain. Another toolchain would be a separate download.
fn go() -> anyhow::Result<Command> {
    let mut command = Command::new(path::need("go", GO)?);
    command
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", GO_FLAGS)
        .env("GOGC", GO_GARBAGE);
    Ok(command)
}

fn go_install(package: &str, version: &str, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut command = go()?;
    command.env("GOBIN", folder);
    command.args(["install", "-v", &format!("{package}@v{version}")]);
    step::quietly("go install", command)
}

fn go_build(module: &Path, package: &str, output: &Path) -> anyhow::Result<()> {
    let mut command = go()?;
    command.current_dir(module);
    command
        .args(["build", "-v", "-mod=readonly", "-o"])
        .arg(output)
        .arg(package);
    step::quietly("go build", command)
}

/// Installs without running the packages' scripts and returns the native program's path.
fn npm_install(
    package: &str,
    version: &str,
    program: &str,
    folder: &Path,
) -> anyhow::Result<PathBuf> {
    let npm = path::need("npm", NPM)?;
    clear(folder)?;
    let mut command = Command::new(npm);
    command.args([
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-save",
    ]);
    command
        .arg("--prefix")
        .arg(folder)
        .arg(format!("{package}@{version}"));
    step::quietly("npm install", command)?;
    let native = format!("{package}-{}", platform()?);
    Ok(folder.join("node_modules").join(native).join(program))
}

/// Installs the project's packages outside of its own folder.
fn npm_project(project: &Path, folder: &Path) -> anyhow::Result<()> {
    let npm = path::need("npm", NPM)?;
    clear(folder)?;
    fs::create_dir_all(folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(project.join(file), folder.join(file))?;
    }
    let mut command = Command::new(npm);
    command
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
        ])
        .arg(folder);
    step::quietly("npm ci", command)
}

/// Where the system has `tool`.
pub(super) fn of_system(tool: &Tool) -> Option<PathBuf> {
    match tool.install {
        Install::System { names, .. } => names.iter().find_map(|name| path::find(name)),
        Install::SystemFile { places, .. } => {
            places.iter().map(PathBuf::from).find(|file| file.is_file())
        }
        _ => None,
    }
}

/// What the system has of `tool`, after the installation of the Debian package if need be.
fn system(tool: &Tool, package: &str) -> anyhow::Result<PathBuf> {
    if let Some(found) = of_system(tool) {
        return Ok(found);
    }
    path::install_debian(&[package], tool.name)?;
    of_system(tool).with_context(|| format!("the package {package} does not have {}", tool.name))
}

/// npm's name of this platform.
fn platform() -> anyhow::Result<String> {
    let system = match env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        other => bail!("Claude Code has no native program for {other}"),
    };
    let processor = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("Claude Code has no native program for {other}"),
    };
    let libc = if cfg!(target_env = "musl") {
        "-musl"
    } else {
        ""
    };
    Ok(format!("{system}-{processor}{libc}"))
}

fn python_environment(folder: &Path, requirements: &Path) -> anyhow::Result<()> {
    let python = path::need("python3", PYTHON)?;
    let has_venv = Command::new(&python)
        .args(["-c", "import ensurepip, venv"])
        .output();
    if !has_venv.is_ok_and(|output| output.status.success()) {
        path::install_debian(&["python3-venv"], "Python's module venv")?;
    }
    clear(folder)?;
    let mut create = Command::new(python);
    create.args(["-m", "venv"]).arg(folder);
    step::quietly("python3 -m venv", create)?;
    let mut install = Command::new(folder.join("bin/python"));
    // The file names every package, so pip chooses no versions.
    install.args([
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-input",
        "--disable-pip-version-check",
    ]);
    install.arg("--requirement").arg(requirements);
    step::quietly("pip install", install)
}

fn cargo_install(
    workspace: &Workspace,
    package: &str,
    version: &str,
    arguments: &[&str],
) -> anyhow::Result<()> {
    let mut command = workspace.cargo();
    command.args([
        "install",
        "--locked",
        "--debug",
        "--force",
        "--version",
        version,
        package,
    ]);
    command.args(arguments);
    command.arg("--root").arg(workspace.tools());
    command.env("CARGO_TARGET_DIR", workspace.tools().join("build"));
    command.env("CARGO_PROFILE_DEV_DEBUG", "false");
    step::quietly("cargo install", command)?;
    clear(&workspace.tools().join("build"))
}

fn clear(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot clear {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn link(program: &Path, name: &Path) -> anyhow::Result<()> {
    let _ = fs::remove_file(name);
    symlink(program, name).with_context(|| format!("cannot link {}", name.display()))
}
