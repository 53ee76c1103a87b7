//! The sessions with one token.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use cryptoki::{error::RvError, session::Session};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{
    credentials::PinSource,
    error::Failure,
    gate::Generation,
    mechanisms::Mechanisms,
    module::Module,
    pool::{Connection, Pool},
    probe::Probes,
    recovery::{Loss, Recovery},
    settings::Pkcs11Options,
    slot::{self, Found, Search},
    threads,
};
use temporal_kms::{Protection, ProviderErrorKind as Kind, support::Pkcs11Path};

const DEFAULT_SESSIONS: usize = 8;

/// What happened when no slot has the token.
pub(super) const NO_SUCH_TOKEN: &str = "the module has no such token";
/// What to do then.
pub(super) const TOKEN_REMEDY: &str =
    "correct the token's label or its other attributes, or initialize the token";

/// How long dropping a token waits for its sessions to close. The module may hang.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One token, as keys with the same settings use it.
pub(super) struct Token {
    module: Arc<Module>,
    name: Pkcs11Path,
    pin: Option<PinSource>,
    max_sessions: usize,
    /// Limits the sessions and threads, also those of calls that hang.
    permits: Arc<Semaphore>,
    pool: Mutex<Pool>,
    /// Whether the token was ever found.
    seen: AtomicBool,
    recovery: Mutex<Recovery>,
    probes: Probes,
}

impl Token {
    pub(super) fn new(
        module: Arc<Module>,
        path: &Pkcs11Path,
        pin: Option<PinSource>,
        options: &Pkcs11Options,
    ) -> Self {
        let max_sessions = max_sessions(options);
        Self {
            module,
            name: path.token_part(),
            pin,
            max_sessions,
            permits: Arc::new(Semaphore::new(max_sessions)),
            pool: Mutex::default(),
            seen: AtomicBool::new(false),
            recovery: Mutex::default(),
            probes: Probes::default(),
        }
    }

    /// Whether this is the token of `module` that `path` names, reached with `pin` and the other settings in `options`.
    pub(super) fn is(
        &self,
        module: &Arc<Module>,
        path: &Pkcs11Path,
        pin: Option<&PinSource>,
        options: &Pkcs11Options,
    ) -> bool {
        Arc::ptr_eq(&self.module, module)
            && self.name == path.token_part()
            && self.pin.as_ref() == pin
            && self.max_sessions == max_sessions(options)
    }

    /// The token's name, without any object.
    pub(super) fn name(&self) -> &Pkcs11Path {
        &self.name
    }

    /// The last results of probes of its keys.
    pub(super) fn probes(&self) -> &Probes {
        &self.probes
    }

    /// Makes a call with a session of the pool, on a thread that may block. When the token or the session is lost, the
    /// call is made again with a new session, and once more after the module was initialized again.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl Fn(&Self, &Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.on_thread(move |token| {
            token.recovering(|generation| token.with_session(generation, |c| call(token, c)))
        })
        .await
    }

    /// Makes a call that changes the token, with its own session. The call is never repeated.
    pub(super) async fn run_admin<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.on_thread(move |token| {
            token.recovering(|generation| {
                let connection = token.connect(Access::Write, generation)?;
                let answer = call(&connection);
                token.close(connection);
                answer
            })
        })
        .await
    }

    async fn on_thread<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = self.permits.clone().acquire_owned().await;
        let token = self.clone();
        threads::run(permit, move || call(&token)).await
    }

    /// Makes a call. Repeats it once if the module has meanwhile noticed added or removed tokens.
    fn recovering<T>(&self, call: impl Fn(Generation) -> Result<T, Failure>) -> Result<T, Failure> {
        let attempt = || {
            let generation = self.module.gate.pass();
            let answer = call(*generation);
            if answer.is_ok() {
                self.recovery.lock().worked();
            }
            (*generation, answer)
        };
        let (generation, answer) = attempt();
        let Err(failure) = answer else {
            return answer;
        };
        let Some(loss) = failure.loss() else {
            return Err(failure);
        };
        let permitted = || {
            self.recovery
                .lock()
                .begins(loss, tokio::time::Instant::now().into_std())
        };
        if self.module.restart(generation, permitted) {
            attempt().1
        } else {
            Err(failure)
        }
    }

    fn with_session<T>(
        &self,
        generation: Generation,
        call: impl Fn(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(connection) = self.take_idle(generation) {
            match self.attempt(connection, &call) {
                // A module may hide the keys of a removed token, and report the removal only to a new session.
                Err(failure)
                    if failure.wants_new_session() || failure.kind() == Kind::KeyNotFound => {}
                // For a session with a removed token, a module may report only this.
                Err(failure) if failure.kind() == Kind::Unavailable => {
                    return Err(self.find().err().unwrap_or(failure));
                }
                answer => return answer,
            }
        }
        let connection = self.connect(Access::Read, generation)?;
        self.attempt(connection, &call)
            .map_err(|failure| match failure.kind() {
                // The module may still have the old state of the token.
                Kind::KeyNotFound | Kind::Unavailable => failure.for_lack_of(Loss::Object),
                _ => failure,
            })
    }

    fn attempt<T>(
        &self,
        connection: Connection,
        call: impl Fn(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let answer = call(&connection);
        match &answer {
            Ok(_) => {
                let handles = &self.module.handles;
                self.pool.lock().give_back(connection, handles);
            }
            Err(failure) if failure.lost_session() => self.forget(connection),
            // An operation may still be active in the session.
            Err(_) => self.close(connection),
        }
        answer
    }

    /// An idle session that is still valid and logged in.
    fn take_idle(&self, generation: Generation) -> Option<Connection> {
        loop {
            let handles = &self.module.handles;
            let connection = self.pool.lock().take(generation, handles)?;
            match self.log_in(&connection.session, &connection.serial) {
                Ok(()) => return Some(connection),
                Err(failure) if failure.lost_session() => self.forget(connection),
                Err(_) => self.close(connection),
            }
        }
    }

    /// Closes a session. A failure is ignored, because a session that does not close is lost together with its token.
    fn close(&self, connection: Connection) {
        let session = connection.into_session(&self.module.handles);
        session.map(Session::close);
    }

    /// Drops a session that has ended.
    fn forget(&self, connection: Connection) {
        connection.into_session(&self.module.handles);
    }

    fn connect(&self, access: Access, generation: Generation) -> Result<Connection, Failure> {
        self.open(access, generation)
            .map_err(|failure| match failure.kind() {
                Kind::Unavailable => failure.for_lack_of(Loss::Token),
                _ => failure,
            })
    }

    fn open(&self, access: Access, generation: Generation) -> Result<Connection, Failure> {
        let found = match self.find() {
            Err(failure) if failure.is(RvError::CryptokiNotInitialized) => {
                self.module.initialize()?;
                self.find()?
            }
            found => found?,
        };
        let library = &self.module.library;
        // Sessions are closed explicitly: after a restart of the token, a handle may belong to another session.
        let session = match access {
            Access::Read => library.open_ro_session_no_drop(found.slot)?,
            Access::Write => library.open_rw_session_no_drop(found.slot)?,
        };
        let handles = &self.module.handles;
        let number = handles.register(session.handle());
        match self.examine(&session, &found) {
            Ok((mechanisms, protection)) => Ok(Connection::new(
                session,
                number,
                library.clone(),
                found,
                mechanisms,
                protection,
                generation,
            )),
            Err(failure) => {
                if handles.remove(session.handle(), number) {
                    // The result of closing does not change the failure.
                    let _ = session.close();
                }
                Err(failure)
            }
        }
    }

    fn examine(
        &self,
        session: &Session,
        found: &Found,
    ) -> Result<(Mechanisms, Protection), Failure> {
        self.log_in(session, &found.serial)?;
        let library = &self.module.library;
        let protection = if library.get_slot_info(found.slot)?.hardware_slot() {
            Protection::Hsm
        } else {
            Protection::Software
        };
        Ok((Mechanisms::of(library, found.slot)?, protection))
    }

    fn find(&self) -> Result<Found, Failure> {
        match slot::find(&self.module.library, &self.name) {
            Ok(Search::Found(found)) => {
                self.seen.store(true, Ordering::Relaxed);
                Ok(found)
            }
            Ok(Search::Absent) if self.seen.load(Ordering::Relaxed) => {
                Err(Failure::new(Kind::Unavailable, "the token is not there")
                    .with_remedy("put it back, or retry later")
                    .for_lack_of(Loss::Token))
            }
            Ok(Search::Absent) => Err(Failure::new(Kind::KeyNotFound, NO_SUCH_TOKEN)
                .with_remedy(TOKEN_REMEDY)
                .for_lack_of(Loss::Object)),
            Err(failure) if failure.kind() == Kind::Unavailable => {
                Err(failure.for_lack_of(Loss::Token))
            }
            Err(failure) => Err(failure),
        }
    }

    fn log_in(&self, session: &Session, serial: &str) -> Result<(), Failure> {
        let logins = &self.module.logins;
        logins.log_in(session, serial, self.pin.as_ref())
    }
}

/// The sessions that the options permit.
fn max_sessions(options: &Pkcs11Options) -> usize {
    let sessions = options.max_sessions.unwrap_or(DEFAULT_SESSIONS);
    sessions.clamp(1, Semaphore::MAX_PERMITS)
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

impl Drop for Token {
    fn drop(&mut self) {
        let module = self.module.clone();
        let pool = std::mem::take(self.pool.get_mut());
        if pool.is_empty() {
            return;
        }
        let (closed, done) = mpsc::channel();
        let closing = thread::Builder::new().spawn(move || {
            // Initializing the module again ends all sessions.
            if let Some(generation) = module.gate.try_pass() {
                for session in pool.into_sessions(*generation, &module.handles) {
                    let _ = session.close();
                }
            }
            let _ = closed.send(());
        });
        // Remaining sessions end with the process.
        if closing.is_ok() {
            let _ = done.recv_timeout(CLOSE_TIMEOUT);
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
