//! `config`: what a configuration says, what it may say, and what is wrong with it.

mod check;
mod effective;
mod explain;
mod schema;
mod show;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::exit::Failure;

pub(super) const HELP: &str = "\
Examples:
  codec-server config check codec.toml
  codec-server config show codec.toml
  codec-server config explain max_body
  codec-server config schema > codec.schema.json

Variables CODEC_… count over the file in each of them, as they do for `serve`.";

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Reports every mistake in a configuration with its line. Keys are not opened.
    #[command(after_help = check::HELP)]
    Check {
        /// The configuration.
        #[arg(required = true)]
        file: Option<PathBuf>,
        /// The configuration, as other commands name it.
        #[arg(long, value_name = "FILE", hide = true, conflicts_with = "file")]
        config: Option<PathBuf>,
        /// Print the result as JSON: `ok`, `file`, and `problems` with `line` or `variable`, `setting` and `message`.
        #[arg(long)]
        json: bool,
    },
    /// Shows the value of every setting, and where it comes from. Secrets are hidden.
    #[command(after_help = show::HELP)]
    Show(show::ShowArgs),
    /// Prints the JSON Schema of the configuration file.
    #[command(after_help = schema::HELP)]
    Schema,
    /// Explains a setting: what it does, its values, its default, its variable, and its value now.
    #[command(after_help = explain::HELP)]
    Explain(explain::ExplainArgs),
}

pub(super) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check { file, config, json } => {
            let file = file.as_deref().or(config.as_deref());
            // The command line has one of them.
            check::run(file.unwrap_or(Path::new("")), *json)
        }
        ConfigCommand::Show(args) => show::run(args),
        ConfigCommand::Schema => schema::run(),
        ConfigCommand::Explain(args) => explain::run(args),
    }
}
