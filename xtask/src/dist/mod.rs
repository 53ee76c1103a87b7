//! `cargo xtask dist`: archives, Debian packages, checksums and bills of materials of the programs.
//!
//! The same commit gives the same bytes with the same compilers: paths of this machine are replaced, and every time is
//! the commit's.

mod archive;
mod build;
mod debian;
mod documents;
mod platform;
mod sbom;

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;

use self::{
    build::Builder,
    documents::Documents,
    platform::{PLATFORMS, Platform},
};
use crate::{disk, packages::Metadata, step, workspace::Workspace};

/// What people install.
pub(crate) static PROGRAMS: [Program; 2] = [
    Program {
        name: "codec-server",
        package: "temporal-kms-codec-server",
        examples: &["codec-server/codec.example.toml"],
    },
    Program {
        name: "claude-tasks",
        package: "claude-tasks",
        examples: &["worker-example/claude-tasks.example.toml"],
    },
];

pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    /// Files of the repository that its archive contains beside the licences and the readme.
    examples: &'static [&'static str],
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A platform to build for; repeat for several. By default this machine's
    #[arg(long, value_name = "TARGET", value_parser = platform::parse)]
    target: Vec<&'static Platform>,
    /// Every platform that the project releases
    #[arg(long, conflicts_with = "target")]
    all: bool,
    /// Pack the programs as they were built last
    #[arg(long)]
    no_build: bool,
}

/// Builds everything into `target/dist`.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let platforms = chosen(arguments)?;
    for platform in &platforms {
        platform.check_tools()?;
    }
    let output = workspace.target().join("dist");
    disk::remove_folder(&output)?;
    fs::create_dir_all(&output).with_context(|| format!("cannot create {}", output.display()))?;
    let metadata = Metadata::of_members(workspace)?;
    let builder = Builder::new(workspace, !arguments.no_build)?;
    let documents = Documents::generate(&builder, Platform::of_this_machine()?)?;
    for platform in platforms {
        step::heading(&format!("Programs for {}", platform.triple));
        let folder = builder.programs(platform)?;
        for program in &PROGRAMS {
            let release = Release {
                workspace,
                program,
                platform,
                version: metadata.member(program.package)?.version.clone(),
                file: folder.join(program.name),
                documents: &documents,
                time: builder.time(),
                output: output.clone(),
            };
            archive::pack(&release)?;
            sbom::write(&release)?;
            if platform.debian.is_some() {
                debian::pack(&release, &builder)?;
            }
        }
    }
    write_checksums(&output)?;
    show(&output)
}

/// A program for a platform, built and about to be packed.
struct Release<'a> {
    workspace: &'a Workspace,
    program: &'a Program,
    platform: &'a Platform,
    version: String,
    /// The built program.
    file: PathBuf,
    documents: &'a Documents,
    /// Seconds since 1970, for every file.
    time: u64,
    output: PathBuf,
}

impl Release<'_> {
    /// `codec-server-0.1.0-x86_64-unknown-linux-gnu`.
    fn name(&self) -> String {
        format!(
            "{}-{}-{}",
            self.program.name, self.version, self.platform.triple
        )
    }
}

fn chosen(arguments: &Arguments) -> anyhow::Result<Vec<&'static Platform>> {
    if arguments.all {
        return Ok(PLATFORMS.iter().collect());
    }
    if arguments.target.is_empty() {
        return Ok(vec![Platform::of_this_machine()?]);
    }
    Ok(arguments.target.clone())
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn write_checksums(output: &std::path::Path) -> anyhow::Result<()> {
    let mut sum = Command::new("sha256sum");
    sum.current_dir(output).arg("--").args(names(output)?);
    let sums = step::output(sum)?;
    fs::write(output.join("SHA256SUMS"), sums).context("cannot write SHA256SUMS")
}

fn show(output: &std::path::Path) -> anyhow::Result<()> {
    step::heading(&format!("In {}", output.display()));
    for name in names(output)? {
        let size = fs::metadata(output.join(&name))?.len();
        step::note(&format!("{:>9} KiB  {name}", size.div_ceil(1024)));
    }
    Ok(())
}

/// The files in `folder`, in the order of their names.
fn names(folder: &std::path::Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
