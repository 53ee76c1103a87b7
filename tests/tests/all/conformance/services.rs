//! The services that the suite is asked of.

mod aws;
mod gcp;
mod local;
mod moto;
mod pkcs11;

use std::future::Future;

/// Runs a case to its end.
fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(case);
}
