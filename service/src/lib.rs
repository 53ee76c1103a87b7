//! What every program of this project needs, so that they behave alike.
//!
//! - [`arguments`] reads the command line and the environment. An empty variable counts as unset.
//! - [`deadline`] computes times to wait until.
//! - [`exit`] has the exit codes, which follow `sysexits.h`.
//! - [`log`] starts the log.
//! - [`memory`] keeps secrets out of core dumps.
//! - [`terminal`] makes text from outside safe to print.
//! - [`units`] reads times and sizes.

pub mod arguments;
pub mod deadline;
pub mod exit;
pub mod log;
pub mod memory;
pub mod terminal;
pub mod units;
