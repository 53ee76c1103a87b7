//! A line for each call of a key, and for each change of a key.

use futures::future::BoxFuture;
use temporal_kms::{
    CallObserver, EndedCall, KeyUri, Operation, Outcome, ProviderError, ProviderErrorKind,
};

use crate::{error::AuditError, event::Event, log::AuditLog, scope};

impl CallObserver for AuditLog {
    fn permits(&self, _: Operation, key: &KeyUri) -> Result<(), ProviderError> {
        self.begin_call().map_err(|error| refused(key, &error))
    }

    fn ended(&self, call: &EndedCall<'_>) -> BoxFuture<'static, Result<(), ProviderError>> {
        let receipt = self.record(line(call));
        self.end_call();
        let key = call.key.clone();
        let is_changed = call.operation.changes_key() && call.outcome == Outcome::Done;
        Box::pin(async move {
            let written = receipt.written().await;
            written.map_err(|error| {
                let error = if is_changed {
                    AuditError::Changed(Box::new(error))
                } else {
                    error
                };
                refused(&key, &error)
            })
        })
    }
}

fn line(call: &EndedCall<'_>) -> Event {
    let kind = match call.operation {
        operation if operation.changes_key() => "key",
        _ => "kms",
    };
    let request = scope::request();
    let micros = u64::try_from(call.took.as_micros()).unwrap_or(u64::MAX);
    let mut event = Event::new(kind)
        .maybe("request", request.as_deref())
        .text("operation", call.operation.as_str())
        .text("key", &call.key.to_string());
    for (name, value) in call.details {
        event = event.text(name, value);
    }
    event = event
        .text("result", call.outcome.as_str())
        .maybe("service_request", call.service_request)
        .number("took_us", micros);
    match message(call) {
        Some(message) => event.text("message", message),
        None => event,
    }
}

/// What people look for in the log of signatures.
fn message(call: &EndedCall<'_>) -> Option<&'static str> {
    match (call.operation, call.outcome) {
        (Operation::Sign, Outcome::Done) => Some("data signed"),
        (Operation::Verify, Outcome::Done) => Some("signature verified"),
        (Operation::Verify, Outcome::NotVerified) => Some("signature refused"),
        _ => None,
    }
}

/// The error of a call that the log does not permit. It has the same two parts as the log's error.
fn refused(key: &KeyUri, error: &AuditError) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Unavailable, key)
        .with_explanation(error.what_happened())
        .with_remedy(error.remedy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_the_log_stays_as_it_is() {
        let key = "local://k".parse().unwrap();
        for error in [
            AuditError::Unwritten("the disk is full".to_owned()),
            AuditError::TooSlow,
            AuditError::Closed,
            AuditError::Changed(Box::new(AuditError::TooSlow)),
        ] {
            assert_eq!(refused(&key, &error).to_string(), error.to_string());
        }
        // What happened may itself have two parts.
        let problem = "cannot write /var/audit: no space; free space on its disk";
        let error = AuditError::Unwritten(problem.to_owned());
        let refused = refused(&key, &error);
        assert_eq!(
            refused.what_happened(),
            format!("the audit log cannot be written: {problem}")
        );
        assert!(refused.remedy().starts_with("nothing is done without"));
    }
}
