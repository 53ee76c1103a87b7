//! Who calls, and whether the caller may.

use std::net::IpAddr;

use http::{HeaderMap, header, request::Parts};
use temporal_kms_codec_service::{
    auth::{Action, CallerId, Identity, Presented, Role},
    connection::ConnectionInfo,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{app::App, audited::Noted, error::ApiError, live::Live};

/// Submitting tasks, and seeing and cancelling one's own.
const RUN_TASKS: Action = Action::new("run tasks", &[Role::Write, Role::Worker, Role::Admin]);

/// A caller that is admitted. Its place is taken until this is dropped.
pub(super) struct Caller {
    identity: Identity,
    id: Option<CallerId>,
    /// What the audit log will say of its request.
    pub(super) noted: Noted,
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

impl Caller {
    /// The caller in limits. `None` where the server authenticates nobody.
    pub(super) fn id(&self) -> Option<&CallerId> {
        self.id.as_ref()
    }

    /// The caller's name as the owner of tasks: how it proved who it is, the URL of its issuer, and its name there. `None`
    /// where the server authenticates nobody.
    pub(super) fn owner(&self) -> Option<String> {
        self.id()?;
        let identity = &self.identity;
        // No URL has a line break. The issuer's name is not used: the operator can give it to another issuer.
        Some(format!(
            "{}\n{}\n{}",
            identity.method(),
            identity.issuer_url().unwrap_or_default(),
            identity.subject()
        ))
    }

    /// Whether the caller may see and cancel a task of this owner.
    pub(super) fn owns(&self, owner: Option<&str>) -> bool {
        self.owner().is_none_or(|caller| owner == Some(&caller))
    }
}

/// Finds out who calls, and takes a place for the request.
///
/// # Errors
/// When the caller is not known, may not use the service, or has too many requests, and while the audit log cannot be written.
pub(super) async fn admit(app: &App, head: &Parts) -> Result<Caller, ApiError> {
    let open = app.open()?;
    let (live, noted) = (app.live(), Noted::of(&head.extensions));
    let identity = identify(&live, head).await?;
    noted.caller(&identity);
    identity
        .allows(RUN_TASKS, &app.namespace)
        .map_err(|_| ApiError::Denied)?;
    noted.allowed();
    app.audit.check()?;
    let id = CallerId::of(&identity);
    let share = match &id {
        None => None,
        Some(caller) => {
            let admitted = live.callers.admit(caller).await;
            admitted.map_err(|exceeded| app.exceeded(exceeded))?
        }
    };
    Ok(Caller {
        identity,
        id,
        noted,
        _places: (open, share),
    })
}

async fn identify(live: &Live, head: &Parts) -> Result<Identity, ApiError> {
    if live.authenticator.is_open() {
        if live.is_local() && (is_from_a_page(&head.headers) || !names_this_machine(head)) {
            return Err(ApiError::Browser);
        }
        return Ok(Identity::anyone());
    }
    let mut presented = Presented::in_headers(&head.headers)?;
    if let Some(connection) = head.extensions.get::<ConnectionInfo>() {
        presented = connection.present(presented);
    }
    Ok(live.authenticator.identify(&presented).await?)
}

/// Browsers say from which page a request comes.
fn is_from_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none")
}

/// Whether the request names no host that a web page could have pointed to this machine.
fn names_this_machine(head: &Parts) -> bool {
    let from_header = head.headers.get(header::HOST);
    let host = match head.uri.host() {
        Some(host) => host.to_owned(),
        None => from_header
            .and_then(|host| host.to_str().ok())
            .and_then(|host| host.parse::<http::uri::Authority>().ok())
            .map(|host| host.host().to_owned())
            .unwrap_or_default(),
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/run");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_web_page_is_seen() {
        for (headers, is_page) in [
            (&[][..], false),
            (&[("origin", "https://evil.example")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "none")], false),
        ] {
            assert_eq!(is_from_a_page(&head(headers).headers), is_page);
        }
        for (host, is_ours) in [
            ("localhost:8080", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(
                names_this_machine(&head(&[("host", host)])),
                is_ours,
                "{host}"
            );
        }
    }
}
