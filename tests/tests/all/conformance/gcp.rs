//! Cloud KMS at the emulator.

use std::future::Future;

use fake_cloud_kms::{Emulator, Options};
use temporal_kms_codec::{
    KeyUri,
    kms::{
        Kms,
        gcp::{GcpKms, GcpOptions},
    },
};
use temporal_kms_conformance::{Fault, Suite, conformance_tests, run};

use super::by_uri::ByUri;

conformance_tests!(with);

fn with<F: Future<Output = ()>>(case: impl FnOnce(Suite) -> F) {
    run(async {
        let emulator = Emulator::start(Options::default()).await;
        let emulator = emulator.expect("the emulator");
        let options = GcpOptions::default().with_endpoint(emulator.url());
        let kms = Kms::builder().with_service(GcpKms::new(options)).build();
        let service = ByUri::new(kms, uri).with_faults(move |fault| match fault {
            Some((fault, times)) => {
                let times = u32::try_from(times).unwrap_or(u32::MAX);
                let fault = format!("{}*{times}", answer(fault));
                emulator.set_faults([fault.parse().expect("a fault")]);
            }
            None => emulator.set_faults([]),
        });
        case(Suite::new(service)).await;
    });
}

fn uri(name: &str) -> KeyUri {
    let uri = format!("gcp-kms://projects/p/locations/global/keyRings/temporal/cryptoKeys/{name}");
    uri.parse().expect("a key")
}

fn answer(fault: Fault) -> &'static str {
    match fault {
        Fault::PermissionDenied => "deny",
        Fault::Throttled => "status=429",
        Fault::ConnectionLost => "dead",
        Fault::NoAnswer => "latency=3600000ms",
        Fault::Damaged => "wrong-crc",
        _ => "garbage",
    }
}
