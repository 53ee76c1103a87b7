//! A small local Cloud KMS, enough for Google's own clients: key rings, keys, their versions, encryption, signing and
//! IAM policies, over the JSON form of the REST API (`v1`).
//!
//! It follows the public reference. It refuses the same requests with the same status, verifies and returns checksums,
//! and opens a version's ciphertext only with that version. The cryptography is real (AES-256-GCM, ECDSA on P-256). The
//! protection is not: keys are in memory, or in the clear in a file. It listens only on loopback and does not
//! authenticate callers.
//!
//! ```text
//! fake-cloud-kms --listen 127.0.0.1:0 --fault 'status=503*2@Encrypt'
//! listening on http://127.0.0.1:40123
//! ```
//!
//! Further paths control its faults and show the calls that it received:
//!
//! | request | effect |
//! |---|---|
//! | `GET /_emulator/faults` | the [`Fault`]s in force, as a JSON list of their text forms |
//! | `PUT /_emulator/faults` | replaces them |
//! | `GET /_emulator/calls` | the last 1,000 [`Call`]s, oldest first |
//! | `POST /_emulator/clock` | `{"advanceSeconds": N}`: sets its clock forward, so that keys rotate and versions are destroyed |

mod canned;
mod control;
mod emulator;
mod error;
mod fault;
mod journal;
mod model;
mod route;
mod rpc;
mod serve;
mod shared;

pub use canned::Canned;
pub use emulator::{Emulator, Options};
pub use fault::{Fault, FaultKind, ParseFaultError};
pub use journal::Call;
pub use route::Rpc;
