//! AES-256-GCM and randomness, with AWS-LC or in pure Rust. No other module of the project names a cryptographic
//! library for them. [`Dek::generate`](crate::Dek::generate) asks the operating system itself.

pub mod aead;
pub mod erase;
pub mod random;
