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
    error::Failure,
    mechanisms::Mechanisms,
    module::Module,
    options::Pkcs11Options,
    pin::PinSource,
    pool::{Connection, Pool},
};
use crate::{
    key_uri::pkcs11::Pkcs11Path,
    kms::{Cause, Protection, ProviderErrorKind as Kind},
};

const DEFAULT_SESSIONS: usize = 8;

/// One token.
pub(super) struct Token {
    module: Arc<Module>,
    /// What the token is called; its slot can be another one after every restart.
    name: Pkcs11Path,
    pin: Option<PinSource>,
    permits: Arc<Semaphore>,
    pool: Mutex<Pool>,
    login: Mutex<Login>,
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
            pool: Mutex::default(),
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
                    Err(failure) if failure.wants_new_session() => {}
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
            token.close(connection);
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
            Ok(_) => self.pool.lock().give_back(connection),
            Err(failure) if failure.lost_session() => self.forget(connection),
            // An operation may still be active in it.
            Err(_) => self.close(connection),
        }
        answer
    }

    /// An idle session that still is one, and is logged in.
    fn take_idle(&self) -> Option<Connection> {
        loop {
            let connection = self.pool.lock().take()?;
            match self.log_in(&connection.session) {
                Ok(()) => return Some(connection),
                Err(failure) if failure.lost_session() => self.forget(connection),
                Err(_) => self.close(connection),
            }
        }
    }

    /// Closes a session. One that does not close is lost with the token.
    fn close(&self, connection: Connection) {
        let session = self.pool.lock().remove(connection);
        session.map(Session::close);
    }

    /// Drops a session that is gone.
    fn forget(&self, connection: Connection) {
        self.pool.lock().remove(connection);
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
        match self.examine(&session, slot) {
            Ok((mechanisms, protection)) => {
                Ok(self.pool.lock().opened(session, mechanisms, protection))
            }
            Err(failure) => {
                // Whether it closes changes nothing about the failure.
                let _ = session.close();
                Err(failure)
            }
        }
    }

    fn examine(&self, session: &Session, slot: Slot) -> Result<(Mechanisms, Protection), Failure> {
        self.log_in(session)?;
        let library = &self.module.library;
        let protection = if library.get_slot_info(slot)?.hardware_slot() {
            Protection::Hsm
        } else {
            Protection::Software
        };
        Ok((Mechanisms::of(library, slot)?, protection))
    }

    fn find_slot(&self) -> Result<Slot, Failure> {
        let library = &self.module.library;
        let mut found = Vec::new();
        for slot in library.get_slots_with_token()? {
            match library.get_token_info(slot) {
                Ok(info) if info.token_initialized() && self.matches(slot, &info) => {
                    found.push(slot);
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

    /// Sees to it that a session is logged in. A login holds for all sessions that the process has with the token.
    fn log_in(&self, session: &Session) -> Result<(), Failure> {
        let logged_in = || -> Result<bool, Failure> {
            let state = session.get_session_info()?.session_state();
            Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
        };
        if logged_in()? {
            return Ok(());
        }
        let Some(source) = &self.pin else {
            return Ok(());
        };
        let mut login = self.login.lock();
        if logged_in()? {
            return Ok(());
        }
        let pin = source.read()?;
        if login.refused.as_ref() == Some(&pin) {
            return Err(Failure::new(
                Kind::Misconfigured,
                "the token has refused this PIN; it is not tried again before it changes",
            )
            .because(Cause::RefusedCredentials));
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

impl Drop for Token {
    fn drop(&mut self) {
        for session in self.pool.get_mut().drain() {
            let _ = session.close();
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}
