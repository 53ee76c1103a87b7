//! The meaning of a failure, in the vocabulary of all services.

use std::borrow::Cow;

use temporal_kms::{FailureCause, ProviderErrorKind as Kind};

/// The meaning of a failure.
pub(super) struct Meaning<'a> {
    pub(super) kind: Kind,
    pub(super) detail: Cow<'static, str>,
    /// What to do, in place of the advice for the kind.
    pub(super) remedy: Option<Cow<'static, str>>,
    pub(super) cause: Option<FailureCause>,
    pub(super) project: Option<&'a str>,
}

impl<'a> Meaning<'a> {
    pub(super) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            remedy: None,
            cause: None,
            project: None,
        }
    }

    /// Settings are wrong. The kind does not know which, so each has its own remedy.
    pub(super) fn misconfigured(
        detail: impl Into<Cow<'static, str>>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::Misconfigured, detail).with_remedy(remedy)
    }

    pub(super) fn with_remedy(self, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }

    pub(super) fn because(self, cause: FailureCause) -> Self {
        Self {
            cause: Some(cause),
            ..self
        }
    }

    pub(super) fn of_project(self, project: Option<&'a str>) -> Self {
        Self { project, ..self }
    }
}
