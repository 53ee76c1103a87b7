//! Declares the tests of a provider: one for each case, in a module for each group.

/// Declares a `#[test]` for each case, in a module for each group.
///
/// `$with` is a function that starts a service and runs a case on it. See the [crate's documentation](crate). Without
/// further arguments, all groups are tested. You can choose groups, and cases within a group:
///
/// ```ignore
/// // A provider that neither signs nor manages keys, and a service that cannot disable them:
/// conformance_tests! { with; data_keys; direct; faults; codec; confusion; }
/// // One case of a group:
/// conformance_tests! { with; lifecycle: rotation_keeps_what_is_old; }
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($with:path) => {
        $crate::conformance_tests! { $with;
            data_keys; direct; lifecycle; signing; faults; codec; confusion;
        }
    };
    ($with:path; $($group:ident $(: $($case:ident),+)?;)+) => {
        $($crate::__conformance_group! { $with; $group $(: $($case),+)? })+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_group {
    ($with:path; data_keys) => {
        $crate::__conformance_group! { $with; data_keys: wraps_and_unwraps, another_context_is_refused,
            foreign_ciphertexts_are_refused, only_32_bytes_are_a_data_key, no_altered_byte_opens,
            an_unknown_key_is_told, serves_many_calls_at_once }
    };
    ($with:path; direct) => {
        $crate::__conformance_group! { $with; direct: takes_the_least_and_the_most,
            foreign_and_altered_ciphertexts_are_refused }
    };
    ($with:path; lifecycle) => {
        $crate::__conformance_group! { $with; lifecycle: rotation_keeps_what_is_old, what_is_disabled_does_nothing,
            what_is_destroyed_is_lost, a_key_is_made_once_and_listed }
    };
    ($with:path; signing) => {
        $crate::__conformance_group! { $with; signing: signs_and_verifies, what_is_not_signed_is_false }
    };
    ($with:path; faults) => {
        $crate::__conformance_group! { $with; faults: permission_denied, throttling, slow_server, dead_server,
            garbage_answers, damaged_answers, a_breaker_spares_a_dead_service }
    };
    ($with:path; codec) => {
        $crate::__conformance_group! { $with; codec: payloads_in_every_format, another_namespace_is_refused,
            a_second_recipient_opens_while_the_first_is_away }
    };
    ($with:path; confusion) => {
        $crate::__conformance_group! { $with; confusion: no_payload_opens_as_another,
            what_the_kms_encrypts_for_others_opens_as_nothing }
    };
    ($with:path; $group:ident: $($case:ident),+) => {
        mod $group {
            $(#[test]
            fn $case() {
                use super::*;
                $with(|suite| async move { $crate::cases::$group::$case(&suite).await });
            })+
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// A case that is missing in the macro would never run.
    #[test]
    fn every_case_is_a_test() {
        let listed: BTreeSet<_> = include_str!("macros.rs")
            .split("#[cfg(test)]")
            .next()
            .unwrap()
            .split(|character: char| !(character.is_alphanumeric() || character == '_'))
            .collect();
        let sources = [
            include_str!("cases/codec.rs"),
            include_str!("cases/confusion.rs"),
            include_str!("cases/data_keys.rs"),
            include_str!("cases/direct.rs"),
            include_str!("cases/faults.rs"),
            include_str!("cases/lifecycle.rs"),
            include_str!("cases/signing.rs"),
        ];
        let mut cases = 0;
        for line in sources.iter().flat_map(|source| source.lines()) {
            let Some(rest) = line.strip_prefix("pub async fn ") else {
                continue;
            };
            let (name, _) = rest.split_once('(').unwrap();
            assert!(listed.contains(name), "{name} is in no group");
            cases += 1;
        }
        assert_eq!(cases, 27);
    }
}
