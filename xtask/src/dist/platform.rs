//! The platforms that the project releases programs for, and what building for each of them needs.

use std::{collections::BTreeSet, path::Path, process::Command};

use anyhow::{Context, ensure};

use super::Program;
use crate::{packages::Metadata, path, step, workspace::Workspace};

pub(super) static PLATFORMS: [Platform; 3] = [
    Platform {
        triple: "x86_64-unknown-linux-gnu",
        debian: Some("amd64"),
        without: &[],
        compiler: None,
    },
    // A static program runs on any Linux, and cannot load the library of a PKCS#11 token.
    Platform {
        triple: "x86_64-unknown-linux-musl",
        debian: None,
        without: &["pkcs11"],
        compiler: Some(Compiler {
            program: "musl-gcc",
            package: "musl-tools",
            links: false,
        }),
    },
    Platform {
        triple: "aarch64-unknown-linux-gnu",
        debian: Some("arm64"),
        without: &[],
        compiler: Some(Compiler {
            program: "aarch64-linux-gnu-gcc",
            package: "gcc-aarch64-linux-gnu",
            links: true,
        }),
    },
];

pub(crate) struct Platform {
    pub(super) triple: &'static str,
    /// Debian's name of the processor, where a package is built.
    pub(super) debian: Option<&'static str>,
    /// The features that programs cannot have there.
    without: &'static [&'static str],
    /// The C compiler, where it is not the system's usual one.
    compiler: Option<Compiler>,
}

struct Compiler {
    program: &'static str,
    package: &'static str,
    /// Whether it also links: Rust brings what static programs are linked with.
    links: bool,
}

/// The platform called `triple`.
pub(super) fn parse(triple: &str) -> Result<&'static Platform, String> {
    let found = PLATFORMS.iter().find(|platform| platform.triple == triple);
    let known = PLATFORMS
        .each_ref()
        .map(|platform| platform.triple)
        .join(", ");
    found.ok_or_else(|| format!("choose from {known}"))
}

impl Platform {
    /// The features of these programs there, with commas between them: their default features without those that they cannot
    /// have.
    pub(super) fn features(
        &self,
        workspace: &Workspace,
        programs: &[Program],
    ) -> anyhow::Result<String> {
        let metadata = Metadata::of_members(workspace)?;
        let mut features = BTreeSet::new();
        for program in programs {
            let package = metadata.members().find(|one| one.name == program.package);
            let package =
                package.with_context(|| format!("there is no package {}", program.package))?;
            features.extend(package.features.get("default").cloned().unwrap_or_default());
        }
        features.retain(|name| !self.without.contains(&name.as_str()));
        Ok(features.into_iter().collect::<Vec<_>>().join(","))
    }

    pub(super) fn of_this_machine() -> anyhow::Result<&'static Self> {
        let triple = format!(
            "{}-unknown-{}-gnu",
            std::env::consts::ARCH,
            std::env::consts::OS
        );
        parse(&triple)
            .map_err(|known| anyhow::anyhow!("no programs are released for {triple}: {known}"))
    }

    /// Fails, and says what to install, before hours are spent on the other platforms.
    pub(super) fn check_tools(&self) -> anyhow::Result<()> {
        let triple = self.triple;
        let mut ask = Command::new("rustc");
        ask.args(["--print", "target-libdir", "--target", triple]);
        let folder = String::from_utf8(step::output(ask)?)?;
        ensure!(
            Path::new(folder.trim()).is_dir(),
            "Rust's standard library for {triple} is not installed: run `rustup target add {triple}`"
        );
        if let Some(Compiler {
            program, package, ..
        }) = self.compiler
        {
            path::find(program).with_context(|| {
                format!("`{program}` is not installed: on Debian, run `apt-get install {package}`")
            })?;
        }
        Ok(())
    }

    /// The variables by which cargo and build scripts find the compiler.
    pub(super) fn variables(&self) -> Vec<(String, &'static str)> {
        let Some(Compiler { program, links, .. }) = self.compiler else {
            return Vec::new();
        };
        let name = self.triple.replace('-', "_");
        let mut variables = vec![(format!("CC_{name}"), program)];
        if links {
            variables.push((
                format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()),
                program,
            ));
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_has_no_feature_that_loads_libraries() {
        let platform = parse("x86_64-unknown-linux-musl").unwrap();
        assert!(platform.without.contains(&"pkcs11"));
        assert_eq!(
            platform.variables(),
            [("CC_x86_64_unknown_linux_musl".to_owned(), "musl-gcc")]
        );
    }

    #[test]
    fn an_unknown_platform_is_answered_with_the_known_ones() {
        assert!(
            parse("sparc")
                .err()
                .unwrap()
                .contains("aarch64-unknown-linux-gnu")
        );
    }
}
