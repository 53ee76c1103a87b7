//! `codec-server doctor` against a local keyring, the emulator of Cloud KMS and a scripted AWS KMS: for every way in which
//! a set-up fails it names the cause and what to do.

mod aws;
pub(crate) mod bench;
mod cloud_kms;
mod private_endpoint;
mod serving;
mod set_up;
mod signing;
