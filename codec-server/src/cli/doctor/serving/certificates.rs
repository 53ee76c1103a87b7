//! The files of `[tls]`.

use std::time::{Duration, SystemTime};

use temporal_kms::support::shell_path;
use temporal_kms_codec_service::tls::{CertificateFacts, ChainFault, ExaminedTls, TlsSettings};

use super::super::{
    super::exit::Status,
    finding::{Check, Finding, Findings},
};
use crate::config::ServerConfig;

/// The longest time before its end in which a certificate should have been replaced.
const LATE: Duration = Duration::from_hours(21 * 24);
const DAY: u64 = 24 * 3600;

/// The names that clients call the server by.
pub(super) struct Hosts<'a> {
    pub(super) allowed: &'a [String],
    pub(super) login: Option<&'a str>,
    pub(super) codec: Option<&'a str>,
}

/// `None` when a server cannot use the files.
pub(super) fn examine(
    settings: &TlsSettings,
    hosts: &Hosts<'_>,
    findings: &mut Findings,
) -> Option<ExaminedTls> {
    let examined = match ExaminedTls::of(settings) {
        Ok(examined) => examined,
        Err(error) => {
            let remedy = "correct the files of section [tls]; a running server goes on with the ones that it has read";
            let exit = Status::Configuration;
            findings.push(Finding::failed(
                Check::Certificate,
                exit,
                error.to_string(),
                remedy,
            ));
            return None;
        }
    };
    let file = settings.certificate.display();
    let Some(server) = examined.chain.first() else {
        return Some(examined);
    };
    let signed = if server.is_self_signed() {
        "signed by itself".to_owned()
    } else {
        format!("signed by {}", server.issuer)
    };
    findings.push(
        Finding::ok(
            Check::Certificate,
            format!("{file}: {signed}; its key is {}", settings.key.display()),
        )
        .with("certificates", examined.chain.len()),
    );
    findings.push(names(server, &examined, hosts));
    findings.push(chain(&examined, server));
    let now = SystemTime::now();
    findings.push(expiry(server, now, settings.reload_interval));
    for further in examined.chain.iter().skip(1) {
        if let Some(finding) = expired("the chain's certificate", further, now) {
            findings.push(finding);
        }
    }
    clients(&examined, now, findings);
    if examined.key_is_public {
        findings.push(Finding::warning(
            Check::Certificate,
            format!(
                "every user of this machine can read {}",
                settings.key.display()
            ),
            format!("run `chmod o-r {}`", shell_path(&settings.key)),
        ));
    }
    Some(examined)
}

/// A server without TLS of its own.
pub(super) fn without(server: &ServerConfig, findings: &mut Findings) {
    if server.listen.is_remote() {
        findings.push(Finding::warning(
            Check::Certificate,
            format!(
                "{} is reached without TLS: tokens and plaintext can be read on the way",
                server.listen
            ),
            "add section [tls], or terminate TLS in a proxy on the same machine or in the same pod",
        ));
    }
}

fn names(server: &CertificateFacts, examined: &ExaminedTls, hosts: &Hosts<'_>) -> Finding {
    if server.names.is_empty() {
        return Finding::failed(
            Check::Certificate,
            Status::Configuration,
            "the certificate has no subject alternative name: browsers, `temporal` and SDKs refuse it",
            "have it signed again with the server's host names as subject alternative names",
        );
    }
    let shown = server.names.join(", ");
    let called = hosts.allowed.iter().map(String::as_str);
    let called = called.chain(hosts.login).chain(hosts.codec);
    let mut missing: Vec<&str> = called.filter(|host| !examined.is_for(host)).collect();
    missing.sort_unstable();
    missing.dedup();
    let finding = if missing.is_empty() {
        Finding::ok(Check::Certificate, format!("it is for {shown}"))
    } else {
        Finding::warning(
            Check::Certificate,
            format!(
                "it is for {shown}, and clients that call {} refuse it",
                missing.join(", ")
            ),
            "have it signed again with these names, unless a proxy with another certificate answers for them",
        )
    };
    finding.with("names", server.names.clone())
}

fn chain(examined: &ExaminedTls, server: &CertificateFacts) -> Finding {
    let broken = |summary: String, remedy: &str| {
        Finding::failed(Check::Certificate, Status::Configuration, summary, remedy)
    };
    match &examined.chain_fault {
        Some(ChainFault::Order {
            subject,
            issuer,
            next,
        }) => broken(
            format!("the chain is broken: {subject} is signed by {issuer}, and {next} follows"),
            "put the certificates into the file in this order: the server's, then that of its issuer, and so on",
        ),
        Some(_) => broken(
            "the chain is broken: a certificate is not signed with the key of the one after it, or may not sign".to_owned(),
            "get the whole chain from the authority again",
        ),
        None if server.is_self_signed() => Finding::warning(
            Check::Certificate,
            "clients trust a certificate that is signed by itself only when they are told to",
            "give clients the file, such as by SSL_CERT_FILE for `temporal`, or use an authority that browsers know",
        ),
        None if examined.chain.len() == 1 && server.names_its_issuer => Finding::warning(
            Check::Certificate,
            format!(
                "the file has the server's certificate only: clients that do not know {} refuse it",
                server.issuer
            ),
            "append the authority's intermediate certificates to the file, such as with `fullchain.pem` of an ACME client",
        ),
        None => Finding::ok(
            Check::Certificate,
            match examined.chain.len() {
                1 => "the file has no further certificate: clients have to trust its issuer itself".to_owned(),
                several => format!("the chain of {several} certificates is complete and in order"),
            },
        ),
    }
}

fn expiry(server: &CertificateFacts, now: SystemTime, pause: Duration) -> Finding {
    if let Some(finding) = expired("the certificate", server, now) {
        return finding;
    }
    let left = server.not_after.duration_since(now).unwrap_or_default();
    let days = left.as_secs() / DAY;
    let life = server.not_after.duration_since(server.not_before);
    let late = LATE.min(life.unwrap_or_default() / 4);
    let read = format!(
        "a new file is used within {}, without a restart",
        humantime::format_duration(pause)
    );
    let finding = if left < late {
        Finding::warning(
            Check::Certificate,
            format!("the certificate expires in {days} days, and should have been renewed by now"),
            format!("renew it, and find out why that did not happen by itself; {read}"),
        )
    } else {
        Finding::ok(
            Check::Certificate,
            format!("the certificate expires in {days} days; {read}"),
        )
    };
    finding.with("days_left", days).with(
        "expires",
        humantime::format_rfc3339_seconds(server.not_after).to_string(),
    )
}

/// A certificate that does not count now.
fn expired(what: &str, facts: &CertificateFacts, now: SystemTime) -> Option<Finding> {
    let shown = |time| humantime::format_rfc3339_seconds(time).to_string();
    let (word, time, remedy) = if facts.not_after < now {
        ("expired on", facts.not_after, "renew it")
    } else if now < facts.not_before {
        (
            "is not valid before",
            facts.not_before,
            "set the clock, or wait",
        )
    } else {
        return None;
    };
    let summary = format!("{what} {} {word} {}", facts.subject, shown(time));
    let failed = Finding::failed(Check::Certificate, Status::Configuration, summary, remedy);
    Some(failed.with("expires", shown(facts.not_after)))
}

/// What client certificates are checked with.
fn clients(examined: &ExaminedTls, now: SystemTime, findings: &mut Findings) {
    for authority in &examined.client_authorities {
        if let Some(finding) = expired("the clients' authority", authority, now) {
            findings.push(finding);
        }
    }
    if examined.client_lists_due.iter().any(|due| *due < now) {
        findings.push(Finding::warning(
            Check::Certificate,
            "a list of revoked client certificates is out of date",
            "write the authority's newest list into the file of `client_crl`",
        ));
    }
}
