//! `GET /tasks/{id}/logs`: the log of a task from the store.
//!
//! The service opens the log with the keys with which it also reads heartbeats and results. Where these may not decrypt, it says
//! so, and the worker's keys stay at the worker.

use std::{io, sync::Arc, time::SystemTime};

use axum::{
    body::Body,
    extract::{Path, Request, State},
    response::Response,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderValue, header};
use tokio_util::sync::CancellationToken;

use super::{
    access::Caller,
    app::App,
    error::{ApiError, Reason},
    logged::LoggedEvents,
    tasks::own_task,
};
use crate::store::StoreError;

/// One event in each line.
const KIND: &str = "application/x-ndjson";

/// Answers the events of the log that are stored now, from `?next=N` on. Line N of a log is event N.
pub(super) async fn logs(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, _) = request.into_parts();
    let next = next_event(head.uri.query())?;
    let (caller, task, look) = own_task(&app, &head, &id).await?;
    let vault = app.client.vault().cloned().ok_or(ApiError::NoStore)?;
    let created = look.created.unwrap_or_else(SystemTime::now).into();
    let mut log = Log {
        events: LoggedEvents::new(vault, task.id().clone(), created),
        next,
        stop: app.stop.clone(),
        _caller: caller,
    };
    // What holds for the whole log is found out before the answer begins.
    let first = log.read().await.map_err(of_store)?;
    let mut response = Response::new(Body::from_stream(lines(first, log)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(KIND));
    Ok(response)
}

struct Log {
    events: LoggedEvents,
    next: u64,
    stop: CancellationToken,
    /// Holds the caller's place.
    _caller: Caller,
}

impl Log {
    /// The lines of the next chunk. `None` at the end of what is stored.
    async fn read(&mut self) -> Result<Option<Bytes>, StoreError> {
        let found = self.events.read(self.next).await?;
        if found.is_empty() {
            return Ok(None);
        }
        self.next = self.next.saturating_add(found.len() as u64);
        let mut lines = String::with_capacity(found.iter().map(|line| line.len() + 1).sum());
        for line in found {
            lines.push_str(&line);
            lines.push('\n');
        }
        Ok(Some(lines.into()))
    }
}

/// All lines. An error cuts the connection, so that the client does not take the log for complete.
fn lines(first: Option<Bytes>, log: Log) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let rest = stream::try_unfold(log, |mut log| async move {
        let stop = log.stop.clone();
        let read = tokio::select! {
            read = log.read() => read,
            () = stop.cancelled() => return Err(io::Error::other("the service stops")),
        };
        if let Err(error) = &read {
            tracing::warn!(%error, "cannot read the log of a task");
        }
        let lines = read.map_err(io::Error::other)?;
        Ok(lines.map(|lines| (lines, log)))
    });
    stream::iter(first.map(Ok)).chain(rest)
}

fn of_store(error: StoreError) -> ApiError {
    match error {
        StoreError::Seal { problem, .. } if !problem.is_transient() => {
            ApiError::Sealed(Reason(problem.to_string()))
        }
        error => ApiError::Store(Reason(error.to_string())),
    }
}

/// The number of the first event.
fn next_event(query: Option<&str>) -> Result<u64, ApiError> {
    let query = query.unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    match pairs.find(|(name, _)| name == "next") {
        None => Ok(0),
        Some((_, number)) => number.parse().map_err(|_| ApiError::Next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_begins_where_the_client_says() {
        let next = |query: &str| next_event(Some(query)).ok();
        assert_eq!(next_event(None).ok(), Some(0));
        assert_eq!(next("next=41"), Some(41));
        assert_eq!(next("a=b&next=0"), Some(0));
        for bad in ["next=", "next=-1", "next=x", "next=99999999999999999999"] {
            assert_eq!(next(bad), None, "{bad}");
        }
    }
}
