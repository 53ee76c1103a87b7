//! What every program of this project needs, so that they behave alike.
//!
//! - [`arguments`] reads the command line and the environment. An empty variable counts as unset.
//! - [`exit`] has the exit codes, which follow `sysexits.h`.
//! - [`log`] starts the log.
//! - [`memory`] keeps secrets out of core dumps.
//! - [`terminal`] makes text from outside safe to print.

pub mod arguments;
pub mod exit;
pub mod log;
pub mod memory;
pub mod terminal;
