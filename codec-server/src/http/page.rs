//! `GET /`: a page on which people read a history. Its files are part of the program, and it loads nothing from elsewhere.
//!
//! The page asks `/decode` like every other client, with the same roles. So the files themselves are public.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderValue, header};
use serde_json::json;

use super::{answer, app::App, pipeline, request_error::RequestError, request_id::RequestId};

/// Scripts and styles come from this server only. No other page may show this one in a frame.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'",
);

/// Other sites learn nothing of the page. With `no-referrer`, the form that logs out would have the origin `null`.
const REFERRER_POLICY: &str = "same-origin";

/// A file of the page.
struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const INDEX: File = File {
    name: "index.html",
    kind: HTML,
    text: include_str!("../page/index.html"),
};

/// The files below `/page/`.
const FILES: [File; 9] = [
    file("style.css", STYLE, include_str!("../page/style.css")),
    file("main.js", SCRIPT, include_str!("../page/main.js")),
    file("base64.js", SCRIPT, include_str!("../page/base64.js")),
    file("codec.js", SCRIPT, include_str!("../page/codec.js")),
    file("history.js", SCRIPT, include_str!("../page/history.js")),
    file("state.js", SCRIPT, include_str!("../page/state.js")),
    file("value.js", SCRIPT, include_str!("../page/value.js")),
    file("version.js", SCRIPT, include_str!("../page/version.js")),
    file("view.js", SCRIPT, include_str!("../page/view.js")),
];

const fn file(name: &'static str, kind: &'static str, text: &'static str) -> File {
    File { name, kind, text }
}

/// The paths of the page.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(index).fallback(pipeline::handle))
        .route("/page/{name}", get(named).fallback(pipeline::handle))
        .route("/page/settings", get(settings).fallback(pipeline::handle))
}

async fn index(State(app): State<Arc<App>>, request: Request) -> Response {
    respond(&app, request, Some(&INDEX))
}

async fn named(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    respond(&app, request, FILES.iter().find(|file| file.name == name))
}

/// What the page must know before anybody has logged in.
async fn settings(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = RequestId::of(&request);
    let (head, _) = request.into_parts();
    if let Err(refused) = app.origins.check_host(&head) {
        return answer::refused(&refused, id);
    }
    let settings = json!({
        "login": app.authenticator.login().is_some(),
        "open": app.authenticator.is_open(),
    });
    Json(settings).into_response()
}

fn respond(app: &App, request: Request, file: Option<&File>) -> Response {
    let id = RequestId::of(&request);
    let (head, _) = request.into_parts();
    if let Err(refused) = app.origins.check_host(&head) {
        return answer::refused(&refused, id);
    }
    let Some(file) = file else {
        return answer::refused(&RequestError::UnknownPath, id);
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.kind)),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static(REFERRER_POLICY),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (headers, file.text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_served() {
        let served = |name: &str| FILES.iter().any(|file| file.name == name);
        let mut named = 0;
        for text in FILES.iter().map(|file| file.text).chain([INDEX.text]) {
            for part in text.split('"') {
                let part = part.strip_prefix("page/").or(part.strip_prefix("./"));
                if let Some(name) = part {
                    assert!(served(name) || name == "settings", "{name}");
                    named += 1;
                }
            }
        }
        assert!(named > 8, "{named}");
    }

    #[test]
    fn forms_of_the_page_name_its_origin() {
        assert_eq!(REFERRER_POLICY, "same-origin");
        let element = format!("<meta name=\"referrer\" content=\"{REFERRER_POLICY}\">");
        assert!(INDEX.text.contains(&element));
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_no_text_becomes_markup() {
        for file in FILES.iter().chain([&INDEX]) {
            for forbidden in [
                "http://",
                "https://",
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "document.write",
                "eval(",
                "onclick=",
                "style=",
                "localStorage",
                "sessionStorage",
            ] {
                assert!(!file.text.contains(forbidden), "{}: {forbidden}", file.name);
            }
        }
    }
}
