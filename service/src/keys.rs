//! `[keys]`: how the key management services are reached.

use temporal_kms_codec::kms::{CallPolicy, KmsOptions};

use crate::settings::{Document, Section, values};

const SECTION: &str = "keys";

/// The options from the services' own variables.
pub fn from_variables(document: &Document<'_>) -> KmsOptions {
    let variable = |name: &str| document.environment()(name).filter(|value| !value.is_empty());
    KmsOptions::from_variables(&variable).unwrap_or_else(|error| {
        document.report_variable(error.setting(), SECTION, error.reason());
        KmsOptions::default()
    })
}

/// The section, over `options`.
pub fn read(document: &Document<'_>, mut options: KmsOptions) -> KmsOptions {
    let mut section = document.section(SECTION);
    section.set_text("local_keyring", &mut options.local_keyring, values::any);
    if section.holds("create_local_keys") {
        section.retired(
            "create_local_keys",
            "a server creates no keys; run `codec-server keys create local://NAME --keyring DIR`",
        );
    }
    section.set_text("gcp_endpoint", &mut options.gcp_endpoint, values::any);
    section.set_text(
        "gcp_credentials",
        &mut options.gcp_credentials,
        values::absolute_path,
    );
    #[cfg(feature = "aws-kms")]
    aws(&mut section, &mut options.aws);
    #[cfg(feature = "pkcs11")]
    pkcs11(&mut section, &mut options.pkcs11);
    options.calls = calls(section.table("calls"));
    section.finish();
    options
}

#[cfg(feature = "aws-kms")]
fn aws(section: &mut Section<'_>, aws: &mut temporal_kms_codec::kms::aws::AwsOptions) {
    use temporal_kms_codec::kms::aws::{AwsReplica, AwsRole};

    let role = |text: &str| values::any::<String>(text).map(AwsRole::new);
    let replica = |text: &str| values::any::<String>(text).map(AwsReplica::new);
    section.set_text("aws_region", &mut aws.region, values::any);
    section.set_text("aws_role", &mut aws.role, role);
    if let Some(replicas) = section.list("aws_replicas", replica) {
        aws.replicas = replicas;
    }
    section.set_text("aws_endpoint", &mut aws.endpoint, values::any);
    section.set_text("aws_sts_endpoint", &mut aws.sts_endpoint, values::any);
}

#[cfg(feature = "pkcs11")]
fn pkcs11(section: &mut Section<'_>, pkcs11: &mut temporal_kms_codec::kms::pkcs11::Pkcs11Options) {
    use temporal_kms_codec::kms::pkcs11::PinSource;

    let pin = |text: &str| values::absolute_path(text).map(PinSource::File);
    let sessions = |text: &str| values::count(text).map(Some);
    section.set_text("pkcs11_module", &mut pkcs11.module, values::absolute_path);
    section.set_text("pkcs11_pin_file", &mut pkcs11.pin, pin);
    section.set("pkcs11_sessions", &mut pkcs11.max_sessions, sessions);
}

fn calls(mut section: Section<'_>) -> CallPolicy {
    let mut calls = CallPolicy::default();
    let count = |text: &str| match values::any::<u32>(text) {
        Ok(count @ 1..=1000) => Ok(count),
        _ => Err("expected a whole number from 1 to 1000".to_owned()),
    };
    section.set(
        "attempt_timeout",
        &mut calls.attempt_timeout,
        values::timeout,
    );
    section.set("total_timeout", &mut calls.total_timeout, values::timeout);
    section.set("breaker_pause", &mut calls.breaker_pause, values::timeout);
    section.set("max_attempts", &mut calls.max_attempts, count);
    section.set("breaker_failures", &mut calls.breaker_failures, count);
    section.set("max_concurrent", &mut calls.max_concurrent, values::permits);
    if calls.total_timeout < calls.attempt_timeout {
        section.report("`total_timeout` must not be shorter than `attempt_timeout`");
    }
    section.finish();
    calls
}
