//! How long one request holds a thread: the longest poll of its handler. Other requests of the thread wait for so long.

use std::{pin::pin, time::Duration};

use anyhow::{Context as _, ensure};
use axum::{body::Body, response::Response};
use futures::future::poll_fn;
use hyper::{Request, StatusCode, body::Bytes};
use serde::Serialize;
use temporal_kms_codec_server::bench::Handler;
use tokio::time::Instant;

use crate::bodies::{self, Compressed, hostile};

const MIB: usize = 1 << 20;
/// The last one is the longest that the codec server takes by default.
const LENGTHS: [usize; 3] = [2 * MIB, 4 * MIB, 8 * MIB];
/// The shortest of so many counts: the machine does other things, too.
const TIMES: usize = 5;

#[derive(Serialize)]
struct Row {
    operation: &'static str,
    body: &'static str,
    bytes: usize,
    status: u16,
    longest_poll_ms: f64,
    /// All polls together.
    total_ms: f64,
}

pub(crate) async fn measure(handler: &Handler) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for longest in LENGTHS {
        for (name, text) in hostile(longest) {
            rows.push(row(handler, ENCODE, name, text.clone().into()).await?);
            let sealed = match rows.last() {
                // What was encoded is decoded. What was refused is sent as it is.
                Some(row) if row.status == 200 => answer(handler, ENCODE, text.into()).await?,
                _ => text.into(),
            };
            if sealed.len() <= 8 * MIB {
                rows.push(row(handler, DECODE, name, sealed).await?);
            }
        }
    }
    for body in compressed(handler).await? {
        let to = To {
            namespace: body.namespace,
            operation: body.operation,
        };
        rows.push(row(handler, to, body.name, body.text.into()).await?);
    }
    println!("{}", serde_json::to_string(&rows)?);
    Ok(())
}

/// Bodies for namespaces that compress and decompress.
async fn compressed(handler: &Handler) -> anyhow::Result<Vec<Compressed>> {
    let mut bodies = vec![bodies::words(8 * MIB)];
    bodies.extend(bodies::bombs());
    let spaces = "ICAg".repeat(2 * MIB - 64);
    let spaces = format!(r#"{{"payloads":[{{"data":"{spaces}"}}]}}"#);
    let to = To {
        namespace: "compressing",
        ..ENCODE
    };
    let sealed = answer(handler, to, spaces.into()).await?;
    let sealed = std::str::from_utf8(&sealed)?;
    bodies.push(bodies::repeated(sealed).context("the answer has another form")?);
    Ok(bodies)
}

/// Where a request goes.
#[derive(Clone, Copy)]
struct To {
    namespace: &'static str,
    operation: &'static str,
}

const ENCODE: To = To {
    namespace: "default",
    operation: "encode",
};
const DECODE: To = To {
    namespace: "default",
    operation: "decode",
};

async fn answer(handler: &Handler, to: To, body: Bytes) -> anyhow::Result<Bytes> {
    let (response, _) = send(handler, to, body).await?;
    Ok(axum::body::to_bytes(response.into_body(), usize::MAX).await?)
}

async fn row(handler: &Handler, to: To, name: &'static str, body: Bytes) -> anyhow::Result<Row> {
    let bytes = body.len();
    let (mut status, mut shortest) = (StatusCode::OK, None::<Polls>);
    for _ in 0..TIMES {
        let (response, polls) = send(handler, to, body.clone()).await?;
        status = response.status();
        let is_shorter = shortest.is_none_or(|best| polls.longest < best.longest);
        if is_shorter {
            shortest = Some(polls);
        }
    }
    let shortest = shortest.unwrap_or_default();
    Ok(Row {
        operation: to.operation,
        body: name,
        bytes,
        status: status.as_u16(),
        longest_poll_ms: shortest.longest.as_secs_f64() * 1e3,
        total_ms: shortest.total.as_secs_f64() * 1e3,
    })
}

#[derive(Clone, Copy, Default)]
struct Polls {
    longest: Duration,
    total: Duration,
}

/// Sends one request to the handler, and measures each poll.
async fn send(handler: &Handler, to: To, body: Bytes) -> anyhow::Result<(Response, Polls)> {
    let request = Request::post(format!("/{}", to.operation))
        .header("Host", "127.0.0.1")
        .header("Content-Type", "application/json")
        .header("X-Namespace", to.namespace)
        .body(Body::from(body))?;
    let mut answer = pin!(handler.answer(request));
    let mut polls = Polls::default();
    let response = poll_fn(|context| {
        let begun = Instant::now();
        let polled = answer.as_mut().poll(context);
        let took = begun.elapsed();
        polls.longest = polls.longest.max(took);
        polls.total += took;
        polled
    })
    .await;
    ensure!(
        !response.status().is_server_error(),
        "{} answered {}",
        to.operation,
        response.status()
    );
    Ok((response, polls))
}
