use std::future::Future;

use integration_tests::softhsm::{SoftHsm, isolated_as};
use temporal_kms_codec::{KeyUri, kms::KmsOptions};

use crate::{
    conformance::cases::conforms,
    conformance::service::{Bench, Service, Trouble, Unit},
};

conforms!(with);

/// A token of `SoftHSM`.
struct Token(SoftHsm);

fn with<C, F>(case: C)
where
    C: FnOnce(Bench) -> F,
    F: Future<Output = ()>,
{
    // The case is the closure of its test, whose name is to be run again.
    isolated_as(std::any::type_name::<C>(), |hsm| {
        case(Bench::new(Token(hsm)))
    });
}

impl Service for Token {
    fn options(&self) -> KmsOptions {
        KmsOptions {
            pkcs11: self.0.options(),
            ..KmsOptions::default()
        }
    }

    fn key(&self, name: &str) -> KeyUri {
        self.0.key(name)
    }

    fn unit(&self) -> Unit {
        Unit::Version
    }

    fn trouble(&self, _: Trouble, _: usize) -> bool {
        false
    }

    fn recover(&self) {}
}
