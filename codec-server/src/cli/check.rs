//! `config check`.

use std::{io::Write as _, path::Path};

use serde::Serialize;

use super::exit::{Failure, Status};
use crate::config::{Config, Problem};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'r> {
    ok: bool,
    file: String,
    problems: &'r [Problem],
}

pub(super) fn run(file: &Path, json: bool) -> Result<(), Failure> {
    let checked = Config::load(file);
    let problems = checked
        .as_ref()
        .err()
        .map_or(&[][..], |found| &found.problems);
    let shown = file.display().to_string();
    if json {
        let report = Report {
            ok: problems.is_empty(),
            file: shown,
            problems,
        };
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::new(Status::Io, error))?;
        print(&text)?;
        return if report.ok {
            Ok(())
        } else {
            Err(Failure::said(Status::Usage))
        };
    }
    checked?;
    print(&format!("{shown}: no mistakes found; keys were not opened"))
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| Failure::io("stdout", &error))
}
