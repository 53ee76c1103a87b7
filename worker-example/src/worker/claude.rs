//! Running the Claude Code CLI: its arguments and environment, its output, its end.

mod caps;
mod command;
mod events;
mod fields;
mod lines;
mod redact;
mod run;

pub(crate) use caps::Caps;
pub(crate) use command::{ClaudeConfig, ConfigError};
pub use events::ResultEvent;
pub(crate) use events::{Event, OWN_TYPE, shortened};
pub(crate) use fields::Fields;
pub(crate) use redact::Redactor;
pub(crate) use run::{Ended, OutputLimits, Publish, Session, Stop};
