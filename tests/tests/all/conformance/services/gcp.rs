use std::future::Future;

use fake_cloud_kms::{Emulator, Fault, Options};
use temporal_kms_codec::{KeyUri, kms::KmsOptions};

use crate::{
    conformance::cases::conforms,
    conformance::service::{Bench, Service, Trouble, Unit},
};

conforms!(with);

/// Cloud KMS at the emulator.
struct Gcp(Emulator);

fn with<F: Future<Output = ()>>(case: impl FnOnce(Bench) -> F) {
    super::run(async {
        let emulator = Emulator::start(Options::default()).await;
        case(Bench::new(Gcp(emulator.expect("the emulator")))).await;
    });
}

impl Service for Gcp {
    fn options(&self) -> KmsOptions {
        KmsOptions {
            gcp_endpoint: Some(self.0.url()),
            ..KmsOptions::default()
        }
    }

    fn key(&self, name: &str) -> KeyUri {
        let uri =
            format!("gcp-kms://projects/p/locations/global/keyRings/temporal/cryptoKeys/{name}");
        uri.parse().expect("a key")
    }

    fn unit(&self) -> Unit {
        Unit::Version
    }

    fn trouble(&self, trouble: Trouble, times: usize) -> bool {
        let fault = match trouble {
            Trouble::Denied => "deny",
            Trouble::Throttled => "status=429",
            Trouble::Dead => "dead",
            Trouble::Slow => "latency=3600000ms",
            Trouble::Garbage => "garbage",
            Trouble::Damaged => "wrong-crc",
        };
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        let fault: Fault = format!("{fault}*{times}").parse().expect("a fault");
        self.0.set_faults([fault]);
        true
    }

    fn recover(&self) {
        self.0.set_faults([]);
    }
}
