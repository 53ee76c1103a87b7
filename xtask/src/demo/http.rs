//! The few requests that a browser and a caller of the task API would send.

use std::{io::Read, time::Duration};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use ureq::{
    Agent, Body,
    http::{Request, Response},
};

use super::field;

/// The status and the headers that a CORS preflight for `url` is answered with.
pub(super) fn preflight(url: &str, origin: &str) -> anyhow::Result<Response<()>> {
    let request = Request::builder()
        .method("OPTIONS")
        .uri(url)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "content-type,x-namespace")
        .body(())?;
    let response = agent().run(request).context("the preflight failed")?;
    Ok(response.map(drop))
}

/// Asks the codec server at `url` to decode, as a page from `origin` does.
pub(super) fn decode(url: &str, origin: &str, payload: &Value) -> anyhow::Result<Response<Value>> {
    let request = Request::builder()
        .method("POST")
        .uri(format!("{url}/decode"))
        .header("Origin", origin)
        .header("Content-Type", "application/json")
        .header("X-Namespace", "default")
        .body(json!({ "payloads": [payload] }).to_string())?;
    let response = agent().run(request).context("decoding failed")?;
    json_of(response).context("the codec server answered no JSON")
}

/// Sends a request of the task API, with the caller's token.
pub(super) fn post(url: &str, token: &str, body: &str) -> anyhow::Result<Response<Value>> {
    let request = Request::builder()
        .method("POST")
        .uri(url)
        .header("Authorization", format!("Bearer {token}"))
        .header("Content-Type", "application/json")
        .body(body)?;
    let response = agent().run(request).context("the task service failed")?;
    json_of(response).context("the task service answered no JSON")
}

/// The answer to a caller without a token.
pub(super) fn get(url: &str) -> anyhow::Result<Response<()>> {
    Ok(agent().get(url).call()?.map(drop))
}

/// A stream of events, which ends by itself or after `limit`.
pub(super) fn stream(url: &str, token: &str, limit: Duration) -> anyhow::Result<impl Read> {
    let call = agent()
        .get(url)
        .header("Authorization", format!("Bearer {token}"))
        .config()
        .timeout_global(Some(limit))
        .build();
    let response = call.call().context("the task service failed")?;
    let status = response.status();
    ensure!(status == 200, "the task service answered {status}");
    Ok(response.into_body().into_reader())
}

fn json_of(response: Response<Body>) -> anyhow::Result<Response<Value>> {
    let (parts, mut body) = response.into_parts();
    let answer = body.read_json()?;
    Ok(Response::from_parts(parts, answer))
}

/// The codec endpoint that the Web UI at `url` hands to browsers.
pub(super) fn ui_codec_endpoint(url: &str) -> anyhow::Result<String> {
    let mut response = agent().get(format!("{url}/api/v1/settings")).call()?;
    let settings: Value = response.body_mut().read_json()?;
    let codec = settings
        .get("Codec")
        .context("the Web UI has no codec settings")?;
    Ok(field(codec, "Endpoint")?.to_owned())
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}
