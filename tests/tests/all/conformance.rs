//! The conformance suite over every provider, each against the real server of its service or the closest thing to one:
//! Cloud KMS at the emulator that Google's own clients accept, AWS KMS at moto and, where moto differs from AWS, at a server
//! that follows AWS's reference, PKCS#11 in `SoftHSM`, and local keyrings.
#![allow(
    clippy::expect_used,
    reason = "a test fixture that cannot be set up fails its test"
)]

mod aws;
mod by_uri;
mod gcp;
mod local;
mod moto;
mod pkcs11;
