//! `cargo xtask test`: builds and runs the tests, and counts them.

use std::{
    io::{self, BufRead, BufReader, IsTerminal, Write},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, ensure};

use crate::{
    step::{self, Background},
    tools,
    workspace::Workspace,
};

#[derive(clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub(crate) struct Arguments {
    /// Only what needs no server and no tool beside Rust
    #[arg(long)]
    fast: bool,
    /// Take the pictures of the documents again, and write them into docs/images
    #[arg(long, conflicts_with_all = ["fast", "filter"])]
    pictures: bool,
    /// Also what takes long: kill each part of the task service at each step, not only at some
    #[arg(long, conflicts_with_all = ["fast", "pictures"])]
    long: bool,
    /// Give property tests the same inputs each time, as `cargo xtask ci` does
    #[arg(long)]
    repeatable: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

impl Arguments {
    /// Every test. The same tree gives the same answer, so property tests get the same inputs each time.
    pub(crate) fn everything() -> Self {
        Self {
            fast: false,
            pictures: false,
            long: false,
            repeatable: true,
            filter: None,
        }
    }
}

/// The start of the random numbers of property tests that are repeated.
const SEED: &str = "1";

/// What has the test of kills kill everything, in place of some rows of its table.
const ALL_KILLS: (&str, &str) = ("KILLS", "all");

/// The tests that take pictures.
const PICTURES: &str = "pictures_of_the_documents";

/// One call of `cargo test`.
struct Round {
    title: &'static str,
    arguments: &'static [&'static str],
}

const FAST: [Round; 2] = [
    Round {
        title: "Library and codec server",
        arguments: &[
            "--package=temporal-kms*",
            "--package=dev-servers",
            "--package=xtask",
        ],
    },
    PURE_RUST,
];

const FULL: [Round; 2] = [
    PURE_RUST,
    Round {
        title: "Everything, with AWS-LC",
        arguments: &["--workspace"],
    },
];

/// The other cryptography, which the rounds over several crates leave out, in the crates that have both. The library has no key
/// service there.
const PURE_RUST: Round = Round {
    title: "The library with pure Rust cryptography",
    arguments: &[
        "--package=temporal-kms",
        "--package=temporal-kms-codec",
        "--package=temporal-kms-local",
        "--no-default-features",
        "--features=aes-gcm,zstd",
    ],
};

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let workspace = &workspace.lean();
    let mut environment = Vec::new();
    if !arguments.fast {
        let installation = Background::start({
            let workspace = workspace.clone();
            move || tools::provide_all(&workspace, &tools::TESTING)
        });
        step::heading(
            "Building the tests and the programs that they start (minutes, the first time)",
        );
        let mut build = workspace.cargo();
        // With all targets, so that features are those of the tests and nothing is built twice.
        build.args(["build", "--workspace", "--all-targets"]);
        step::loudly(build)?;
        installation.finish()?;
        for tool in tools::TESTING {
            environment.push((tool.variable, tools::provide(workspace, tool)?));
        }
    }

    let rounds = if arguments.fast { FAST } else { FULL };
    let mut total = Count::default();
    let mut failed = Vec::new();
    // Only the last round has tests that take pictures.
    for round in rounds.into_iter().skip(usize::from(arguments.pictures)) {
        step::heading(&format!("Tests: {}", round.title));
        let mut command = workspace.cargo_for_tests();
        command
            .args(["test", "--no-fail-fast"])
            .args(round.arguments);
        command.args(&arguments.filter);
        if arguments.pictures {
            command.arg(PICTURES);
            command.env("TKC_PICTURES", workspace.root().join("docs/images"));
        }
        if arguments.long {
            command.env(ALL_KILLS.0, ALL_KILLS.1);
        }
        if arguments.repeatable {
            command.env("PROPTEST_RNG_SEED", SEED);
        }
        command.envs(environment.iter().map(|(name, path)| (name, path)));
        let (count, passed) = test(command)?;
        total.add(&count);
        // A program that did not build or that crashed is in no count, so there is no sum to print.
        ensure!(
            passed || count.failed > 0,
            "cargo test broke off: {}",
            round.title
        );
        if !passed {
            failed.push(round.title);
        }
    }
    summarize(&total, started);
    ensure!(failed.is_empty(), "tests failed: {}", failed.join("; "));
    ensure!(total.passed > 0, "no test ran");
    Ok(())
}

/// Runs `cargo test`, shows what it prints and counts.
fn test(mut command: Command) -> anyhow::Result<(Count, bool)> {
    let color = if io::stdout().is_terminal() {
        "always"
    } else {
        "never"
    };
    command.args(["--color", color, "--", "--color", color]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut count = Count::default();
    let mut shown = io::stdout().lock();
    for line in BufReader::new(output).lines() {
        let line = line?;
        writeln!(shown, "{line}")?;
        if let Some(one) = Count::from_line(&line) {
            count.add(&one);
        }
    }
    let status = child.wait()?;
    Ok((count, status.success()))
}

fn summarize(total: &Count, started: Instant) {
    let time = step::minutes(started.elapsed());
    step::heading(&format!("Tests were built and ran in {time}"));
    anstream::println!(
        "{} passed, {} failed, {} ignored",
        total.passed,
        total.failed,
        total.ignored
    );
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Count {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`, coloured or not.
    fn from_line(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("test result: ")?;
        let number = |what: &str| {
            let field = rest.split([';', '.']).find(|field| field.ends_with(what))?;
            field.trim().split(' ').next()?.parse().ok()
        };
        Some(Self {
            passed: number(" passed")?,
            failed: number(" failed")?,
            ignored: number(" ignored")?,
        })
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_line_is_read_with_and_without_colours() {
        let expected = Count {
            passed: 12,
            failed: 1,
            ignored: 2,
        };
        let plain = "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.05s";
        assert_eq!(Count::from_line(plain).as_ref(), Some(&expected));
        let coloured =
            "test result: \u{1b}[31mFAILED\u{1b}[m. 12 passed; 1 failed; 2 ignored; 0 measured";
        assert_eq!(Count::from_line(coloured).as_ref(), Some(&expected));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(Count::from_line("test passed ... ok"), None);
    }
}
