//! The audit log of changes that a person makes.

use std::{path::Path, sync::Arc};

use nix::unistd::{User, geteuid};
use temporal_kms_codec::{
    audit::{AuditLog, AuditOptions},
    kms::Kms,
};

use super::super::exit::Failure;

/// The program, in the log.
const PROGRAM: &str = concat!("codec-server keys ", env!("CARGO_PKG_VERSION"));

/// Opens the log in `folder`, if any. From now on it has a line for each change and each use of a key.
///
/// Its first line is written when this returns: a log that cannot be written is found before a key is changed.
pub(super) async fn open(
    folder: Option<&Path>,
    kms: &mut Kms,
) -> Result<Option<Arc<AuditLog>>, Failure> {
    let Some(folder) = folder else {
        return Ok(None);
    };
    let options = AuditOptions::folder(folder)
        .with_program(PROGRAM)
        .with_user(user());
    let log = AuditLog::open(&options)?;
    log.started().await?;
    kms.set_observer(Some(log.clone()));
    Ok(Some(log))
}

/// Closes the log. A failure of the command is reported first.
pub(super) async fn close(
    log: Option<Arc<AuditLog>>,
    done: Result<(), Failure>,
) -> Result<(), Failure> {
    let closed = match log {
        Some(log) => log.close().await.map_err(Failure::from),
        None => Ok(()),
    };
    done.and(closed)
}

/// The user, as the system knows this process.
fn user() -> String {
    let id = geteuid();
    match User::from_uid(id) {
        Ok(Some(user)) => format!("{} (uid {id})", user.name),
        _ => format!("uid {id}"),
    }
}
