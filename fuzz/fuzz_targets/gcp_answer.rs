//! Answers of Cloud KMS. A wrong answer is an error: it never opens a payload as another one, and damaged data are found.

#![no_main]

use std::sync::Arc;

use fuzz::{
    cloud::{Answer, KnownDek, Service, check_error, codec, is_base64},
    wait_for,
};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use temporal_kms::{KeyProvider, KeyUri};
use temporal_kms_codec::Payload;
use temporal_kms_gcp::{GcpKms, GcpOptions};

const KEY: &str = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
const GENUINE: &str = r#"{
 "plaintext": "PHRoZSB0cnVlIGRhdGEga2V5LCAzMiBieXRlcyAuLj4=",
 "plaintextCrc32c": "1421040144",
 "usedPrimary": true
}"#;

thread_local! {
    static CLOUD_KMS: CloudKms = CloudKms::new();
}

fuzz_target!(|input: &[u8]| -> Corpus {
    match Answer::parse(input) {
        Some((operation, answer)) => CLOUD_KMS.with(|kms| kms.run(operation, &answer)),
        None => Corpus::Reject,
    }
});

struct CloudKms {
    service: Service,
    uri: KeyUri,
    key: Arc<dyn KeyProvider>,
    sealed: Payload,
}

impl CloudKms {
    fn new() -> Self {
        let service = wait_for(Service::start());
        let uri: KeyUri = KEY.parse().expect("the name is valid");
        let options = GcpOptions::default().with_endpoint(service.url());
        let kms = Self {
            sealed: KnownDek::sealed(&uri),
            key: GcpKms::new(options).key(&uri).expect("the name is valid"),
            service,
            uri,
        };
        kms.service.answer([Answer::json(200, GENUINE)]);
        assert!(kms.decode(), "the genuine answer opens the payload");
        kms
    }

    fn run(&self, operation: &str, answer: &Answer) -> Corpus {
        self.service.answer([answer.clone()]);
        match operation {
            "decode" => _ = self.decode(),
            "decrypt" => self.decrypt(answer),
            "encode" => self.encode(answer),
            "describe" => self.describe(),
            _ => return Corpus::Reject,
        }
        Corpus::Keep
    }

    /// Whether the payload is opened.
    fn decode(&self) -> bool {
        // A codec keeps data keys and failures, so each input has a codec of its own.
        let opened = wait_for(codec(self.key.clone()).decode(vec![self.sealed.clone()]));
        match opened {
            Ok(opened) => assert_eq!(opened, [KnownDek::plain()]),
            Err(error) => {
                check_error(&error);
                return false;
            }
        }
        true
    }

    fn decrypt(&self, answer: &Answer) {
        match wait_for(self.key.decrypt(KnownDek::WRAPPED)) {
            Ok(plaintext) => check_data(answer, "plaintext", &plaintext),
            Err(error) => check_error(&error),
        }
    }

    fn encode(&self, answer: &Answer) {
        match wait_for(codec(self.key.clone()).encode(vec![KnownDek::plain()])) {
            Ok(sealed) => check_data(answer, "ciphertext", &sealed[0].metadata["encrypted-dek"]),
            Err(error) => check_error(&error),
        }
    }

    fn describe(&self) {
        match wait_for(self.key.check_usable()) {
            Ok(description) => {
                assert_eq!(description.uri, self.uri);
                let version = description.primary_version;
                assert!(version.parse::<u64>().is_ok(), "{version}");
            }
            Err(error) => check_error(&error),
        }
    }
}

/// Checks with another parser that an answer has these data and their checksum.
fn check_data(answer: &Answer, name: &str, data: &[u8]) {
    assert_eq!(answer.status / 100, 2);
    let json: Value = serde_json::from_slice(&answer.body).expect("it is JSON");
    assert!(is_base64(&json[name], data), "{json}");
    let names = [format!("{name}Crc32c"), format!("{name}_crc32c")];
    let checksum = names.iter().find_map(|name| match json.get(name)? {
        Value::String(text) => text.parse().ok(),
        number => number.as_f64(),
    });
    assert_eq!(checksum, Some(f64::from(crc32c(data))), "{json}");
}

/// The CRC of RFC 3720, bit by bit.
fn crc32c(data: &[u8]) -> u32 {
    let shifted = |crc: u32| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
    !data.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| shifted(crc))
    })
}
