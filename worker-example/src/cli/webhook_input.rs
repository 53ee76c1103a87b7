//! A webhook on standard input: what `verify-webhook` reads and checks.

use std::{
    io::{self, Read as _},
    time::{Duration, SystemTime},
};

use clap::Args;
use thiserror::Error;

use super::units;
use crate::webhook::{
    CallbackSecrets, SECRET, SIGNATURE_HEADER, SecretError, TIMESTAMP_HEADER, VerifyError, verify,
};

/// The largest body that is read. A webhook is much smaller.
const MAX_BODY: u64 = 16 << 20;

/// The options of `verify-webhook`.
#[derive(Clone, Debug, Args)]
pub(super) struct VerifyWebhookArgs {
    /// The value of the header X-Webhook-Timestamp.
    #[arg(long, value_name = "SECONDS", conflicts_with = "headers")]
    timestamp: Option<String>,
    /// The value of the header X-Webhook-Signature.
    #[arg(long, value_name = "SIGNATURE", conflicts_with = "headers")]
    signature: Option<String>,
    /// A header as `Name: value`; may be given several times. Other headers are ignored.
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// How old the webhook may be.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = units::time)]
    max_age: Duration,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// The webhook cannot be checked.
#[derive(Debug, Error)]
pub(super) enum WebhookInputError {
    /// A header is missing.
    #[error("the header {0} is missing; give --header '{0}: …' or the option for its value")]
    Missing(&'static str),
    /// A header is there twice.
    #[error("the header {0} is there twice; the webhook is not from this service")]
    Twice(&'static str),
    /// The environment has no secret.
    #[error("set {SECRET} to the secret that the service signs with")]
    NoSecret,
    /// The environment's secrets cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The body cannot be read.
    #[error("cannot read the body from standard input: {0}")]
    Read(#[source] io::Error),
    /// The body is too large.
    #[error("the body is larger than {MAX_BODY} bytes; it is not a webhook of this service")]
    Large,
    /// The webhook is not genuine.
    #[error("the webhook is not genuine: {0}")]
    NotGenuine(#[from] VerifyError),
}

/// Checks the signature and the age of a webhook. Returns the time of sending and the body.
///
/// # Errors
/// When the webhook is not genuine, or cannot be checked.
pub(super) fn check(args: &VerifyWebhookArgs) -> Result<(u64, Vec<u8>), WebhookInputError> {
    let timestamp = value(args, args.timestamp.as_deref(), TIMESTAMP_HEADER)?;
    let signature = value(args, args.signature.as_deref(), SIGNATURE_HEADER)?;
    let secrets = CallbackSecrets::from_env()?.ok_or(WebhookInputError::NoSecret)?;
    let mut body = Vec::new();
    let read = io::stdin().lock().take(MAX_BODY + 1).read_to_end(&mut body);
    if read.map_err(WebhookInputError::Read)? as u64 > MAX_BODY {
        return Err(WebhookInputError::Large);
    }
    let now = SystemTime::now();
    let sent = verify(&secrets, timestamp, signature, &body, now, args.max_age)?;
    Ok((sent, body))
}

/// The value of an option, or of the header in its place.
fn value<'a>(
    args: &'a VerifyWebhookArgs,
    option: Option<&'a str>,
    name: &'static str,
) -> Result<&'a str, WebhookInputError> {
    if let Some(value) = option {
        return Ok(value);
    }
    let mut values = args.headers.iter().filter_map(|header| {
        let (found, value) = header.split_once(':')?;
        found
            .trim()
            .eq_ignore_ascii_case(name)
            .then_some(value.trim())
    });
    let first = values.next().ok_or(WebhookInputError::Missing(name))?;
    match values.next() {
        Some(_) => Err(WebhookInputError::Twice(name)),
        None => Ok(first),
    }
}
