//! A verifiable audit log: JSON lines, each with the hash of the line before, and signed anchors.
//!
//! - An [`AuditLog`] is written by one thread. [`AuditLog::record`] adds an [`Event`], and its [`Receipt`] waits until the
//!   line is written.
//! - As a [`CallObserver`](temporal_kms::CallObserver), the log has a line for every call of a key and every change of a key.
//! - [`within`] gives the calls of a request the request's id.
//! - [`Verifier`] finds the first line that was changed, removed, moved, added or cut off.
//! - [`read`] reads the lines of a log in their order.
//!
//! # The rule of the chain
//!
//! Each line is one JSON object and a line feed. It begins with `{"seq":N,"prev":"H",`. `N` is the number of the line,
//! counted from 1 over all files of a log. `H` is the SHA-256 of the line before, over its exact bytes with its line feed, in
//! 64 lower-case hexadecimal digits. The first line of a log has 64 zeros.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use temporal_kms_audit::{AuditLog, AuditOptions, Verifier};
//!
//! # let folder = tempfile::tempdir()?;
//! let log = AuditLog::open(&AuditOptions::folder(folder.path()))?;
//! log.close().await?;
//! let report = Verifier::new().verify(&[folder.path().to_owned()])?;
//! assert!(report.finding.is_none());
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod anchor;
mod calls;
mod chain;
mod destination;
mod error;
mod event;
mod folder;
mod line;
mod log;
mod numbers;
mod observer;
mod options;
mod queue;
pub mod read;
mod scope;
mod stream;
mod syslog;
mod verify;
mod writer;

pub use self::{
    anchor::Anchoring,
    chain::{Hash, Head},
    error::AuditError,
    event::{Decision, Event, RequestEvent},
    line::Line,
    log::{AuditFiles, AuditLog, Receipt},
    numbers::AuditStats,
    options::{AuditOptions, OnFailure, Sync, SyslogAddress, Target},
    scope::within,
    verify::{Finding, FindingKind, LastAnchor, Report, Verifier},
};
