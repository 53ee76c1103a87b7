//! The few requests that a browser would send.

use anyhow::Context;
use serde_json::{Value, json};
use ureq::{
    Agent,
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
    let (parts, mut body) = agent()
        .run(request)
        .context("decoding failed")?
        .into_parts();
    let answer = body
        .read_json()
        .context("the codec server answered no JSON")?;
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
