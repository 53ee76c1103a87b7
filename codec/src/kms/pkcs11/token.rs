//! The sessions with one token.

use std::{fmt, sync::Arc};

use cryptoki::{
    error::{Error, RvError},
    session::{Session, SessionState, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    error::Failure, mechanisms::Mechanisms, module::Module, options::Pkcs11Options, pin::PinSource,
};
use crate::{
    key_uri::pkcs11::Pkcs11Path,
    kms::{Protection, ProviderErrorKind as Kind},
};

const DEFAULT_SESSIONS: usize = 8;

/// One token, and the sessions with it that are idle.
pub(super) struct Token {
    module: Arc<Module>,
    /// What the token is called; its slot can be another one after every restart.
    name: Pkcs11Path,
    pin: Option<PinSource>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    login: Mutex<Login>,
}

/// A session that is logged in where a PIN is configured.
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) mechanisms: Mechanisms,
    pub(super) protection: Protection,
}

#[derive(Default)]
struct Login {
    /// A PIN that the token refused. It is not sent twice: some attempts later the token locks.
    refused: Option<Zeroizing<String>>,
    /// Whether the token was ever found.
    seen: bool,
}

impl Token {
    pub(super) fn new(
        module: Arc<Module>,
        path: &Pkcs11Path,
        pin: Option<PinSource>,
        options: &Pkcs11Options,
    ) -> Self {
        let sessions = options.max_sessions.unwrap_or(DEFAULT_SESSIONS);
        Self {
            module,
            name: path.token_part(),
            pin,
            permits: Arc::new(Semaphore::new(sessions.clamp(1, Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            login: Mutex::default(),
        }
    }

    pub(super) fn is(&self, path: &Pkcs11Path, pin: Option<&PinSource>) -> bool {
        self.name == path.token_part() && self.pin.as_ref() == pin
    }

    /// What the token is called, without any object.
    pub(super) fn name(&self) -> &Pkcs11Path {
        &self.name
    }

    /// Makes a call with a session of the pool, on a thread that may block. When the token or the session went away,
    /// the call is made once more with a new session.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.on_blocking_thread(move |token| {
            if let Some(connection) = token.take_idle() {
                match token.attempt(connection, &call) {
                    Err(failure) if failure.lost_session() => token.forget_idle(),
                    answer => return answer,
                }
            }
            let connection = token.connect(Access::Read)?;
            token.attempt(connection, &call)
        })
        .await
    }

    /// Makes a call that changes the token, with a session of its own.
    pub(super) async fn run_admin<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.on_blocking_thread(move |token| {
            let connection = token.connect(Access::Write)?;
            let answer = call(&connection);
            connection.close();
            answer
        })
        .await
    }

    async fn on_blocking_thread<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let gone = || Failure::new(Kind::Unavailable, "the call was ended with the process");
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| gone())?;
        let token = self.clone();
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            // Held until the token has answered, even when nobody waits for it any more.
            let _permit = permit;
            span.in_scope(|| call(&token))
        })
        .await
        .map_err(|_| gone())?
    }

    fn attempt<T>(
        &self,
        connection: Connection,
        call: impl Fn(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let answer = call(&connection);
        match &answer {
            Ok(_) => self.idle.lock().push(connection),
            // The handle may be a new session's already.
            Err(failure) if failure.lost_session() => drop(connection),
            // An operation may still be active in it.
            Err(_) => connection.close(),
        }
        answer
    }

    /// An idle session that still is one, and still is logged in.
    fn take_idle(&self) -> Option<Connection> {
        let connection = self.idle.lock().pop()?;
        let alive = connection
            .session
            .get_session_info()
            .is_ok_and(|info| self.pin.is_none() || is_logged_in(info.session_state()));
        if !alive {
            self.forget_idle();
            return None;
        }
        Some(connection)
    }

    fn forget_idle(&self) {
        self.idle.lock().clear();
    }

    fn connect(&self, access: Access) -> Result<Connection, Failure> {
        let slot = match self.find_slot() {
            Err(failure) if failure.is(RvError::CryptokiNotInitialized) => {
                self.module.initialize()?;
                self.find_slot()?
            }
            slot => slot?,
        };
        let library = &self.module.library;
        // Sessions are closed by hand: after a restart of the token a handle may be that of another session.
        let session = match access {
            Access::Read => library.open_ro_session_no_drop(slot)?,
            Access::Write => library.open_rw_session_no_drop(slot)?,
        };
        let connected = self.log_in(&session).and_then(|()| {
            let hardware = library.get_slot_info(slot)?.hardware_slot();
            let protection = match hardware {
                true => Protection::Hsm,
                false => Protection::Software,
            };
            Ok((Mechanisms::of(library, slot)?, protection))
        });
        match connected {
            Ok((mechanisms, protection)) => Ok(Connection {
                session,
                mechanisms,
                protection,
            }),
            Err(failure) => {
                close(session);
                Err(failure)
            }
        }
    }

    fn find_slot(&self) -> Result<Slot, Failure> {
        let library = &self.module.library;
        let mut found = Vec::new();
        for slot in library.get_slots_with_token()? {
            match library.get_token_info(slot) {
                Ok(info) if info.token_initialized() && self.matches(slot, &info) => {
                    found.push(slot)
                }
                // Another token that is just being taken away is nothing to this one.
                Ok(_)
                | Err(Error::Pkcs11(
                    RvError::TokenNotPresent | RvError::TokenNotRecognized | RvError::DeviceRemoved,
                    _,
                )) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut login = self.login.lock();
        match found.as_slice() {
            [slot] => {
                login.seen = true;
                Ok(*slot)
            }
            [] if login.seen => Err(Failure::new(Kind::Unavailable, "the token is not there")),
            [] => Err(Failure::new(
                Kind::KeyNotFound,
                "the module has no such token; check the token's label, or its other attributes",
            )),
            _ => Err(Failure::new(
                Kind::Misconfigured,
                "several tokens have these attributes; add serial=NUMBER",
            )),
        }
    }

    fn matches(&self, slot: Slot, info: &TokenInfo) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        is(&self.name.token, info.label())
            && is(&self.name.manufacturer, info.manufacturer_id())
            && is(&self.name.model, info.model())
            && is(&self.name.serial, info.serial_number())
            && self.name.slot_id.is_none_or(|id| id == slot.id())
    }

    /// A login holds for all sessions that the process has with the token.
    fn log_in(&self, session: &Session) -> Result<(), Failure> {
        let Some(source) = &self.pin else {
            return Ok(());
        };
        let mut login = self.login.lock();
        if is_logged_in(session.get_session_info()?.session_state()) {
            return Ok(());
        }
        let pin = source.read()?;
        if login.refused.as_ref() == Some(&pin) {
            return Err(Failure::new(
                Kind::Misconfigured,
                "the token has refused this PIN; it is not tried again before it changes",
            ));
        }
        match session.login(UserType::User, Some(&AuthPin::from(pin.to_string()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                login.refused = None;
                Ok(())
            }
            Err(error) => {
                let failure = Failure::from(error);
                if failure.kind() == Kind::Misconfigured {
                    login.refused = Some(pin);
                }
                Err(failure)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

impl Connection {
    fn close(self) {
        close(self.session);
    }
}

/// A session that does not close is lost with the token.
fn close(session: Session) {
    if let Err(error) = session.close() {
        tracing::debug!(%error, "a PKCS#11 session was not closed");
    }
}

fn is_logged_in(state: SessionState) -> bool {
    matches!(state, SessionState::RoUser | SessionState::RwUser)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}
