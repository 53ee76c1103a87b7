//! The life of a process: how it runs, when it is ready, and how it is told to reload its configuration or to stop.

mod drain;
mod readiness;
mod reload;
mod reload_config;
mod restart;
mod runtime;
mod signals;

pub use drain::{finish, serve_until_noticed};
pub use readiness::{Condition, KEYS, Phase, Readiness, ReadinessReport};
pub use reload::{ReloadStatus, Reloads, Trigger, Triggers};
pub use reload_config::ReloadConfig;
pub use restart::NeedsRestart;
pub use runtime::{run, run_interruptible};
pub use signals::StopSignals;
/// Tells a server to stop. Every clone can do it.
pub use tokio_util::sync::CancellationToken;
