//! A folder of keysets.

use std::future::Future;

use temporal_kms_codec::kms::KmsOptions;
use temporal_kms_conformance::{Suite, conformance_tests, run};

use super::by_uri::ByUri;

conformance_tests!(with);

fn with<F: Future<Output = ()>>(case: impl FnOnce(Suite) -> F) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = KmsOptions {
        local_keyring: Some(folder.path().to_owned()),
        ..KmsOptions::default()
    };
    let service = ByUri::new(options, |name| {
        format!("local://{name}").parse().expect("a key")
    });
    run(case(Suite::new(service)));
}
