//! Translates PKCS#11's return values (PKCS #11 v3.1, section 5.1).

use std::{borrow::Cow, ffi::c_ulong};

use cryptoki::error::{Error, RvError};

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
    cause: Option<FailureCause>,
    source: Option<Error>,
    loss: Option<Loss>,
    is_presumed: bool,
}

impl Failure {
    pub(super) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            cause: None,
            source: None,
            loss: None,
            is_presumed: false,
        }
    }

    pub(super) fn misconfigured(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Misconfigured, detail)
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
        let error = ProviderError::new(self.kind, key)
            .with_detail(self.detail)
            .with_cause(self.cause);
        if self.is_presumed {
            error.presumed()
        } else {
            error
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (kind, detail) = match &error {
            // A number from the standard, not a text of the token.
            Error::Pkcs11(value, function) => (kind(*value), advice(*value, *function)),
            Error::LibraryLoading(_) | Error::MissingSymbol(_) => (
                Kind::Misconfigured,
                "the PKCS#11 module cannot be loaded; check its path and that it is one".into(),
            ),
            Error::NotSupported | Error::NullFunctionPointer => (
                Kind::Unsupported,
                "the PKCS#11 module lacks the function".into(),
            ),
            _ => (
                Kind::Integrity,
                "the PKCS#11 module answered something that it may not".into(),
            ),
        };
        Self {
            kind,
            detail,
            cause: cause(&error),
            source: Some(error),
            loss: None,
            is_presumed: false,
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
        Failure::misconfigured(text).because(FailureCause::UnusableCredentials)
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

/// `CKR_AEAD_DECRYPT_FAILED`, which PKCS #11 v3.0 added. The `cryptoki` crate has no name for it.
const AEAD_DECRYPT_FAILED: c_ulong = 0x42;

fn kind(value: RvError) -> Kind {
    match value {
        RvError::ActionProhibited
        | RvError::KeyFunctionNotPermitted
        | RvError::KeyNotWrappable
        | RvError::KeyUnextractable
        | RvError::SessionReadOnly
        | RvError::TokenWriteProtected
        | RvError::UserNotLoggedIn => Kind::PermissionDenied,

        RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::UnwrappingKeyHandleInvalid
        | RvError::WrappingKeyHandleInvalid => Kind::KeyNotFound,

        RvError::UnknownErrorCode(AEAD_DECRYPT_FAILED)
        | RvError::EncryptedDataInvalid
        | RvError::EncryptedDataLenRange
        | RvError::WrappedKeyInvalid
        | RvError::WrappedKeyLenRange => Kind::InvalidCiphertext,

        RvError::SessionCount => Kind::Throttled,

        RvError::AttributeReadOnly
        | RvError::CurveNotSupported
        | RvError::FunctionNotSupported
        | RvError::MechanismInvalid
        | RvError::MechanismParamInvalid => Kind::Unsupported,

        RvError::ArgumentsBad
        | RvError::AttributeTypeInvalid
        | RvError::AttributeValueInvalid
        | RvError::CantLock
        | RvError::DataInvalid
        | RvError::DataLenRange
        | RvError::DomainParamsInvalid
        | RvError::KeySizeRange
        | RvError::KeyTypeInconsistent
        | RvError::PinExpired
        | RvError::PinIncorrect
        | RvError::PinInvalid
        | RvError::PinLenRange
        | RvError::PinLocked
        | RvError::TemplateIncomplete
        | RvError::TemplateInconsistent
        | RvError::UnwrappingKeySizeRange
        | RvError::UnwrappingKeyTypeInconsistent
        | RvError::UserAnotherAlreadyLoggedIn
        | RvError::UserPinNotInitialized
        | RvError::WrappingKeySizeRange
        | RvError::WrappingKeyTypeInconsistent => Kind::Misconfigured,

        // The token is unreachable, out of memory, or broken. Vendors' own values mostly mean this too.
        _ => Kind::Unavailable,
    }
}

fn advice(value: RvError, function: cryptoki::context::Function) -> Cow<'static, str> {
    match value {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
            "the token refuses the PIN; correct it before the token locks it".into()
        }
        RvError::PinLocked => {
            "the token has locked the PIN; its security officer can reset it".into()
        }
        RvError::PinExpired => "the PIN has expired; set a new one".into(),
        RvError::UserPinNotInitialized => "the token's user has no PIN yet; set one".into(),
        RvError::UserAnotherAlreadyLoggedIn => {
            "another user of the token is logged in by this process".into()
        }
        RvError::UserNotLoggedIn => "the token requires a login; name its PIN file".into(),
        RvError::SessionCount => {
            "the token has no free session; lower the number of sessions".into()
        }
        _ => format!("{function:?} answered {value:?}").into(),
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    fn failure(value: RvError) -> Failure {
        Error::Pkcs11(value, Function::Encrypt).into()
    }

    #[test]
    fn maps_return_values_to_kinds() {
        for (value, kind) in [
            (RvError::KeyFunctionNotPermitted, Kind::PermissionDenied),
            (RvError::EncryptedDataInvalid, Kind::InvalidCiphertext),
            (RvError::SessionCount, Kind::Throttled),
            (RvError::DeviceError, Kind::Unavailable),
            (RvError::VendorDefined(0x8000_0001), Kind::Unavailable),
            (RvError::PinIncorrect, Kind::Misconfigured),
            (RvError::MechanismInvalid, Kind::Unsupported),
        ] {
            assert_eq!(failure(value).kind(), kind, "{value:?}");
        }
        let damaged = RvError::UnknownErrorCode(AEAD_DECRYPT_FAILED);
        assert_eq!(failure(damaged).kind(), Kind::InvalidCiphertext);
        // A wrong PIN must not be tried repeatedly.
        assert!(!failure(RvError::PinIncorrect).kind().is_transient());
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
