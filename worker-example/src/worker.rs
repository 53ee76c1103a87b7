//! The worker: it polls Temporal, and runs each task with Claude Code.

#[allow(missing_docs, reason = "the SDK's macros make constants")]
mod activities;
mod claude;
mod confinement;
mod event_window;
mod failures;
mod log_store;
mod run;
mod runner;
mod search_attributes;
mod settings;
#[allow(missing_docs, reason = "the SDK's macros make constants")]
mod steps;
mod uploads;
#[allow(missing_docs, reason = "the SDK's macros make constants")]
mod workflow;

pub use activities::ClaudeActivities;
pub(crate) use claude::{Caps, ClaudeConfig, ConfigError, OutputLimits};
pub(crate) use run::{WorkerError, run};
pub(crate) use settings::WorkerSettings;
pub use workflow::ClaudeTask;
