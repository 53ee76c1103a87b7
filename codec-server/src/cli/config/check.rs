//! `config check`: every mistake of a configuration.

use std::path::Path;

use serde::Serialize;
use temporal_kms_codec_service::exit::print;

use super::super::exit::{Failure, Status, print_answer};
use crate::config::{Config, Problem};

pub(super) const HELP: &str = "\
Examples:
  codec-server config check codec.toml
  codec-server config check codec.toml --json | jq .problems

It finds everything that `serve` would refuse before it opens its keys: with
the variables CODEC_… over the file, and with the files that the configuration
names. `doctor --config FILE` tries the keys as well.";

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
    if !json {
        checked?;
        return print(&format!("{shown}: no mistakes found; keys were not opened"));
    }
    let report = Report {
        ok: problems.is_empty(),
        file: shown,
        problems,
    };
    print_answer(true, &report, String::new)?;
    if report.ok {
        Ok(())
    } else {
        Err(Failure::said(Status::Configuration))
    }
}
