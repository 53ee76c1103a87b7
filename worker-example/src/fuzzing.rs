//! What the fuzz targets reach beside the public items.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use temporal_kms_codec::kms::Kms;
use temporal_kms_codec_service::settings::Settings;
pub use temporal_kms_codec_service::settings::{Place, Problem};

use crate::{
    api::ApiConfig,
    redact::Redactor,
    task::{Event, GitTransport, GitUrl, ResultEvent, TaskRequest},
    webhook::{AddressPolicy, CallbackSecrets, verify},
};

/// A line of Claude Code's output as the worker passes it on: its JSON, its type, and the facts of a result.
#[must_use]
pub fn event(line: &str) -> (String, String, Option<ResultEvent>) {
    let event = Event::parse(line);
    (event.json, event.kind, event.result)
}

/// A text without the secrets of the request. `None` when they are too many.
#[must_use]
pub fn redact(request: &TaskRequest, text: &str) -> Option<String> {
    let redactor = Redactor::of(request).ok()?;
    Some(redactor.redact(text).into_owned())
}

/// The host of a repository's address, and the address over ssh.
#[must_use]
pub fn git_url(text: &str) -> Option<(String, Option<String>)> {
    let url = GitUrl::parse(text, false).ok()?;
    assert_ne!(url.transport(), GitTransport::File);
    Some((url.host().to_owned(), url.over_ssh()))
}

/// Whether a webhook may go to the address.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    AddressPolicy::default().permits(address)
}

/// Whether the secret signed the webhook at this time.
#[must_use]
pub fn is_genuine(secret: &str, timestamp: &str, signature: &str, body: &[u8]) -> bool {
    let secrets = CallbackSecrets::new(secret, None);
    let (now, limit) = (SystemTime::UNIX_EPOCH, Duration::MAX);
    verify(&secrets, timestamp, signature, body, now, limit).is_ok()
}

/// The mistakes in the text of a configuration.
#[must_use]
pub fn mistakes(text: &str) -> Vec<Problem> {
    let parsed = Settings::new("CODEC_").parse(Some(text), &|_| None, |document| {
        drop(ApiConfig::read(document, Kms::default()));
    });
    parsed.err().unwrap_or_default()
}
