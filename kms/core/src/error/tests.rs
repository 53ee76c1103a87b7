//! What errors say: what happened, to which key, and what to do.

use super::*;

fn error(kind: ProviderErrorKind) -> ProviderError {
    ProviderError::new(kind, &"local://default".parse().unwrap())
}

#[test]
fn says_what_happened_to_which_key_and_what_to_do() {
    use ProviderErrorKind as Kind;
    for (error, text) in [
        (
            error(Kind::KeyNotFound),
            "local://default: key not found; check its name, project and region, or create it",
        ),
        (
            error(Kind::PermissionDenied).with_remedy("grant kms:Decrypt"),
            "local://default: permission denied; grant kms:Decrypt",
        ),
        (
            error(Kind::KeyDisabled).with_detail("version 3"),
            "local://default: the key or its version is disabled or destroyed (version 3); enable it again",
        ),
        (
            error(Kind::Unavailable).with_detail("no connection"),
            "local://default: the service cannot be reached (no connection); retry later",
        ),
        (
            error(Kind::Misconfigured)
                .with_detail("no credentials were found")
                .with_remedy("set them"),
            "cannot use local://default: no credentials were found; set them",
        ),
        (
            error(Kind::AlreadyExists),
            "local://default exists already; use it, or choose another name",
        ),
    ] {
        assert_eq!(error.to_string(), text);
        let parts = format!("{}; {}", error.what_happened(), error.remedy());
        assert_eq!(parts, text);
    }
}

#[test]
fn what_to_do_is_told_apart_from_what_happened() {
    use ProviderErrorKind as Kind;
    let parts = |error: &ProviderError| {
        let parts = [
            error.what_happened(),
            error.summary(),
            error.remedy().into(),
        ];
        parts.map(Cow::into_owned)
    };
    let advice = Kind::KeyNotFound.advice();
    let missing = "no key local://default in keys";
    let explained = error(Kind::KeyNotFound).with_explanation(missing);
    assert_eq!(parts(&explained), [missing, missing, advice]);
    let explained = explained.with_remedy("correct the name");
    assert_eq!(parts(&explained), [missing, missing, "correct the name"]);
    assert_eq!(explained.message(), format!("{missing}; correct the name"));
    let detailed = error(Kind::KeyNotFound).with_detail("in keys");
    let (happened, summary) = (
        "local://default: key not found (in keys)",
        "key not found (in keys)",
    );
    assert_eq!(parts(&detailed), [happened, summary, advice]);
    assert_eq!(detailed.message(), format!("{summary}; {advice}"));
    let advised = error(Kind::KeyNotFound).with_remedy("correct the name");
    assert_eq!(
        advised.to_string(),
        "local://default: key not found; correct the name"
    );
}

#[test]
fn a_missing_version_is_not_a_missing_key() {
    use ProviderErrorKind as Kind;
    assert!(error(Kind::KeyNotFound).is_key_missing());
    // Neither a detail nor a remedy changes this.
    let detailed = error(Kind::KeyNotFound).with_detail("in keys");
    assert!(detailed.with_remedy("correct the name").is_key_missing());
    assert!(!error(Kind::KeyDisabled).is_key_missing());
    let version = error(Kind::KeyNotFound).with_missing_version();
    assert!(!version.is_key_missing());
    assert_eq!(
        version.with_detail("7").to_string(),
        "local://default: the key has no such version (7); name one that this command lists: codec-server keys versions local://default"
    );
}

#[test]
fn a_service_that_failed_was_reached() {
    let failed = |answer| error(ProviderErrorKind::Unavailable).with_service_error(answer);
    let answer = ServiceError::new(Some(500)).with_request_id(Some("1b2c-3d4e"));
    assert_eq!(
        failed(answer).to_string(),
        "local://default: the service failed with HTTP 500, request ID 1b2c-3d4e; retry later"
    );
    assert_eq!(
        failed(ServiceError::new(Some(503))).to_string(),
        "local://default: the service failed with HTTP 503; retry later"
    );
}

#[test]
fn keeps_what_the_service_said_to_itself() {
    let answer = ServiceError::new(Some(404)).with_code(Some("NotFoundException"));
    let error = error(ProviderErrorKind::KeyNotFound).with_service_error(answer.clone());
    assert!(!format!("{error} {error:?}").contains("NotFoundException"));
    assert!(error.source().is_none());
    assert_eq!(error.service_error(), Some(&answer));
}

/// Every kind, one after another: a new one does not compile until it is here.
fn next(kind: ProviderErrorKind) -> Option<ProviderErrorKind> {
    use ProviderErrorKind as Kind;
    match kind {
        Kind::PermissionDenied => Some(Kind::KeyNotFound),
        Kind::KeyNotFound => Some(Kind::KeyDisabled),
        Kind::KeyDisabled => Some(Kind::KeyVersionGone),
        Kind::KeyVersionGone => Some(Kind::InvalidCiphertext),
        Kind::InvalidCiphertext => Some(Kind::ContextMismatch),
        Kind::ContextMismatch => Some(Kind::Throttled),
        Kind::Throttled => Some(Kind::Unavailable),
        Kind::Unavailable => Some(Kind::DeadlineExceeded),
        Kind::DeadlineExceeded => Some(Kind::Integrity),
        Kind::Integrity => Some(Kind::Misconfigured),
        Kind::Misconfigured => Some(Kind::AlreadyExists),
        Kind::AlreadyExists => Some(Kind::Unsupported),
        Kind::Unsupported => None,
    }
}

fn kinds() -> Vec<ProviderErrorKind> {
    let first = Some(ProviderErrorKind::PermissionDenied);
    let kinds: Vec<_> = std::iter::successors(first, |kind| next(*kind)).collect();
    assert_eq!(kinds.len(), 13);
    kinds
}

#[test]
fn every_error_names_the_key_and_says_what_to_do_once() {
    let answer = ServiceError::new(Some(500)).with_request_id(Some("1b2c-3d4e"));
    for kind in kinds() {
        let explanation = "no key local://default";
        for error in [
            error(kind),
            error(kind).with_detail("a detail"),
            error(kind).with_explanation(explanation),
            error(kind).with_service_error(answer.clone()),
            error(kind).with_missing_version(),
            error(kind).with_detail("a detail").with_remedy("do this"),
            error(kind).with_remedy("do this").with_detail("a detail"),
        ] {
            let shown = error.to_string();
            assert!(shown.contains("local://default"), "{shown}");
            let (happened, remedy) = shown.split_once("; ").unwrap();
            assert_eq!(happened, error.what_happened());
            assert_eq!(remedy, error.remedy());
            assert!(!remedy.is_empty() && !remedy.contains("; "), "{shown}");
            let message = error.message();
            assert_eq!(message.split_once("; ").unwrap().1, remedy);
        }
        let advised = error(kind).with_detail("a detail");
        assert_eq!(
            advised.remedy(),
            kind.advice(),
            "a detail replaces no advice"
        );
    }
}

#[test]
fn no_kind_has_anything_below_it_or_the_answers_code() {
    for kind in kinds() {
        let answer = ServiceError::new(Some(500)).with_code(Some("SeCrEtCode"));
        let error = error(kind).with_service_error(answer);
        assert!(error.source().is_none(), "{kind:?}");
        let shown = format!("{error} {error:?} {}", error.message());
        assert!(!shown.contains("SeCrEtCode"), "{shown}");
        assert!(shown.contains("local://default"), "{shown}");
    }
}
