//! What the tests against real servers and foreign libraries have in common.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test fixture that cannot be set up fails its test"
)]

pub mod interop;
pub mod moto;
pub mod softhsm;

mod tools;

pub use tools::{TOOLS, tool};
