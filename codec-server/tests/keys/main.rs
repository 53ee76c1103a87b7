//! `codec-server keys` against a local keyring, the emulator of Cloud KMS, and a server that follows AWS's reference.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod aws;
mod cloud_kms;
mod program;
