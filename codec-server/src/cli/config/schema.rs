//! `config schema`: the JSON Schema of the file.

use super::super::exit::{Failure, print_answer};
use crate::config::schema;

pub(super) const HELP: &str = "\
Examples:
  codec-server config schema > codec.schema.json

With the line `#:schema ./codec.schema.json` at the top of codec.toml, editors
that know the language server Taplo complete and check the file. `config check`
knows more: it also finds settings that do not fit together.";

pub(super) fn run() -> Result<(), Failure> {
    print_answer(true, &schema(), String::new)
}
