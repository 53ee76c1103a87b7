//! How many files and connections the process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a server gets where the system allows it. Connections to key services and issuers count, too.
const ENOUGH: u64 = 1 << 16;

/// Raises the soft limit of open files as far as the system allows, so that `needed` files can be open. Connections that a
/// client keeps open must leave some for the calls of key services and for the audit log. A failure is logged: the program
/// can still run.
pub fn allow(needed: u64) {
    let allowed = match raise(needed) {
        Ok(allowed) => allowed,
        Err(error) => {
            return tracing::warn!(%error, "cannot raise the limit of open files; check it with `ulimit -n`");
        }
    };
    if allowed < needed {
        tracing::warn!(
            allowed,
            needed,
            "too few files may be open for all connections; raise the hard limit (`LimitNOFILE` in systemd, `ulimit -Hn`), or \
             lower `max_connections`"
        );
    }
}

/// The limit that counts now.
fn raise(needed: u64) -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = needed.max(ENOUGH).min(hard);
    if soft >= wanted {
        return Ok(soft);
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_and_never_lowered() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let allowed = raise(0).unwrap();
        assert!(allowed >= ENOUGH.min(hard));
        assert_eq!(raise(0).unwrap(), allowed);
        assert_eq!(raise(u64::MAX).unwrap(), hard);
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise(1).unwrap(), soft);
    }
}
