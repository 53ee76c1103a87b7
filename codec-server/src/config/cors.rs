//! `[cors]`: which web pages may call.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Url;

use temporal_kms_codec_service::settings::{Section, values};

/// Which web pages may call the server. Other clients send no `Origin`; this does not affect them.
#[derive(Clone, Debug)]
pub struct CorsConfig {
    /// `allowed_origins`: origins such as `https://temporal.example.com`, compared byte by byte.
    pub allowed_origins: BTreeSet<String>,
    /// `allow_local_origins`: whether any page of a server on this machine may call, on any port. Default: no.
    pub allow_local_origins: bool,
    /// `allow_credentials`: whether a browser may send cookies, as the Web UI does when told so. Default: yes, because
    /// the origins are listed one by one.
    pub allow_credentials: bool,
    /// `max_age`: how long a browser may remember the answer to a preflight. Default: 1 hour.
    pub max_age: Duration,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self {
            allowed_origins: BTreeSet::new(),
            allow_local_origins: false,
            allow_credentials: true,
            max_age: Duration::from_hours(1),
        }
    }
}

impl CorsConfig {
    /// Any local origin, for development.
    #[must_use]
    pub fn local() -> Self {
        Self {
            allow_local_origins: true,
            ..Self::default()
        }
    }

    pub(super) fn read(mut section: Section<'_>) -> Self {
        let mut cors = Self::default();
        if let Some(origins) = section.list("allowed_origins", origin) {
            cors.allowed_origins = origins.into_iter().collect();
        }
        let local = &mut cors.allow_local_origins;
        section.set("allow_local_origins", local, values::flag);
        let credentials = &mut cors.allow_credentials;
        section.set("allow_credentials", credentials, values::flag);
        section.set("max_age", &mut cors.max_age, values::duration);
        section.finish();
        cors
    }
}

/// An origin in the form in which browsers send it (RFC 6454, section 6.2).
fn origin(text: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "`{text}` is not an origin; expected a scheme and a host in lower case, a port if it is not the usual one, and \
             no path, such as https://temporal.example.com"
        )
    };
    let url: Url = text.parse().map_err(|_| wrong())?;
    // Browsers leave out the usual port.
    let is_origin =
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
    if is_origin {
        Ok(text.to_owned())
    } else {
        Err(wrong())
    }
}
