use std::future::Future;

use tempfile::TempDir;
use temporal_kms_codec::{KeyUri, kms::KmsOptions};

use crate::{
    conformance::cases::conforms,
    conformance::service::{Bench, Service, Trouble, Unit},
};

conforms!(with);

/// A folder of keysets.
struct Local(TempDir);

fn with<F: Future<Output = ()>>(case: impl FnOnce(Bench) -> F) {
    let folder = tempfile::tempdir().expect("a folder");
    super::run(case(Bench::new(Local(folder))));
}

impl Service for Local {
    fn options(&self) -> KmsOptions {
        KmsOptions {
            local_keyring: Some(self.0.path().to_owned()),
            ..KmsOptions::default()
        }
    }

    fn key(&self, name: &str) -> KeyUri {
        format!("local://{name}").parse().expect("a key")
    }

    fn unit(&self) -> Unit {
        Unit::Version
    }

    fn trouble(&self, _: Trouble, _: usize) -> bool {
        false
    }

    fn recover(&self) {}
}
