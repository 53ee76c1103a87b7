//! The meanings of PKCS#11's return values (PKCS #11 v3.1, section 5.1): their kind, and what to do.

use std::ffi::c_ulong;

use cryptoki::{context::Function, error::RvError};
use temporal_kms::ProviderErrorKind as Kind;

use super::Failure;

/// `CKR_AEAD_DECRYPT_FAILED`, which PKCS #11 v3.0 added. The `cryptoki` crate has no name for it.
pub(super) const AEAD_DECRYPT_FAILED: c_ulong = 0x42;

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

/// The failure of a call that the token answered with `value`.
pub(super) fn answered(value: RvError, function: Function) -> Failure {
    let kind = kind(value);
    let failure = match value {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
            Failure::new(kind, "the token refuses the PIN")
        }
        RvError::PinLocked => Failure::new(kind, "the token has locked the PIN"),
        RvError::PinExpired => Failure::new(kind, "the PIN has expired"),
        RvError::UserPinNotInitialized => Failure::new(kind, "the token's user has no PIN yet"),
        RvError::UserAnotherAlreadyLoggedIn => Failure::new(
            kind,
            "another user of the token is logged in by this process",
        ),
        RvError::UserNotLoggedIn => Failure::new(kind, "the token requires a login"),
        RvError::SessionCount => Failure::new(kind, "the token has no free session"),
        _ => Failure::new(kind, format!("{function:?} answered {value:?}")),
    };
    match remedy(value, kind) {
        Some(remedy) => failure.with_remedy(remedy),
        None => failure,
    }
}

/// What to do about an answer. `None` where the advice for the kind fits.
fn remedy(value: RvError, kind: Kind) -> Option<&'static str> {
    Some(match value {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
            "correct it before the token locks it"
        }
        RvError::PinLocked => "have the token's security officer reset it",
        RvError::PinExpired => "set a new one",
        RvError::UserPinNotInitialized => "set one",
        RvError::UserAnotherAlreadyLoggedIn => "use one user of the token in each process",
        RvError::UserNotLoggedIn => "name its PIN file",
        RvError::SessionCount => "lower the number of sessions, or retry later",
        RvError::DataInvalid | RvError::DataLenRange => {
            "encrypt less at once, with the format `envelope`"
        }
        RvError::KeySizeRange
        | RvError::KeyTypeInconsistent
        | RvError::UnwrappingKeySizeRange
        | RvError::UnwrappingKeyTypeInconsistent
        | RvError::WrappingKeySizeRange
        | RvError::WrappingKeyTypeInconsistent => {
            "use an AES key to encrypt, and a P-256 key to sign"
        }
        RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::UnwrappingKeyHandleInvalid
        | RvError::WrappingKeyHandleInvalid => {
            "check that the key is still on the token, and that the PIN is named"
        }
        RvError::CantLock => "use a PKCS#11 module for programs with threads",
        _ => match kind {
            Kind::Misconfigured => "look up this answer in the manual of the token",
            Kind::PermissionDenied => "permit it for the key with the token's own tool",
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use cryptoki::error::Error;
    use temporal_kms::ProviderError;

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

    /// Every answer that has a kind or a remedy of its own, and some others.
    const ANSWERS: [RvError; 48] = [
        RvError::ActionProhibited,
        RvError::ArgumentsBad,
        RvError::AttributeReadOnly,
        RvError::AttributeTypeInvalid,
        RvError::AttributeValueInvalid,
        RvError::CantLock,
        RvError::CurveNotSupported,
        RvError::DataInvalid,
        RvError::DataLenRange,
        RvError::DeviceError,
        RvError::DomainParamsInvalid,
        RvError::EncryptedDataInvalid,
        RvError::EncryptedDataLenRange,
        RvError::FunctionNotSupported,
        RvError::GeneralError,
        RvError::KeyFunctionNotPermitted,
        RvError::KeyHandleInvalid,
        RvError::KeyNotWrappable,
        RvError::KeySizeRange,
        RvError::KeyTypeInconsistent,
        RvError::KeyUnextractable,
        RvError::MechanismInvalid,
        RvError::MechanismParamInvalid,
        RvError::ObjectHandleInvalid,
        RvError::PinExpired,
        RvError::PinIncorrect,
        RvError::PinInvalid,
        RvError::PinLenRange,
        RvError::PinLocked,
        RvError::SessionCount,
        RvError::SessionReadOnly,
        RvError::TemplateIncomplete,
        RvError::TemplateInconsistent,
        RvError::TokenNotPresent,
        RvError::TokenWriteProtected,
        RvError::UnknownErrorCode(AEAD_DECRYPT_FAILED),
        RvError::UnwrappingKeyHandleInvalid,
        RvError::UnwrappingKeySizeRange,
        RvError::UnwrappingKeyTypeInconsistent,
        RvError::UserAnotherAlreadyLoggedIn,
        RvError::UserNotLoggedIn,
        RvError::UserPinNotInitialized,
        RvError::VendorDefined(0x8000_0001),
        RvError::WrappedKeyInvalid,
        RvError::WrappedKeyLenRange,
        RvError::WrappingKeyHandleInvalid,
        RvError::WrappingKeySizeRange,
        RvError::WrappingKeyTypeInconsistent,
    ];

    #[test]
    fn every_answer_says_once_what_to_do() {
        let key = "pkcs11:token=t;object=k".parse().unwrap();
        let others = [
            Failure::from(Error::NotSupported),
            Failure::from(Error::NullFunctionPointer),
            Failure::missing_version(),
        ];
        for failure in ANSWERS.map(failure).into_iter().chain(others) {
            let error = failure.for_key(&key);
            let text = error.to_string();
            assert_eq!(text.matches("; ").count(), 1, "{text}");
            // Tokens have no projects and no regions.
            if [Kind::Misconfigured, Kind::KeyNotFound].contains(&error.kind()) {
                let general = ProviderError::new(error.kind(), &key);
                assert_ne!(error.remedy(), general.remedy(), "{text}");
            }
        }
        assert_eq!(
            failure(RvError::DataLenRange).for_key(&key).to_string(),
            "cannot use pkcs11:token=t;object=k: Encrypt answered DataLenRange; encrypt less at once, with the format `envelope`"
        );
        assert!(!Failure::missing_version().for_key(&key).is_key_missing());
    }
}
