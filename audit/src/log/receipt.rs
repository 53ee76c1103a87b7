//! What a caller waits for who added a line.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::yield_now, time::timeout};

use crate::{error::AuditError, queue::WakeOnDrop};

/// Waits until a line is written.
#[derive(Debug)]
#[must_use = "the line is written anyway, but whether it was shows here"]
pub struct Receipt(pub(super) State);

#[derive(Debug)]
pub(super) enum State {
    Waiting(Waiting),
    Known(Result<(), AuditError>),
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) written: oneshot::Receiver<Result<(), Arc<str>>>,
    pub(super) patience: Duration,
    pub(super) wake: WakeOnDrop,
}

impl Receipt {
    /// Waits until the line is written.
    ///
    /// # Errors
    /// When it was not written, and the log's options refuse work without a record.
    pub async fn written(self) -> Result<(), AuditError> {
        let Waiting {
            written,
            patience,
            wake,
        } = match self.0 {
            State::Known(known) => return known,
            State::Waiting(waiting) => waiting,
        };
        // Requests that run now add their lines first, and all lines are written together.
        yield_now().await;
        drop(wake);
        match timeout(patience, written).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(reason))) => Err(AuditError::Unwritten(reason.to_string())),
            Ok(Err(_)) => Err(AuditError::Closed),
            Err(_) => Err(AuditError::TooSlow),
        }
    }
}
