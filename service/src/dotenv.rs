//! The file `.env`: settings for a folder, such as `codec-server keys setup` writes them.
//!
//! A program reads it before everything else, and starts itself again with its variables: the command line, the key services
//! and their SDKs then see one environment. A variable that the process has already always wins.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `TEMPORAL_CODEC_ENV_FILE` | the file with variables that both programs read; `none` reads none | `.env` in the folder in which they start |
//! | `TEMPORAL_CODEC_ENV_READ` | what was read from that file. The programs set it themselves | |

mod environment;
mod file;
mod syntax;
mod trusted;
mod value;

pub use environment::{load, tell};
pub use file::EnvFile;
pub use syntax::{assignment, split_entry, split_mark, split_value};

/// What a fuzz target reads of a file's text. `None` for a text with a mistake.
#[cfg(fuzzing)]
#[doc(hidden)]
#[must_use]
pub fn variables(text: &str) -> Option<Vec<(String, String)>> {
    value::variables(text, |_| true).ok()
}
