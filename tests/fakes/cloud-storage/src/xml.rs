//! The XML API: objects by their paths.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};

use crate::{query::Queries, refusal::Refusal, store::Shared};

const CONDITION: &str = "x-goog-if-generation-match";

type ObjectPath = Path<(String, String)>;

/// `PUT /BUCKET/OBJECT`.
pub(crate) async fn put(
    State(shared): State<Arc<Shared>>,
    Path((bucket, name)): ObjectPath,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    // Parts of an upload, and copies.
    if !Queries::of(&uri).is_empty() || headers.contains_key("x-goog-copy-source") {
        return Refusal::Unknown.xml();
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str());
    let expected = match text(CONDITION) {
        None => None,
        Some(value) => match value.ok().and_then(|value| value.parse().ok()) {
            Some(generation) => Some(generation),
            None => return Refusal::Invalid.xml(),
        },
    };
    let kind = text("content-type").and_then(Result::ok);
    match shared.store.put(&bucket, &name, bytes, kind, expected) {
        Ok(object) => object.without_content(StatusCode::OK),
        Err(refused) => refused.xml(),
    }
}

/// `GET /BUCKET/OBJECT`, and `HEAD`, whose content axum leaves out.
pub(crate) async fn get(
    State(shared): State<Arc<Shared>>,
    Path((bucket, name)): ObjectPath,
) -> Response {
    match shared.store.get(&bucket, &name) {
        Ok(object) => object.download(),
        Err(refused) => refused.xml(),
    }
}

/// `DELETE /BUCKET/OBJECT`.
pub(crate) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((bucket, name)): ObjectPath,
) -> Response {
    match shared.store.delete(&bucket, &name) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refused.xml(),
    }
}

/// `GET /BUCKET?list-type=2`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(bucket): Path<String>,
    uri: Uri,
) -> Response {
    let queries = Queries::of(&uri);
    if queries.text("list-type") != Some("2") || queries.text("delimiter").is_some() {
        return Refusal::Unknown.xml();
    }
    let after = queries
        .text("continuation-token")
        .or(queries.text("start-after"));
    let prefix = queries.text("prefix").unwrap_or_default();
    let listed = queries.number("max-keys").and_then(|most| {
        let most = most.unwrap_or(usize::MAX).min(shared.page);
        shared.store.list(&bucket, prefix, after, most)
    });
    let page = match listed {
        Ok(page) => page,
        Err(refused) => return refused.xml(),
    };
    let mut body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult><Name>{}</Name><IsTruncated>{}</IsTruncated>",
        escaped(&bucket),
        page.next.is_some()
    );
    if let Some(next) = &page.next {
        let next = escaped(next);
        let _ = write!(
            body,
            "<NextContinuationToken>{next}</NextContinuationToken>"
        );
    }
    for (name, object) in &page.objects {
        let _ = write!(
            body,
            "<Contents><Key>{}</Key><Generation>{}</Generation><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            escaped(name),
            object.generation,
            object.updated(),
            escaped(&object.etag()),
            object.bytes.len()
        );
    }
    body.push_str("</ListBucketResult>");
    ([("content-type", "application/xml; charset=UTF-8")], body).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
