//! `[auth.login]`: whether people can sign in, and stay signed in.

use temporal_kms_codec_service::auth::{ExaminedIssuer, ExaminedLogin, LoginAnswer};

use super::{
    super::{
        super::exit::Status,
        finding::{Check, Finding, Findings},
    },
    places::Places,
};
use crate::config::CorsConfig;

pub(super) fn examine(
    login: &ExaminedLogin,
    issuers: &[ExaminedIssuer],
    cors: &CorsConfig,
    places: Places<'_>,
    findings: &mut Findings,
) {
    let issuer = issuers.iter().find(|issuer| issuer.name == login.issuer);
    let answer = issuer.and_then(|issuer| issuer.answer.as_ref().ok());
    match answer.and_then(|answer| answer.login.as_ref()) {
        Some(answer) => findings.push(of_issuer(login, answer)),
        None => findings.push(Finding::skipped(
            Check::Login,
            "not checked: the issuer's document cannot be read",
        )),
    }
    findings.push(redirect(login, places));
    let mut warn = |summary: String, remedy: String| {
        findings.push(Finding::warning(Check::Login, summary, remedy));
    };
    if !login.has_secret_file {
        warn(
            "`secret_file` is not set: sessions end when the server restarts, and two servers do not know each other's".to_owned(),
            "write a random secret into a file, such as with `openssl rand -base64 32`, and name it as `secret_file`".to_owned(),
        );
    }
    if !cors.allow_credentials {
        warn(
            "`allow_credentials` is false, so the Web UI cannot send the session's cookie"
                .to_owned(),
            "set `allow_credentials = true` in section [cors]".to_owned(),
        );
    }
    for origin in &login.return_origins {
        if !cors.allowed_origins.contains(origin) {
            warn(
                format!("{origin} is in `return_origins`, and may not call the server"),
                format!("add \"{origin}\" to `allowed_origins` in section [cors]"),
            );
        }
    }
    if let Some(ui) = places.ui {
        let origin = ui.origin();
        if !login.return_origins.contains(&origin) {
            warn(
                format!("a login from {origin} does not return there"),
                format!("add \"{origin}\" to `return_origins` in section [auth.login]"),
            );
        }
        if let Some(host) = ui.host().filter(|host| !share_a_site(host, &login.host)) {
            warn(
                format!(
                    "{host} and {} are different sites: browsers that block third-party cookies keep the session back",
                    login.host
                ),
                "serve both below one domain, such as temporal.example.com and codec.example.com"
                    .to_owned(),
            );
        }
    }
}

fn of_issuer(login: &ExaminedLogin, answer: &LoginAnswer) -> Finding {
    let failed = |summary: &str, remedy: String| {
        Finding::failed(Check::Login, Status::Configuration, summary, remedy)
    };
    if !answer.has_endpoints {
        return failed(
            "the issuer's document has no authorization endpoint or no token endpoint: nobody can sign in there",
            format!("name an issuer for people, instead of `{}`", login.issuer),
        );
    }
    if answer.supports_pkce == Some(false) {
        return failed(
            "the issuer says that it does not support PKCE with S256, which every login uses",
            "switch on PKCE for the client at the issuer, or use another issuer".to_owned(),
        );
    }
    if let Some(scopes) = &answer.scopes {
        let unknown = |scope: &&String| !scopes.contains(scope);
        let unknown: Vec<&str> = login
            .scopes
            .iter()
            .filter(unknown)
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            return Finding::warning(
                Check::Login,
                format!("the issuer does not list the scope {}", unknown.join(", ")),
                "remove it from `scopes` in section [auth.login] if logins fail",
            );
        }
    }
    let client = if login.has_client_secret {
        "a client with a secret"
    } else {
        "a public client"
    };
    Finding::ok(
        Check::Login,
        format!(
            "people sign in at issuer {} with PKCE, by {client}",
            login.issuer
        ),
    )
}

fn redirect(login: &ExaminedLogin, places: Places<'_>) -> Finding {
    let url = &login.redirect_url;
    if !login.is_secure {
        return Finding::warning(
            Check::Login,
            format!("{url} has no TLS: browsers keep the session's cookie on this machine only"),
            "use an https:// `redirect_url`, except for development",
        );
    }
    match places.codec.and_then(|codec| codec.host()) {
        Some(host) if !host.eq_ignore_ascii_case(&login.host) => Finding::warning(
            Check::Login,
            format!(
                "the session's cookie is for {}, and clients call {host}",
                login.host
            ),
            "use the same host in `redirect_url` and in the clients' settings",
        ),
        _ => Finding::ok(
            Check::Login,
            format!("register {url} at the issuer as the redirect URI"),
        ),
    }
}

/// Whether two hosts probably belong to one site: their last two labels are the same.
fn share_a_site(one: &str, other: &str) -> bool {
    let site = |host: &str| {
        let labels: Vec<&str> = host.rsplit('.').take(2).collect();
        labels.join(".").to_ascii_lowercase()
    };
    site(one) == site(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_below_one_domain_share_a_site() {
        assert!(share_a_site("temporal.example.com", "codec.Example.com"));
        assert!(share_a_site("localhost", "localhost"));
        assert!(!share_a_site("temporal.example.com", "codec.example.net"));
        assert!(!share_a_site("localhost", "codec.example.net"));
    }
}
