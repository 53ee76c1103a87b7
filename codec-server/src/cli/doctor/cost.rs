//! What a month costs, by the services' price lists. An estimate: taxes, free tiers, audit logs and other callers of the key
//! are not in it.

use std::time::Duration;

use temporal_kms_codec::{DekLimits, KmsKind};

use super::finding::{Check, Finding};

/// 365 / 12 days.
const MONTH: Duration = Duration::from_hours(730);

/// What a service takes, in US dollars.
struct Prices {
    /// For what, a month.
    unit: &'static str,
    per_unit: f64,
    per_call: f64,
    /// Whether every version counts.
    by_version: bool,
}

fn prices(kms: KmsKind) -> Option<Prices> {
    match kms {
        KmsKind::GcpKms => Some(Prices {
            unit: "active key version",
            per_unit: 0.06,
            per_call: 0.03 / 10_000.0,
            by_version: true,
        }),
        KmsKind::AwsKms => Some(Prices {
            unit: "key",
            per_unit: 1.0,
            per_call: 0.03 / 10_000.0,
            by_version: false,
        }),
        _ => None,
    }
}

/// How a key is used in a month.
pub(super) struct Workload<'w> {
    pub(super) tasks: u32,
    pub(super) encrypts: bool,
    /// Direct mode has no data keys.
    pub(super) direct: bool,
    pub(super) limits: &'w DekLimits,
    /// As far as they are known.
    pub(super) versions: Option<usize>,
}

impl Workload<'_> {
    /// Calls without and with the cache of data keys.
    fn calls(&self) -> (u64, u64) {
        let tasks = u64::from(self.tasks);
        let sides = if self.encrypts { 2 } else { 1 };
        if self.direct {
            return (tasks * sides, tasks * sides);
        }
        // A process that encrypts unwraps each data key once to verify it.
        let verifications = if self.encrypts { 1 } else { 0 };
        let keys = self.data_keys().min(tasks);
        (tasks * sides, keys * (sides + verifications))
    }

    /// Of one process that encrypts all month: each serves until it is renewed, or has sealed all that it may.
    fn data_keys(&self) -> u64 {
        let life = self.limits.max_age.saturating_sub(self.limits.renew_before);
        let by_age = MONTH.as_secs().div_ceil(life.as_secs().max(1));
        let by_messages = u64::from(self.tasks).div_ceil(self.limits.max_messages.max(1));
        by_age.max(by_messages)
    }

    pub(super) fn finding(&self, kms: KmsKind) -> Finding {
        let Some(prices) = prices(kms) else {
            return Finding::ok(
                Check::Cost,
                "calls cost nothing; what the hardware costs is not known here",
            );
        };
        let units = match self.versions {
            Some(count) if prices.by_version => count,
            _ => 1,
        };
        let fixed = prices.per_unit * f64::from(u32::try_from(units).unwrap_or(u32::MAX));
        let cost = |calls: u64| {
            fixed + prices.per_call * f64::from(u32::try_from(calls).unwrap_or(u32::MAX))
        };
        let (without, with) = self.calls();
        let unit = prices.unit;
        let mut assumed = format!(
            "assumed: {} payloads a month, each {}once by one process that keeps its data keys; ${:.2} for each of {units} {unit}{}, \
             $0.03 for 10,000 calls; an estimate",
            self.tasks,
            if self.encrypts {
                "encrypted once and decrypted "
            } else {
                "decrypted "
            },
            prices.per_unit,
            if units == 1 { "" } else { "s" },
        );
        if prices.by_version && self.versions.is_none() {
            assumed += "; how many versions are active is not known";
        }
        let summary = format!(
            "about ${:.2} a month for {with} calls; without the data key cache ${:.2} for {without}\n{assumed}",
            cost(with),
            cost(without),
        );
        Finding::ok(Check::Cost, summary)
            .with("tasks_per_month", self.tasks)
            .with("calls_per_month", with)
            .with("calls_per_month_without_cache", without)
            .with("dollars_per_month", cents(cost(with)))
            .with("dollars_per_month_without_cache", cents(cost(without)))
    }
}

fn cents(dollars: f64) -> f64 {
    (dollars * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn workload(limits: &DekLimits) -> Workload<'_> {
        Workload {
            tasks: 10_000,
            encrypts: true,
            direct: false,
            limits,
            versions: Some(2),
        }
    }

    fn dollars(workload: &Workload<'_>, kms: KmsKind) -> Value {
        let finding = serde_json::to_value(workload.finding(kms)).unwrap();
        let number = |name: &str| finding.get(name).cloned();
        json!([
            number("dollars_per_month"),
            number("dollars_per_month_without_cache"),
        ])
    }

    /// Two versions and 10,000 tasks: $0.12 and $0.06.
    #[test]
    fn the_example_of_the_price_list_comes_out() {
        let limits = DekLimits::default();
        let workload = workload(&limits);
        assert_eq!(workload.calls().0, 20_000);
        assert_eq!(dollars(&workload, KmsKind::GcpKms), json!([0.13, 0.18]));
        assert_eq!(dollars(&workload, KmsKind::AwsKms), json!([1.01, 1.06]));
        assert!(prices(KmsKind::Local).is_none());
    }

    #[test]
    fn a_data_key_lives_until_it_is_renewed_or_used_up() {
        let limits = DekLimits::default();
        // 730 hours, 45 minutes each.
        assert_eq!(workload(&limits).data_keys(), 974);
        let few = DekLimits {
            max_messages: 2,
            ..DekLimits::default()
        };
        assert_eq!(workload(&few).calls(), (20_000, 15_000));
        let direct = Workload {
            direct: true,
            ..workload(&limits)
        };
        assert_eq!(direct.calls(), (20_000, 20_000));
        let seldom = Workload {
            tasks: 10,
            ..workload(&limits)
        };
        assert_eq!(seldom.calls(), (20, 30));
    }
}
