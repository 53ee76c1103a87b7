//! Translates the errors of the PKCS#11 library.

mod answer;

use std::borrow::Cow;

use cryptoki::error::{Error, RvError};

use self::answer::answered;
use super::{
    credentials::{PinError, PinSource},
    recovery::Loss,
};
use temporal_kms::{FailureCause, KeyUri, ProviderError, ProviderErrorKind as Kind};

/// A failed call, before its key is known.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    detail: Cow<'static, str>,
    /// What to do, in place of the advice for the kind.
    remedy: Option<&'static str>,
    cause: Option<FailureCause>,
    source: Option<Error>,
    loss: Option<Loss>,
    is_version_missing: bool,
    is_presumed: bool,
}

impl Failure {
    pub(super) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            remedy: None,
            cause: None,
            source: None,
            loss: None,
            is_version_missing: false,
            is_presumed: false,
        }
    }

    /// Settings are wrong. The kind does not know which, so each has its own remedy.
    pub(super) fn misconfigured(
        detail: impl Into<Cow<'static, str>>,
        remedy: &'static str,
    ) -> Self {
        Self::new(Kind::Misconfigured, detail).with_remedy(remedy)
    }

    /// The name of a key is wrong for this reason.
    pub(super) fn malformed(reason: &'static str) -> Self {
        Self::misconfigured(reason, "correct the key's URI")
    }

    /// The key exists, but it does not have the version that the caller named.
    pub(super) fn missing_version() -> Self {
        Self {
            is_version_missing: true,
            ..Self::new(Kind::KeyNotFound, "")
        }
    }

    /// Says what to do, in place of the advice for the kind.
    pub(super) fn with_remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = Some(remedy);
        self
    }

    pub(super) fn because(mut self, cause: FailureCause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Marks the kind as concluded from an earlier answer of the token.
    pub(super) fn presumed(mut self) -> Self {
        self.is_presumed = true;
        self
    }

    pub(super) fn is_presumed(&self) -> bool {
        self.is_presumed
    }

    /// Marks the call as one that may succeed after the module is initialized again.
    pub(super) fn for_lack_of(mut self, loss: Loss) -> Self {
        self.loss = self.loss.or(Some(loss));
        self
    }

    /// What the call did not find, if the module may find it after it is initialized again.
    pub(super) fn loss(&self) -> Option<Loss> {
        self.loss
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the session has ended, so that its handle may belong to another session now.
    pub(super) fn lost_session(&self) -> bool {
        matches!(
            self.source,
            Some(Error::Pkcs11(
                RvError::CryptokiNotInitialized
                    | RvError::DeviceRemoved
                    | RvError::SessionClosed
                    | RvError::SessionHandleInvalid
                    | RvError::SlotIdInvalid
                    | RvError::TokenNotPresent
                    | RvError::TokenNotRecognized,
                _
            ))
        )
    }

    /// Whether a new session may succeed, because this session or its login ended, or the token restarted.
    pub(super) fn wants_new_session(&self) -> bool {
        self.lost_session()
            || matches!(
                self.source,
                Some(Error::Pkcs11(
                    RvError::DeviceError
                        | RvError::KeyHandleInvalid
                        | RvError::ObjectHandleInvalid
                        | RvError::UserNotLoggedIn,
                    _
                ))
            )
    }

    /// Whether the token failed without a reason: it may be out of order, or may have found a wrong tag. Tokens report
    /// a wrong tag as `CKR_GENERAL_ERROR`, `CKR_FUNCTION_FAILED`, `CKR_DEVICE_ERROR`, or as a value of their vendor.
    pub(super) fn is_unspecific(&self) -> bool {
        let answered = matches!(self.source, Some(Error::Pkcs11(..)));
        answered && self.kind == Kind::Unavailable && !self.lost_session()
    }

    pub(super) fn is(&self, expected: RvError) -> bool {
        matches!(&self.source, Some(Error::Pkcs11(value, _)) if *value == expected)
    }

    pub(super) fn for_key(self, key: &KeyUri) -> ProviderError {
        let mut error = ProviderError::new(self.kind, key)
            .with_detail(self.detail)
            .with_cause(self.cause);
        if let Some(remedy) = self.remedy {
            error = error.with_remedy(remedy);
        }
        if self.is_version_missing {
            error = error.with_missing_version();
        }
        if self.is_presumed {
            error = error.presumed();
        }
        error
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = match &error {
            // A number from the standard, not a text of the token.
            Error::Pkcs11(value, function) => answered(*value, *function),
            Error::LibraryLoading(_) | Error::MissingSymbol(_) => Self::misconfigured(
                "the PKCS#11 module cannot be loaded",
                "check that its path is that of the vendor's PKCS#11 library",
            ),
            Error::NotSupported | Error::NullFunctionPointer => {
                Self::new(Kind::Unsupported, "the PKCS#11 module lacks the function")
            }
            _ => Self::new(
                Kind::Integrity,
                "the PKCS#11 module answered something that it may not",
            ),
        };
        Self {
            cause: cause(&error),
            source: Some(error),
            ..failure
        }
    }
}

impl PinError {
    /// The error when `source` gives no PIN. It names a file, but not a variable, whose name may be a misplaced PIN.
    pub(super) fn of(&self, source: &PinSource) -> Failure {
        let text = match source {
            PinSource::File(path) => format!("{self}: {}", path.display()),
            PinSource::Variable(_) => self.to_string(),
        };
        Failure::misconfigured(text, self.remedy()).because(FailureCause::UnusableCredentials)
    }
}

fn cause(error: &Error) -> Option<FailureCause> {
    match error {
        Error::Pkcs11(RvError::UserNotLoggedIn, _) => Some(FailureCause::NoCredentials),
        Error::Pkcs11(
            RvError::PinExpired
            | RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinLocked
            | RvError::UserPinNotInitialized,
            _,
        ) => Some(FailureCause::RefusedCredentials),
        Error::LibraryLoading(_) | Error::MissingSymbol(_) => Some(FailureCause::Module),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::{answer::AEAD_DECRYPT_FAILED, *};

    fn failure(value: RvError) -> Failure {
        Error::Pkcs11(value, Function::Encrypt).into()
    }

    #[test]
    fn a_pin_that_cannot_be_read_is_told_with_its_file() {
        let key = "pkcs11:token=t;object=k".parse().unwrap();
        let source = PinSource::File("/run/pin".into());
        let error = PinError::Public.of(&source).for_key(&key);
        assert_eq!(
            error.to_string(),
            "cannot use pkcs11:token=t;object=k: the PIN file is open to all users: /run/pin; run `chmod o=` on it"
        );
    }

    #[test]
    fn a_probe_follows_every_answer_that_may_be_a_wrong_tag() {
        for (value, expected) in [
            (RvError::GeneralError, true),
            (RvError::FunctionFailed, true),
            (RvError::DeviceError, true),
            (RvError::DeviceMemory, true),
            (RvError::VendorDefined(0x8000_0001), true),
            (RvError::UnknownErrorCode(0x43), true),
            // The token is missing, so it cannot be probed.
            (RvError::DeviceRemoved, false),
            (RvError::SessionHandleInvalid, false),
            (RvError::TokenNotPresent, false),
            // The answer is clear.
            (RvError::EncryptedDataInvalid, false),
            (RvError::UnknownErrorCode(AEAD_DECRYPT_FAILED), false),
            (RvError::UserNotLoggedIn, false),
            (RvError::KeyHandleInvalid, false),
            (RvError::SessionCount, false),
        ] {
            assert_eq!(failure(value).is_unspecific(), expected, "{value:?}");
        }
        let own = Failure::new(Kind::Unavailable, "the token is not there");
        assert!(!own.is_unspecific(), "the token was not asked");
    }

    #[test]
    fn knows_what_a_new_session_may_mend() {
        for value in [
            RvError::SessionHandleInvalid,
            RvError::DeviceRemoved,
            RvError::UserNotLoggedIn,
            RvError::CryptokiNotInitialized,
        ] {
            assert!(failure(value).wants_new_session(), "{value:?}");
        }
        // The session itself still exists and must be closed.
        assert!(!failure(RvError::UserNotLoggedIn).lost_session());
        assert!(!failure(RvError::PinIncorrect).wants_new_session());
        assert!(!Failure::new(Kind::KeyNotFound, "").wants_new_session());
    }
}
