//! A log without files: lines go out one after the other. Each start, and each failure, begins a new chain, because nothing
//! says what was received.

use std::io::{self, Write as _};

use uuid::Uuid;

use crate::{
    chain::Head,
    destination::{Destination, Resume, WriteError},
    error::AuditError,
    event::Event,
};

/// Sends whole lines.
pub(crate) trait Outlet: Send {
    fn send(&mut self, lines: &[u8]) -> io::Result<()>;

    /// The error for an operator.
    fn failed(&self, error: io::Error) -> AuditError;
}

pub(crate) struct Stream<O> {
    outlet: O,
    program: String,
    /// The last line of the chain before.
    before: Option<Head>,
}

impl<O: Outlet> Stream<O> {
    pub(crate) fn new(outlet: O, program: &str) -> Self {
        Self {
            outlet,
            program: program.to_owned(),
            before: None,
        }
    }
}

impl<O: Outlet> Destination for Stream<O> {
    fn resume(&mut self) -> Result<Resume, AuditError> {
        let before = self.before.map(|head| head.to_string());
        let event = Event::new("stream")
            .text("log", &Uuid::new_v4().to_string())
            .maybe("before", before.as_deref())
            .text("program", &self.program);
        let mut line = Vec::new();
        let head = Head::START.extend(&event.into_body(), &mut line);
        let sent = self.outlet.send(&line);
        sent.map_err(|error| self.outlet.failed(error))?;
        self.before = Some(head);
        Ok(Resume {
            is_new_chain: true,
            ..Resume::at(head)
        })
    }

    fn write(&mut self, lines: &[u8], head: Head) -> Result<(), WriteError> {
        let sent = self.outlet.send(lines);
        sent.map_err(|error| WriteError {
            error,
            is_unknown: true,
        })?;
        self.before = Some(head);
        Ok(())
    }
}

/// Standard output.
pub(crate) struct Stdout;

impl Outlet for Stdout {
    fn send(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(lines)?;
        stdout.flush()
    }

    fn failed(&self, error: io::Error) -> AuditError {
        AuditError::io("write", "stdout")(error)
    }
}
