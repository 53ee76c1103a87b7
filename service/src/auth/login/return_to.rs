//! Where a browser goes after a login: back to this server, or to a page of an allowed origin.

use url::Url;

/// No page needs a longer URL.
const MOST: usize = 1500;

/// The place that `text` names, if a login may return there. `own` is any URL of this server.
pub(super) fn allowed(text: &str, own: &Url, origins: &[String]) -> Option<Url> {
    let is_plain = text.len() <= MOST
        && !text.contains('\\')
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain {
        return None;
    }
    if text.starts_with('/') {
        // Also `//evil.example`, which the check of the origin refuses.
        let url = own.join(text).ok()?;
        return (url.origin() == own.origin()).then_some(url);
    }
    let url: Url = text.parse().ok()?;
    let is_known =
        url.origin() == own.origin() || origins.contains(&url.origin().ascii_serialization());
    let has_user = !url.username().is_empty() || url.password().is_some();
    (!has_user && is_known).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_server_and_the_allowed_origins_are_returned_to() {
        let own: Url = "https://codec.example/auth/callback".parse().unwrap();
        let origins = [
            "https://ui.example".to_owned(),
            "http://localhost:8233".to_owned(),
        ];
        let allowed = |text: &str| allowed(text, &own, &origins).map(String::from);
        for (text, expected) in [
            ("/", "https://codec.example/"),
            ("https://codec.example/x", "https://codec.example/x"),
            ("/page?x=1#y", "https://codec.example/page?x=1#y"),
            (
                "https://ui.example/namespaces/a",
                "https://ui.example/namespaces/a",
            ),
            ("http://localhost:8233", "http://localhost:8233/"),
        ] {
            assert_eq!(allowed(text).as_deref(), Some(expected));
        }
        for bad in [
            "",
            "page",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/\tx",
            "/\n/evil.example",
            "https://evil.example",
            "https://ui.example.evil.example",
            "https://ui.example@evil.example",
            "https://u@ui.example/",
            "http://ui.example",
            "https://ui.example:8443",
            "javascript:alert(1)",
            "data:text/html,x",
            "HTTPS:evil.example",
            "https:evil.example",
            "null",
            &format!("/{}", "x".repeat(2000)),
        ] {
            assert_eq!(allowed(bad), None, "{bad}");
        }
    }
}
