//! How much of the API one task may use.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::Deserialize;

/// The limits of one task's calls.
#[derive(Clone, Debug)]
pub(crate) struct ProxyLimits {
    /// The most calls.
    pub(crate) calls: u64,
    /// The most tokens, of all kinds. A call that begins below the limit may end above it.
    pub(crate) tokens: Option<u64>,
    /// The models that tasks may use. A name that ends with `*` is a beginning. Empty for all.
    pub(crate) models: Vec<String>,
    /// The longest body of a call, in bytes.
    pub(crate) call_bytes: usize,
    /// The most bytes of all bodies and answers.
    pub(crate) bytes: u64,
    /// The longest time of a call.
    pub(crate) call_time: Duration,
    /// The most connections at the same time.
    pub(crate) connections: usize,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            calls: 20_000,
            tokens: None,
            models: Vec::new(),
            // The API's own limit.
            call_bytes: 32 << 20,
            bytes: 64 << 30,
            call_time: Duration::from_hours(1),
            connections: 32,
        }
    }
}

/// What a task has used.
#[derive(Debug, Default)]
pub(super) struct Budget {
    calls: AtomicU64,
    tokens: AtomicU64,
    bytes: AtomicU64,
}

impl Budget {
    /// Counts a call. Returns why it is not allowed.
    pub(super) fn begin(&self, limits: &ProxyLimits) -> Result<(), String> {
        if self.calls.fetch_add(1, Ordering::Relaxed) >= limits.calls {
            return Err(format!(
                "this task has used its {} calls of the API",
                limits.calls
            ));
        }
        if let Some(most) = limits.tokens
            && self.tokens.load(Ordering::Relaxed) >= most
        {
            return Err(format!("this task has used its {most} tokens"));
        }
        if self.bytes.load(Ordering::Relaxed) >= limits.bytes {
            return Err("this task has sent and received too much".to_owned());
        }
        Ok(())
    }

    pub(super) fn add_tokens(&self, tokens: u64) {
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

#[derive(Deserialize)]
struct Body {
    model: String,
}

/// Checks the model of a call. A body that names two models is refused: the API could take the other one.
pub(super) fn check_model(body: &[u8], limits: &ProxyLimits) -> Result<(), String> {
    if limits.models.is_empty() {
        return Ok(());
    }
    let Ok(Body { model }) = serde_json::from_slice(body) else {
        return Err("the body is not a JSON object with one model".to_owned());
    };
    let is_allowed = limits.models.iter().any(|allowed| {
        allowed
            .strip_suffix('*')
            .map_or(*allowed == model, |beginning| model.starts_with(beginning))
    });
    if is_allowed {
        return Ok(());
    }
    Err(format!(
        "this worker does not allow the model {model:.100}; it allows {}",
        limits.models.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends() {
        let limits = ProxyLimits {
            calls: 3,
            tokens: Some(10),
            ..ProxyLimits::default()
        };
        let budget = Budget::default();
        assert!(budget.begin(&limits).is_ok());
        budget.add_tokens(9);
        assert!(budget.begin(&limits).is_ok());
        budget.add_tokens(1);
        assert!(budget.begin(&limits).unwrap_err().contains("10 tokens"));
        assert!(budget.begin(&limits).unwrap_err().contains("3 calls"));
    }

    #[test]
    fn only_allowed_models() {
        let limits = ProxyLimits {
            models: vec!["claude-sonnet-*".into(), "claude-opus-5-5".into()],
            ..ProxyLimits::default()
        };
        let check = |body: &str| check_model(body.as_bytes(), &limits);
        assert!(check(r#"{"model":"claude-sonnet-5-5","x":[1]}"#).is_ok());
        assert!(check(r#"{"model":"claude-opus-5-5"}"#).is_ok());
        for body in [
            r#"{"model":"claude-opus-5-50"}"#,
            r#"{"model":"claude-opus-5-5","model":"other"}"#,
            r#"{"model":"other","\u006dodel":"claude-opus-5-5"}"#,
            r#"{"model":["claude-opus-5-5"]}"#,
            r"{}",
            "",
        ] {
            assert!(check(body).is_err(), "{body}");
        }
        assert!(check_model(b"", &ProxyLimits::default()).is_ok());
    }
}
