//! What is asked of every provider.

pub(crate) mod codec;
pub(crate) mod confusion;
pub(crate) mod data_keys;
pub(crate) mod direct;
pub(crate) mod lifecycle;
pub(crate) mod signing;
pub(crate) mod troubles;

/// Makes a test of each case, in a module of each provider: `$with` starts a service and runs the case on it.
macro_rules! conforms {
    ($with:path) => {
        $crate::conformance::cases::conforms! { $with;
            data_keys: wraps_and_unwraps, another_context_is_refused, foreign_ciphertexts_are_refused,
                only_32_bytes_are_a_data_key, no_altered_byte_opens, an_unknown_key_is_told, serves_many_calls_at_once;
            direct: takes_the_least_and_the_most, foreign_and_altered_ciphertexts_are_refused;
            lifecycle: rotation_keeps_what_is_old, what_is_disabled_does_nothing, what_is_destroyed_is_lost,
                a_key_is_made_once_and_listed;
            signing: signs_and_verifies, what_is_not_signed_is_false;
            troubles: permission_denied, throttling, slow_server, dead_server, garbage_answers, damaged_answers,
                a_breaker_spares_a_dead_service;
            codec: payloads_in_every_format, another_namespace_is_refused, a_second_recipient_opens_while_the_first_is_away;
            confusion: no_payload_opens_as_another, what_the_kms_encrypts_for_others_opens_as_nothing;
        }
    };
    ($with:path; $($group:ident: $($case:ident),+;)+) => {
        $(mod $group {
            $(#[test]
            fn $case() {
                use super::*;
                $with(|bench| async move { $crate::conformance::cases::$group::$case(&bench).await });
            })+
        })+
    };
}
pub(crate) use conforms;
