//! Which headers pass the proxy. The request's pass by a list of allowed names, so that a task cannot add a credential or
//! reach another account. The answer's pass without those of its connection.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::upstream::ApiCredential;

const BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The API accepts OAuth tokens only with this beta.
const OAUTH_BETA: &str = "oauth-2025-04-20";

/// Names that pass. Others that begin with one of [`PASSING_PREFIXES`] pass, too.
const PASSING: [&str; 8] = [
    "accept",
    "accept-language",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-version",
    "content-type",
    "user-agent",
    "x-app",
];
const PASSING_PREFIXES: [&str; 2] = ["x-stainless-", "x-claude-code-"];

/// Headers of a connection (RFC 9110, section 7.6.1).
const OF_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers of the call to the API, with the real credential.
pub(super) fn to_api(from: &HeaderMap, credential: &ApiCredential) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in from {
        let text = name.as_str();
        let passes = PASSING.contains(&text)
            || PASSING_PREFIXES
                .iter()
                .any(|prefix| text.starts_with(prefix));
        if passes {
            headers.append(name, value.clone());
        }
    }
    // The worker reads the tokens used from the answer.
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    match credential {
        ApiCredential::Key(key) => {
            headers.insert(API_KEY, key.clone());
        }
        ApiCredential::Bearer(token) => {
            headers.insert(header::AUTHORIZATION, token.clone());
            let has_beta = headers.get_all(BETA).iter().any(|value| {
                let mut names = value.to_str().unwrap_or_default().split(',');
                names.any(|name| name.trim() == OAUTH_BETA)
            });
            if !has_beta {
                headers.append(BETA, HeaderValue::from_static(OAUTH_BETA));
            }
        }
    }
    headers
}

/// The headers of the answer to the task. Cookies belong to the worker.
pub(super) fn to_task(from: &HeaderMap) -> HeaderMap {
    let mut headers = from.clone();
    remove_of_connection(&mut headers);
    headers.remove(header::SET_COOKIE);
    headers
}

/// Removes the headers that do not pass a proxy: those of a connection, and those that `Connection` names.
pub(super) fn remove_of_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in OF_CONNECTION.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_credential_replaces_the_token() {
        let sent = headers(&[
            ("x-api-key", "task-token"),
            ("authorization", "Bearer task-token"),
            ("anthropic-beta", "a,b"),
            ("x-stainless-lang", "js"),
            ("anthropic-organization-id", "another"),
            ("cookie", "c"),
            ("x-forwarded-for", "1.2.3.4"),
            ("connection", "keep-alive"),
            ("host", "evil"),
            ("content-length", "3"),
            ("accept-encoding", "gzip"),
        ]);
        let key = to_api(
            &sent,
            &ApiCredential::Key(HeaderValue::from_static("sk-real")),
        );
        let mut names: Vec<_> = key.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept-encoding",
                "anthropic-beta",
                "x-api-key",
                "x-stainless-lang"
            ]
        );
        assert_eq!(key[API_KEY], "sk-real");

        let token = ApiCredential::Bearer(HeaderValue::from_static("Bearer real"));
        let bearer = to_api(&sent, &token);
        assert_eq!(bearer[header::AUTHORIZATION], "Bearer real");
        assert_eq!(bearer.get(API_KEY), None);
        let betas: Vec<_> = bearer.get_all(BETA).iter().collect();
        assert_eq!(betas, ["a,b", OAUTH_BETA]);
        let again = to_api(
            &headers(&[("anthropic-beta", "x, oauth-2025-04-20")]),
            &token,
        );
        assert_eq!(again.get_all(BETA).iter().count(), 1);
    }

    #[test]
    fn what_belongs_to_the_connection_stays() {
        let answer = headers(&[
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "c=1"),
            ("retry-after", "3"),
            ("request-id", "r"),
        ]);
        let passed = to_task(&answer);
        let mut names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["request-id", "retry-after"]);
    }
}
