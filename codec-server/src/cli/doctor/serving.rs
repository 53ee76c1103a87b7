//! What a server needs beside its keys: certificates, web pages that may call, issuers, logins, and the server itself.

mod audit_log;
mod certificates;
mod issuers;
mod login;
mod places;
mod running;
mod web_pages;

use std::collections::BTreeSet;

use temporal_kms_codec::KeyUri;
use temporal_kms_codec_service::{
    auth::{AuthConfig, Authenticator},
    settings::Problems,
    tls::{ExaminedTls, TlsSettings},
};

use super::{
    super::exit::Status,
    finding::{Check, Finding, Findings},
};
use crate::config::{Config, CorsConfig, NamespacesConfig, ServerConfig};

use self::audit_log::AuditLogExam;
pub(super) use self::places::{CodecUrl, Places, UiUrl};

/// The sections of a configuration that are about callers.
pub(super) struct Serving {
    server: ServerConfig,
    tls: Option<TlsSettings>,
    auth: AuthConfig,
    cors: CorsConfig,
    audit: Option<AuditLogExam>,
    /// The name of a namespace, for a request.
    namespace: String,
    /// Files that are named and missing.
    faults: Problems,
}

impl Serving {
    pub(super) fn of(config: &Config) -> Self {
        let namespace = match &config.namespaces {
            NamespacesConfig::Named(named) => named.sections().next().map(|(name, _)| name),
            NamespacesConfig::Any(_) => None,
        };
        // A pattern is a name that could be used, too.
        let namespace = namespace.unwrap_or("default").replace('*', "x");
        let mut faults = config.telemetry.faults();
        faults.extend(Authenticator::open(&config.auth).err().unwrap_or_default());
        Self {
            namespace,
            faults: Problems::from_faults(faults),
            server: config.server.clone(),
            tls: config.tls.clone(),
            auth: config.auth.clone(),
            cors: config.cors.clone(),
            audit: AuditLogExam::of(config),
        }
    }

    /// `signing` are the keys that were found to sign.
    pub(super) async fn examine(
        &self,
        places: Places<'_>,
        signing: &BTreeSet<&KeyUri>,
        findings: &mut Findings,
    ) {
        for fault in &self.faults.problems {
            let check = match fault.setting.as_str() {
                setting if setting.starts_with("auth.login") => Check::Login,
                setting if setting.starts_with("auth.http") => Check::Issuer,
                _ => Check::Configuration,
            };
            let setting = &fault.setting;
            findings.push(Finding::failed(
                check,
                Status::Configuration,
                format!("{setting}: {}", fault.message),
                format!("correct {setting}, or the file that it names"),
            ));
        }
        let login = self.auth.examine_login();
        let tls = self.tls.as_ref().map(|settings| {
            let hosts = certificates::Hosts {
                allowed: &self.server.allowed_hosts,
                login: login.as_ref().map(|login| login.host.as_str()),
                codec: places.codec.and_then(CodecUrl::secure_host),
            };
            certificates::examine(settings, &hosts, findings)
        });
        let tls: Option<ExaminedTls> = tls.flatten();
        if self.tls.is_none() {
            certificates::without(&self.server, findings);
        }
        let issuers = issuers::examine(&self.auth, findings).await;
        if let Some(login) = &login {
            login::examine(login, &issuers, &self.cors, places, findings);
        }
        let pages = web_pages::Pages {
            cors: &self.cors,
            server: &self.server,
            has_login: login.is_some(),
            issuers: &issuers,
        };
        pages.examine(places, findings);
        if let Some(audit) = &self.audit {
            audit.examine(signing, findings);
        }
        if let Some(codec) = places.codec {
            findings.extend(self.refused_host(codec));
            let running = running::Running {
                url: codec,
                origin: pages.origin(places.ui),
                namespace: &self.namespace,
                tls: self.tls.as_ref(),
                certificate: tls.as_ref(),
                authenticates: !self.auth.is_open(),
            };
            running.examine(findings).await;
        }
    }

    /// A host that the server does not answer for, as far as the configuration says it.
    fn refused_host(&self, codec: &CodecUrl) -> Option<Finding> {
        let host = codec.host()?;
        let knows_names = self.auth.is_open() || self.auth.trusts_connections();
        let allowed = &self.server.allowed_hosts;
        let is_restricted = knows_names || !allowed.is_empty();
        let is_named = allowed.iter().any(|name| name.eq_ignore_ascii_case(host));
        (is_restricted && !is_named && !codec.is_local()).then(|| {
            Finding::failed(
                Check::Server,
                Status::Configuration,
                format!("requests to the host {host} are refused"),
                format!("add \"{host}\" to `allowed_hosts` in section [server]"),
            )
            .of_server(codec)
        })
    }
}
