//! Runs Claude Code: its arguments and environment, its output, and its end.

mod caps;
mod command;
mod lines;
mod session;

use crate::redact;

pub(super) use crate::redact::Redactor;
pub(crate) use caps::Caps;
pub(crate) use command::{ClaudeConfig, ConfigError};
pub(crate) use session::OutputLimits;
pub(super) use session::{Publish, Session, SessionEnd, StopReason};
