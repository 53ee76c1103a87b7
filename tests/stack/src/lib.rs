//! The servers around this project as values: a Temporal dev server, the codec server, a Messages API, the worker. Each
//! uses ports that the system picks and is ready when its constructor returns. Dropping it ends it and all its
//! descendants.
//!
//! ```no_run
//! # fn main() -> Result<(), dev_servers::StackError> {
//! use dev_servers::{TemporalOptions, TemporalServer};
//!
//! let server = TemporalServer::start("/usr/bin/temporal".as_ref(), &TemporalOptions::default())?;
//! println!("gRPC at {}", server.address());
//! # Ok(())
//! # }
//! ```

mod ask;
mod audit_log;
#[cfg(feature = "certificates")]
pub mod certificates;
mod children;
mod error;
pub mod help;
mod leaks;
mod masked;
mod memory;
mod panics;
mod ports;
mod process;
mod registry;
mod rerun;
mod servers;
mod ssh;
mod temporal;
mod webhooks;

pub use ask::{ask, ask_python};
pub use audit_log::{audit_files, audit_lines};
pub use error::StackError;
pub use leaks::{Forms, find_secret};
pub use masked::Masked;
pub use memory::{memory_holds, own_memory_holds};
pub use panics::{PANIC_SECRET, assert_panic_is_told};
pub use ports::{free_port, is_free, wait_for_port};
pub use process::Process;
pub use registry::close;
pub use rerun::{is_rerun, rerun};
pub use servers::{Service, listening_url, sibling_binary};
pub use ssh::SshServer;
pub use temporal::{TemporalOptions, TemporalServer};
pub use webhooks::{Webhook, WebhookReceiver};
