//! AWS KMS at moto.

use std::future::Future;

use integration_tests::moto::Moto;
use temporal_kms_codec::kms::ProviderErrorKind;
use temporal_kms_conformance::{Suite, conformance_tests, run};

use super::{aws, by_uri::ByUri};

// moto goes on encrypting with keys that are disabled or pending deletion, and hashes digests once more before it signs
// them. Those cases run at the other server.
conformance_tests! { with;
    data_keys;
    direct;
    lifecycle: rotation_keeps_what_is_old, a_key_is_made_once_and_listed;
    faults;
    codec;
}

fn with<F: Future<Output = ()>>(case: impl FnOnce(Suite) -> F) {
    let moto = Moto::start();
    let service = ByUri::new(aws::kms(moto.url()), aws::alias)
        .of_whole_keys()
        // It answers a ciphertext whose key it does not find with a denial.
        .refusing_with(ProviderErrorKind::PermissionDenied);
    run(case(Suite::new(service)));
}
