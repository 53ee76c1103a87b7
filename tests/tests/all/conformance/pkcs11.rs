//! A token of `SoftHSM`.

use std::future::Future;

use integration_tests::softhsm::isolated_as;
use temporal_kms_codec::kms::{Kms, pkcs11::Pkcs11Kms};
use temporal_kms_conformance::{Suite, conformance_tests};

use super::by_uri::ByUri;

conformance_tests!(with);

fn with<C, F>(case: C)
where
    C: FnOnce(Suite) -> F,
    F: Future<Output = ()>,
{
    // The case is the closure of its test, whose name is to be run again.
    isolated_as(std::any::type_name::<C>(), |hsm| {
        let kms = Kms::builder()
            .with_service(Pkcs11Kms::new(hsm.options()))
            .build();
        case(Suite::new(ByUri::new(kms, move |name| hsm.key(name))))
    });
}
