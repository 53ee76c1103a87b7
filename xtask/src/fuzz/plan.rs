//! Which inputs a fuzz target gets, and how many.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;

use crate::{path, step};

/// The start of the random numbers of a run that is repeated.
const SEED: u32 = 1;
/// How many inputs a repeated run has, and how long it lasts at most.
const RUNS: u64 = 10_000;
const LONGEST: Duration = Duration::from_mins(1);

pub(super) enum Plan {
    /// New inputs for this time. What a target learns is kept for the next time.
    Explore(Duration),
    /// The committed seeds and inputs that are made of them, the same ones each time. Targets that use random keys get nearly the
    /// same ones.
    Repeat {
        /// The program that gives another one the same addresses each time. Targets compare addresses, and libFuzzer makes
        /// inputs of what they compare.
        setarch: Option<PathBuf>,
    },
}

impl Plan {
    pub(super) fn repeat() -> Self {
        let fixes_addresses = |setarch: &PathBuf| {
            let tried = fixed_addresses(setarch, Path::new("true")).output();
            tried.is_ok_and(|output| output.status.success())
        };
        Self::Repeat {
            setarch: path::find("setarch").filter(fixes_addresses),
        }
    }

    /// Says what each target gets.
    pub(super) fn announce(&self) {
        match self {
            Self::Explore(time) => step::note(&format!(
                "Each target gets new inputs for {}",
                step::minutes(*time)
            )),
            Self::Repeat { setarch } => {
                step::note(&format!(
                    "Each target gets the same {RUNS} inputs each time: -seed={SEED} -runs={RUNS}, at most {}",
                    step::minutes(LONGEST)
                ));
                if setarch.is_none() {
                    step::note(
                        "`setarch -R` does not work here, so a few inputs depend on the addresses of this run",
                    );
                }
            }
        }
    }

    /// The command that runs the target `program`. The committed seeds are in `seeds`, if there are any. It works in the folder
    /// `own`, where it keeps what it learns.
    pub(super) fn command(
        &self,
        program: &Path,
        seeds: &Path,
        own: &Path,
    ) -> anyhow::Result<Command> {
        let mut command = match self {
            Self::Explore(time) => {
                let learned = own.join("corpus");
                fs::create_dir_all(&learned)?;
                let mut command = Command::new(program);
                command.arg(format!("-max_total_time={}", time.as_secs()));
                // What is new is written to the first folder.
                command
                    .arg(learned)
                    .args(Some(seeds).filter(|it| it.is_dir()));
                command
            }
            Self::Repeat { setarch } => {
                let mut command = match setarch {
                    Some(setarch) => fixed_addresses(setarch, program),
                    None => Command::new(program),
                };
                command.arg(format!("-seed={SEED}"));
                command.arg(format!("-runs={RUNS}"));
                command.arg(format!("-max_total_time={}", LONGEST.as_secs()));
                if seeds.is_dir() {
                    // libFuzzer reads the files of a folder in the order of the file system.
                    command.args(list(seeds)?);
                }
                command
            }
        };
        command.current_dir(own);
        Ok(command)
    }

    /// How a run ended that made so many executions without a finding.
    pub(super) fn remark(&self, executions: u64) -> &'static str {
        match self {
            Self::Repeat { .. } if executions < RUNS => {
                "; the time was over before the inputs were"
            }
            _ => "",
        }
    }
}

fn fixed_addresses(setarch: &Path, program: &Path) -> Command {
    let mut command = Command::new(setarch);
    command.arg("--addr-no-randomize").arg(program);
    command
}

/// The option that names the files in `folder`, in the order of their names. `None` without files.
fn list(folder: &Path) -> anyhow::Result<Option<OsString>> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.with_context(|| format!("cannot list {}", folder.display()))?;
    let paths = entries.iter().map(|entry| entry.path().into_os_string());
    let mut paths: Vec<OsString> = paths.collect();
    if paths.is_empty() {
        return Ok(None);
    }
    paths.sort();
    let mut option = OsString::from("-seed_inputs=");
    option.push(paths.join(",".as_ref()));
    Ok(Some(option))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const PROGRAM: &str = "/programs/keyset";

    fn arguments(plan: &Plan, seeds: &Path, own: &Path) -> Vec<String> {
        let command = plan.command(Path::new(PROGRAM), seeds, own).unwrap();
        assert_eq!(command.get_program(), PROGRAM);
        assert_eq!(command.get_current_dir(), Some(own));
        let arguments = command.get_args();
        arguments
            .map(|it| it.to_str().unwrap().to_owned())
            .collect()
    }

    fn seeds() -> TempDir {
        let seeds = tempfile::tempdir().unwrap();
        for name in ["long", "empty", "wide", "deep"] {
            fs::write(seeds.path().join(name), name).unwrap();
        }
        seeds
    }

    #[test]
    fn a_repeated_run_has_fixed_inputs_and_keeps_nothing() {
        let (seeds, own) = (seeds(), tempfile::tempdir().unwrap());
        let plan = Plan::Repeat { setarch: None };
        let arguments = arguments(&plan, seeds.path(), own.path());
        let paths = ["deep", "empty", "long", "wide"]
            .map(|name| seeds.path().join(name).display().to_string());
        let inputs = format!("-seed_inputs={}", paths.join(","));
        for option in ["-seed=1", "-runs=10000", &inputs] {
            assert!(arguments.iter().any(|it| it == option), "{arguments:?}");
        }
        assert!(
            arguments.iter().all(|it| it.starts_with('-')),
            "{arguments:?}"
        );
    }

    #[test]
    fn a_target_without_seeds_can_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        let plan = Plan::Repeat { setarch: None };
        for seeds in [&*none, folder.path()] {
            let arguments = arguments(&plan, seeds, folder.path());
            assert!(
                !arguments.iter().any(|it| it.contains("seed_inputs")),
                "{arguments:?}"
            );
        }
        assert!(!none.exists());
    }

    #[test]
    fn an_exploring_run_has_random_inputs_and_keeps_what_is_new() {
        let (seeds, own) = (seeds(), tempfile::tempdir().unwrap());
        let plan = Plan::Explore(Duration::from_mins(2));
        let arguments = arguments(&plan, seeds.path(), own.path());
        let learned = own.path().join("corpus");
        let folders = [&*learned, seeds.path()].map(|folder| folder.to_str().unwrap());
        assert_eq!(arguments, [&["-max_total_time=120"], &folders[..]].concat());
        assert!(learned.is_dir());
    }

    #[test]
    fn a_repeated_run_says_when_it_was_cut_short() {
        let plan = Plan::Repeat { setarch: None };
        assert!(plan.remark(RUNS - 1).contains("time"));
        assert_eq!(plan.remark(RUNS), "");
        assert_eq!(Plan::Explore(Duration::from_mins(1)).remark(7), "");
    }
}
