//! One key that encrypts, from its credentials to its cost. What fails early spares what comes later.

use std::sync::Arc;

use indicatif::ProgressBar;
use temporal_kms_codec::kms::{KeyProvider, Prices};

use super::{
    access::{self, Access, First},
    approach::{Approach, LATER},
    arguments::DoctorArgs,
    cost::Workload,
    finding::{Check, Finding, Findings, Outcome},
    latency, neighbours,
    permission::Caller,
    subject::Uses,
};

pub(super) struct KeyExam<'e> {
    pub(super) approach: Approach<'e>,
    pub(super) uses: &'e Uses,
    pub(super) args: &'e DoctorArgs,
}

impl KeyExam<'_> {
    /// The key, if it can do its work; else why not.
    pub(super) async fn run(
        &self,
        progress: &ProgressBar,
        findings: &mut Findings,
    ) -> Result<Arc<dyn KeyProvider>, String> {
        let approach = &self.approach;
        let diagnosis = approach.diagnose(findings).await?;
        let provider = match approach.kms.key(approach.key).await {
            Ok(provider) => provider,
            Err(error) => return Err(approach.trouble(&error, diagnosis, findings).await),
        };
        let first = First::try_on(&*provider, self.uses).await;
        if let Some(error) = first.obstacle() {
            return Err(approach.trouble(error, diagnosis, findings).await);
        }
        let (service, credentials) = approach.arrived(diagnosis, findings);

        let access = Access {
            caller: Caller {
                key: approach.key,
                service,
                credentials: &credentials,
            },
            provider: &*provider,
            uses: self.uses,
        };
        let permissions = access.findings(&first).await;
        let is_used = permissions.iter().any(|f| f.outcome == Outcome::Ok);
        let denied = first.wrapped.is_err() && first.described.is_err();
        let hint = neighbours::other_place_hint(approach.key, service, &credentials);
        let hint = hint.filter(|_| denied);
        let hint = hint.filter(|_| !is_used);
        approach.say(
            findings,
            hint.unwrap_or_else(|| access::found(service, &first, is_used)),
        );
        let examined = approach.versions(service, None).await;
        for finding in examined.findings {
            approach.say(findings, finding);
        }

        let mut refused = false;
        for finding in permissions {
            refused |= finding.outcome == Outcome::Failed;
            approach.say(findings, finding);
        }
        if refused {
            findings.skip(&[Check::Latency, Check::Cost], approach.key, LATER);
            return Err(LATER.to_owned());
        }
        self.measure(&*provider, &first, progress, findings).await;
        let protection = first.described.ok().map(|found| found.protection);
        let prices = service.prices(protection);
        self.cost(examined.active, prices.as_ref(), findings);
        Ok(provider)
    }

    async fn measure(
        &self,
        provider: &dyn KeyProvider,
        first: &First,
        progress: &ProgressBar,
        findings: &mut Findings,
    ) {
        let Ok((_, wrapped)) = &first.wrapped else {
            let reason = "there is nothing to unwrap: this caller may not encrypt";
            return self
                .approach
                .say(findings, Finding::skipped(Check::Latency, reason));
        };
        let (samples, context) = (self.args.samples, &self.uses.context);
        progress.reset();
        progress.set_length(u64::from(samples) * 2);
        let wrap = move || provider.generate_dek(context);
        let wraps = latency::of_calls(samples, progress, wrap).await;
        let unwrap = move || provider.unwrap(wrapped, context);
        let unwraps = latency::of_calls(samples, progress, unwrap).await;
        progress.unset_length();
        self.approach.say(findings, wraps.finding("wrap"));
        self.approach.say(findings, unwraps.finding("unwrap"));
    }

    fn cost(&self, versions: Option<usize>, prices: Option<&Prices>, findings: &mut Findings) {
        let workload = Workload {
            tasks: self.args.tasks_per_month,
            encrypts: self.uses.encrypts,
            direct: self.uses.direct,
            limits: &self.uses.dek_limits,
            versions,
        };
        self.approach.say(findings, workload.finding(prices));
    }
}
