//! AES-256-GCM and randomness, with AWS-LC or in pure Rust. Nothing else in the project names a cryptographic library for them.

pub mod aead;
pub mod random;
