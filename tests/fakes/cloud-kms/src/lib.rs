//! A small local Cloud KMS, enough for Google's own clients: key rings, keys, their versions, encryption, signing and
//! IAM policies, over the JSON form of the REST API (`v1`).
//!
//! It follows the public reference: what the service refuses is refused here with the same status, checksums are
//! verified and returned, and a version's ciphertext opens with that version alone. The cryptography is real (AES-256-GCM,
//! ECDSA on P-256); the protection is not: keys lie in memory, or in the clear in a file. It listens on loopback only
//! and authenticates nobody.
//!
//! ```text
//! fake-cloud-kms --listen 127.0.0.1:0 --fault 'status=503*2@Encrypt'
//! listening on http://127.0.0.1:40123
//! ```
//!
//! Outside the service's own paths it can be told to misbehave, and asked what it has seen:
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
