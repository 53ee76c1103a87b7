//! How calls of a key management service fail, in one vocabulary for all services.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

use crate::{KeyUri, ServiceError, quoting::shell_word, text_form::text_form};

/// How a key management service failed, in one vocabulary for all services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// The caller may not use the key for this operation.
    PermissionDenied,
    /// The key, or the version of it that the caller named, does not exist. [`ProviderError::is_key_missing`] tells which.
    KeyNotFound,
    /// The key, or the version that encrypts, is disabled or destroyed.
    KeyDisabled,
    /// The version that encrypted is destroyed, or the key never had it. Services that can distinguish this from an
    /// altered ciphertext report it.
    KeyVersionGone,
    /// The ciphertext was not encrypted by this key, or was altered.
    InvalidCiphertext,
    /// The ciphertext was encrypted under another context.
    ContextMismatch,
    /// The service limits the rate of calls.
    Throttled,
    /// The service cannot be reached, or it failed.
    Unavailable,
    /// The service did not answer in time.
    DeadlineExceeded,
    /// The service's answer failed its integrity check.
    Integrity,
    /// The key or its credentials are set up wrongly.
    Misconfigured,
    /// A key of that name exists already.
    AlreadyExists,
    /// The service does not have this operation.
    Unsupported,
}

impl ProviderErrorKind {
    /// Whether the same call can succeed later, although nothing was changed.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Unavailable | Self::DeadlineExceeded | Self::Integrity
        )
    }

    /// The name in metrics, output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PermissionDenied => "permission_denied",
            Self::KeyNotFound => "key_not_found",
            Self::KeyDisabled => "key_disabled",
            Self::KeyVersionGone => "key_version_gone",
            Self::InvalidCiphertext => "invalid_ciphertext",
            Self::ContextMismatch => "context_mismatch",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Integrity => "integrity",
            Self::Misconfigured => "misconfigured",
            Self::AlreadyExists => "already_exists",
            Self::Unsupported => "unsupported",
        }
    }

    /// What happened.
    const fn summary(self) -> &'static str {
        match self {
            Self::PermissionDenied => "permission denied",
            Self::KeyNotFound => "key not found",
            Self::KeyDisabled => "the key or its version is disabled or destroyed",
            Self::KeyVersionGone => "the key has no version that can decrypt this",
            Self::InvalidCiphertext => "the ciphertext was altered or is not of this key",
            Self::ContextMismatch => "the ciphertext was made under another encryption context",
            Self::Throttled => "the service limits the rate of calls",
            Self::Unavailable => "the service cannot be reached",
            Self::DeadlineExceeded => "the service did not answer in time",
            Self::Integrity => "the answer is damaged, or is not the service's",
            Self::Misconfigured => "its settings are wrong",
            Self::AlreadyExists => "it exists already",
            Self::Unsupported => "the key management service cannot do this",
        }
    }

    /// What to do when nothing more is known.
    const fn advice(self) -> &'static str {
        match self {
            Self::PermissionDenied => "grant the caller the permission on the key",
            Self::KeyNotFound => "check its name, project and region, or create it",
            Self::KeyDisabled => "enable it again",
            Self::Throttled => "retry later or raise the quota",
            Self::Unavailable | Self::DeadlineExceeded => "retry later",
            Self::Integrity => "retry",
            Self::KeyVersionGone => "restore the version while that is possible",
            Self::InvalidCiphertext => "decrypt it with the key that encrypted it",
            Self::ContextMismatch => "decrypt it under the context that it was encrypted under",
            Self::Misconfigured => "run `codec-server doctor` to find the wrong setting",
            Self::AlreadyExists => "use it, or choose another name",
            Self::Unsupported => "use a key of another service",
        }
    }
}

/// The cause of a failure, where it tells more than the kind. Programs use it to give advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureCause {
    /// No credentials were found.
    NoCredentials,
    /// Credentials were found, but they cannot be read or have the wrong form.
    UnusableCredentials,
    /// The service does not accept the credentials.
    RefusedCredentials,
    /// The service reports that this machine's clock is wrong.
    Clock,
    /// The key's project has not enabled the service.
    ServiceDisabled,
    /// The project that calls are charged to ([`ProviderError::project`]) has not enabled the service, or the caller may not
    /// charge calls to it. It need not be the key's project.
    QuotaProject,
    /// The key's project does not exist, or the caller cannot use it.
    Project,
    /// A perimeter around the key's project does not let the call in.
    Perimeter,
    /// No connection to the service can be made.
    NoConnection,
    /// Another program answered instead of the service: a proxy, or the program at a wrong endpoint.
    Proxy,
    /// The vendor's library cannot be loaded.
    Module,
}

impl FailureCause {
    /// The name in output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::UnusableCredentials => "unusable_credentials",
            Self::RefusedCredentials => "refused_credentials",
            Self::Clock => "clock",
            Self::ServiceDisabled => "service_disabled",
            Self::QuotaProject => "quota_project",
            Self::Project => "project",
            Self::Perimeter => "perimeter",
            Self::NoConnection => "no_connection",
            Self::Proxy => "proxy",
            Self::Module => "module",
        }
    }
}

text_form!(ProviderErrorKind);
text_form!(FailureCause);

/// A failed call of a key management service: what happened, to which key, and what to do.
///
/// Its text has two parts, with "; " between them: [`what_happened`](Self::what_happened), and what to do, which is never
/// missing. The kind has advice that fits most errors. A provider, and a program that knows better what to do, replace it
/// by [`with_remedy`](Self::with_remedy).
///
/// It has no [`source`](StdError::source), and its `Display` and `Debug` hold no text of the service's answer. So it
/// can be logged, shown, and stored by Temporal in the clear. Only [`service_error`](Self::service_error) returns what
/// an operator needs to find the call in the service's own logs.
#[derive(Clone)]
pub struct ProviderError {
    kind: ProviderErrorKind,
    key: KeyUri,
    /// A detail beside the kind's words, or what happened in place of them.
    text: Cow<'static, str>,
    /// Whether `text` is shown in place of the kind's words.
    is_explained: bool,
    /// Shown instead of the kind's advice.
    remedy: Option<Cow<'static, str>>,
    cause: Option<FailureCause>,
    project: Option<Box<str>>,
    service_error: Option<Arc<ServiceError>>,
    /// Whether the key exists, and only a version of it is missing.
    is_version_missing: bool,
    is_presumed: bool,
}

impl ProviderError {
    /// A failure of `kind` for `key`.
    #[must_use]
    pub fn new(kind: ProviderErrorKind, key: &KeyUri) -> Self {
        Self {
            kind,
            key: key.clone(),
            text: Cow::Borrowed(""),
            is_explained: false,
            remedy: None,
            cause: None,
            project: None,
            service_error: None,
            is_version_missing: false,
            is_presumed: false,
        }
    }

    /// Adds a detail that the kind does not tell: a part of what happened. What to do belongs in
    /// [`with_remedy`](Self::with_remedy). The detail replaces an explanation. It is shown, so it must hold no secret and no
    /// word of the service's answer.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.text = detail.into();
        self.is_explained = false;
        self
    }

    /// Replaces the words for the kind: `text` says what happened, and to which key or file. The advice for the kind stays,
    /// unless [`with_remedy`](Self::with_remedy) replaces it. `text` is shown, so it must hold no secret and no word of the
    /// service's answer.
    #[must_use]
    pub fn with_explanation(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = text.into();
        self.is_explained = true;
        self
    }

    /// Says what to do, in place of the advice for the kind. It is shown, so it must hold no secret and no word of the
    /// service's answer.
    ///
    /// ```
    /// use temporal_kms::{ProviderError, ProviderErrorKind};
    ///
    /// let key = "local://orders".parse()?;
    /// let error = ProviderError::new(ProviderErrorKind::KeyNotFound, &key)
    ///     .with_explanation("no key local://orders in keys")
    ///     .with_remedy("correct the name in --key");
    /// assert_eq!(error.what_happened(), "no key local://orders in keys");
    /// assert_eq!(error.remedy(), "correct the name in --key");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "no key local://orders in keys; correct the name in --key"
    /// );
    /// # Ok::<(), temporal_kms::ConfigurationError>(())
    /// ```
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Says that the key exists, and that only the version of it that the caller named does not. This is for the kind
    /// [`KeyNotFound`](ProviderErrorKind::KeyNotFound). The advice becomes the command that lists the key's versions, unless
    /// [`with_remedy`](Self::with_remedy) has said or says otherwise.
    #[must_use]
    pub fn with_missing_version(mut self) -> Self {
        self.is_version_missing = true;
        if self.remedy.is_none() {
            let key = shell_word(&self.key.to_string());
            let remedy =
                format!("name one that this command lists: codec-server keys versions {key}");
            self.remedy = Some(remedy.into());
        }
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Option<FailureCause>>) -> Self {
        self.cause = cause.into();
        self
    }

    /// Adds the project that caused the failure. It is shown, so it must have the form of a project's id or number.
    #[must_use]
    pub fn with_project(mut self, project: Option<&str>) -> Self {
        self.project = project.map(Into::into);
        self
    }

    /// Adds the ids of the failed call in the service's own logs.
    #[must_use]
    pub fn with_service_error(mut self, error: impl Into<Option<ServiceError>>) -> Self {
        self.service_error = error.into().map(Arc::new);
        self
    }

    /// Marks the kind as concluded from earlier answers, because the service did not tell it. It may be wrong, so
    /// callers must not rely on it for long.
    #[must_use]
    pub fn presumed(mut self) -> Self {
        self.is_presumed = true;
        self
    }

    /// Whether the kind is a conclusion that may be wrong.
    #[must_use]
    pub fn is_presumed(&self) -> bool {
        self.is_presumed
    }

    /// Whether the key itself does not exist, or the place that it belongs to. `false` where only a version of the key is
    /// missing, and for other kinds.
    #[must_use]
    pub fn is_key_missing(&self) -> bool {
        self.kind == ProviderErrorKind::KeyNotFound && !self.is_version_missing
    }

    /// How it failed.
    #[must_use]
    pub fn kind(&self) -> ProviderErrorKind {
        self.kind
    }

    /// The cause, where more than the kind is known.
    #[must_use]
    pub fn cause(&self) -> Option<FailureCause> {
        self.cause
    }

    /// The ids of the failed call in the service's own logs, if the service answered: for an operator who looks for the
    /// call there. When the service failed, `Display` shows the status and the request id.
    #[must_use]
    pub fn service_error(&self) -> Option<&ServiceError> {
        self.service_error.as_deref()
    }

    /// The id or number of the Google Cloud project that caused the failure, where the service names it.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// What happened, and to which key or file: the first part of the text.
    #[must_use]
    pub fn what_happened(&self) -> Cow<'_, str> {
        if self.is_explained {
            return Cow::Borrowed(&self.text);
        }
        Cow::Owned(match self.kind {
            ProviderErrorKind::Misconfigured => {
                format!("cannot use {}: {}", self.key, self.summary())
            }
            ProviderErrorKind::AlreadyExists if self.text.is_empty() => {
                format!("{} exists already", self.key)
            }
            _ => format!("{}: {}", self.key, self.summary()),
        })
    }

    /// What happened, without the key's name. An explanation stays as it is.
    #[must_use]
    pub fn summary(&self) -> Cow<'_, str> {
        match (self.kind, &*self.text) {
            (_, text) if self.is_explained => Cow::Borrowed(text),
            (_, "") => self.summary_of_kind(),
            (ProviderErrorKind::Misconfigured, detail) => Cow::Borrowed(detail),
            (_, detail) => Cow::Owned(format!("{} ({detail})", self.summary_of_kind())),
        }
    }

    /// What to do: the second part of the text. It is the advice for the kind, unless [`with_remedy`](Self::with_remedy)
    /// has replaced it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        match &self.remedy {
            Some(remedy) => remedy,
            None => self.kind.advice(),
        }
    }

    /// What happened and what to do, without the key's name.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{}; {}", self.summary(), self.remedy())
    }

    /// The kind's words for what happened.
    fn summary_of_kind(&self) -> Cow<'static, str> {
        let answered = self.service_error.as_ref();
        let status = answered.and_then(|answer| answer.http_status());
        match (self.kind, status) {
            _ if self.is_version_missing => Cow::Borrowed("the key has no such version"),
            // The service was reached.
            (ProviderErrorKind::Unavailable, Some(status)) => {
                let id = answered.and_then(|answer| answer.request_id());
                let id = id.map_or_else(String::new, |id| format!(", request ID {id}"));
                Cow::Owned(format!("the service failed with HTTP {status}{id}"))
            }
            (kind, _) => Cow::Borrowed(kind.summary()),
        }
    }

    /// The key that the call was for.
    #[must_use]
    pub fn key(&self) -> &KeyUri {
        &self.key
    }

    /// Whether the same call can succeed later, although nothing was changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what_happened(), self.remedy())
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderError")
            .field("kind", &self.kind)
            .field("key", &self.key)
            .field("text", &self.text)
            .field("remedy", &self.remedy)
            .finish_non_exhaustive()
    }
}

// Without `source`: loggers and the Temporal SDK print the whole chain.
impl StdError for ProviderError {}

#[cfg(test)]
mod tests {
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
}
