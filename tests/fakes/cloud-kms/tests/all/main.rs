//! The emulator of Cloud KMS: through this library's provider, through Google's own client, and by hand.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod admin;
mod codec;
mod common;
mod credentials;
mod faults;
mod google;
mod program;
mod provider;
mod signer;
