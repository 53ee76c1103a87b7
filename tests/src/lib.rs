//! What the tests against real servers and foreign libraries have in common.
//!
//! Each test takes a namespace of ids and task queues of its own, so that all of them can run
//! against one server at a time. Foreign programs are found through the variables that
//! `cargo xtask test` sets; without them a test fails, it is never skipped.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test fixture that cannot be set up fails its test"
)]

pub mod aws;
pub mod browser;
pub mod interop;
pub mod moto;
pub mod parcel;
pub mod softhsm;
pub mod web_ui;

#[cfg(doctest)]
mod documents;
mod keyring;
mod parcel_office;
mod parcel_worker;
mod places;
mod raw;
mod relay;
mod secured_server;
mod servers;
mod sshd;
mod tls_front;
mod tools;

pub use keyring::Keyring;
pub use parcel_office::{ParcelOffice, output};
pub use parcel_worker::ParcelWorker;
pub use raw::{Raw, assert_absent, assert_present};
pub use relay::Relay;
pub use secured_server::{SecuredServer, program_token};
pub use servers::{codec_server, codec_server_that, temporal, until};
pub use sshd::Sshd;
pub use tools::{TOOLS, tool};
