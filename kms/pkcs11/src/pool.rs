//! The sessions that are open with one token.

use std::{collections::BTreeMap, ffi::c_ulong};

use cryptoki::{context::Pkcs11, session::Session, slot::Slot};

use super::{gate::Generation, mechanisms::Mechanisms, slot::Found};
use temporal_kms::Protection;

/// The sessions that are open with one token.
#[derive(Default)]
pub(super) struct Pool {
    idle: Vec<Connection>,
    /// The session that a handle belongs to. A restarted token counts from the beginning, so the handle of an ended
    /// session can belong to another session.
    owners: BTreeMap<c_ulong, u64>,
    opened: u64,
}

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
    number: u64,
}

impl Connection {
    pub(super) fn new(
        session: Session,
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
            number: 0,
        }
    }

    /// Whether the token and the session still answer. This uses no key.
    pub(super) fn is_there(&self) -> bool {
        self.session.get_session_info().is_ok() && self.library.get_token_info(self.slot).is_ok()
    }
}

impl Pool {
    /// Registers a new session.
    pub(super) fn opened(&mut self, mut connection: Connection) -> Connection {
        let handle = connection.session.handle();
        self.idle.retain(|idle| idle.session.handle() != handle);
        self.opened += 1;
        self.owners.insert(handle, self.opened);
        connection.number = self.opened;
        connection
    }

    /// A session of this generation. Sessions of earlier generations have ended.
    pub(super) fn take(&mut self, generation: Generation) -> Option<Connection> {
        while let Some(connection) = self.idle.pop() {
            if connection.generation == generation {
                return Some(connection);
            }
            self.remove(connection);
        }
        None
    }

    /// Keeps a session for the next call.
    pub(super) fn give_back(&mut self, connection: Connection) {
        if self.owns_its_handle(&connection) {
            self.idle.push(connection);
        }
    }

    /// Removes a session before it is closed. `None` if it is closed already.
    pub(super) fn remove(&mut self, connection: Connection) -> Option<Session> {
        self.owns_its_handle(&connection).then(|| {
            self.owners.remove(&connection.session.handle());
            connection.session
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }

    /// Takes all idle sessions of a generation, to close them.
    pub(super) fn into_sessions(self, generation: Generation) -> impl Iterator<Item = Session> {
        let idle = self.idle.into_iter();
        idle.filter(move |idle| idle.generation == generation)
            .map(|idle| idle.session)
    }

    fn owns_its_handle(&self, connection: &Connection) -> bool {
        self.owners.get(&connection.session.handle()) == Some(&connection.number)
    }
}
