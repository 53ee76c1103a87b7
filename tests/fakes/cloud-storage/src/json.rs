//! The JSON API, as Google's own clients use it.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use crate::{
    multipart,
    object::Object,
    query::Queries,
    refusal::Refusal,
    store::{Page, Shared},
};

/// `POST /storage/v1/b`.
pub(crate) async fn create_bucket(
    State(shared): State<Arc<Shared>>,
    Json(bucket): Json<Value>,
) -> Response {
    let Some(name) = bucket.get("name").and_then(Value::as_str) else {
        return Refusal::Invalid.json();
    };
    match shared.store.create_bucket(name) {
        Ok(()) => Json(bucket_resource(name)).into_response(),
        Err(refused) => refused.json(),
    }
}

/// `GET /storage/v1/b/BUCKET`.
pub(crate) async fn bucket(
    State(shared): State<Arc<Shared>>,
    Path(bucket): Path<String>,
) -> Response {
    if shared.store.has_bucket(&bucket) {
        Json(bucket_resource(&bucket)).into_response()
    } else {
        Refusal::NoBucket.json()
    }
}

/// `POST /upload/storage/v1/b/BUCKET/o`.
pub(crate) async fn upload(
    State(shared): State<Arc<Shared>>,
    Path(bucket): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let queries = Queries::of(&uri);
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let named = queries.text("name").map(str::to_owned);
    let (name, kind, bytes) = match queries.text("uploadType") {
        Some("media") => (named, Some(kind.to_owned()), body),
        Some("multipart") => match multipart::read(kind, &body) {
            Some(part) => (part.name.or(named), part.kind, part.content),
            None => return Refusal::Invalid.json(),
        },
        _ => return Refusal::Unknown.json(),
    };
    let Some(name) = name else {
        return Refusal::Invalid.json();
    };
    let stored = queries.number("ifGenerationMatch").and_then(|expected| {
        let store = &shared.store;
        store.put(&bucket, &name, bytes, kind.as_deref(), expected)
    });
    match stored {
        Ok(object) => Json(resource(&bucket, &name, &object)).into_response(),
        Err(refused) => refused.json(),
    }
}

/// `GET /storage/v1/b/BUCKET/o`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(bucket): Path<String>,
    uri: Uri,
) -> Response {
    let queries = Queries::of(&uri);
    if queries.text("delimiter").is_some() {
        return Refusal::Unknown.json();
    }
    let prefix = queries.text("prefix").unwrap_or_default();
    let listed = queries.number("maxResults").and_then(|most| {
        let most = most.unwrap_or(usize::MAX).min(shared.page);
        let after = queries.text("pageToken");
        shared.store.list(&bucket, prefix, after, most)
    });
    let Page { objects, next } = match listed {
        Ok(page) => page,
        Err(refused) => return refused.json(),
    };
    let items: Vec<Value> = objects
        .iter()
        .map(|(name, object)| resource(&bucket, name, object))
        .collect();
    let mut body = json!({"kind": "storage#objects", "items": items});
    if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
        body.insert("nextPageToken".to_owned(), next.into());
    }
    Json(body).into_response()
}

/// `GET /storage/v1/b/BUCKET/o/OBJECT`, and the same path below `/download`.
pub(crate) async fn get(
    State(shared): State<Arc<Shared>>,
    Path((bucket, name)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let is_content = Queries::of(&uri).text("alt") == Some("media");
    match shared.store.get(&bucket, &name) {
        Ok(object) if is_content => object.download(),
        Ok(object) => Json(resource(&bucket, &name, &object)).into_response(),
        Err(refused) => refused.json(),
    }
}

/// `DELETE /storage/v1/b/BUCKET/o/OBJECT`.
pub(crate) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((bucket, name)): Path<(String, String)>,
) -> Response {
    match shared.store.delete(&bucket, &name) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refused.json(),
    }
}

/// Everything else.
pub(crate) async fn unknown() -> Response {
    Refusal::Unknown.json()
}

fn bucket_resource(name: &str) -> Value {
    json!({"kind": "storage#bucket", "id": name, "name": name})
}

/// Numbers are texts in this API.
fn resource(bucket: &str, name: &str, object: &Object) -> Value {
    json!({
        "kind": "storage#object",
        "id": format!("{bucket}/{name}/{}", object.generation),
        "bucket": bucket,
        "name": name,
        "generation": object.generation.to_string(),
        "metageneration": "1",
        "size": object.bytes.len().to_string(),
        "contentType": object.content_type,
        "crc32c": object.crc32c(),
        "etag": object.etag(),
        "timeCreated": object.updated(),
        "updated": object.updated(),
    })
}
