//! What a month costs, by the service's price list. An estimate: taxes, free tiers, audit logs and other callers of the key
//! are not in it.

use std::time::Duration;

use serde_json::json;
use temporal_kms_codec::{DekLimits, kms::Prices};

use super::finding::{Check, Finding};

/// 365 / 12 days.
const MONTH: Duration = Duration::from_hours(730);

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
        let sides = 1 + u64::from(self.encrypts);
        if self.direct {
            return (tasks * sides, tasks * sides);
        }
        // A process that encrypts unwraps each data key once to verify it.
        let verifications = u64::from(self.encrypts);
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

    pub(super) fn finding(&self, prices: Option<&Prices>) -> Finding {
        let Some(prices) = prices else {
            return Finding::ok(
                Check::Cost,
                "calls cost nothing; the price of the hardware is not known here",
            );
        };
        let units = self.versions.unwrap_or(1).min(prices.max_units);
        let (without, with) = self.calls();
        let cost = |calls| of_units(prices, units) + of_calls(prices, calls);
        let summary = format!(
            "about ${:.2} a month for {with} calls; without the data key cache ${:.2} for {without}\n{}",
            cost(with),
            cost(without),
            self.assumed(prices, units),
        );
        Finding::ok(Check::Cost, summary)
            .with("tasks_per_month", self.tasks)
            .with("calls_per_month", with)
            .with("calls_per_month_without_cache", without)
            .with("dollars_per_month", cents(cost(with)))
            .with("dollars_per_month_without_cache", cents(cost(without)))
            .with(
                "prices",
                json!({
                    "unit": prices.unit,
                    "units": units,
                    "dollars_per_unit": prices.per_unit,
                    "dollars_per_10000_calls": prices.per_10_000_calls,
                    "source": prices.source,
                    "as_of": prices.as_of,
                }),
            )
    }

    fn assumed(&self, prices: &Prices, units: usize) -> String {
        let how = if self.encrypts {
            "encrypted once and decrypted "
        } else {
            "decrypted "
        };
        let unknown = if self.versions.is_none() {
            "; how many versions are active is not known"
        } else {
            ""
        };
        format!(
            "assumed: {} payloads a month, each {how}once by one process that keeps its data keys; \
             ${:.2} a month for each {} ({units}), ${:.2} for 10,000 calls ({}, {}); an estimate{unknown}",
            self.tasks,
            prices.per_unit,
            prices.unit,
            prices.per_10_000_calls,
            prices.source,
            prices.as_of,
        )
    }
}

fn of_units(prices: &Prices, units: usize) -> f64 {
    prices.per_unit * f64::from(u32::try_from(units).unwrap_or(u32::MAX))
}

fn of_calls(prices: &Prices, calls: u64) -> f64 {
    prices.per_10_000_calls / 10_000.0 * f64::from(u32::try_from(calls).unwrap_or(u32::MAX))
}

fn cents(dollars: f64) -> f64 {
    (dollars * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use temporal_kms_codec::{
        Scheme,
        kms::{Kms, Protection},
    };

    use super::*;

    const SOFTWARE: Option<Protection> = Some(Protection::Software);

    fn prices(scheme: Scheme, protection: Option<Protection>) -> Option<Prices> {
        let kms = Kms::default();
        kms.service(scheme)?.diagnose().prices(protection)
    }

    fn workload(limits: &DekLimits) -> Workload<'_> {
        Workload {
            tasks: 10_000,
            encrypts: true,
            direct: false,
            limits,
            versions: Some(2),
        }
    }

    fn dollars(workload: &Workload<'_>, prices: Option<Prices>) -> Value {
        let finding = serde_json::to_value(workload.finding(prices.as_ref())).unwrap();
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
        assert_eq!(
            dollars(&workload, prices(Scheme::GCP_KMS, SOFTWARE)),
            json!([0.13, 0.18])
        );
        assert_eq!(
            dollars(&workload, prices(Scheme::AWS_KMS, SOFTWARE)),
            json!([2.01, 2.06])
        );
        assert_eq!(prices(Scheme::LOCAL, None), None);
    }

    #[test]
    fn hardware_and_rotations_have_their_price() {
        let limits = DekLimits::default();
        let hsm = prices(Scheme::GCP_KMS, Some(Protection::Hsm));
        assert_eq!(dollars(&workload(&limits), hsm), json!([2.01, 2.06]));
        let rotated_often = Workload {
            versions: Some(9),
            ..workload(&limits)
        };
        assert_eq!(
            dollars(&rotated_often, prices(Scheme::AWS_KMS, SOFTWARE)),
            json!([3.01, 3.06])
        );
    }

    #[test]
    fn every_price_has_its_source_and_its_date() {
        let limits = DekLimits::default();
        for kms in [Scheme::GCP_KMS, Scheme::AWS_KMS] {
            let prices = prices(kms, SOFTWARE);
            let finding = workload(&limits).finding(prices.as_ref());
            let finding = serde_json::to_value(finding).unwrap();
            let summary = finding["summary"].as_str().unwrap();
            for field in ["source", "as_of"] {
                assert!(summary.contains(finding["prices"][field].as_str().unwrap()));
            }
        }
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
