//! How calls of a key management service fail, in one vocabulary for all services.

mod cause;
mod kind;

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

pub use self::{cause::FailureCause, kind::ProviderErrorKind};
use crate::{KeyUri, ServiceError, quoting::shell_word};

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
mod tests;
