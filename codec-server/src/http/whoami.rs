//! `GET /whoami`: who the caller is, and in which namespaces it has roles.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use temporal_kms_codec_service::auth::Identity;

use super::{answer, app::App, authenticate::caller, request_id::RequestId};

/// What the caller is told.
#[derive(Serialize)]
struct Caller<'i> {
    subject: &'i str,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'i str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'i str>,
    /// The roles in each namespace that is served. Empty where any namespace is served.
    roles: BTreeMap<String, Vec<&'static str>>,
}

pub(super) async fn whoami(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = RequestId::of(&request);
    let (head, _) = request.into_parts();
    match caller(&head, &app.authenticator, &app.origins).await {
        Ok(identity) => success(&identity, &app),
        Err(refused) => answer::refused(&refused, id),
    }
}

fn success(identity: &Identity, app: &App) -> Response {
    let namespaces = app.namespaces.names();
    let roles = namespaces.into_iter().filter_map(|namespace| {
        let roles: Vec<_> = identity
            .permissions()
            .roles(&namespace)
            .iter()
            .map(temporal_kms_codec_service::auth::Role::name)
            .collect();
        (!roles.is_empty()).then(|| (namespace.to_string(), roles))
    });
    let caller = Caller {
        subject: identity.subject(),
        method: identity.method().name(),
        issuer: identity.issuer(),
        email: identity.email(),
        roles: roles.collect(),
    };
    Json(caller).into_response()
}
