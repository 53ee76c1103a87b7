//! One key, from its credentials to its cost. What fails early spares what comes later.

use std::sync::Arc;

use indicatif::ProgressBar;
use temporal_kms_codec::{
    KeyUri,
    kms::{
        self, CredentialsFound, Diagnose, FailureCause, KeyProvider, Operation, Prices,
        ProviderError, ProviderErrorKind as Kind,
    },
};

use super::{
    super::exit::Status,
    access::{self, Access, First},
    advice,
    arguments::DoctorArgs,
    clock,
    cost::Workload,
    endpoint::{self, WebEndpoint},
    finding::{Check, Finding, Findings, Outcome},
    latency, neighbours,
    subject::{Subject, Uses},
    versions,
    web::LocalWeb,
};

const LATER: &str = "not checked until that is fixed";

pub(super) struct KeyExam<'e> {
    pub(super) key: &'e KeyUri,
    pub(super) uses: &'e Uses,
    pub(super) subject: &'e Subject,
    pub(super) args: &'e DoctorArgs,
}

/// What is known before the first call, until a call shows what of it holds.
struct Diagnosis<'s> {
    service: &'s dyn Diagnose,
    found: CredentialsFound,
    endpoint: Finding,
    /// What to say of the endpoint once a call has succeeded.
    answers: Option<&'static str>,
    clock: Finding,
    skew: Option<i64>,
}

impl KeyExam<'_> {
    /// The key, if it can do its work; else why not.
    pub(super) async fn run(
        &self,
        progress: &ProgressBar,
        findings: &mut Findings,
    ) -> Result<Arc<dyn KeyProvider>, String> {
        let kms = &self.subject.kms;
        let service = match kms.diagnose(self.key) {
            Ok(service) => service,
            Err(error) => return Err(self.no_service(&error, findings)),
        };
        if let Some(refused) = endpoint::refused(self.key, kms, service).await {
            let credentials = Finding::skipped(Check::Credentials, LATER);
            self.say(findings, credentials);
            return Err(self.stop(refused, findings));
        }
        let found = service.credentials(self.key, &LocalWeb).await;
        if let Some(missing) = &found.missing {
            let remedy = service.credentials_remedy(self.key, false, &found);
            let exit = if found.is_setting {
                Status::Configuration
            } else {
                Status::NoPermission
            };
            let finding = Finding::failed(Check::Credentials, exit, missing.clone(), remedy);
            return Err(self.stop(finding, findings));
        }
        let mut diagnosis = self.reach(service, found).await;
        if diagnosis.endpoint.outcome == Outcome::Failed {
            self.say(findings, diagnosis.untried_credentials());
            return Err(self.stop(diagnosis.endpoint, findings));
        }
        let provider = match kms.key(self.key).await {
            Ok(provider) => provider,
            Err(error) => return Err(self.trouble(&error, diagnosis, findings).await),
        };
        let first = First::try_on(&*provider, self.uses).await;
        if let Some(error) = first.obstacle() {
            return Err(self.trouble(error, diagnosis, findings).await);
        }
        if let Some(answers) = diagnosis.answers {
            diagnosis.endpoint = Finding::ok(Check::Endpoint, answers);
        }
        self.say(findings, diagnosis.credentials());
        self.say(findings, diagnosis.endpoint);
        self.say(findings, diagnosis.clock);

        let access = Access {
            key: self.key,
            provider: &*provider,
            uses: self.uses,
            service,
            credentials: &diagnosis.found,
        };
        let permissions = access.findings(&first).await;
        let is_used = permissions.iter().any(|f| f.outcome == Outcome::Ok);
        let denied = first.wrapped.is_err() && first.described.is_err();
        let hint = neighbours::other_place_hint(self.key, service, &diagnosis.found);
        let hint = hint.filter(|_| denied);
        let hint = hint.filter(|_| !is_used);
        self.say(
            findings,
            hint.unwrap_or_else(|| access::found(service, &first, is_used)),
        );
        let examined =
            versions::examine(self.key, (kms, &self.subject.rotation), service, None).await;
        for finding in examined.findings {
            self.say(findings, finding);
        }

        let mut refused = false;
        for finding in permissions {
            refused |= finding.outcome == Outcome::Failed;
            self.say(findings, finding);
        }
        if refused {
            let reason = LATER.to_owned();
            findings.skip(&[Check::Latency, Check::Cost], self.key, &reason);
            return Err(reason);
        }
        self.measure(&*provider, &first, progress, findings).await;
        let protection = first.described.ok().map(|found| found.protection);
        let prices = service.prices(protection);
        self.cost(examined.active, prices.as_ref(), findings);
        Ok(provider)
    }

    async fn reach<'s>(&self, service: &'s dyn Diagnose, found: CredentialsFound) -> Diagnosis<'s> {
        let (endpoint, reason, answers) = match service.endpoint(self.key) {
            kms::Endpoint::Web { url, setting, .. } => {
                (WebEndpoint::new(&url, setting), "not known", None)
            }
            kms::Endpoint::NotWeb { reason, answers } => (None, reason, answers),
            _ => (None, "not known", None),
        };
        let Some(endpoint) = endpoint else {
            return Diagnosis {
                service,
                found,
                endpoint: Finding::skipped(Check::Endpoint, reason),
                answers,
                clock: Finding::skipped(Check::Clock, reason),
                skew: None,
            };
        };
        let answer = endpoint.ask().await;
        Diagnosis {
            service,
            found,
            endpoint: answer.finding,
            answers,
            clock: clock::judge(answer.skew, service.clock_tolerance(), "service"),
            skew: answer.skew,
        }
    }

    /// This program has no service with the key's scheme.
    fn no_service(&self, error: &ProviderError, findings: &mut Findings) -> String {
        for check in [Check::Credentials, Check::Endpoint, Check::Clock] {
            self.say(findings, Finding::skipped(check, LATER));
        }
        let remedy = "correct the key's name, or use a build with the service";
        let finding = Finding::failed(Check::Key, advice::exit(error), error.message(), remedy);
        self.stop(finding, findings)
    }

    /// Reports an error under the check that it belongs to. The checks before it passed; those after it have to wait.
    async fn trouble(
        &self,
        error: &ProviderError,
        diagnosis: Diagnosis<'_>,
        findings: &mut Findings,
    ) -> String {
        let (kms, service) = (&self.subject.kms, diagnosis.service);
        let check = advice::check(error);
        let exit = advice::exit(error);
        if check == Check::Credentials {
            return self.no_credentials(error, diagnosis, findings);
        }
        if check == Check::Endpoint {
            self.say(findings, diagnosis.untried_credentials());
            return self.stop(unusable_endpoint(service, error), findings);
        }
        self.say(findings, diagnosis.credentials());
        self.say(findings, diagnosis.endpoint);
        if check == Check::Clock {
            return self.stop(
                clock::refused(error, diagnosis.skew, service.clock_tolerance()),
                findings,
            );
        }
        self.say(findings, diagnosis.clock);
        match check {
            Check::Versions => {
                self.say(findings, Finding::ok(Check::Key, "found"));
                let examined = versions::examine(
                    self.key,
                    (kms, &self.subject.rotation),
                    service,
                    Some(error),
                )
                .await;
                for finding in examined.findings {
                    self.say(findings, finding);
                }
                let reason = LATER.to_owned();
                let rest = [Check::Permission, Check::Latency, Check::Cost];
                findings.skip(&rest, self.key, &reason);
                reason
            }
            Check::Permission => {
                let remedy = service.permission_remedy(self.key, Operation::Wrap, &diagnosis.found);
                let finding = Finding::failed(check, exit, error.message(), remedy);
                self.stop(finding, findings)
            }
            _ => {
                let missing =
                    neighbours::missing(self.key, error, kms, service, &diagnosis.found).await;
                self.stop(missing, findings)
            }
        }
    }

    fn no_credentials(
        &self,
        error: &ProviderError,
        diagnosis: Diagnosis<'_>,
        findings: &mut Findings,
    ) -> String {
        // There are credentials, or this would not have been tried.
        let (cause, why) = match diagnosis.service.refusal_of_credentials(error) {
            Some(why) => (Some(FailureCause::RefusedCredentials), why.to_owned()),
            None => (error.cause(), error.message()),
        };
        let summary = match diagnosis.found.summary.as_str() {
            "" => why,
            source => format!("{source}: {why}"),
        };
        if diagnosis.clock.outcome == Outcome::Failed {
            let summary =
                format!("{summary}; all credentials are refused while the clock is wrong");
            self.say(findings, Finding::skipped(Check::Credentials, summary));
            self.say(findings, diagnosis.endpoint);
            return self.stop(diagnosis.clock, findings);
        }
        let exit = match cause {
            Some(_) => Status::NoPermission,
            None => advice::exit(error),
        };
        let is_refused = cause == Some(FailureCause::RefusedCredentials);
        let remedy = diagnosis
            .service
            .credentials_remedy(self.key, is_refused, &diagnosis.found);
        self.stop(
            Finding::failed(Check::Credentials, exit, summary, remedy),
            findings,
        )
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
            return self.say(findings, Finding::skipped(Check::Latency, reason));
        };
        let (samples, context) = (self.args.samples, &self.uses.context);
        progress.reset();
        progress.set_length(u64::from(samples) * 2);
        let wraps = latency::of_wraps(provider, context, samples, progress).await;
        let unwraps = latency::of_unwraps(provider, wrapped, context, samples, progress).await;
        progress.unset_length();
        self.say(findings, wraps.finding("wrap"));
        self.say(findings, unwraps.finding("unwrap"));
    }

    fn cost(&self, versions: Option<usize>, prices: Option<&Prices>, findings: &mut Findings) {
        let workload = Workload {
            tasks: self.args.tasks_per_month,
            encrypts: self.uses.encrypts,
            direct: self.uses.direct,
            limits: &self.uses.dek_limits,
            versions,
        };
        self.say(findings, workload.finding(prices));
    }

    fn say(&self, findings: &mut Findings, finding: Finding) {
        findings.push(finding.of_key(self.key));
    }

    /// The last finding of this key. Returns why the rest is skipped.
    fn stop(&self, finding: Finding, findings: &mut Findings) -> String {
        let check = finding.check;
        let reason = LATER.to_owned();
        self.say(findings, finding);
        let later: Vec<_> = Check::OF_KEY.into_iter().filter(|c| *c > check).collect();
        findings.skip(&later, self.key, &reason);
        reason
    }
}

impl Diagnosis<'_> {
    /// The service has answered a call that was made with them.
    fn credentials(&self) -> Finding {
        Finding::ok(Check::Credentials, self.source_or("accepted"))
    }

    /// No call has shown whether the service accepts them.
    fn untried_credentials(&self) -> Finding {
        let source = self.source_or("found");
        Finding::skipped(Check::Credentials, format!("not tried: {source}"))
    }

    fn source_or<'s>(&'s self, otherwise: &'s str) -> &'s str {
        match self.found.summary.as_str() {
            "" => otherwise,
            source => source,
        }
    }
}

/// Something answers, or a library is there, but calls fail.
fn unusable_endpoint(service: &dyn Diagnose, error: &ProviderError) -> Finding {
    let remedy = match error.kind() {
        _ if error.cause() == Some(FailureCause::Proxy) => advice::PROXY,
        Kind::Throttled => "wait, or raise the quota of the service",
        _ => service.unavailable_remedy(error),
    };
    let summary = match error.cause() {
        Some(FailureCause::Module) => error.message(),
        _ => format!("calls fail: {}", error.message()),
    };
    Finding::failed(Check::Endpoint, advice::exit(error), summary, remedy)
        .with("error", error.kind().as_str())
}
