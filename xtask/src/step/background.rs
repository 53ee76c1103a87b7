//! Work in parallel to a command whose output is shown.

use std::{
    cell::Cell,
    thread::{self, JoinHandle},
};

use anyhow::anyhow;

thread_local! {
    static BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread works beside another one, which owns the terminal.
pub(super) fn in_background() -> bool {
    BACKGROUND.get()
}

/// Work on a thread of its own. Its programs are ended when this is dropped before `finish`.
pub(crate) struct Background<T> {
    thread: Option<JoinHandle<anyhow::Result<T>>>,
}

impl<T: Send + 'static> Background<T> {
    pub(crate) fn start(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Self {
        let thread = thread::spawn(move || {
            BACKGROUND.set(true);
            work()
        });
        Self {
            thread: Some(thread),
        }
    }

    /// Waits for the result.
    pub(crate) fn finish(mut self) -> anyhow::Result<T> {
        let thread = self.thread.take();
        let result = thread.map(JoinHandle::join);
        result
            .unwrap_or_else(|| Err(Box::new("it was not started")))
            .map_err(|_| anyhow!("the work in the background panicked"))?
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            dev_servers::close();
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_and_the_error_of_the_work_arrive() {
        assert_eq!(Background::start(|| Ok(7)).finish().unwrap(), 7);
        let failed = Background::<()>::start(|| Err(anyhow!("no disk")));
        assert_eq!(failed.finish().unwrap_err().to_string(), "no disk");
    }

    #[test]
    fn only_the_work_counts_as_background() {
        assert!(Background::start(|| Ok(in_background())).finish().unwrap());
        assert!(!in_background());
    }
}
