//! Payloads of every format. A payload opens alike on every way, costs few calls, and its inspection tells nothing that a
//! terminal would obey.

#![no_main]

use fuzz::{FixedKey, is_printable, namespace, wait_for};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use temporal_kms_codec::{
    Codec, Dek, Format, Inspection, Payload, Payloads, PlaintextPolicy, StaticKeys,
};

const FORMATS: [Format; 8] = [
    Format::Envelope,
    Format::EnvelopeV1,
    Format::Direct,
    Format::Static,
    Format::TemporalProxy,
    Format::Zlib,
    Format::Snappy,
    Format::Gzip,
];
const MOST_PAYLOADS: usize = 8;
/// A payload names at most ten keys, and is nested in at most a few others.
const MOST_CALLS: usize = 10 * 8;

fuzz_target!(|message: &[u8]| {
    let Ok(Payloads { payloads }) = Payloads::decode(message) else {
        return;
    };
    if payloads.len() > MOST_PAYLOADS {
        return;
    }
    for payload in &payloads {
        inspect(payload);
    }
    for policy in [PlaintextPolicy::Reject, PlaintextPolicy::Allow] {
        decode(&payloads, policy);
    }
});

fn inspect(payload: &Payload) {
    let inspection = Inspection::of(payload);
    let names: Vec<_> = inspection
        .keys
        .iter()
        .filter_map(|key| key.name.clone())
        .collect();
    // Names are looked for in the metadata only.
    let quick = Inspection::key_names(payload);
    assert!(
        quick == names || inspection.fault.is_some(),
        "{inspection:?}"
    );
    let versions = inspection
        .keys
        .iter()
        .filter_map(|key| key.version.as_ref());
    let texts = names.iter().chain(versions).chain(&inspection.namespace);
    for text in texts.chain(&inspection.encoding) {
        assert!(is_printable(text), "{text:?}");
    }
}

fn decode(payloads: &[Payload], policy: PlaintextPolicy) {
    let together = codec(policy);
    let results = wait_for(together.0.decode_each(payloads.to_vec()));
    assert_eq!(results.len(), payloads.len());
    assert!(together.1.calls() <= MOST_CALLS * payloads.len());
    let opened = wait_for(together.0.decode(payloads.to_vec()));
    assert_eq!(opened.is_ok(), results.iter().all(Result::is_ok));
    for (payload, result) in payloads.iter().zip(results) {
        let alone = wait_for(codec(policy).0.decoder().decode(payload.clone()));
        match (result, alone) {
            (Ok(result), Ok(alone)) => {
                assert_eq!(result, alone);
                let inspection = Inspection::of(payload);
                assert!(inspection.is_encrypted() || policy == PlaintextPolicy::Allow);
            }
            // Failures of the others can use up the calls for this one, but never the reverse.
            (Err(error), _) => assert!(is_printable(&error.to_string()), "{error}"),
            (Ok(_), Err(error)) => panic!("it opens beside others only: {error}"),
        }
    }
}

fn codec(policy: PlaintextPolicy) -> (Codec, std::sync::Arc<FixedKey>) {
    let key = FixedKey::new();
    let static_keys =
        StaticKeys::new().with("test", Dek::new(*b"test-key-test-key-test-key-test!"));
    let codec = Codec::builder(namespace())
        .encrypt_with(key.clone())
        .decrypt_formats(FORMATS)
        .static_keys(static_keys)
        .plaintext_policy(policy)
        .max_decompressed(1 << 20)
        .build();
    (codec.expect("the settings fit together"), key)
}
