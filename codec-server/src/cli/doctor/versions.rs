//! The versions of a key: which of them encrypt and decrypt.

use std::time::SystemTime;

use temporal_kms_codec::{
    KeyUri,
    kms::{
        Diagnose, KeyDetails, KeyState, KeyVersion, Kms, Protection, ProviderError,
        ProviderErrorKind as Kind, RotationPolicy,
    },
};

use super::{
    super::exit::Status,
    advice,
    finding::{Check, Finding},
    purpose::Purpose,
    rotation,
};

/// What the service tells an administrator.
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    /// The versions that are paid for, if that is known.
    pub(super) active: Option<usize>,
    /// Where the key is, if that is known.
    pub(super) protection: Option<Protection>,
}

/// `refused` is how the service refused to use the key, if it said that a version is disabled.
pub(super) async fn examine(
    (key, purpose): (&KeyUri, Purpose),
    (kms, rotation): (&Kms, &RotationPolicy),
    service: &dyn Diagnose,
    refused: Option<&ProviderError>,
) -> Examined {
    let told = match read(key, kms).await {
        Ok(told) => told,
        Err(error) => return untold((key, purpose), &error, kms, service, refused),
    };
    let (details, versions) = told;
    let active = versions
        .iter()
        .filter(|version| version.state != KeyState::Destroyed)
        .count();
    let now = SystemTime::now();
    let named = (key, purpose);
    let mut findings = vec![states(named, &details, &versions, kms, service, refused)];
    if purpose == Purpose::Encrypt {
        let keys = (kms, rotation);
        findings.extend(rotation::findings(
            key, &details, &versions, keys, service, now,
        ));
    }
    let warnings = service.warnings(&details).into_iter();
    findings
        .extend(warnings.map(|warning| {
            Finding::warning(Check::Configuration, warning.summary, warning.remedy)
        }));
    Examined {
        findings,
        active: Some(active),
        protection: Some(details.protection),
    }
}

async fn read(key: &KeyUri, kms: &Kms) -> Result<(KeyDetails, Vec<KeyVersion>), ProviderError> {
    let admin = kms.admin(key).await?;
    let details = admin.details(key).await?;
    let versions = admin.versions(key).await?;
    Ok((details, versions))
}

fn untold(
    (key, purpose): (&KeyUri, Purpose),
    error: &ProviderError,
    kms: &Kms,
    service: &dyn Diagnose,
    refused: Option<&ProviderError>,
) -> Examined {
    let reason = match error.kind() {
        Kind::PermissionDenied => {
            "the caller may not see versions and schedule, and need not".to_owned()
        }
        _ => format!("not known: {}", error.summary()),
    };
    let states = match refused {
        Some(refused) => Finding::failed(
            Check::Versions,
            Status::Configuration,
            refused.summary(),
            format!(
                "have an administrator find the version with `{}` and enable it: {}",
                advice::keys("versions", key, "", kms),
                enable(key, "VERSION", kms, service)
            ),
        ),
        None => Finding::skipped(Check::Versions, reason.clone()),
    };
    let mut findings = vec![states];
    if purpose == Purpose::Encrypt {
        findings.push(Finding::skipped(Check::Rotation, reason));
    }
    Examined {
        findings,
        active: None,
        protection: None,
    }
}

fn enable(key: &KeyUri, version: &str, kms: &Kms, service: &dyn Diagnose) -> String {
    let rest = if service.has_versions() {
        format!(" --version {version}")
    } else {
        String::new()
    };
    advice::keys("enable", key, &rest, kms)
}

fn states(
    (key, purpose): (&KeyUri, Purpose),
    details: &KeyDetails,
    versions: &[KeyVersion],
    kms: &Kms,
    service: &dyn Diagnose,
    refused: Option<&ProviderError>,
) -> Finding {
    let ids = |state: KeyState| -> Vec<&str> {
        let alike = versions.iter().filter(|version| version.state == state);
        alike.map(|version| version.id.as_str()).collect()
    };
    let disabled = ids(KeyState::Disabled);
    let scheduled = ids(KeyState::DestroyScheduled);
    let destroyed = ids(KeyState::Destroyed);
    let finding = match &details.primary {
        Some(primary) if primary.state != KeyState::Enabled => Finding::failed(
            Check::Versions,
            Status::Configuration,
            format!(
                "version {}, the primary one, is {}: {}",
                primary.id,
                state(primary.state),
                purpose.without_primary()
            ),
            format!(
                "{}\nor make a new one that is used from now on: {}",
                enable(key, &primary.id, kms, service),
                advice::keys("rotate", key, "", kms)
            ),
        ),
        // Such as a key that is disabled as a whole.
        _ if refused.is_some() => Finding::failed(
            Check::Versions,
            Status::Configuration,
            refused
                .map(|error| error.summary().into_owned())
                .unwrap_or_default(),
            match disabled.first().or(scheduled.first()) {
                Some(id) => enable(key, id, kms, service),
                None => enable(key, "VERSION", kms, service),
            },
        ),
        _ if !disabled.is_empty() || !scheduled.is_empty() => {
            let mut words = Vec::new();
            for (ids, what) in [(&disabled, "disabled"), (&scheduled, "to be destroyed")] {
                if !ids.is_empty() {
                    words.push(format!("version {} {what}", ids.join(", ")));
                }
            }
            let first = disabled.first().or(scheduled.first());
            Finding::warning(
                Check::Versions,
                format!("{}: {}", words.join("; "), purpose.without_older()),
                format!(
                    "{}: {}",
                    purpose.if_needed(),
                    enable(key, first.copied().unwrap_or_default(), kms, service)
                ),
            )
        }
        primary => {
            let mut words = vec![match primary {
                Some(primary) => format!("version {} is primary and enabled", primary.id),
                None => "enabled".to_owned(),
            }];
            if versions.len() > 1 {
                words.push(format!("{} in all", versions.len()));
            }
            if !destroyed.is_empty() {
                words.push(format!(
                    "destroyed: {}, {}",
                    destroyed.join(", "),
                    purpose.lost()
                ));
            }
            Finding::ok(Check::Versions, words.join("; "))
        }
    };
    finding
        .with("versions", versions.len())
        .with("disabled", disabled)
        .with("destroy_scheduled", scheduled)
        .with("destroyed", destroyed)
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Enabled => "enabled",
        KeyState::Disabled => "disabled",
        KeyState::DestroyScheduled => "to be destroyed",
        KeyState::Destroyed => "destroyed",
        _ => "not usable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::{
        finding::Outcome,
        rotation::tests::{details, key, version},
    };

    fn states_of(versions: &[KeyVersion]) -> Finding {
        states_for(Purpose::Encrypt, versions)
    }

    fn states_for(purpose: Purpose, versions: &[KeyVersion]) -> Finding {
        let (kms, key) = (Kms::default(), key());
        let service = kms.diagnose(&key).unwrap();
        let named = (&key, purpose);
        states(named, &details(versions), versions, &kms, service, None)
    }

    #[test]
    fn a_signing_key_is_not_said_to_encrypt() {
        let good = version("2", KeyState::Enabled, 1);
        for versions in [
            vec![version("2", KeyState::Disabled, 1)],
            vec![good.clone(), version("1", KeyState::Disabled, 9)],
            vec![good, version("1", KeyState::Destroyed, 9)],
        ] {
            let found = states_for(Purpose::Sign, &versions);
            assert!(!found.summary.contains("crypt"), "{}", found.summary);
        }
    }

    #[test]
    fn a_disabled_primary_version_is_a_failure_and_an_older_one_a_warning() {
        let good = version("2", KeyState::Enabled, 1);
        let disabled = states_of(&[version("2", KeyState::Disabled, 1)]);
        assert_eq!(disabled.outcome, Outcome::Failed);
        assert!(
            disabled
                .remedy
                .unwrap()
                .contains(&format!("codec-server keys enable {} --version 2", key()))
        );
        for state in [KeyState::Disabled, KeyState::DestroyScheduled] {
            let found = states_of(&[good.clone(), version("1", state, 9)]);
            assert_eq!(found.outcome, Outcome::Warning);
            assert!(found.remedy.unwrap().contains("--version 1"));
        }
        let found = states_of(&[good, version("1", KeyState::Destroyed, 9)]);
        assert_eq!(found.outcome, Outcome::Ok);
    }
}
