//! The random token by which a task's Claude Code is known to the task's proxy.

use http::{HeaderMap, header};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A token of 244 random bits. It is worth nothing outside the task's sandbox, or after the task.
pub(super) struct Token(Zeroizing<String>);

impl Token {
    pub(super) fn random() -> Self {
        let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
        Self(Zeroizing::new(format!(
            "task-{}{}",
            one.as_simple(),
            two.as_simple()
        )))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a request has the token, as an API key or as a bearer token.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let key = headers.get("x-api-key").map(http::HeaderValue::as_bytes);
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        // Claude Code sends one of them. All that are sent must be right.
        let mut sent = [key, bearer].into_iter().flatten().peekable();
        sent.peek().is_some() && sent.all(|value| bool::from(value.ct_eq(self.0.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_counts() {
        let token = Token::random();
        let right = token.expose().to_owned();
        let has = |key: Option<&str>, bearer: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(key) = key {
                headers.insert("x-api-key", key.parse().unwrap());
            }
            if let Some(bearer) = bearer {
                let value = format!("Bearer {bearer}");
                headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            }
            token.is_in(&headers)
        };
        assert!(has(Some(&right), None) && has(None, Some(&right)));
        let short = &right[..right.len() - 1];
        for (key, bearer) in [
            (None, None),
            (Some(""), None),
            (Some(short), None),
            (None, Some(short)),
            (Some(right.as_str()), Some("other")),
            (Some("other"), Some(right.as_str())),
        ] {
            assert!(!has(key, bearer), "{key:?} {bearer:?}");
        }
        assert_ne!(Token::random().expose(), Token::random().expose());
    }
}
