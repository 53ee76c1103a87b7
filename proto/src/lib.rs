//! Temporal's [`Payload`] messages, in the two forms that a codec needs: protobuf, which is encrypted and which SDKs
//! exchange, and proto-JSON ([`json`]), which remote codecs exchange.
//!
//! The Rust code under `generated/` is committed, so that builds need no protobuf compiler. A test regenerates it and
//! compares.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod data;
mod debug;
pub mod json;
mod parts;
mod plain;
mod shared;

mod generated {
    #![allow(missing_docs, clippy::pedantic)]
    // Temporal defines the fields.
    #![allow(clippy::exhaustive_structs, clippy::exhaustive_enums)]
    include!("generated/temporal.api.common.v1.rs");
}

pub use data::{Data, Room};
pub use generated::{Payload, Payloads, payload};
pub use parts::PayloadParts;
#[doc(hidden)]
pub use plain::{Erase, Plain};
pub use shared::{Metadata, OncePerMetadata, SharedPayload};
