//! The codec server from outside: the real program on free ports, called with exact bytes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod browser;
mod command_line;
mod configuration;
mod documents;
mod hostile;
mod leaks;
mod lifecycle;
mod protocol;
mod support;
mod tampering;
