//! Temporal's Web UI in a real browser, both generations: people sign in at an identity provider, and the Web UI passes
//! their tokens on to a codec server with TLS.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod company;
mod cookies;
mod pictures;
mod refused;
mod shown;
mod written;
