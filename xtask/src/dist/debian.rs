//! Debian packages with the program, its manual pages and its systemd unit.

use super::{Release, build::Builder};
use crate::{step, tools};

/// Packs what the section `[package.metadata.deb]` of the program's manifest says.
pub(super) fn pack(release: &Release<'_>, builder: &Builder<'_>) -> anyhow::Result<()> {
    let tool = tools::provide(release.workspace, &tools::CARGO_DEB)?;
    let mut pack = std::process::Command::new(tool);
    pack.current_dir(release.workspace.root());
    pack.args(["--no-build", "--no-strip", "--locked"]);
    pack.args([
        "--package",
        release.program.package,
        "--target",
        release.platform.triple,
    ]);
    pack.arg("--output").arg(&release.output);
    pack.env("CARGO_TARGET_DIR", builder.target());
    pack.env("SOURCE_DATE_EPOCH", release.time.to_string());
    step::loudly(pack)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::super::PROGRAMS;
    use crate::{packages::Metadata, workspace::Workspace};

    /// What an attacker who controls a service must not reach.
    const HARDENING: [&str; 7] = [
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
        "LimitCORE=0",
    ];

    fn manifest(program: &super::super::Program) -> (std::path::PathBuf, toml::Table) {
        let metadata = Metadata::of_members(&Workspace::discover().unwrap()).unwrap();
        let file = metadata
            .member(program.package)
            .unwrap()
            .manifest_path
            .clone();
        let manifest = toml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        (file.parent().unwrap().to_owned(), manifest)
    }

    #[test]
    fn every_unit_is_hardened_and_starts_the_packaged_program() {
        let root = Workspace::discover().unwrap().root().to_owned();
        for program in &PROGRAMS {
            let file = root.join(format!("deploy/systemd/{}.service", program.name));
            let unit = fs::read_to_string(&file).unwrap();
            let has = |line: &str| unit.lines().any(|found| found == line);
            for line in HARDENING {
                assert!(has(line), "{} has no {line}", file.display());
            }
            let start = format!("ExecStart=/usr/bin/{} ", program.name);
            assert!(unit.contains(&start), "{} has no {start}", file.display());
        }
    }

    #[test]
    fn files_that_a_package_takes_from_the_repository_exist() {
        for program in &PROGRAMS {
            let (folder, manifest) = manifest(program);
            let assets = manifest["package"]["metadata"]["deb"]["assets"]
                .as_array()
                .unwrap();
            let sources = assets.iter().map(|asset| asset[0].as_str().unwrap());
            let built = |source: &str| {
                Path::new(source)
                    .components()
                    .any(|part| part.as_os_str() == "target")
            };
            for source in sources.filter(|source| !built(source)) {
                assert!(
                    folder.join(source).is_file(),
                    "{}: {source} is missing",
                    program.package
                );
            }
        }
    }

    #[test]
    fn binstall_looks_for_the_archive_that_dist_names() {
        for program in &PROGRAMS {
            let (_, manifest) = manifest(program);
            let url = manifest["package"]["metadata"]["binstall"]["pkg-url"]
                .as_str()
                .unwrap();
            let archive = format!("/{}-{{ version }}-{{ target }}.tar.gz", program.name);
            assert!(url.ends_with(&archive), "{url}");
        }
    }
}
