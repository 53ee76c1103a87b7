//! The way to a key: its service, credentials, endpoint and clock. What fails early spares what comes later.

use temporal_kms_codec::{
    KeyUri,
    kms::{
        self, CredentialsFound, Diagnose, FailureCause, Kms, ProviderError,
        ProviderErrorKind as Kind, RotationPolicy,
    },
};

use super::{
    super::exit::Status,
    advice, clock,
    endpoint::{self, WebEndpoint},
    finding::{Check, Finding, Findings, Outcome},
    neighbours::{self, Wanted},
    purpose::Purpose,
    versions::{self, Examined},
    web::LocalWeb,
};

pub(super) const LATER: &str = "not checked until that is fixed";

pub(super) struct Approach<'e> {
    pub(super) key: &'e KeyUri,
    pub(super) purpose: Purpose,
    /// Whether the key has to open what it encrypted before. A new key cannot.
    pub(super) decrypts_only: bool,
    pub(super) kms: &'e Kms,
    pub(super) rotation: &'e RotationPolicy,
}

/// What is known before the first call, until a call shows what of it holds.
pub(super) struct Diagnosis<'s> {
    service: &'s dyn Diagnose,
    found: CredentialsFound,
    endpoint: Finding,
    /// What to say of the endpoint once a call has succeeded.
    answers: Option<&'static str>,
    clock: Finding,
    skew: Option<i64>,
}

impl<'e> Approach<'e> {
    /// What can be found out before the first call; else why the key cannot be called.
    pub(super) async fn diagnose(&self, findings: &mut Findings) -> Result<Diagnosis<'e>, String> {
        let service = match self.kms.diagnose(self.key) {
            Ok(service) => service,
            Err(error) => return Err(self.no_service(&error, findings)),
        };
        if let Some(refused) = endpoint::refused(self.key, self.kms, service).await {
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
        let diagnosis = self.reach(service, found).await;
        if diagnosis.endpoint.outcome == Outcome::Failed {
            self.say(findings, diagnosis.untried_credentials());
            return Err(self.stop(diagnosis.endpoint, findings));
        }
        Ok(diagnosis)
    }

    /// Reports that a call has succeeded. Returns the service, and the credentials of the call.
    pub(super) fn arrived(
        &self,
        mut diagnosis: Diagnosis<'e>,
        findings: &mut Findings,
    ) -> (&'e dyn Diagnose, CredentialsFound) {
        if let Some(answers) = diagnosis.answers {
            diagnosis.endpoint = Finding::ok(Check::Endpoint, answers);
        }
        self.say(findings, diagnosis.credentials());
        self.say(findings, diagnosis.endpoint);
        self.say(findings, diagnosis.clock);
        (diagnosis.service, diagnosis.found)
    }

    /// Reports an error under the check that it belongs to. The checks before it passed; those after it have to wait.
    pub(super) async fn trouble(
        &self,
        error: &ProviderError,
        diagnosis: Diagnosis<'_>,
        findings: &mut Findings,
    ) -> String {
        let service = diagnosis.service;
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
                let examined = self.versions(service, Some(error)).await;
                for finding in examined.findings {
                    self.say(findings, finding);
                }
                self.skip_uses(findings)
            }
            Check::Permission => {
                let remedy =
                    service.permission_remedy(self.key, self.purpose.operation(), &diagnosis.found);
                let finding = Finding::failed(check, exit, error.summary(), remedy);
                self.stop(finding, findings)
            }
            _ => {
                let wanted = Wanted {
                    key: self.key,
                    purpose: self.purpose,
                    must_exist: self.decrypts_only,
                };
                let missing =
                    neighbours::missing(wanted, error, self.kms, service, &diagnosis.found).await;
                self.stop(missing, findings)
            }
        }
    }

    /// The key's versions. `refused` is how the service refused to use the key.
    pub(super) async fn versions(
        &self,
        service: &dyn Diagnose,
        refused: Option<&ProviderError>,
    ) -> Examined {
        let named = (self.key, self.purpose);
        versions::examine(named, (self.kms, self.rotation), service, refused).await
    }

    /// Says that the key was not used. Returns why.
    fn skip_uses(&self, findings: &mut Findings) -> String {
        findings.skip(self.purpose.uses(), self.key, LATER);
        LATER.to_owned()
    }

    async fn reach(&self, service: &'e dyn Diagnose, found: CredentialsFound) -> Diagnosis<'e> {
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
        let (summary, remedy) = (error.summary(), error.remedy());
        let finding = Finding::failed(Check::Key, advice::exit(error), summary, remedy);
        self.stop(finding, findings)
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
            None => (error.cause(), error.summary().into_owned()),
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

    pub(super) fn say(&self, findings: &mut Findings, finding: Finding) {
        findings.push(finding.of_key(self.key));
    }

    /// Reports the last finding of this key. Returns why the rest is skipped.
    fn stop(&self, finding: Finding, findings: &mut Findings) -> String {
        let check = finding.check;
        self.say(findings, finding);
        let all = self.purpose.checks().iter().copied();
        let later: Vec<_> = all.filter(|later| *later > check).collect();
        findings.skip(&later, self.key, LATER);
        LATER.to_owned()
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
        Some(FailureCause::Module) => error.summary().into_owned(),
        _ => format!("calls fail: {}", error.summary()),
    };
    Finding::failed(Check::Endpoint, advice::exit(error), summary, remedy)
        .with("error", error.kind().as_str())
}
