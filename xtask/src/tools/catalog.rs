//! Which programs the tests, the checks and the demo need, and in which versions.

use anyhow::Context;

/// A program in one pinned version.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Where it is when installed, below `target/tools`.
    pub(crate) program: &'static str,
    /// The variable by which the tests find it.
    pub(crate) variable: &'static str,
    /// How long that takes with cold caches on a small machine.
    pub(crate) takes: &'static str,
    pub(crate) install: Install,
}

/// How a tool is installed.
pub(crate) enum Install {
    /// `go install PACKAGE@vVERSION` into the folder of the tool's program.
    Go { package: &'static str },
    /// A program from a Go module of this repository, which pins it in its go.mod.
    GoModule {
        folder: &'static str,
        package: &'static str,
    },
    /// A native program from the npm package `PACKAGE-PLATFORM`, a dependency of `PACKAGE`.
    NpmNative {
        package: &'static str,
        program: &'static str,
    },
    /// The packages of an npm project of this repository, which pins them in its lock file.
    NpmProject { folder: &'static str },
    /// A program of the system under one of several names, or a Debian package that has it.
    System {
        names: &'static [&'static str],
        package: &'static str,
    },
    /// A file of a Debian package, at the path that distributions use.
    SystemFile {
        places: &'static [&'static str],
        package: &'static str,
    },
    /// A Python environment with the packages of a requirements file of this repository.
    Python { requirements: &'static str },
    /// `cargo install` with further arguments, without optimisation because it runs once.
    Cargo {
        package: &'static str,
        arguments: &'static [&'static str],
    },
}

pub(crate) static TEMPORAL: Tool = Tool {
    name: "temporal",
    version: "1.5.1",
    program: "bin/temporal",
    variable: "TKC_TEMPORAL",
    takes: "Temporal's server, Web UI and command line: 3–4 minutes",
    install: Install::Go {
        package: "github.com/temporalio/cli/cmd/temporal",
    },
};

pub(crate) static WEB_UI: Tool = Tool {
    name: "web-ui",
    version: "2.55.0",
    program: "web-ui/server",
    variable: "TKC_WEB_UI",
    takes: "Temporal's Web UI as a server of its own: 1–2 minutes",
    install: Install::Go {
        package: "github.com/temporalio/ui-server/v2/cmd/server",
    },
};

/// The generation that Temporal's development server brings. That server cannot sign people in.
pub(crate) static WEB_UI_OLDER: Tool = Tool {
    name: "web-ui-older",
    version: "2.42.1",
    program: "web-ui-older/server",
    variable: "TKC_WEB_UI_OLDER",
    takes: "an older Web UI: 1–2 minutes",
    install: Install::Go {
        package: "github.com/temporalio/ui-server/v2/cmd/server",
    },
};

pub(crate) static TCTL: Tool = Tool {
    name: "tctl",
    version: "1.18.0",
    program: "bin/tctl",
    variable: "TKC_TCTL",
    takes: "Temporal's older command line: 1–2 minutes",
    install: Install::GoModule {
        folder: "tests/tctl",
        package: "github.com/temporalio/tctl/cmd/tctl",
    },
};

pub(crate) static CLAUDE: Tool = Tool {
    name: "claude",
    version: "2.1.330",
    program: "bin/claude",
    variable: "TKC_CLAUDE",
    takes: "Claude Code, 364 MB: about a minute",
    install: Install::NpmNative {
        package: "@anthropic-ai/claude-code",
        program: "claude",
    },
};

pub(crate) static PYTHON: Tool = Tool {
    name: "python",
    version: "with Tink, the Temporal SDK and Google's KMS client",
    program: "python/bin/python",
    variable: "TKC_PYTHON",
    takes: "half a minute",
    install: Install::Python {
        requirements: "tests/interop/requirements.txt",
    },
};

pub(crate) static CHROMIUM: Tool = Tool {
    name: "chromium",
    version: "of the system",
    program: "bin/chromium",
    variable: "TKC_CHROMIUM",
    takes: "a browser: about a minute",
    install: Install::System {
        names: &[
            "chromium",
            "chromium-browser",
            "google-chrome",
            "google-chrome-stable",
        ],
        package: "chromium",
    },
};

pub(crate) static PLAYWRIGHT: Tool = Tool {
    name: "playwright",
    version: "core",
    program: "npm/playwright/node_modules/playwright-core/cli.js",
    variable: "TKC_PLAYWRIGHT",
    takes: "what drives the browser: a few seconds",
    install: Install::NpmProject {
        folder: "tests/browser",
    },
};

pub(crate) static MOTO: Tool = Tool {
    name: "moto",
    version: "5.2.5",
    program: "moto/bin/moto_server",
    variable: "TKC_MOTO",
    takes: "the emulator of AWS: half a minute",
    install: Install::Python {
        requirements: "tests/moto/requirements.txt",
    },
};

pub(crate) static SOFTHSM: Tool = Tool {
    name: "softhsm",
    version: "2 of the system",
    program: "lib/libsofthsm2.so",
    variable: "TKC_SOFTHSM",
    takes: "an HSM in software: a few seconds",
    install: Install::SystemFile {
        places: &[
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib64/pkcs11/libsofthsm2.so",
            "/usr/lib64/softhsm/libsofthsm2.so",
            "/usr/local/lib/softhsm/libsofthsm2.so",
            "/opt/homebrew/lib/softhsm/libsofthsm2.so",
        ],
        package: "libsofthsm2",
    },
};

pub(crate) static SSHD: Tool = Tool {
    name: "sshd",
    version: "of the system",
    program: "bin/sshd",
    variable: "TKC_SSHD",
    takes: "a server for repositories: a few seconds",
    install: Install::SystemFile {
        places: &[
            "/usr/sbin/sshd",
            "/usr/bin/sshd",
            "/usr/lib/ssh/sshd",
            "/usr/local/sbin/sshd",
        ],
        package: "openssh-server",
    },
};

pub(crate) static BUBBLEWRAP: Tool = Tool {
    name: "bubblewrap",
    version: "of the system",
    program: "bin/bwrap",
    variable: "TKC_BWRAP",
    takes: "the sandbox of tasks: a few seconds",
    install: Install::System {
        names: &["bwrap"],
        package: "bubblewrap",
    },
};

pub(crate) static PROMETHEUS: Tool = Tool {
    name: "prometheus",
    version: "2 of the system",
    program: "bin/prometheus",
    variable: "TKC_PROMETHEUS",
    takes: "half a minute",
    install: Install::System {
        names: &["prometheus"],
        package: "prometheus",
    },
};

pub(crate) static PROMTOOL: Tool = Tool {
    name: "promtool",
    version: "of the system",
    program: "bin/promtool",
    variable: "TKC_PROMTOOL",
    takes: "it comes with Prometheus",
    install: Install::System {
        names: &["promtool"],
        package: "prometheus",
    },
};

pub(crate) static MANIFESTS: Tool = Tool {
    name: "manifests",
    version: "1",
    program: "bin/manifests",
    variable: "TKC_MANIFESTS",
    takes: "kustomize, Helm and the types of Kubernetes: 2–3 minutes",
    install: Install::GoModule {
        folder: "tests/manifests",
        package: ".",
    },
};

pub(crate) static GO_CLIENT: Tool = Tool {
    name: "go-client",
    version: "1.50.0",
    program: "bin/go-client",
    variable: "TKC_GO_CLIENT",
    takes: "a client of Temporal's Go SDK: a minute",
    install: Install::GoModule {
        folder: "tests/interop/go-client",
        package: ".",
    },
};

pub(crate) static TYPESCRIPT_CLIENT: Tool = Tool {
    name: "typescript-client",
    version: "1.24.0",
    program: "npm/typescript-client/node_modules/@temporalio/client/package.json",
    variable: "TKC_TYPESCRIPT_CLIENT",
    takes: "Temporal's TypeScript SDK: a few seconds",
    install: Install::NpmProject {
        folder: "tests/interop/typescript",
    },
};

pub(crate) static CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    program: "bin/cargo-deny",
    variable: "TKC_CARGO_DENY",
    takes: "3–5 minutes",
    install: Install::Cargo {
        package: "cargo-deny",
        arguments: &[],
    },
};

pub(crate) static MDBOOK: Tool = Tool {
    name: "mdbook",
    version: "0.5.4",
    program: "bin/mdbook",
    variable: "TKC_MDBOOK",
    takes: "1–2 minutes",
    // Without its search and its server for authors.
    install: Install::Cargo {
        package: "mdbook",
        arguments: &["--no-default-features"],
    },
};

pub(crate) static CARGO_MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
    program: "bin/cargo-machete",
    variable: "TKC_CARGO_MACHETE",
    takes: "a minute",
    install: Install::Cargo {
        package: "cargo-machete",
        arguments: &[],
    },
};

pub(crate) static CARGO_HACK: Tool = Tool {
    name: "cargo-hack",
    version: "0.6.46",
    program: "bin/cargo-hack",
    variable: "TKC_CARGO_HACK",
    takes: "a minute",
    install: Install::Cargo {
        package: "cargo-hack",
        arguments: &[],
    },
};

pub(crate) static CARGO_DEB: Tool = Tool {
    name: "cargo-deb",
    version: "3.8.0",
    program: "bin/cargo-deb",
    variable: "TKC_CARGO_DEB",
    takes: "2–3 minutes",
    install: Install::Cargo {
        package: "cargo-deb",
        arguments: &[],
    },
};

pub(crate) static CARGO_SEMVER_CHECKS: Tool = Tool {
    name: "cargo-semver-checks",
    version: "0.51.0",
    program: "bin/cargo-semver-checks",
    variable: "TKC_CARGO_SEMVER_CHECKS",
    takes: "5–10 minutes",
    install: Install::Cargo {
        package: "cargo-semver-checks",
        arguments: &[],
    },
};

pub(crate) static WRK: Tool = Tool {
    name: "wrk",
    version: "4 of the system",
    program: "bin/wrk",
    variable: "TKC_WRK",
    takes: "load for the benchmarks: a few seconds",
    install: Install::System {
        names: &["wrk"],
        package: "wrk",
    },
};

pub(crate) static PEER_PYTHON: Tool = Tool {
    name: "peer-python",
    version: "with the Temporal SDK and aiohttp",
    program: "peer-python/bin/python",
    variable: "TKC_PEER_PYTHON",
    takes: "half a minute",
    install: Install::Python {
        requirements: "benches/peers/python/requirements.txt",
    },
};

pub(crate) static PEER_TYPESCRIPT: Tool = Tool {
    name: "peer-typescript",
    version: "with the Temporal SDK and express",
    program: "npm/peer-typescript/node_modules/express/package.json",
    variable: "TKC_PEER_TYPESCRIPT",
    takes: "a few seconds",
    install: Install::NpmProject {
        folder: "benches/peers/typescript",
    },
};

/// What the tests need: downloads first, then programs that are compiled.
pub(crate) static TESTING: [&Tool; 17] = [
    &CLAUDE,
    &PYTHON,
    &CHROMIUM,
    &PLAYWRIGHT,
    &MOTO,
    &SOFTHSM,
    &SSHD,
    &BUBBLEWRAP,
    &PROMETHEUS,
    &PROMTOOL,
    &TEMPORAL,
    &TCTL,
    &MANIFESTS,
    &WEB_UI,
    &WEB_UI_OLDER,
    &GO_CLIENT,
    &TYPESCRIPT_CLIENT,
];

/// What `cargo xtask ci` needs beside the tools of the tests.
pub(crate) static CHECKING: [&Tool; 3] = [&CARGO_MACHETE, &CARGO_DENY, &MDBOOK];

static COMMANDS_ONLY: [&Tool; 6] = [
    &CARGO_DEB,
    &CARGO_HACK,
    &CARGO_SEMVER_CHECKS,
    &PEER_PYTHON,
    &PEER_TYPESCRIPT,
    &WRK,
];

/// The tools of these names, those of the tests when there are none.
pub(crate) fn choose(names: &[String]) -> anyhow::Result<Vec<&'static Tool>> {
    if names.is_empty() {
        return Ok(TESTING.to_vec());
    }
    let find = |name: &String| {
        let tool = all().find(|tool| tool.name == name);
        let known = || all().map(|tool| tool.name).collect::<Vec<_>>().join(", ");
        tool.with_context(|| format!("`{name}` is not a tool: choose from {}", known()))
    };
    names.iter().map(find).collect()
}

fn all() -> impl Iterator<Item = &'static Tool> {
    let tools = TESTING.iter().chain(&CHECKING).chain(&COMMANDS_ONLY);
    tools.copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_name_of_its_own() {
        let mut names: Vec<_> = all().map(|tool| tool.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
