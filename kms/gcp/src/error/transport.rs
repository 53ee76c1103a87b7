//! The meaning of failures before the service: of the connection, the credentials, and other programs that answer.

use std::error::Error as StdError;

use google_cloud_gax::error::{CredentialsError, Error as GaxError};
use temporal_kms::{FailureCause, ProviderErrorKind as Kind};

use super::meaning::Meaning;

/// The meaning of a failure that is not an answer of the service.
pub(super) fn of_transport(error: &GaxError) -> Meaning<'static> {
    if error.is_authentication() {
        return of_credentials(error);
    }
    if error.is_timeout() || error.is_exhausted() {
        return Meaning::new(Kind::DeadlineExceeded, "");
    }
    if error.is_binding() || error.is_serialization() {
        return Meaning::misconfigured(
            "the service has no such resource name",
            "correct the key's name",
        );
    }
    if error.is_deserialization() {
        return stranger(Kind::Integrity);
    }
    // The service answers every failure in its own JSON. An answer with a status but without this JSON comes from
    // another program.
    match error.http_status_code() {
        Some(429) => stranger(Kind::Throttled),
        Some(408 | 504) => stranger(Kind::DeadlineExceeded),
        Some(500..=599) => stranger(Kind::Unavailable),
        Some(_) => stranger(Kind::Integrity),
        None if error.is_connect() => {
            Meaning::new(Kind::Unavailable, "no connection").because(FailureCause::NoConnection)
        }
        None => Meaning::new(Kind::Unavailable, "the connection broke"),
    }
}

fn stranger(kind: Kind) -> Meaning<'static> {
    Meaning::new(
        kind,
        "the answer is not Google's: is there a proxy on the way?",
    )
    .with_remedy("check HTTPS_PROXY, NO_PROXY and the endpoint, and retry")
    .because(FailureCause::Proxy)
}

fn of_credentials(error: &GaxError) -> Meaning<'static> {
    let fault = sources(error).find_map(|source| source.downcast_ref::<CredentialsError>());
    // Without a configured file, the metadata server is asked. If it does not accept a connection, this machine is not
    // at Google Cloud.
    let no_metadata_server = sources(error)
        .filter_map(|source| source.downcast_ref::<GaxError>())
        .any(|inner| !inner.is_authentication() && (inner.is_io() || inner.is_connect()));
    match fault {
        Some(fault) if fault.is_transient() && !no_metadata_server => Meaning::new(
            Kind::Unavailable,
            "no token for the service could be fetched",
        ),
        _ => Meaning::misconfigured(
            "there are no usable Google Cloud credentials",
            "set GOOGLE_APPLICATION_CREDENTIALS, run `gcloud auth application-default login`, or give the machine a service \
             account",
        )
        .because(FailureCause::NoCredentials),
    }
}

fn sources(error: &GaxError) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}
