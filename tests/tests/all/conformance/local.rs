//! A folder of keysets.

use std::future::Future;

use temporal_kms_codec::kms::Kms;
use temporal_kms_conformance::{Suite, conformance_tests, run};

use super::by_uri::ByUri;

conformance_tests!(with);

fn with<F: Future<Output = ()>>(case: impl FnOnce(Suite) -> F) {
    let folder = tempfile::tempdir().expect("a folder");
    let kms = Kms::builder().local_keyring(folder.path()).build();
    let service = ByUri::new(kms, |name| {
        format!("local://{name}").parse().expect("a key")
    });
    run(case(Suite::new(service)));
}
