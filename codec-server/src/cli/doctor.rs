//! `doctor`: checks a configuration and its keys as a support engineer would. It changes nothing.

mod access;
mod advice;
mod approach;
mod arguments;
mod certificate_fault;
mod clock;
mod codecs;
mod cost;
mod endpoint;
mod finding;
mod key;
mod latency;
mod neighbours;
mod permission;
mod purpose;
mod report;
mod rotation;
mod serving;
mod signing;
mod subject;
mod versions;
mod web;

use std::collections::{BTreeMap, BTreeSet};

use indicatif::{ProgressBar, ProgressStyle};
use temporal_kms_codec_service::lifecycle;

pub(super) use self::arguments::{DoctorArgs, HELP};
use self::{
    approach::Approach, codecs::Codecs, finding::Findings, key::KeyExam, purpose::Purpose,
    signing::SigningExam, subject::Subject,
};
use super::{
    audit_log::{CommandEvent, CommandLog},
    exit::Failure,
};

pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let findings = lifecycle::run(async {
        let log = args.audit.open(CommandEvent::of("doctor")).await?;
        let findings = examine(args, &log).await;
        log.close(Ok(findings)).await
    })?;
    report::print(&findings, args.json)?;
    findings
        .status()
        .map_or(Ok(()), |status| Err(Failure::said(status)))
}

async fn examine(args: &DoctorArgs, log: &CommandLog) -> Findings {
    let mut findings = Findings::default();
    let Some(mut subject) = Subject::read(args, &mut findings) else {
        return findings;
    };
    subject.each_kms(|kms| log.observe(kms));
    let progress = progress(args.json);
    let mut opened = BTreeMap::new();
    let mut unusable = BTreeMap::new();
    for (key, uses) in subject.keys() {
        progress.set_message(key.to_string());
        let exam = KeyExam {
            approach: Approach {
                key: &key,
                purpose: Purpose::Encrypt,
                decrypts_only: !uses.encrypts,
                kms: &subject.kms,
                rotation: &subject.rotation,
            },
            uses: &uses,
            args,
        };
        match exam.run(&progress, &mut findings).await {
            Ok(provider) => {
                opened.insert(key, provider);
            }
            Err(reason) => {
                unusable.insert(key, reason);
            }
        }
    }
    let mut codecs = Codecs {
        opened,
        unusable: &unusable,
        samples: args.samples,
    };
    for (namespace, config) in &subject.namespaces {
        progress.set_message(format!("namespace {namespace}"));
        codecs
            .examine(namespace, config, &subject, &mut findings)
            .await;
    }
    let mut signing = BTreeSet::new();
    for (key, kms) in &subject.signing {
        progress.set_message(key.to_string());
        let exam = SigningExam {
            approach: Approach {
                key,
                purpose: Purpose::Sign,
                decrypts_only: false,
                kms,
                rotation: &subject.rotation,
            },
            samples: args.samples,
        };
        if exam.run(&progress, &mut findings).await {
            signing.insert(key);
        }
    }
    if let Some(serving) = &subject.serving {
        progress.set_message("server");
        serving
            .examine(args.places(), &signing, &mut findings)
            .await;
    }
    progress.finish_and_clear();
    findings
}

/// Drawn on stderr, and only where a person looks at it.
fn progress(json: bool) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    match ProgressStyle::with_template("{spinner} {msg} {pos}/{len} {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
