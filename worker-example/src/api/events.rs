//! `GET /tasks/{id}/events`: the events of a task, from the beginning or after `Last-Event-ID`.

use std::{sync::Arc, time::SystemTime};

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::HeaderMap;
use temporal_kms_codec_service::request_id::RequestId;

use super::{
    app::App,
    clients::Client,
    error::ApiError,
    sse::{self, Follow},
    tasks::{PathId, own_task},
};

const LAST_EVENT_ID: &str = "last-event-id";

/// Streams the events. Closing the connection does not cancel the task.
pub(super) async fn events(
    State(app): State<Arc<App>>,
    id: PathId,
    request: Request,
) -> Result<Response, ApiError> {
    let request_id = RequestId::of(&request);
    let (head, _) = request.into_parts();
    let (caller, task, look) = own_task(&app, &head, id).await?;
    let next = next_event(&head.headers)?;
    Ok(sse::answer(Follow {
        app,
        task,
        created: look.created.unwrap_or_else(SystemTime::now),
        next,
        is_resumable: true,
        client: Client::watching(),
        caller,
        request: request_id,
    }))
}

/// The number of the event after the last one that the client has.
fn next_event(headers: &HeaderMap) -> Result<u64, ApiError> {
    let Some(last) = headers.get(LAST_EVENT_ID) else {
        return Ok(0);
    };
    let last = last.to_str().map_err(|_| ApiError::EventId)?.trim();
    if last.is_empty() {
        return Ok(0);
    }
    let last: u64 = last.parse().map_err(|_| ApiError::EventId)?;
    Ok(last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_after_the_last_event() {
        let next = |last: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LAST_EVENT_ID, last.parse().unwrap());
            next_event(&headers).ok()
        };
        assert_eq!(next_event(&HeaderMap::new()).ok(), Some(0));
        assert_eq!(next(""), Some(0));
        assert_eq!(next("0"), Some(1));
        assert_eq!(next("41"), Some(42));
        for bad in ["x", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(next(bad), None, "{bad}");
        }
    }
}
