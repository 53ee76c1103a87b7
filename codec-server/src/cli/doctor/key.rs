//! One key, from its credentials to its cost. What fails early spares what comes later.

use std::sync::Arc;

use indicatif::ProgressBar;
use temporal_kms_codec::{
    KeyUri, KmsKind,
    kms::{self, Cause, KeyProvider, Protection, ProviderError, ProviderErrorKind as Kind},
};

use super::{
    super::exit::Status,
    access::{Access, First, found},
    advice::{self, Tried, words},
    arguments::DoctorArgs,
    clock,
    cost::Workload,
    credentials::{self, Source},
    endpoint::{self, Endpoint},
    finding::{Check, Finding, Findings, Outcome},
    latency, neighbours,
    subject::{Subject, Uses},
    versions,
};

const LATER: &str = "not checked until that is fixed";

pub(super) struct KeyExam<'e> {
    pub(super) key: &'e KeyUri,
    pub(super) uses: &'e Uses,
    pub(super) subject: &'e Subject,
    pub(super) args: &'e DoctorArgs,
}

/// What is known before the first call, until a call shows what of it holds.
struct Diagnosis {
    source: Source,
    endpoint: Finding,
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
        let options = &self.subject.options;
        if let Some(refused) = endpoint::refused(self.key, options).await {
            let credentials = Finding::skipped(Check::Credentials, LATER);
            self.say(findings, credentials);
            return Err(self.stop(refused, findings));
        }
        let source = credentials::source(self.key, options).await;
        if let Some(missing) = &source.missing {
            let remedy = advice::credentials(self.key, None, &source);
            let exit = match self.key.kms() {
                // Their folder is a setting.
                KmsKind::Local => Status::Configuration,
                _ => Status::NoPermission,
            };
            let finding = Finding::failed(Check::Credentials, exit, missing.clone(), remedy);
            return Err(self.stop(finding, findings));
        }
        let mut so = self.reach(source).await;
        if so.endpoint.outcome == Outcome::Failed {
            self.say(findings, so.untried_credentials());
            return Err(self.stop(so.endpoint, findings));
        }
        let provider = match kms::open(self.key, options).await {
            Ok(provider) => provider,
            Err(error) => return Err(self.trouble(&error, so, findings).await),
        };
        let first = First::try_on(&*provider, self.uses).await;
        if let Some(error) = first.obstacle() {
            return Err(self.trouble(error, so, findings).await);
        }
        self.settle_endpoint(&mut so);
        self.say(findings, so.credentials());
        self.say(findings, so.endpoint);
        self.say(findings, so.clock);

        let access = Access {
            key: self.key,
            provider: &*provider,
            uses: self.uses,
            source: &so.source,
        };
        let permissions = access.findings(&first).await;
        let is_used = permissions.iter().any(|f| f.outcome == Outcome::Ok);
        let denied = first.wrapped.is_err() && first.described.is_err();
        let hint = neighbours::other_project_hint(self.key, &so.source).filter(|_| denied);
        let hint = hint.filter(|_| !is_used);
        self.say(
            findings,
            hint.unwrap_or_else(|| found(self.key, &first, is_used)),
        );
        let examined = versions::examine(self.key, options, None).await;
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
        self.cost(examined.active, protection, findings);
        Ok(provider)
    }

    async fn reach(&self, source: Source) -> Diagnosis {
        let none = |check, text: &str| Finding::skipped(check, text);
        let Some(endpoint) = Endpoint::of(self.key, &self.subject.options) else {
            let reason = match self.key.kms() {
                KmsKind::Local => "does not apply: a local key is a file",
                KmsKind::Pkcs11 => {
                    "does not apply to a PKCS#11 token: nothing it does depends on the time"
                }
                _ => "not known",
            };
            return Diagnosis {
                source,
                endpoint: none(Check::Endpoint, reason),
                clock: none(Check::Clock, reason),
                skew: None,
            };
        };
        let answer = endpoint.ask().await;
        Diagnosis {
            source,
            endpoint: answer.finding,
            clock: clock::judge(answer.skew),
            skew: answer.skew,
        }
    }

    fn settle_endpoint(&self, so: &mut Diagnosis) {
        if self.key.kms() == KmsKind::Pkcs11 {
            so.endpoint = Finding::ok(
                Check::Endpoint,
                "the PKCS#11 module is loaded and its token answers",
            );
        }
    }

    /// Reports an error under the check that it belongs to. The checks before it passed; those after it have to wait.
    async fn trouble(
        &self,
        error: &ProviderError,
        so: Diagnosis,
        findings: &mut Findings,
    ) -> String {
        let options = &self.subject.options;
        let check = advice::check(error);
        let exit = advice::exit(error);
        if check == Check::Credentials {
            return self.no_credentials(error, so, findings);
        }
        if check == Check::Endpoint {
            self.say(findings, so.untried_credentials());
            return self.stop(self.unusable_endpoint(error), findings);
        }
        self.say(findings, so.credentials());
        self.say(findings, so.endpoint);
        if check == Check::Clock {
            return self.stop(clock::refused(error, so.skew), findings);
        }
        self.say(findings, so.clock);
        match check {
            Check::Versions => {
                self.say(findings, Finding::ok(Check::Key, "found"));
                let examined = versions::examine(self.key, options, Some(error)).await;
                for finding in examined.findings {
                    self.say(findings, finding);
                }
                let reason = LATER.to_owned();
                let rest = [Check::Permission, Check::Latency, Check::Cost];
                findings.skip(&rest, self.key, &reason);
                reason
            }
            Check::Permission => {
                let remedy = advice::permission(self.key, Tried::Wrap, &so.source);
                self.stop(Finding::failed(check, exit, words(error), remedy), findings)
            }
            _ => {
                let missing = neighbours::missing(self.key, error, options, &so.source).await;
                self.stop(missing, findings)
            }
        }
    }

    fn no_credentials(
        &self,
        error: &ProviderError,
        so: Diagnosis,
        findings: &mut Findings,
    ) -> String {
        let (cause, why) = match error.cause() {
            // There are credentials, or this would not have been tried.
            Some(Cause::NoCredentials) if self.key.kms() == KmsKind::GcpKms => (
                Some(Cause::RefusedCredentials),
                "Google gives no token for them: they are expired, revoked or deleted".to_owned(),
            ),
            cause => (cause, words(error)),
        };
        let summary = match so.source.summary.as_str() {
            "" => why,
            source => format!("{source}: {why}"),
        };
        if so.clock.outcome == Outcome::Failed {
            let summary =
                format!("{summary}; all credentials are refused while the clock is wrong");
            self.say(findings, Finding::skipped(Check::Credentials, summary));
            self.say(findings, so.endpoint);
            return self.stop(so.clock, findings);
        }
        let exit = match cause {
            Some(_) => Status::NoPermission,
            None => advice::exit(error),
        };
        let remedy = advice::credentials(self.key, cause, &so.source);
        self.stop(
            Finding::failed(Check::Credentials, exit, summary, remedy),
            findings,
        )
    }

    /// Something answers, or a library is there, but calls fail.
    fn unusable_endpoint(&self, error: &ProviderError) -> Finding {
        let remedy = match (self.key.kms(), error.kind()) {
            _ if error.cause() == Some(Cause::Proxy) => advice::PROXY,
            (KmsKind::Pkcs11, Kind::Misconfigured) => {
                "set PKCS11_MODULE, or pkcs11_module in [keys], to the absolute path of the vendor's PKCS#11 library"
            }
            (KmsKind::Pkcs11, _) => {
                "check that the token is there and initialized, with `pkcs11-tool --list-slots` or the vendor's tool"
            }
            (_, Kind::Throttled) => "wait, or raise the quota of the service",
            (KmsKind::AwsKms, _) => {
                "try again; if that does not help, look at the AWS Health Dashboard, at the VPC endpoint's policy, and at AWS STS \
                 if the caller assumes a role"
            }
            (KmsKind::GcpKms, _) => {
                "try again; if that does not help, look at status.cloud.google.com and at proxies and firewalls on the way"
            }
            _ => "try again",
        };
        Finding::failed(
            Check::Endpoint,
            advice::exit(error),
            match error.cause() {
                Some(Cause::Module) => words(error),
                _ => format!("calls fail: {}", words(error)),
            },
            remedy,
        )
        .with("error", error.kind().as_str())
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

    fn cost(
        &self,
        versions: Option<usize>,
        protection: Option<Protection>,
        findings: &mut Findings,
    ) {
        let workload = Workload {
            tasks: self.args.tasks_per_month,
            encrypts: self.uses.encrypts,
            direct: self.uses.direct,
            limits: &self.uses.dek_limits,
            versions,
            protection,
        };
        self.say(findings, workload.finding(self.key.kms()));
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

impl Diagnosis {
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
        match self.source.summary.as_str() {
            "" => otherwise,
            source => source,
        }
    }
}
