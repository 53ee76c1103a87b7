//! The issuers of `[auth]`: whether they answer, and whether their tokens can be accepted.

use temporal_kms_codec_service::auth::{AuthConfig, ExaminedIssuer, IssuerAnswer};

use super::super::{
    super::exit::Status,
    clock,
    finding::{Check, Finding, Findings},
};

/// Asks each issuer, and returns what each of them answered.
pub(super) async fn examine(auth: &AuthConfig, findings: &mut Findings) -> Vec<ExaminedIssuer> {
    // A fault of `[auth.http]` is told already.
    let Ok(issuers) = auth.examine_issuers().await else {
        return Vec::new();
    };
    for issuer in &issuers {
        for finding in of(issuer) {
            findings.push(finding.of_issuer(&issuer.name));
        }
    }
    issuers
}

fn of(issuer: &ExaminedIssuer) -> Vec<Finding> {
    let mut findings = vec![answer(issuer), audience(issuer)];
    if let Some(clock) = issuer.clock {
        let skew = clock::skew(clock.date, clock.before, clock.after);
        // A second is lost in the header's whole seconds.
        let tolerance = issuer.clock_skew.max(std::time::Duration::from_secs(2));
        findings.push(clock::judge(Some(skew), tolerance, "issuer"));
    }
    findings
}

fn answer(issuer: &ExaminedIssuer) -> Finding {
    match &issuer.answer {
        Err(fault) if fault.is_transient => Finding::failed(
            Check::Issuer,
            Status::Unavailable,
            format!("{}: {}", issuer.issuer, fault.message),
            "let this machine reach the issuer: check its address, HTTPS_PROXY and `proxy` and `ca_file` in section [auth.http]",
        ),
        Err(fault) => Finding::failed(
            Check::Issuer,
            Status::Configuration,
            format!("{}: {}", issuer.issuer, fault.message),
            format!(
                "compare `issuer` of [auth.issuers.{}] with the issuer's own document",
                issuer.name
            ),
        ),
        Ok(answer) => algorithms(issuer, answer),
    }
}

fn algorithms(issuer: &ExaminedIssuer, answer: &IssuerAnswer) -> Finding {
    let accepted = issuer.algorithms.join(", ");
    let remedy = format!(
        "add an algorithm of the issuer to `algorithms` of [auth.issuers.{}], or remove the setting",
        issuer.name
    );
    let failed = |summary| {
        Finding::failed(
            Check::Issuer,
            Status::Configuration,
            summary,
            remedy.as_str(),
        )
    };
    if answer.fitting.is_empty() {
        return failed(format!(
            "none of the issuer's {} keys is for an accepted algorithm ({accepted})",
            answer.keys
        ));
    }
    if let Some(announced) = &answer.announced
        && !announced
            .iter()
            .any(|one| issuer.algorithms.contains(&one.as_str()))
    {
        let announced: Vec<&str> = announced.iter().take(20).map(String::as_str).collect();
        return failed(format!(
            "the issuer signs with {}, and only {accepted} is accepted",
            announced.join(", ")
        ));
    }
    Finding::ok(
        Check::Issuer,
        format!(
            "{} answers, with {} keys for {}",
            issuer.issuer,
            answer.keys,
            answer.fitting.join(", ")
        ),
    )
    .with("keys", answer.keys)
    .with("algorithms", answer.fitting.clone())
}

fn audience(issuer: &ExaminedIssuer) -> Finding {
    let of = |what: &str, audience: &[String]| {
        (!audience.is_empty()).then(|| format!("{what} for {}", audience.join(", ")))
    };
    let accepted = [
        of("access tokens", &issuer.audience),
        of("ID tokens", &issuer.id_token_audience),
    ];
    let accepted: Vec<String> = accepted.into_iter().flatten().collect();
    Finding::ok(
        Check::Issuer,
        format!("accepted are {}", accepted.join(", and ")),
    )
}
