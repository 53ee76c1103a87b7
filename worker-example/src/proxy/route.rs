//! The calls that the proxy forwards: those that Claude Code makes while it works.

use http::{Method, Uri};

/// A call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A turn of the conversation.
    Messages,
    /// The count of a conversation's tokens. It costs nothing.
    CountTokens,
}

impl Route {
    /// The route of a request. `None` for all that is not forwarded.
    pub(super) fn of(method: &Method, uri: &Uri) -> Option<Self> {
        if method != Method::POST || !matches!(uri.query(), None | Some("" | "beta=true")) {
            return None;
        }
        match uri.path() {
            "/v1/messages" => Some(Self::Messages),
            "/v1/messages/count_tokens" => Some(Self::CountTokens),
            _ => None,
        }
    }

    /// The path, which is appended to that of the API's URL. It never comes from the request.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Messages => "v1/messages",
            Self::CountTokens => "v1/messages/count_tokens",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_two_paths_only() {
        let route = |method: Method, uri: &str| Route::of(&method, &uri.parse().unwrap());
        assert_eq!(
            route(Method::POST, "/v1/messages?beta=true"),
            Some(Route::Messages)
        );
        assert_eq!(
            route(Method::POST, "/v1/messages/count_tokens"),
            Some(Route::CountTokens)
        );
        for uri in [
            "/",
            "/v1/messages/",
            "/v1//messages",
            "/v1/messages/batches",
            "/v1/messages/../files",
            "/v1/messages%2f",
            "/v1/messages?beta=false",
            "/v1/messages?beta=true&x=1",
            "/v1/files",
            "/v1/organizations/me",
            "/api/oauth/claude_cli/create_api_key",
            "/v1/oauth/token",
        ] {
            assert_eq!(route(Method::POST, uri), None, "{uri}");
        }
        for method in [Method::GET, Method::PUT, Method::CONNECT, Method::DELETE] {
            assert_eq!(route(method, "/v1/messages"), None);
        }
    }
}
