//! The life of a process: how it runs, when it is ready, and how it is told to stop.

mod readiness;
mod runtime;
mod signals;

pub use readiness::{Condition, KEYS, Phase, Readiness, ReadinessReport};
pub use runtime::{run, run_interruptible};
pub use signals::StopSignals;
/// Tells a server to stop. Every clone can do it.
pub use tokio_util::sync::CancellationToken;
