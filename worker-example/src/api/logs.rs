//! `GET /tasks/{id}/logs`: the log of a task from the store.
//!
//! The service opens the log with the keys with which it also reads heartbeats and results. Where these may not decrypt, it says
//! so, and the worker's keys stay at the worker.

use std::{io, sync::Arc, time::SystemTime};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures::{Stream, stream};
use http::{HeaderName, HeaderValue, header};
use temporal_kms_codec_service::{audit::RequestLog, request_id::RequestId};
use tokio_util::sync::CancellationToken;

use super::{
    access::Caller,
    app::App,
    error::{ApiError, Reason},
    held_chunk::Held,
    log_places::LogPlace,
    logged::{LoggedEvents, ReadBefore},
    tasks::{PathId, own_task},
};
use crate::store::StoreError;

/// One event in each line.
const KIND: &str = "application/x-ndjson";
/// The bytes of one piece of the answer.
const PIECE: usize = 64 << 10;
/// The file of the last chunk of the answer. A client that has read the answer sends it as `?chunk=`, and the chunks up to it
/// are not read again.
const LAST_CHUNK: HeaderName = HeaderName::from_static("x-log-chunk");

/// Answers the events of the log that are stored now, from `?next=N` on. Line N of a log is event N.
pub(super) async fn logs(
    State(app): State<Arc<App>>,
    id: PathId,
    request: Request,
) -> Result<Response, ApiError> {
    let request_id = RequestId::of(&request);
    let (head, _) = request.into_parts();
    let (caller, task, look) = own_task(&app, &head, id).await?;
    let wanted = LogRequest::parse(head.uri.query())?;
    let place = app.open_log(caller.id()).await?;
    let vault = app.client.vault().cloned().ok_or(ApiError::NoStore)?;
    let created = look.created.unwrap_or_else(SystemTime::now).into();
    let events = LoggedEvents::stored(vault, task.id().clone(), created, wanted.before());
    let events = events.await.map_err(of_store)?;
    let last = events
        .last()
        .and_then(|file| HeaderValue::from_str(file).ok());
    let mut log = Log {
        events,
        next: wanted.next,
        chunk: None,
        stop: app.stop.clone(),
        audit: app.audit.clone(),
        request: request_id,
        _caller: caller,
    };
    // What holds for the whole log is found out before the answer begins.
    log.read(place).await.map_err(refusal)?;
    let mut response = Response::new(Body::from_stream(pieces(log)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(KIND));
    if let Some(last) = last {
        headers.insert(LAST_CHUNK, last);
    }
    Ok(response)
}

struct Log {
    events: LoggedEvents,
    next: u64,
    /// The newest chunk, until the client has had its time.
    chunk: Option<Held<Chunk>>,
    stop: CancellationToken,
    audit: RequestLog,
    request: RequestId,
    /// Holds the caller's place.
    _caller: Caller,
}

/// What the client has not read of a chunk, and the place of this answer among the logs that are read.
struct Chunk {
    text: Bytes,
    place: LogPlace,
}

/// The answer cannot go on.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store did not answer in time")]
    StoreTooSlow,
    #[error("the client reads too slowly")]
    TooSlow,
}

impl Log {
    /// The next piece of the lines. `None` at the end of what is stored.
    async fn piece(&mut self) -> Result<Option<Bytes>, Interrupted> {
        let piece = self.piece_of_chunk().ok_or(Interrupted::TooSlow)?;
        if !piece.is_empty() {
            return Ok(Some(piece));
        }
        let chunk = self.chunk.take().and_then(Held::into_inner);
        let Chunk { place, .. } = chunk.ok_or(Interrupted::TooSlow)?;
        self.read(place).await?;
        let piece = self.piece_of_chunk().ok_or(Interrupted::TooSlow)?;
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// The next piece of the newest chunk. Empty at its end, and `None` when the client has had its time.
    fn piece_of_chunk(&self) -> Option<Bytes> {
        let take = |chunk: &mut Chunk| {
            let length = chunk.text.len().min(PIECE);
            // A copy: while a client stops reading, a slice would keep the whole chunk in memory.
            Bytes::copy_from_slice(&chunk.text.split_to(length))
        };
        self.chunk.as_ref()?.with(take)
    }

    /// Reads the next chunk. It is empty at the end of what is stored.
    async fn read(&mut self, place: LogPlace) -> Result<(), Interrupted> {
        // An answer runs only while its client reads, so the place needs its time here, too.
        let place = Held::new(place);
        let found = self.events.read(self.next).await?;
        self.next = self.next.saturating_add(found.len() as u64);
        let mut lines = String::with_capacity(found.iter().map(|line| line.len() + 1).sum());
        for line in found {
            lines.push_str(&line);
            lines.push('\n');
        }
        let text = lines.into();
        let place = place.into_inner().ok_or(Interrupted::StoreTooSlow)?;
        self.chunk = Some(Held::new(Chunk { text, place }));
        Ok(())
    }
}

/// All pieces. An error cuts the connection, so that the client does not take the log for complete.
fn pieces(log: Log) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(log, |mut log| async move {
        let (stop, audit, request) = (log.stop.clone(), log.audit.clone(), log.request);
        let read = tokio::select! {
            read = audit.within(request, log.piece()) => read,
            () = stop.cancelled() => return Err(io::Error::other("the service stops")),
        };
        if let Err(error) = &read {
            tracing::warn!(%error, "cannot read the log of a task");
        }
        let piece = read.map_err(io::Error::other)?;
        Ok(piece.map(|piece| (piece, log)))
    })
}

fn refusal(interrupted: Interrupted) -> ApiError {
    match interrupted {
        Interrupted::Store(error) => of_store(error),
        slow => ApiError::Store(Reason(slow.to_string())),
    }
}

fn of_store(error: StoreError) -> ApiError {
    match error {
        StoreError::Seal { problem, .. } if !problem.is_transient() => {
            ApiError::Sealed(Reason(problem.to_string()))
        }
        error => ApiError::Store(Reason(error.to_string())),
    }
}

/// What the query asks for.
struct LogRequest {
    /// The number of the first event.
    next: u64,
    /// The file of the last chunk that the client has read.
    chunk: Option<String>,
}

impl LogRequest {
    fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let query = query.unwrap_or_default().as_bytes();
        let find = |wanted: &str| {
            let mut pairs = url::form_urlencoded::parse(query);
            let found = pairs.find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.into_owned())
        };
        let next = find("next").map_or(Ok(0), |next| next.parse());
        Ok(Self {
            next: next.map_err(|_| ApiError::Next)?,
            chunk: find("chunk"),
        })
    }

    fn before(&self) -> ReadBefore<'_> {
        ReadBefore {
            next: self.next,
            chunk: self.chunk.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_begins_where_the_client_says() {
        let parse = |query: Option<&str>| {
            let wanted = LogRequest::parse(query).ok()?;
            Some((wanted.next, wanted.chunk))
        };
        assert_eq!(parse(None), Some((0, None)));
        assert_eq!(parse(Some("next=41")), Some((41, None)));
        assert_eq!(parse(Some("a=b&next=0")), Some((0, None)));
        let file = "001-20261126-231502.jsonl";
        let both = format!("chunk={file}&next=7");
        assert_eq!(parse(Some(&both)), Some((7, Some(file.to_owned()))));
        for bad in ["next=", "next=-1", "next=x", "next=99999999999999999999"] {
            assert_eq!(parse(Some(bad)), None, "{bad}");
        }
    }
}
