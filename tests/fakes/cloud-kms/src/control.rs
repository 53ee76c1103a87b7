//! The paths that Cloud KMS does not have: faults, clock, journal.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use crate::{Fault, shared::Shared};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Advance {
    advance_seconds: u32,
}

pub(crate) async fn faults(State(shared): State<Arc<Shared>>) -> Json<Vec<String>> {
    let faults = shared.faults.lock();
    Json(faults.iter().map(Fault::to_string).collect())
}

pub(crate) async fn set_faults(
    State(shared): State<Arc<Shared>>,
    Json(texts): Json<Vec<String>>,
) -> Response {
    match texts.iter().map(|text| text.parse()).collect() {
        Ok(faults) => {
            *shared.faults.lock() = faults;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            let error: crate::ParseFaultError = error;
            (StatusCode::BAD_REQUEST, error.to_string()).into_response()
        }
    }
}

pub(crate) async fn calls(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.journal.lock().calls()).into_response()
}

pub(crate) async fn advance(
    State(shared): State<Arc<Shared>>,
    Json(advance): Json<Advance>,
) -> StatusCode {
    shared.store.lock().advance(advance.advance_seconds);
    StatusCode::NO_CONTENT
}
