//! Runs the asynchronous parts of the library.

use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has room for a runtime");
}

/// The result of `future`.
///
/// # Panics
/// When the system has no room for a runtime.
pub fn wait_for<F: Future>(future: F) -> F::Output {
    RUNTIME.with(|runtime| runtime.block_on(future))
}
