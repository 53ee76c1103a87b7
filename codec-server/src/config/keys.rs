//! `[keys]`: how the key management services are reached.

use std::path::{Path, PathBuf};

use temporal_kms_codec::kms::{CallPolicy, KmsOptions};

use super::{
    section::{Environment, Section},
    server::{permits, set},
    values,
};

/// What the services' own variables say.
pub(super) fn variables(section: &Section<'_>, environment: Environment<'_>) -> KmsOptions {
    let variables = KmsOptions::from_variables(&|name| environment(name).filter(|v| !v.is_empty()));
    variables.unwrap_or_else(|error| {
        section.report_variable(error.setting(), error.reason());
        KmsOptions::default()
    })
}

/// What the section says, over `options`.
pub(super) fn read(mut section: Section<'_>, mut options: KmsOptions) -> KmsOptions {
    let folder = section.text("local_keyring", values::any);
    options.local_keyring = folder.or(options.local_keyring.take());
    if section.holds("create_local_keys") {
        section.retired(
            "create_local_keys",
            "a server creates no keys; run `codec-server keys create local://NAME --keyring DIR`",
        );
    }
    gcp(&mut section, &mut options);
    #[cfg(feature = "aws-kms")]
    aws(&mut section, &mut options.aws);
    #[cfg(feature = "pkcs11")]
    pkcs11(&mut section, &mut options.pkcs11);
    options.calls = calls(section.table("calls"));
    section.finish();
    options
}

fn gcp(section: &mut Section<'_>, options: &mut KmsOptions) {
    let endpoint = section.text("gcp_endpoint", values::any);
    options.gcp_endpoint = endpoint.or(options.gcp_endpoint.take());
    let credentials = section.text("gcp_credentials", absolute);
    options.gcp_credentials = credentials.or(options.gcp_credentials.take());
}

#[cfg(feature = "aws-kms")]
fn aws(section: &mut Section<'_>, aws: &mut temporal_kms_codec::kms::aws::AwsOptions) {
    use temporal_kms_codec::kms::aws::{AwsReplica, AwsRole};

    let region = section.text("aws_region", values::any);
    aws.region = region.or(aws.region.take());
    let role = section.text("aws_role", values::any::<String>);
    aws.role = role.map(AwsRole::new).or(aws.role.take());
    let regions = section.list("aws_replicas", values::any::<String>);
    set(
        &mut aws.replicas,
        regions.map(|regions| regions.into_iter().map(AwsReplica::new).collect()),
    );
    let endpoint = section.text("aws_endpoint", values::any);
    aws.endpoint = endpoint.or(aws.endpoint.take());
    let endpoint = section.text("aws_sts_endpoint", values::any);
    aws.sts_endpoint = endpoint.or(aws.sts_endpoint.take());
}

#[cfg(feature = "pkcs11")]
fn pkcs11(section: &mut Section<'_>, pkcs11: &mut temporal_kms_codec::kms::pkcs11::Pkcs11Options) {
    use temporal_kms_codec::kms::pkcs11::PinSource;

    let module = section.text("pkcs11_module", absolute);
    pkcs11.module = module.or(pkcs11.module.take());
    let file = section.text("pkcs11_pin_file", absolute);
    pkcs11.pin = file.map(PinSource::File).or(pkcs11.pin.take());
    let sessions = section.value("pkcs11_sessions", values::count);
    pkcs11.max_sessions = sessions.or(pkcs11.max_sessions);
}

fn calls(mut section: Section<'_>) -> CallPolicy {
    let mut calls = CallPolicy::default();
    let count = |text: &str| match values::any::<u32>(text) {
        Ok(count @ 1..=1000) => Ok(count),
        _ => Err("expected a whole number from 1 to 1000".to_owned()),
    };
    for (name, time) in [
        ("attempt_timeout", &mut calls.attempt_timeout),
        ("total_timeout", &mut calls.total_timeout),
        ("breaker_pause", &mut calls.breaker_pause),
    ] {
        set(time, section.value(name, values::timeout));
    }
    set(
        &mut calls.max_attempts,
        section.value("max_attempts", count),
    );
    set(
        &mut calls.breaker_failures,
        section.value("breaker_failures", count),
    );
    set(
        &mut calls.max_concurrent,
        section.value("max_concurrent", permits),
    );
    if calls.total_timeout < calls.attempt_timeout {
        section.report("`total_timeout` must not be shorter than `attempt_timeout`");
    }
    section.finish();
    calls
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    Err("expected an absolute path".to_owned())
}
