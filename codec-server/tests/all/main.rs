//! The program `codec-server` from outside. One test program holds all of these tests, because each takes 70 MB to link.
//! `file_memory` is apart: it measures the memory of every process that its own process has started.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod audit;
mod command_log;
mod doctor;
mod env_file;
mod faults;
mod files;
mod histories;
mod keys;
mod leaks;
mod pins;
mod server;
mod signatures;
mod support;
mod telemetry;
