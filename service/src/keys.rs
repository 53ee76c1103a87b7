//! `[keys]`: how the key management services are reached. Each service lists its own settings.

mod clients;

use std::ffi::OsStr;

use temporal_kms_codec::kms::{
    CallPolicy, Kms, RotationPolicy, Setting, SettingKind, SettingValue,
};

use crate::settings::{Document, Section, values};

pub use clients::Clients;

const SECTION: &str = "keys";

/// The table inside it.
const ROTATION: &str = "rotation";

/// The services as their own variables describe them.
pub fn from_variables(document: &Document<'_>) -> Kms {
    let variable = |name: &str| document.environment()(name).filter(|value| !value.is_empty());
    Kms::from_variables(&variable).unwrap_or_else(|error| {
        document.report_variable(error.setting(), SECTION, error.reason());
        Kms::default()
    })
}

/// The section, over `kms`.
pub fn read(document: &Document<'_>, mut kms: Kms) -> Kms {
    let mut section = document.section(SECTION);
    if section.holds("create_local_keys") {
        section.retired(
            "create_local_keys",
            "a server creates no keys; run `codec-server keys create local://NAME --keyring DIR`",
        );
    }
    for setting in kms.settings() {
        if !setting.is_in_file() {
            continue;
        }
        if let Some(value) = value(&mut section, setting)
            && let Err(error) = kms.set(setting.name(), value)
        {
            section.report(error.to_string());
        }
    }
    kms.set_calls(calls(section.table("calls")));
    // It is read by `rotation`.
    let _ = section.table(ROTATION);
    section.finish();
    kms
}

/// `[keys.rotation]`: how old versions of keys may become before `doctor` warns.
pub fn rotation(document: &Document<'_>) -> RotationPolicy {
    let mut section = document.table(SECTION, ROTATION);
    let mut rotation = RotationPolicy::default();
    section.set("period", &mut rotation.period, values::timeout);
    section.set("max_age", &mut rotation.max_age, values::long_time);
    if rotation.max_age < rotation.period {
        section.report("`max_age` must not be shorter than `period`");
    }
    section.finish();
    rotation
}

/// The value of one setting, if the section has it.
fn value(section: &mut Section<'_>, setting: &Setting) -> Option<SettingValue> {
    let (name, kind) = (setting.name(), setting.kind());
    let read = |text: &str| kind.read(OsStr::new(text));
    match kind {
        SettingKind::List => section.list(name, values::any).map(SettingValue::List),
        SettingKind::Bool | SettingKind::Count => section.value(name, read),
        _ => section.text(name, read),
    }
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
