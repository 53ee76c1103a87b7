//! Who is told of calls: the [`CallObserver`] trait.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::operation::{Call, Operation};
use crate::{KeyUri, ProviderError, ProviderErrorKind};

/// Waits until a note is kept safely.
pub type NoteKept = Pin<Box<dyn Future<Output = Result<(), ProviderError>> + Send>>;

/// Is told of every call of a key, and of every change of a key, when it has ended: an audit log, for example.
///
/// It never sees a key, a payload or the bytes that are signed.
pub trait CallObserver: Send + Sync + fmt::Debug {
    /// Whether a call may be made now. An observer that cannot note calls at the moment refuses them here. For each call
    /// that it permits, [`ended`](Self::ended) is called once.
    ///
    /// # Errors
    /// Why not. The caller gets this error, and the service is not called.
    fn permits(&self, operation: Operation, key: &KeyUri) -> Result<(), ProviderError> {
        let _ = (operation, key);
        Ok(())
    }

    /// Notes a call that has ended. It is noted when this returns. The future that is returned waits until the note is
    /// kept safely; it may be dropped.
    ///
    /// # Errors
    /// The future ends with an error where the note cannot be kept. The caller gets this error in place of the call's
    /// answer.
    fn ended(&self, call: &EndedCall<'_>) -> NoteKept;
}

/// A call that has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndedCall<'a> {
    /// What was called.
    pub operation: Operation,
    /// The key.
    pub key: &'a KeyUri,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, with all attempts.
    pub took: Duration,
    /// The id by which the service's own logs call the request, where it failed and the service named one.
    pub service_request: Option<&'a str>,
    /// What was asked for, of a change: names and values, such as `version` and `7`.
    pub details: &'a [(&'static str, &'a str)],
}

impl<'a> EndedCall<'a> {
    /// A call of `operation` on `key` that ended as `outcome` says.
    #[must_use]
    pub const fn new(operation: Operation, key: &'a KeyUri, outcome: Outcome) -> Self {
        Self {
            operation,
            key,
            outcome,
            took: Duration::ZERO,
            service_request: None,
            details: &[],
        }
    }

    /// Sets how long it took.
    #[must_use]
    pub const fn with_took(mut self, took: Duration) -> Self {
        self.took = took;
        self
    }

    /// Sets what was asked for.
    #[must_use]
    pub const fn with_details(mut self, details: &'a [(&'static str, &'a str)]) -> Self {
        self.details = details;
        self
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It succeeded.
    Done,
    /// It succeeded, and the signature is not one of the data by this key.
    NotVerified,
    /// It failed.
    Failed(ProviderErrorKind),
    /// Its caller gave it up. Whether the service did it is not known.
    GivenUp,
}

impl Outcome {
    /// The name in output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::NotVerified => "not_verified",
            Self::Failed(kind) => kind.as_str(),
            Self::GivenUp => "given_up",
        }
    }

    /// The outcome of an answer.
    pub(super) fn of<T>(answer: &Result<T, ProviderError>) -> Self {
        match answer {
            Ok(_) => Self::Done,
            Err(error) => Self::Failed(error.kind()),
        }
    }
}

/// An observer, where there is one.
pub(super) type Observer = Option<Arc<dyn CallObserver>>;

/// A call that an observer will be told of, also when it is given up.
pub(super) struct Note<'a> {
    observer: Option<&'a dyn CallObserver>,
    call: Call<'a>,
    details: &'a [(&'static str, &'a str)],
    started: Instant,
}

impl<'a> Note<'a> {
    /// Begins a call.
    ///
    /// # Errors
    /// When the observer does not permit it.
    pub(super) fn begin(
        observer: &'a Observer,
        call: Call<'a>,
        details: &'a [(&'static str, &'a str)],
    ) -> Result<Self, ProviderError> {
        let observer = observer.as_deref();
        if let Some(observer) = observer {
            observer.permits(call.operation, call.key)?;
        }
        Ok(Self {
            observer,
            call,
            details,
            started: Instant::now(),
        })
    }

    /// Notes the answer. It replaces a good answer where the note cannot be kept.
    pub(super) async fn end<T>(
        mut self,
        answer: Result<T, ProviderError>,
        outcome: Outcome,
    ) -> Result<T, ProviderError> {
        let kept = {
            let error = answer.as_ref().err();
            let service = error.and_then(ProviderError::service_error);
            let id = service.and_then(|service| service.request_id());
            self.tell(outcome, id)
        };
        let kept = match kept {
            Some(kept) => kept.await,
            None => Ok(()),
        };
        let answer = answer?;
        kept.map(|()| answer)
    }

    fn tell(&mut self, outcome: Outcome, service_request: Option<&str>) -> Option<NoteKept> {
        let observer = self.observer.take()?;
        Some(observer.ended(&EndedCall {
            operation: self.call.operation,
            key: self.call.key,
            outcome,
            took: self.started.elapsed(),
            service_request,
            details: self.details,
        }))
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        // Nobody waits for it any more. It is noted all the same.
        drop(self.tell(Outcome::GivenUp, None));
    }
}
