//! Answers in the API's two forms: server-sent events, and one JSON document.

use crate::script::Step;
use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use std::{io, time::Duration};

const USAGE: (u32, u32) = (11, 7);
const PING: Duration = Duration::from_secs(1);

/// How an answer ends.
#[derive(Clone, Copy)]
enum Ending {
    Whole,
    Endless,
    Cut,
}

/// An API error with this status.
pub(crate) fn error(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, message) = match status.as_u16() {
        400 => ("invalid_request_error", "the request is not valid"),
        401 => ("authentication_error", "invalid x-api-key"),
        403 => ("permission_error", "not allowed"),
        404 => ("not_found_error", "not found"),
        429 => ("rate_limit_error", "too many requests"),
        529 => ("overloaded_error", "overloaded"),
        _ => ("api_error", "internal server error"),
    };
    let body = json!({"type": "error", "error": {"type": kind, "message": message}});
    json_response(status, &body)
}

/// A JSON answer.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

/// The answer to `/v1/messages`; `turn` makes its ids differ.
pub(crate) fn message(step: Step, model: &str, streamed: bool, turn: usize) -> Response {
    let said = |text: String| json!({"type": "text", "text": text});
    let (content, stop_reason, ending) = match step {
        Step::Error(status) => return error(status),
        Step::Text(text) => (said(text), "end_turn", Ending::Whole),
        Step::Endless(text) => (said(text), "end_turn", Ending::Endless),
        Step::Cut(text) => (said(text), "end_turn", Ending::Cut),
        Step::Tool { name, input } => {
            let id = format!("toolu_test_{turn}");
            (
                json!({"type": "tool_use", "id": id, "name": name, "input": input}),
                "tool_use",
                Ending::Whole,
            )
        }
    };
    let id = format!("msg_test_{turn}");
    if streamed {
        return sse(&id, model, &content, stop_reason, ending);
    }
    match ending {
        Ending::Whole => {}
        Ending::Endless => {
            let never = stream::pending::<io::Result<String>>();
            return Response::new(Body::from_stream(never));
        }
        Ending::Cut => return Response::new(Body::from_stream(cut())),
    }
    let mut body = envelope(&id, model);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("content".into(), json!([content]));
        fields.insert("stop_reason".into(), stop_reason.into());
        fields.insert(
            "usage".into(),
            json!({"input_tokens": USAGE.0, "output_tokens": USAGE.1}),
        );
    }
    json_response(StatusCode::OK, &body)
}

fn envelope(id: &str, model: &str) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": USAGE.0, "output_tokens": 1},
    })
}

/// The end of a connection that is cut after what was sent before.
fn cut() -> impl Stream<Item = io::Result<String>> + Send {
    stream::once(async {
        // The server sends what it has while it waits.
        tokio::task::yield_now().await;
        Err(io::Error::other("the script cuts the connection"))
    })
}

fn sse(id: &str, model: &str, content: &Value, stop_reason: &str, ending: Ending) -> Response {
    let (start, delta) = if content.get("type") == Some(&json!("text")) {
        let text = content.get("text").cloned().unwrap_or_default();
        (
            json!({"type": "text", "text": ""}),
            json!({"type": "text_delta", "text": text}),
        )
    } else {
        let mut start = content.clone();
        let input = start.get_mut("input").map(Value::take).unwrap_or_default();
        if let Some(fields) = start.as_object_mut() {
            fields.insert("input".into(), json!({}));
        }
        (
            start,
            json!({"type": "input_json_delta", "partial_json": input.to_string()}),
        )
    };
    let mut events = vec![
        json!({"type": "message_start", "message": envelope(id, model)}),
        json!({"type": "content_block_start", "index": 0, "content_block": start}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
    ];
    if let Ending::Whole = ending {
        events.extend([
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta",
                "delta": {"stop_reason": stop_reason, "stop_sequence": null},
                "usage": {"output_tokens": USAGE.1}}),
            json!({"type": "message_stop"}),
        ]);
    }
    let head = stream::iter(events).map(|event| Ok::<_, io::Error>(frame(&event)));
    let body = match ending {
        Ending::Whole => Body::from_stream(head),
        Ending::Endless => {
            // Pings show the client that the connection is alive, and show the server when the client has gone.
            let pings = stream::unfold((), |()| async {
                tokio::time::sleep(PING).await;
                Some((Ok(frame(&json!({"type": "ping"}))), ()))
            });
            Body::from_stream(head.chain(pings))
        }
        Ending::Cut => Body::from_stream(head.chain(cut())),
    };
    (
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        body,
    )
        .into_response()
}

fn frame(event: &Value) -> String {
    let name = event
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n")
}
