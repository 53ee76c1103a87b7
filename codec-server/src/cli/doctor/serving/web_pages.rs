//! `[cors]`: which web pages may call, and whether the Web UI is one of them.

use temporal_kms_codec::endpoint::is_loopback;
use temporal_kms_codec_service::auth::ExaminedIssuer;

use super::{
    super::{
        super::exit::Status,
        finding::{Check, Finding, Findings},
    },
    places::{CodecUrl, Places, UiUrl},
};
use crate::config::{CorsConfig, ServerConfig};

pub(super) struct Pages<'a> {
    pub(super) cors: &'a CorsConfig,
    pub(super) server: &'a ServerConfig,
    pub(super) has_login: bool,
    pub(super) issuers: &'a [ExaminedIssuer],
}

impl Pages<'_> {
    pub(super) fn examine(&self, places: Places<'_>, findings: &mut Findings) {
        self.origins(places, findings);
        if let Some(ui) = places.ui {
            findings.push(self.web_ui(ui));
        }
        if let (Some(ui), Some(codec)) = (places.ui, places.codec) {
            findings.extend(mixed(ui, codec));
        }
        if let Some(codec) = places.codec {
            findings.extend(self.id_tokens(codec));
        }
    }

    /// The origin of a page that may call: the Web UI, or any that is allowed.
    pub(super) fn origin(&self, ui: Option<&UiUrl>) -> Option<String> {
        let first = || self.cors.allowed_origins.iter().next().cloned();
        ui.map(UiUrl::origin).or_else(first)
    }

    fn origins(&self, places: Places<'_>, findings: &mut Findings) {
        let cors = self.cors;
        let is_asked_for = places.ui.is_some() || places.codec.is_some();
        if cors.allowed_origins.is_empty() && !cors.allow_local_origins {
            if is_asked_for || self.has_login {
                findings.push(Finding::warning(
                    Check::Cors,
                    "no web page of another server may call: `allowed_origins` is empty",
                    "add the Web UI's origin to `allowed_origins` in section [cors]",
                ));
            }
            return;
        }
        for origin in &cors.allowed_origins {
            let host = origin.strip_prefix("http://");
            let host = host.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
            if host.is_some_and(|host| !is_loopback(host)) {
                findings.push(Finding::warning(
                    Check::Cors,
                    format!("{origin} comes without TLS: anybody on the way can change that page, and decrypt with it"),
                    "serve the page by https://, and change the origin",
                ));
            }
        }
        if cors.allow_local_origins && self.server.listen.is_remote() {
            findings.push(Finding::warning(
                Check::Cors,
                "`allow_local_origins` lets every program on a user's machine call as that user's browser",
                "set `allow_local_origins = false`, and list the origins that are needed",
            ));
        }
        let mut allowed: Vec<&str> = cors.allowed_origins.iter().map(String::as_str).collect();
        if cors.allow_local_origins {
            allowed.push("pages of this machine");
        }
        let cookies = if cors.allow_credentials {
            "with cookies"
        } else {
            "without cookies"
        };
        findings.push(Finding::ok(
            Check::Cors,
            format!("{} may call, {cookies}", allowed.join(", ")),
        ));
    }

    /// Whether the server answers the Web UI.
    fn web_ui(&self, ui: &UiUrl) -> Finding {
        let origin = ui.origin();
        let is_allowed = self.cors.allowed_origins.contains(&origin)
            || (self.cors.allow_local_origins && ui.is_local());
        if is_allowed {
            return Finding::ok(Check::Cors, format!("the Web UI at {origin} may call"))
                .with("origin", origin);
        }
        let host = |origin: &str| {
            let (_, host) = origin.split_once("://")?;
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            Some(host.to_owned())
        };
        let near = self.cors.allowed_origins.iter();
        let mut near = near.filter(|allowed| host(allowed) == host(&origin));
        let near = near.next().map_or_else(String::new, |allowed| {
            format!("; {allowed} is, with another scheme or port")
        });
        Finding::failed(
            Check::Cors,
            Status::Configuration,
            format!("the Web UI sends `Origin: {origin}`, which is not allowed{near}"),
            format!("add \"{origin}\" to `allowed_origins` in section [cors]"),
        )
        .with("origin", origin)
    }

    /// The Web UI sends ID tokens by https only.
    fn id_tokens(&self, codec: &CodecUrl) -> Option<Finding> {
        let only_id = |issuer: &ExaminedIssuer| issuer.audience.is_empty();
        let needs_them = !self.issuers.is_empty() && self.issuers.iter().all(only_id);
        (needs_them && !codec.is_secure()).then(|| {
            Finding::warning(
                Check::Cors,
                "only ID tokens are accepted, and the Web UI sends `Authorization-Extras` to https:// addresses only",
                "serve by TLS, or set `audience` and let the Web UI send the access token",
            )
        })
    }
}

/// A page with TLS calls a server without.
fn mixed(ui: &UiUrl, codec: &CodecUrl) -> Option<Finding> {
    if !ui.is_secure() || codec.is_secure() {
        return None;
    }
    let remedy = "serve the codec server by https://";
    Some(if codec.is_local() {
        Finding::warning(
            Check::Cors,
            format!("Safari does not let a page with TLS call {codec} without TLS"),
            remedy,
        )
    } else {
        let summary = format!("browsers do not let a page with TLS call {codec} without TLS");
        Finding::failed(Check::Cors, Status::Configuration, summary, remedy)
    })
}
