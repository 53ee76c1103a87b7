//! Temporal's [`Payload`] messages, in the two forms that a codec meets: protobuf (what is encrypted and
//! what SDKs exchange) and proto-JSON (what remote codecs exchange, [`json`]).
//!
//! The Rust under `generated/` is committed, so that nothing needs a protobuf compiler to build; a test
//! regenerates it and compares.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod debug;
pub mod json;

mod generated {
    #![allow(missing_docs, clippy::pedantic)]
    // Temporal defines the fields.
    #![allow(clippy::exhaustive_structs, clippy::exhaustive_enums)]
    include!("generated/temporal.api.common.v1.rs");
}

pub use generated::{Payload, Payloads, payload};
