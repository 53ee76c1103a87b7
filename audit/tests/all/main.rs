//! Logs that are edited, cut, killed and refused, as one program.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod anchors;
mod crash;
mod edits;
mod forged;
mod full_disk;
mod lock;
mod observer;
mod support;
