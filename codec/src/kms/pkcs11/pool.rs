use std::{collections::BTreeMap, ffi::c_ulong};

use cryptoki::session::Session;

use super::mechanisms::Mechanisms;
use crate::kms::Protection;

/// The sessions that are open with one token.
#[derive(Default)]
pub(super) struct Pool {
    idle: Vec<Connection>,
    /// The session that a handle belongs to. A token that restarts begins to count anew, so that the handle of a session
    /// that is gone can be another session's.
    owners: BTreeMap<c_ulong, u64>,
    opened: u64,
}

/// A session that is logged in where a PIN is configured.
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) mechanisms: Mechanisms,
    pub(super) protection: Protection,
    number: u64,
}

impl Pool {
    /// Takes note of a session that was opened just now.
    pub(super) fn opened(
        &mut self,
        session: Session,
        mechanisms: Mechanisms,
        protection: Protection,
    ) -> Connection {
        let handle = session.handle();
        self.idle.retain(|idle| idle.session.handle() != handle);
        self.opened += 1;
        self.owners.insert(handle, self.opened);
        Connection {
            session,
            mechanisms,
            protection,
            number: self.opened,
        }
    }

    pub(super) fn take(&mut self) -> Option<Connection> {
        self.idle.pop()
    }

    /// Keeps a session for the next call.
    pub(super) fn give_back(&mut self, connection: Connection) {
        if self.owns_its_handle(&connection) {
            self.idle.push(connection);
        }
    }

    /// Forgets a session that is to be closed; `None` when there is nothing left to close.
    pub(super) fn remove(&mut self, connection: Connection) -> Option<Session> {
        self.owns_its_handle(&connection).then(|| {
            self.owners.remove(&connection.session.handle());
            connection.session
        })
    }

    /// All idle sessions, which are to be closed.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Session> {
        self.owners.clear();
        self.idle.drain(..).map(|connection| connection.session)
    }

    fn owns_its_handle(&self, connection: &Connection) -> bool {
        self.owners.get(&connection.session.handle()) == Some(&connection.number)
    }
}
