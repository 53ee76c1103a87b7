//! The Rust in the documents, which compiles when the documentation tests of this crate run.

#[doc = include_str!("../../README.md")]
mod readme {}

#[doc = include_str!("../../docs/worker.md")]
mod worker {}

#[doc = include_str!("../../docs/codec-server/audit.md")]
mod audit {}
