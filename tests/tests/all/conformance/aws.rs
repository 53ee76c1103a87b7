//! AWS KMS as its API Reference describes it.

use std::{future::Future, sync::Arc};

use fake_aws_kms::{Account, Fault as Answer};
use integration_tests::aws;
use temporal_kms_codec::{
    KeyUri,
    kms::{Kms, aws::AwsKms},
};
use temporal_kms_conformance::{Fault, Suite, conformance_tests, run};

use super::by_uri::ByUri;

conformance_tests!(with);

fn with<F: Future<Output = ()>>(case: impl FnOnce(Suite) -> F) {
    run(async {
        let server = Account::new().serve(aws::HOME).await;
        let server = Arc::new(server.expect("a port"));
        let service = ByUri::new(kms(server.url()), alias)
            .of_whole_keys()
            .with_faults(move |fault| match fault {
                Some((fault, times)) => server.fail("*", answer(fault), times),
                None => server.heal(),
            });
        case(Suite::new(service)).await;
    });
}

/// AWS KMS at `url`.
pub(super) fn kms(url: &str) -> Kms {
    Kms::builder()
        .with_service(AwsKms::new(aws::options(url)))
        .build()
}

pub(super) fn alias(name: &str) -> KeyUri {
    format!("aws-kms://alias/{name}").parse().expect("a key")
}

fn answer(fault: Fault) -> Answer {
    match fault {
        Fault::PermissionDenied => Answer::Error("AccessDeniedException"),
        Fault::Throttled => Answer::Error("ThrottlingException"),
        Fault::ConnectionLost => Answer::Hangup,
        Fault::NoAnswer => Answer::Hang,
        // AWS KMS has no checksums; TLS is what protects an answer.
        Fault::Damaged => Answer::Empty,
        _ => Answer::Garbage,
    }
}
