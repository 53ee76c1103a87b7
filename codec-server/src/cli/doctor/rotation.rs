//! How old a key's versions are.

use std::time::{Duration, SystemTime};

use temporal_kms_codec::{
    KeyUri,
    kms::{Diagnose, KeyDetails, KeyState, KeyVersion, Kms, RotationPolicy},
};

use temporal_kms_codec_service::units::days;

use super::{
    advice,
    finding::{Check, Finding},
};

const DAY: u64 = 24 * 60 * 60;

/// Of the primary version, and of those that have decrypted for too long.
pub(super) fn findings(
    key: &KeyUri,
    details: &KeyDetails,
    versions: &[KeyVersion],
    (kms, policy): (&Kms, &RotationPolicy),
    service: &dyn Diagnose,
    now: SystemTime,
) -> Vec<Finding> {
    let made = details
        .primary
        .as_ref()
        .map_or(details.created, |primary| primary.created);
    let Some(made) = made else {
        return vec![Finding::ok(Check::Rotation, service.unknown_age())];
    };
    let age = now.duration_since(made).unwrap_or_default();
    let age_days = age.as_secs() / DAY;
    let schedule = match details.rotation_period {
        Some(period) => format!("rotated by the service every {}", days(period)),
        None => "not rotated by the service".to_owned(),
    };
    let summary = format!("the primary version is {age_days} days old; {schedule}");
    let first = if policy.should_rotate(details, now) {
        let rotate = advice::keys("rotate", key, "", kms);
        let remedy = match details.rotation_period {
            Some(_) => rotate,
            None => format!(
                "{rotate}\nand let the service do it from now on: {}",
                advice::keys(
                    "rotate",
                    key,
                    &format!(" --rotation-period {}", days(policy.period)),
                    kms
                )
            ),
        };
        let summary = format!("{summary}; it should be at most {}", whole(policy.period));
        Finding::warning(Check::Rotation, summary, remedy)
    } else {
        Finding::ok(Check::Rotation, summary)
    };
    let mut findings = vec![first.with("age_days", age_days)];
    let overaged: Vec<_> = versions
        .iter()
        .filter(|version| version.state == KeyState::Enabled && policy.is_overaged(version, now))
        .map(|version| version.id.as_str())
        .collect();
    if let Some(oldest) = overaged.last().filter(|_| service.has_versions()) {
        findings.push(
            Finding::warning(
                Check::Rotation,
                format!(
                    "version {} still decrypts after more than {}",
                    overaged.join(", "),
                    whole(policy.max_age)
                ),
                format!(
                    "when no history with its payloads is left: {}",
                    advice::keys("disable", key, &format!(" --version {oldest}"), kms)
                ),
            )
            .with("overaged", overaged.clone()),
        );
    }
    findings
}

fn whole(time: Duration) -> String {
    format!("{} days", time.as_secs() / DAY)
}

#[cfg(test)]
pub(super) mod tests {
    use temporal_kms_codec::kms::{KeyPurpose, Protection};

    use super::*;
    use crate::cli::doctor::finding::Outcome;

    pub(in super::super) fn version(id: &str, state: KeyState, age_days: u64) -> KeyVersion {
        KeyVersion::new(id, state).with_created(Some(now() - Duration::from_secs(age_days * DAY)))
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(10_000 * DAY)
    }

    pub(in super::super) fn key() -> KeyUri {
        "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k"
            .parse()
            .unwrap()
    }

    pub(in super::super) fn details(versions: &[KeyVersion]) -> KeyDetails {
        KeyDetails::new(key(), KeyPurpose::Encrypt, Protection::Software)
            .with_primary(versions.first().cloned())
    }

    fn rotation_of(versions: &[KeyVersion]) -> Vec<Outcome> {
        rotation_within(&RotationPolicy::default(), versions)
    }

    fn rotation_within(policy: &RotationPolicy, versions: &[KeyVersion]) -> Vec<Outcome> {
        let kms = Kms::default();
        let service = kms.diagnose(&key()).unwrap();
        let found = findings(
            &key(),
            &details(versions),
            versions,
            (&kms, policy),
            service,
            now(),
        );
        found.iter().map(|finding| finding.outcome).collect()
    }

    #[test]
    fn ninety_days_are_old_and_a_year_is_too_old() {
        let primary = |age| version("2", KeyState::Enabled, age);
        assert_eq!(rotation_of(&[primary(89)]), [Outcome::Ok]);
        assert_eq!(rotation_of(&[primary(90)]), [Outcome::Warning]);
        let old = version("1", KeyState::Enabled, 365);
        assert_eq!(
            rotation_of(&[primary(1), old]),
            [Outcome::Ok, Outcome::Warning]
        );
        let gone = version("1", KeyState::Disabled, 365);
        assert_eq!(rotation_of(&[primary(1), gone]), [Outcome::Ok]);
        let ageless = primary(1).with_created(None);
        assert_eq!(rotation_of(&[ageless]), [Outcome::Ok]);
    }

    #[test]
    fn the_configuration_says_what_is_old() {
        let policy = RotationPolicy::default()
            .with_period(Duration::from_secs(10 * DAY))
            .with_max_age(Duration::from_secs(20 * DAY));
        let primary = |age| version("2", KeyState::Enabled, age);
        let old = version("1", KeyState::Enabled, 20);
        let found = rotation_within(&policy, &[primary(10), old]);
        assert_eq!(found, [Outcome::Warning, Outcome::Warning]);
        assert_eq!(rotation_within(&policy, &[primary(9)]), [Outcome::Ok]);
    }
}
