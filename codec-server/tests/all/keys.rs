//! `codec-server keys` against a local keyring, the emulator of Cloud KMS, and a server that follows AWS's reference.

mod aws;
mod cloud_kms;
mod program;
