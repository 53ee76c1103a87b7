//! Findings about permissions, the same ones for every kind of key.

use temporal_kms_codec::{
    KeyUri,
    kms::{
        CredentialsFound, Diagnose, FailureCause, Operation, ProviderError,
        ProviderErrorKind as Kind,
    },
};

use super::{
    super::exit::Status,
    advice,
    finding::{Check, Finding},
};

/// Who asks for which key. Says how to permit what is refused.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) key: &'a KeyUri,
    pub(super) service: &'a dyn Diagnose,
    pub(super) credentials: &'a CredentialsFound,
}

impl Caller<'_> {
    pub(super) fn refused(&self, operation: Operation, error: &ProviderError) -> Finding {
        let what = match operation {
            Operation::Unwrap => "unwrap, which reading payloads takes",
            Operation::Wrap => "wrap, which writing payloads takes",
            operation => name(operation),
        };
        Finding::failed(
            Check::Permission,
            advice::exit(error),
            format!("{what}: {}", error.summary()),
            self.remedy(operation, error),
        )
        .with("operation", operation.as_str())
        .with("error", error.kind().as_str())
    }

    pub(super) fn remedy(&self, operation: Operation, error: &ProviderError) -> String {
        match error.kind() {
            _ if error.cause() == Some(FailureCause::Proxy) => advice::PROXY.to_owned(),
            Kind::PermissionDenied => {
                let service = self.service;
                service.permission_remedy(self.key, operation, self.credentials)
            }
            kind if kind.is_transient() => "try again".to_owned(),
            _ => error.remedy().to_owned(),
        }
    }
}

pub(super) fn permitted(operation: Operation) -> Finding {
    Finding::ok(Check::Permission, format!("{}: permitted", name(operation)))
        .with("operation", operation.as_str())
}

pub(super) fn unfaithful(operation: Operation) -> Finding {
    Finding::failed(
        Check::Permission,
        Status::Data,
        format!(
            "{}: the result differs from what was encrypted",
            name(operation)
        ),
        "do not use this key: report it to the operator of the service",
    )
}

/// For people.
const fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::PublicKey => "read the public key",
        operation => operation.as_str(),
    }
}
