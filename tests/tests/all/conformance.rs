//! What every provider has to do alike, asked of each against the real server of its service or the closest thing to
//! one: Cloud KMS at the emulator that Google's own clients accept, AWS KMS at moto and, where moto differs from AWS, at
//! a server that follows AWS's reference, PKCS#11 in `SoftHSM`, and local keyrings.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fixture that cannot be set up fails its test"
)]

mod cases;
mod faulty;
mod service;
mod services;
