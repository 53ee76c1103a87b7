//! `/auth/login`, `/auth/callback` and `/auth/logout`, also as `/login` and `/logout`: signing in with a browser.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{StatusCode, header};
use temporal_kms_codec_service::auth::{Login, LoginError, Redirect};

use super::{
    answer,
    app::App,
    audited::{self, LoginEnd},
    connection::ConnectionInfo,
    request_error::RequestError,
    request_id::RequestId,
};

/// Sends the browser to the issuer.
pub(super) async fn begin(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = RequestId::of(&request);
    let (head, _) = request.into_parts();
    let begun = async {
        let redirect = login(&app)?.begin(head.uri.query()).await;
        redirect.map_err(RequestError::from)
    };
    respond(begun.await, id)
}

/// Takes the browser back from the issuer.
pub(super) async fn finish(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = RequestId::of(&request);
    let (head, _) = request.into_parts();
    let connection = head.extensions.get::<ConnectionInfo>();
    let client = connection.map(ConnectionInfo::peer);
    let finished = async {
        let finished = login(&app)?.finish(head.uri.query(), &head.headers).await;
        // Nobody gets a session without a record of it.
        if let Some((subject, issuer, status)) = whose(&finished) {
            let end = LoginEnd {
                subject,
                issuer,
                client,
                status,
            };
            audited::login(&app.audit, id, &end).await?;
        }
        finished.map_err(RequestError::from)
    };
    respond(finished.await, id)
}

/// Ends the session in this browser. Another site must not sign people out.
pub(super) async fn end(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = RequestId::of(&request);
    let (head, _) = request.into_parts();
    let ended = app.origins.check(&head).and_then(|()| {
        let redirect = login(&app)?.end(head.uri.query());
        redirect.map_err(RequestError::from)
    });
    respond(ended, id)
}

/// The user whom the issuer vouched for, the issuer, and the result.
fn whose(finished: &Result<Redirect, LoginError>) -> Option<(&str, Option<&str>, StatusCode)> {
    match finished {
        Ok(redirect) => {
            let identity = redirect.signed_in.as_ref()?;
            Some((identity.subject(), identity.issuer(), StatusCode::SEE_OTHER))
        }
        Err(error @ LoginError::NoPermission { subject, issuer }) => {
            Some((subject, Some(issuer), error.status()))
        }
        Err(_) => None,
    }
}

fn login(app: &App) -> Result<&Login, RequestError> {
    app.authenticator.login().ok_or(RequestError::NoLogin)
}

fn respond(redirect: Result<Redirect, RequestError>, id: RequestId) -> Response {
    let redirect = match redirect {
        Ok(redirect) => redirect,
        Err(refused) => return answer::refused(&refused, id),
    };
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, redirect.location);
    for cookie in redirect.cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

impl From<LoginError> for RequestError {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}
