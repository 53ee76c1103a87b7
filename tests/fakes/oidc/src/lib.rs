//! A small OIDC issuer for tests: discovery, keys, and the authorization code flow with PKCE.
//!
//! Each user who asks is signed in at once, as the user that the test sets. Keys rotate and failures happen when the test
//! says so. Tokens of any content can be made, also hostile ones.
//!
//! ```text
//! fake-oidc --client codec
//! listening on http://127.0.0.1:40123
//! ```
//! A test in another language uses `POST /_token` (JSON with `algorithm`, `header`, `claims`; the answer is a token),
//! `POST /_rotate`, `POST /_fault` (the name of a [`Fault`], or `none`), `POST /_user` (claims) and `GET /_requests`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for tests"
)]

mod fault;
mod flow;
mod key;
mod server;
mod tls;
mod token;

pub use fault::Fault;
pub use flow::Client;
pub use key::{Key, RSA, jwk_with};
pub use server::{Options, Server};
pub use tls::Identity;
pub use token::{claims, hmac_with_public_key, sign, unsigned};
