//! `config show`: what a server would run with.

use std::{env, fmt::Write as _, path::PathBuf};

use clap::Args;
use serde::Serialize;
use temporal_kms_codec_service::{exit::print, terminal};

use super::{
    super::exit::{Failure, Status, print_answer},
    effective::{Effective, effective, toml_name},
};

pub(super) const HELP: &str = "\
Examples:
  codec-server config show codec.toml
  codec-server config show codec.toml --set
  codec-server config show codec.toml --json | jq .settings
  TEMPORAL_CODEC_KEY=local://2026 codec-server config show

A value comes from a line of the file, from a variable, or is the default.
Secrets are hidden, so a server cannot start with the output of --toml where
the configuration has secrets.";

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The configuration; without it, the variables that `serve` would use.
    #[arg(env = "CODEC_CONFIG")]
    file: Option<PathBuf>,
    /// The configuration, as other commands name it. `CODEC_CONFIG` does not count beside it.
    #[arg(long, value_name = "FILE", hide = true)]
    config: Option<PathBuf>,
    /// Show only the settings that the file or a variable sets.
    #[arg(long)]
    set: bool,
    /// Print `settings` as JSON, each with `setting`, `value`, `source`, and `line` or `variable`.
    #[arg(long)]
    json: bool,
    /// Print a configuration file that says the same.
    #[arg(long, conflicts_with = "json")]
    toml: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    settings: Vec<Effective>,
}

pub(super) fn run(args: &ShowArgs) -> Result<(), Failure> {
    let of_variable = env::var_os("CODEC_CONFIG").map(PathBuf::from);
    if args.config.is_some() && args.file.is_some() && args.file != of_variable {
        return Err(Failure::new(
            Status::Usage,
            "--config: the configuration is named twice; name it once",
        ));
    }
    let mut settings = effective(args.config.as_deref().or(args.file.as_deref()))?;
    if args.set {
        settings.retain(|one| one.place.is_some());
    }
    if args.toml {
        return print(&toml(&settings));
    }
    print_answer(
        args.json,
        &Report {
            settings: settings.clone(),
        },
        || table(&settings),
    )
}

/// Columns for people: name, value, origin.
fn table(settings: &[Effective]) -> String {
    let rows: Vec<[String; 3]> = settings
        .iter()
        .map(|one| {
            [
                one.setting.clone(),
                terminal::line(&one.text()),
                one.origin(),
            ]
        })
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    // A long value does not push the last column away from all others.
    let (first, second) = (width(0), width(1).min(40));
    let mut text = String::new();
    for [setting, value, origin] in &rows {
        let _ = writeln!(text, "{setting:first$}  {value:second$}  {origin}");
    }
    text
}

/// A file with the same settings. What has no value is left out.
fn toml(settings: &[Effective]) -> String {
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for one in settings {
        let Some((section, name)) = one.pattern.rsplit_once('.') else {
            continue;
        };
        if !one.is_literal {
            continue;
        }
        let section = match &one.name {
            Some(name) => section.replace('*', &toml_name(name)),
            None => section.to_owned(),
        };
        let line = format!("{name} = {}  # {}", one.text(), one.origin());
        match tables.iter_mut().find(|(known, _)| *known == section) {
            Some((_, lines)) => lines.push(line),
            None => tables.push((section, vec![line])),
        }
    }
    let tables: Vec<String> = tables
        .into_iter()
        .map(|(section, lines)| format!("[{section}]\n{}\n", lines.join("\n")))
        .collect();
    tables.join("\n")
}
