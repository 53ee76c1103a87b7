//! The check of a webhook by its receiver.

use std::time::{Duration, SystemTime};

use thiserror::Error;

use super::signature::{CallbackSecrets, parse};

/// Why a webhook is not genuine.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum VerifyError {
    /// The timestamp is not a number of seconds.
    #[error("the timestamp is not a number of seconds since 1970")]
    Timestamp,
    /// The signature has the wrong form.
    #[error("the signature is not `sha256=` and 64 hexadecimal digits")]
    Form,
    /// No secret made the signature.
    #[error(
        "the signature is wrong: the secret is another one, or the timestamp or the body was changed. Sign the body's bytes as \
         they arrived, not JSON that was parsed and written again"
    )]
    Signature,
    /// It was sent too long ago.
    #[error("it was sent {age} s ago, and {limit} s are allowed")]
    Old {
        /// Its age in seconds.
        age: u64,
        /// The limit in seconds.
        limit: u64,
    },
    /// It was sent in the future.
    #[error(
        "it was sent {ahead} s in the future, and {limit} s are allowed; check this machine's clock"
    )]
    Future {
        /// How far in seconds.
        ahead: u64,
        /// The limit in seconds.
        limit: u64,
    },
}

/// Checks the signature first, then the age, which nobody can change without breaking the signature. Returns the time of
/// sending in seconds since 1970.
///
/// # Errors
/// When the webhook is not genuine, or older than `limit`.
pub(crate) fn verify(
    secrets: &CallbackSecrets,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: SystemTime,
    limit: Duration,
) -> Result<u64, VerifyError> {
    let timestamp = timestamp.trim();
    if !timestamp.bytes().all(|b| b.is_ascii_digit()) {
        return Err(VerifyError::Timestamp);
    }
    let sent: u64 = timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    let signature = parse(signature).filter(|bytes| bytes.len() == 32);
    let signature = signature.ok_or(VerifyError::Form)?;
    if !secrets.verify(timestamp, body, &signature) {
        return Err(VerifyError::Signature);
    }
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let limit = limit.as_secs();
    match (now.checked_sub(sent), sent.checked_sub(now)) {
        (Some(age), _) if age > limit => Err(VerifyError::Old { age, limit }),
        (_, Some(ahead)) if ahead > limit => Err(VerifyError::Future { ahead, limit }),
        _ => Ok(sent),
    }
}
