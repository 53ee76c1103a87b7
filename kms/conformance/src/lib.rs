//! The tests that every key service of `temporal-kms-codec` passes, for providers of your own too.
//!
//! A provider that passes wraps data keys as the codec needs it. It binds their context, refuses altered and foreign
//! ciphertexts, reports failures with the right kind, and survives short faults.
//!
//! Implement [`Harness`] for your service and call [`conformance_tests!`] in a test:
//!
//! ```no_run
//! use std::{future::Future, sync::Arc};
//!
//! use async_trait::async_trait;
//! use temporal_kms::{KeyAdmin, KeyProvider, KeyUri, ProviderError, Signer};
//! use temporal_kms_conformance::{Harness, Suite, conformance_tests, run};
//! use temporal_kms_local::LocalKeyring;
//!
//! conformance_tests!(with);
//!
//! /// Starts the service, here a folder for keys, and runs a case on it.
//! fn with<F: Future<Output = ()>>(case: impl FnOnce(Suite) -> F) {
//!     let folder = tempfile::tempdir().unwrap();
//!     let keyring = LocalKeyring::open(folder.path());
//!     run(case(Suite::new(Local(keyring))));
//! }
//!
//! struct Local(LocalKeyring);
//!
//! #[async_trait]
//! impl Harness for Local {
//!     fn key_uri(&self, name: &str) -> KeyUri {
//!         format!("local://{name}").parse().unwrap()
//!     }
//!
//!     async fn open(&self, key: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
//!         self.0.key(key.resource())
//!     }
//!
//!     async fn open_signer(&self, key: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
//!         self.0.signing_key(key.resource())
//!     }
//!
//!     async fn open_admin(&self) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
//!         Ok(Arc::new(self.0.clone()))
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! Each case gets its own service. Only [`Harness::key_uri`], [`Harness::open`] and a way to create keys are required.
//! Leave out the groups that the service does not support. [`FaultyKey`](temporal_kms::faulty::FaultyKey) injects the
//! faults that a service cannot produce. Other tests of your provider can use it too.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a case that fails panics, as tests do"
)]

pub mod cases;
mod harness;
mod macros;
mod suite;

use std::future::Future;

pub use self::{
    harness::{Fault, Harness, Unit},
    suite::Suite,
};

/// Runs a case to its end, with two threads.
pub fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(case);
}
