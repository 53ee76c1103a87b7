//! A token of `SoftHSM`.

use std::future::Future;

use integration_tests::softhsm::isolated_as;
use temporal_kms_codec::kms::KmsOptions;
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
        let options = KmsOptions {
            pkcs11: hsm.options(),
            ..KmsOptions::default()
        };
        case(Suite::new(ByUri::new(options, move |name| hsm.key(name))))
    });
}
