//! Answers of AWS KMS and AWS STS. A wrong answer is an error: it never opens a payload as another one, and a payload is
//! sealed with the data key of the answer only.

#![no_main]

use std::sync::Arc;

use fuzz::{
    cloud::{Answer, KnownDek, Service, check_error, codec, is_base64},
    wait_for,
};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use temporal_kms::{KeyProvider, KeyUri};
use temporal_kms_aws::{AwsCredentials, AwsKms, AwsOptions, AwsRole};
use temporal_kms_codec::Payload;

const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
const GENUINE: &str = r#"{
 "KeyId": "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
 "Plaintext": "PHRoZSB0cnVlIGRhdGEga2V5LCAzMiBieXRlcyAuLj4=",
 "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"
}"#;

thread_local! {
    static AWS: Aws = Aws::new();
}

fuzz_target!(|input: &[u8]| -> Corpus {
    match Answer::parse(input) {
        Some((operation, answer)) => AWS.with(|aws| aws.run(operation, &answer)),
        None => Corpus::Reject,
    }
});

struct Aws {
    service: Service,
    uri: KeyUri,
    key: Arc<dyn KeyProvider>,
    sealed: Payload,
}

impl Aws {
    fn new() -> Self {
        let service = wait_for(Service::start());
        let uri: KeyUri = format!("aws-kms://{ARN}")
            .parse()
            .expect("the name is valid");
        let aws = Self {
            sealed: KnownDek::sealed(&uri),
            key: open(options(&service), &uri),
            service,
            uri,
        };
        aws.service.answer([Answer::json(200, GENUINE)]);
        assert!(aws.decode(&aws.key), "the genuine answer opens the payload");
        aws
    }

    fn run(&self, operation: &str, answer: &Answer) -> Corpus {
        self.service.answer([answer.clone()]);
        match operation {
            "decode" => _ = self.decode(&self.key),
            "decrypt" => self.decrypt(answer),
            "encode" => self.encode(answer),
            "describe" => self.describe(),
            "assume-role" => self.assume_role(answer),
            _ => return Corpus::Reject,
        }
        Corpus::Keep
    }

    /// Whether the payload is opened.
    fn decode(&self, key: &Arc<dyn KeyProvider>) -> bool {
        // A codec keeps data keys and failures, so each input has a codec of its own.
        let opened = wait_for(codec(key.clone()).decode(vec![self.sealed.clone()]));
        match opened {
            Ok(opened) => assert_eq!(opened, [KnownDek::plain()]),
            Err(error) => {
                check_error(&error);
                return false;
            }
        }
        true
    }

    /// AWS STS answers this first, and then AWS KMS gives its genuine answer.
    fn assume_role(&self, answer: &Answer) {
        let genuine = Answer::json(200, GENUINE);
        self.service.answer([answer.clone(), genuine]);
        // The session of a role is kept, so each input has a session of its own.
        let options = options(&self.service).with_role(AwsRole::new(ROLE));
        let is_opened = self.decode(&open(options, &self.uri));
        assert_eq!(self.service.answers_left(), 1, "AWS STS is called");
        assert!(!is_opened || answer.status / 100 == 2);
    }

    fn decrypt(&self, answer: &Answer) {
        match wait_for(self.key.decrypt(KnownDek::WRAPPED)) {
            Ok(plaintext) => {
                let json = of_the_key(answer);
                let is_same = json.is_none_or(|json| is_base64(&json["Plaintext"], &plaintext));
                assert!(is_same);
            }
            Err(error) => check_error(&error),
        }
    }

    fn encode(&self, answer: &Answer) {
        let plain = vec![KnownDek::plain()];
        let sealed = match wait_for(codec(self.key.clone()).encode(plain.clone())) {
            Ok(sealed) => sealed,
            Err(error) => return check_error(&error),
        };
        if let Some(json) = of_the_key(answer) {
            let wrapped = &sealed[0].metadata["encrypted-dek"];
            assert!(is_base64(&json["CiphertextBlob"], wrapped));
            if is_base64(&json["Plaintext"], &KnownDek::TRUE) {
                let reader = codec(KnownDek::new(self.uri.clone(), KnownDek::TRUE));
                let opened = wait_for(reader.decode(sealed));
                assert_eq!(opened.expect("it has this data key"), plain);
            }
        }
    }

    fn describe(&self) {
        match wait_for(self.key.check_usable()) {
            Ok(description) => assert_eq!(description.uri, self.uri),
            Err(error) => check_error(&error),
        }
    }
}

fn options(service: &Service) -> AwsOptions {
    AwsOptions::default()
        .with_endpoint(service.url())
        .with_sts_endpoint(service.url())
        .with_credentials(AwsCredentials::Key {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "the secret access key".to_owned().into(),
            session_token: None,
        })
}

fn open(options: AwsOptions, uri: &KeyUri) -> Arc<dyn KeyProvider> {
    wait_for(AwsKms::new(options).key(uri)).expect("the name is valid")
}

/// Checks with another parser that an accepted answer is of the key. `None` where this parser is stricter.
fn of_the_key(answer: &Answer) -> Option<Value> {
    assert_eq!(answer.status / 100, 2);
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    let key = json["KeyId"].as_str();
    assert!(key == Some(ARN) || key == Some(ID), "{json}");
    Some(json)
}
