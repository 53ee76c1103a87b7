use std::future::Future;

use fake_aws_kms::{Account, Fault, Server};
use integration_tests::aws;
use temporal_kms_codec::{KeyUri, kms::KmsOptions};

use crate::{
    conformance::cases::conforms,
    conformance::service::{Bench, Service, Trouble, Unit},
};

conforms!(with);

/// AWS KMS as its API Reference has it.
struct Aws(Server);

fn with<F: Future<Output = ()>>(case: impl FnOnce(Bench) -> F) {
    super::run(async {
        let server = Account::new().serve(aws::HOME).await;
        case(Bench::new(Aws(server.expect("a port")))).await;
    });
}

/// Whoever calls the server at `url`.
pub(super) fn options(url: &str) -> KmsOptions {
    KmsOptions {
        aws: aws::options(url),
        ..KmsOptions::default()
    }
}

pub(super) fn alias(name: &str) -> KeyUri {
    format!("aws-kms://alias/{name}").parse().expect("a key")
}

impl Service for Aws {
    fn options(&self) -> KmsOptions {
        options(self.0.url())
    }

    fn key(&self, name: &str) -> KeyUri {
        alias(name)
    }

    fn unit(&self) -> Unit {
        Unit::Key
    }

    fn trouble(&self, trouble: Trouble, times: usize) -> bool {
        let fault = match trouble {
            Trouble::Denied => Fault::Error("AccessDeniedException"),
            Trouble::Throttled => Fault::Error("ThrottlingException"),
            Trouble::Dead => Fault::Hangup,
            Trouble::Slow => Fault::Hang,
            Trouble::Garbage => Fault::Garbage,
            // AWS KMS has no checksums; TLS is what protects an answer.
            Trouble::Damaged => Fault::Empty,
        };
        self.0.fail("*", fault, times);
        true
    }

    fn recover(&self) {
        self.0.heal();
    }
}
