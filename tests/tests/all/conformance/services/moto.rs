use std::future::Future;

use integration_tests::moto::Moto as Server;
use temporal_kms_codec::{
    KeyUri,
    kms::{KmsOptions, ProviderErrorKind as Kind},
};

use super::aws;
use crate::{
    conformance::cases::conforms,
    conformance::service::{Bench, Service, Trouble, Unit},
};

// moto goes on encrypting with keys that are disabled or pending deletion, and hashes digests once more before it signs
// them: that is asked of the other server.
conforms! { with;
    data_keys: wraps_and_unwraps, another_context_is_refused, foreign_ciphertexts_are_refused,
        only_32_bytes_are_a_data_key, no_altered_byte_opens, an_unknown_key_is_told, serves_many_calls_at_once;
    direct: takes_the_least_and_the_most, foreign_and_altered_ciphertexts_are_refused;
    lifecycle: rotation_keeps_what_is_old, a_key_is_made_once_and_listed;
    troubles: permission_denied, throttling, slow_server, dead_server, garbage_answers, damaged_answers,
        a_breaker_spares_a_dead_service;
    codec: payloads_in_every_format, another_namespace_is_refused, a_second_recipient_opens_while_the_first_is_away;
}

/// AWS KMS at moto.
struct Moto(Server);

fn with<F: Future<Output = ()>>(case: impl FnOnce(Bench) -> F) {
    super::run(case(Bench::new(Moto(Server::start()))));
}

impl Service for Moto {
    fn options(&self) -> KmsOptions {
        aws::options(self.0.url())
    }

    fn key(&self, name: &str) -> KeyUri {
        aws::alias(name)
    }

    fn unit(&self) -> Unit {
        Unit::Key
    }

    /// It answers a ciphertext whose key it does not find with a denial.
    fn refusals(&self) -> &[Kind] {
        &[
            Kind::InvalidCiphertext,
            Kind::KeyVersionGone,
            Kind::PermissionDenied,
        ]
    }

    fn trouble(&self, _: Trouble, _: usize) -> bool {
        false
    }

    fn recover(&self) {}
}
