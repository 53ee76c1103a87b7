//! The programs `claude-tasks worker` and `claude-tasks submit` against a real Temporal server. They are one test program,
//! because each test program links the SDK and takes about 100 MB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails if something that it needs is missing"
)]

mod api;
mod attempts;
mod attributes;
mod copies;
mod credential;
mod deliveries;
mod end_to_end;
mod histories;
mod hostile_cli;
mod hostile_input;
mod kills;
mod leaks;
mod network;
mod observed;
mod processes;
mod providers;
mod repository;
mod sandbox;
mod setup;
mod signed;
mod steps;
mod store;
mod store_choice;
mod submit;
mod support;
mod usage;
mod webhooks;
