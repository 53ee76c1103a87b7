//! Which namespace a request is for.

use http::{HeaderMap, request::Parts};
use temporal_kms_codec::Namespace;
use temporal_kms_codec_service::auth::Identity;

use super::{authenticate::authorize, request_error::RequestError, route::Route};
use crate::namespaces::{RequestNamespaces, Requested, Unresolved};

const NAMESPACE_HEADER: &str = "x-namespace";

/// The namespace that the request's header and path name. A caller without a role in it does not learn whether it is served,
/// also where the request names it wrongly.
pub(super) fn of(
    head: &Parts,
    route: &Route,
    namespaces: &RequestNamespaces,
    identity: &Identity,
) -> Result<Requested, RequestError> {
    let header = named_by_header(&head.headers)?;
    let requested = namespaces.requested(header, &route.folder);
    requested.map_err(|unresolved| {
        let named = match &unresolved {
            Unresolved::Contradiction(namespace) | Unresolved::Unknown(namespace) => {
                Some(namespace.clone())
            }
            Unresolved::UnknownInPath(segment) => Namespace::new(segment).ok(),
        };
        let denied = named.and_then(|name| authorize(identity, route.operation, &name).err());
        denied.unwrap_or_else(|| unresolved.into())
    })
}

/// The namespace in `X-Namespace`. An empty header counts as missing.
fn named_by_header(headers: &HeaderMap) -> Result<Option<Namespace>, RequestError> {
    let mut named = None;
    for value in headers.get_all(NAMESPACE_HEADER) {
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| RequestError::BadNamespace)?;
        if text.is_empty() {
            continue;
        }
        let namespace = Namespace::new(text).map_err(|_| RequestError::BadNamespace)?;
        if named.as_ref().is_some_and(|other| *other != namespace) {
            return Err(RequestError::TwoNamespaces);
        }
        named = Some(namespace);
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_one_namespace_or_none() {
        let headers = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(
                    NAMESPACE_HEADER,
                    http::HeaderValue::from_bytes(value).unwrap(),
                );
            }
            named_by_header(&headers).map(|name| name.map(|name| name.to_string()))
        };
        assert_eq!(headers(&[]).unwrap(), None);
        assert_eq!(headers(&[b""]).unwrap(), None);
        assert_eq!(headers(&[b"prod"]).unwrap().as_deref(), Some("prod"));
        assert_eq!(
            headers(&["pröd".as_bytes()]).unwrap().as_deref(),
            Some("pröd")
        );
        assert_eq!(
            headers(&[b"prod", b"prod"]).unwrap().as_deref(),
            Some("prod")
        );
        assert!(matches!(
            headers(&[b"prod", b"test"]),
            Err(RequestError::TwoNamespaces)
        ));
        assert!(matches!(
            headers(&[b"\xff"]),
            Err(RequestError::BadNamespace)
        ));
        assert!(matches!(
            headers(&[&[b'n'; 1001]]),
            Err(RequestError::BadNamespace)
        ));
    }
}
