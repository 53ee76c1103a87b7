//! Logs in to tokens.

use std::collections::BTreeMap;

use cryptoki::{
    error::{Error, RvError},
    session::{Session, SessionState, UserType},
    types::AuthPin,
};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::{credentials::PinSource, error::Failure};
use temporal_kms::FailureCause;

/// The PINs that tokens refused, by the tokens' serial numbers. They are not sent again, because a token locks a PIN
/// after some attempts. A token that was initialized again has another serial number.
#[derive(Default)]
pub(super) struct Logins(Mutex<BTreeMap<String, Zeroizing<String>>>);

impl Logins {
    /// Logs a session in, if necessary. A login holds for all sessions of the process with the token.
    pub(super) fn log_in(
        &self,
        session: &Session,
        serial: &str,
        pin: Option<&PinSource>,
    ) -> Result<(), Failure> {
        if is_logged_in(session)? {
            return Ok(());
        }
        let Some(source) = pin else {
            return Ok(());
        };
        let mut refused = self.0.lock();
        if is_logged_in(session)? {
            return Ok(());
        }
        let pin = source.read().map_err(|error| error.of(source))?;
        if refused.get(serial) == Some(&pin) {
            return Err(Failure::misconfigured(
                "the token has refused this PIN, and it is not tried again",
                "correct the PIN",
            )
            .because(FailureCause::RefusedCredentials));
        }
        match session.login(UserType::User, Some(&AuthPin::from(pin.to_string()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                refused.remove(serial);
                Ok(())
            }
            Err(error) => {
                let failure = Failure::from(error);
                if refuses_pin(&failure) {
                    refused.insert(serial.to_owned(), pin);
                }
                Err(failure)
            }
        }
    }
}

/// Whether this PIN is wrong. Other answers, such as a locked PIN, are about the token, and end when it is administered.
fn refuses_pin(failure: &Failure) -> bool {
    let answers = [
        RvError::PinIncorrect,
        RvError::PinInvalid,
        RvError::PinLenRange,
    ];
    answers.into_iter().any(|answer| failure.is(answer))
}

fn is_logged_in(session: &Session) -> Result<bool, Failure> {
    let state = session.get_session_info()?.session_state();
    Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    #[test]
    fn only_a_wrong_pin_is_remembered() {
        let is_remembered = |answer: RvError| {
            let failure = Failure::from(Error::Pkcs11(answer, Function::Login));
            refuses_pin(&failure)
        };
        for wrong in [
            RvError::PinIncorrect,
            RvError::PinInvalid,
            RvError::PinLenRange,
        ] {
            assert!(is_remembered(wrong), "{wrong:?}");
        }
        for other in [
            RvError::PinLocked,
            RvError::PinExpired,
            RvError::UserPinNotInitialized,
            RvError::UserAnotherAlreadyLoggedIn,
            RvError::DeviceError,
        ] {
            assert!(!is_remembered(other), "{other:?}");
        }
    }
}
