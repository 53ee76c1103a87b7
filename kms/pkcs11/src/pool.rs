//! The sessions that are open with one token.

use std::ffi::c_ulong;

use cryptoki::{context::Pkcs11, session::Session, slot::Slot};

use super::{gate::Generation, handles::Handles, mechanisms::Mechanisms, slot::Found};
use temporal_kms::Protection;

/// The idle sessions with one token.
#[derive(Default)]
pub(super) struct Pool(Vec<Connection>);

/// A session. It is logged in if a PIN is configured.
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) mechanisms: Mechanisms,
    pub(super) protection: Protection,
    /// The token's serial number.
    pub(super) serial: String,
    library: Pkcs11,
    slot: Slot,
    generation: Generation,
    /// The number of the session among the module's [`Handles`].
    number: u64,
}

impl Connection {
    pub(super) fn new(
        session: Session,
        number: u64,
        library: Pkcs11,
        found: Found,
        mechanisms: Mechanisms,
        protection: Protection,
        generation: Generation,
    ) -> Self {
        Self {
            session,
            mechanisms,
            protection,
            serial: found.serial,
            library,
            slot: found.slot,
            generation,
            number,
        }
    }

    /// Whether the token and the session still answer. This uses no key.
    pub(super) fn is_there(&self) -> bool {
        self.session.get_session_info().is_ok() && self.library.get_token_info(self.slot).is_ok()
    }

    /// Takes the session out of `handles`, to close it. `None` if it has ended already.
    pub(super) fn into_session(self, handles: &Handles) -> Option<Session> {
        handles
            .remove(self.handle(), self.number)
            .then_some(self.session)
    }

    fn handle(&self) -> c_ulong {
        self.session.handle()
    }

    fn is_open(&self, handles: &Handles) -> bool {
        handles.belongs(self.handle(), self.number)
    }
}

impl Pool {
    /// A session of this generation. Sessions of earlier generations have ended.
    pub(super) fn take(&mut self, generation: Generation, handles: &Handles) -> Option<Connection> {
        while let Some(connection) = self.0.pop() {
            if connection.generation == generation && connection.is_open(handles) {
                return Some(connection);
            }
            connection.into_session(handles);
        }
        None
    }

    /// Keeps a session for the next call.
    pub(super) fn give_back(&mut self, connection: Connection, handles: &Handles) {
        if connection.is_open(handles) {
            self.0.push(connection);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all sessions of a generation, to close them.
    pub(super) fn into_sessions(
        self,
        generation: Generation,
        handles: &Handles,
    ) -> impl Iterator<Item = Session> {
        let current = move |idle: &Connection| idle.generation == generation;
        self.0
            .into_iter()
            .filter(current)
            .filter_map(|idle| idle.into_session(handles))
    }
}
