//! Who asks, and whether the caller may do it.

use http::{HeaderMap, HeaderValue, header, request::Parts};
use temporal_kms_codec::Namespace;
use temporal_kms_codec_service::auth::{self, Authenticator, Identity, Presented};

use super::{
    connection::ConnectionInfo, origin::OriginPolicy, request_error::RequestError, route::Operation,
};

/// The caller of a request, by everything that the request and its connection present.
pub(super) async fn authenticate(
    head: &Parts,
    authenticator: &Authenticator,
) -> Result<Identity, RequestError> {
    if authenticator.is_open() {
        return Ok(Identity::anyone());
    }
    let mut presented = Presented::in_headers(&head.headers)?;
    if let Some(connection) = head.extensions.get::<ConnectionInfo>() {
        presented = connection.present(presented);
    }
    Ok(authenticator.identify(&presented).await?)
}

/// Whether the caller may do `operation` in `namespace`.
pub(super) fn authorize(
    identity: &Identity,
    operation: Operation,
    namespace: &Namespace,
) -> Result<(), RequestError> {
    let operation = match operation {
        Operation::Encode => auth::Action::ENCODE,
        Operation::Decode => auth::Action::DECODE,
        Operation::Download => auth::Action::DOWNLOAD,
    };
    Ok(identity.allows(operation, namespace)?)
}

/// The caller of a request that asks for the state of the server, and not for a payload.
pub(super) async fn caller(
    head: &Parts,
    authenticator: &Authenticator,
    origins: &OriginPolicy,
) -> Result<Identity, RequestError> {
    origins.check(head)?;
    let identity = authenticate(head, authenticator).await?;
    // A browser sends an origin with each request whose answer the page of another origin can read.
    let has = |name| head.headers.contains_key(name);
    let is_another_page = has(header::COOKIE) && has(header::ORIGIN) && !origins.is_listed(head);
    if is_another_page && identity.method() != auth::Method::Open {
        return Err(RequestError::CookieOrigin);
    }
    Ok(identity)
}

/// Refuses requests with cookies that another site could have caused: a browser adds cookies to the requests of any page.
/// A form cannot send JSON without asking first.
pub(super) fn check_cookies(head: &Parts, origins: &OriginPolicy) -> Result<(), RequestError> {
    if !head.headers.contains_key(header::COOKIE) {
        return Ok(());
    }
    if !origins.is_listed(head) {
        return Err(RequestError::CookieOrigin);
    }
    if !is_json(&head.headers) {
        return Err(RequestError::CookieContentType);
    }
    Ok(())
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return false;
    };
    let kind = HeaderValue::to_str(kind).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::config::CorsConfig;

    fn check(headers: &[(&str, &str)]) -> Result<(), RequestError> {
        let ui = "https://ui.example.com".to_owned();
        let cors = CorsConfig {
            allowed_origins: [ui].into(),
            ..CorsConfig::local()
        };
        let origins = OriginPolicy::new(cors, Vec::new(), true);
        let mut request = Request::builder().header("host", "codec.example.com");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check_cookies(&request.body(()).unwrap().into_parts().0, &origins)
    }

    #[test]
    fn a_request_with_cookies_needs_a_listed_origin_and_json() {
        let cookie = ("cookie", "a=b");
        let ui = ("origin", "https://ui.example.com");
        let json = ("content-type", "application/json; charset=utf-8");
        check(&[]).unwrap();
        check(&[cookie, ui, json]).unwrap();
        check(&[cookie, ("origin", "https://codec.example.com"), json]).unwrap();
        for origin in [
            "https://evil.example",
            "http://ui.example.com",
            "https://ui.example.com:8443",
            "http://codec.example.com",
            "https://codec.example.com:8443",
            "http://localhost:8233",
            "null",
        ] {
            let refused = check(&[cookie, ("origin", origin), json]).unwrap_err();
            assert!(matches!(refused, RequestError::CookieOrigin), "{origin}");
        }
        let refused = check(&[cookie, json]).unwrap_err();
        assert!(matches!(refused, RequestError::CookieOrigin), "no origin");
        let refused = check(&[cookie, ui, ui, json]).unwrap_err();
        assert!(matches!(refused, RequestError::CookieOrigin), "two origins");
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "",
            "json",
        ] {
            let refused = check(&[cookie, ui, ("content-type", kind)]).unwrap_err();
            assert!(matches!(refused, RequestError::CookieContentType), "{kind}");
        }
        let refused = check(&[cookie, ui]).unwrap_err();
        assert!(matches!(refused, RequestError::CookieContentType));
        let refused = check(&[cookie, ui, json, ("content-type", "text/plain")]).unwrap_err();
        assert!(matches!(refused, RequestError::CookieContentType));
    }
}
