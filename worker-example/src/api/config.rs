//! The configuration of the API: one TOML file, and variables over it.

use std::{net::SocketAddr, num::NonZeroU32, path::Path, time::Duration};

use temporal_kms_codec::kms::Kms;
use temporal_kms_codec_service::{
    arguments::variable,
    audit::{self, AuditConfig},
    auth::{AuthConfig, Authenticator},
    lifecycle::{NeedsRestart, ReloadConfig},
    listener::{self, ListenAddress},
    settings::{Document, Fault, Problems, Section, Settings, values},
    shares::ShareLimits,
    telemetry::TelemetryConfig,
    tls::{self, TlsSettings},
};

use super::origin::Origin;
use crate::task::RequestRules;

/// The port of the original service.
const DEFAULT_PORT: u16 = 8080;
/// The limits of a caller: requests and streams that are open, requests in a second, and requests at once after a pause.
const CALLER_REQUESTS: usize = 100;
const CALLER_RATE: u32 = 20;
const CALLER_BURST: u32 = 100;

/// For callers without a token, where issuers are known.
const ISSUER_REMEDY: &str = "Get a token of an issuer in the service's configuration, and send `Authorization: Bearer TOKEN`";

/// What the API needs to know beside the connection to Temporal.
#[derive(Clone, Debug)]
pub(crate) struct ApiConfig {
    /// `listen`: where clients call. Default: `PORT`, else 8080, at all addresses of this machine if callers authenticate,
    /// and at loopback otherwise.
    pub(super) listen: ListenAddress,
    /// `insecure_without_authentication`: whether other machines may call without authentication. Default: no.
    pub(super) insecure_without_authentication: bool,
    /// `max_connections`: connections that are open at the same time. Default: 1,024.
    pub(super) max_connections: usize,
    /// `shutdown_delay`: how long the service goes on serving after it was told to stop, while `/readyz` answers 503.
    pub(super) shutdown_delay: Duration,
    /// `shutdown_grace`: for requests in flight when the service is told to stop. Default: 20 s.
    pub(super) shutdown_grace: Duration,
    /// `caller_requests`, `caller_rate` and `caller_burst`: the limits of each caller. Default: 100 requests and streams
    /// that are open, 20 in a second, and 100 at once.
    pub(super) caller: ShareLimits,
    /// `webhooks`: whether the workers can sign webhooks. Where they cannot, `/run-async` is refused. Default: yes, and for a
    /// worker in the same process whether it can.
    pub(super) webhooks: Option<bool>,
    /// `file_repositories`: whether `gitRepo` may be a `file://` URL. For tests only.
    pub(super) rules: RequestRules,
    pub(super) auth: AuthConfig,
    pub(super) tls: Option<TlsSettings>,
    pub(crate) telemetry: TelemetryConfig,
    /// The audit log of requests, if there is one.
    pub(crate) audit: Option<AuditConfig>,
    /// When a running service reads the configuration again.
    pub(super) reload: ReloadConfig,
    /// What opening the key that signs the audit log takes beyond its URI.
    pub(crate) kms: Kms,
}

impl ApiConfig {
    /// Reads the file, if there is one, and the variables over it. `kms` opens the key that signs the audit log.
    ///
    /// # Errors
    /// Every mistake, with its line or variable.
    pub(crate) fn load(path: Option<&Path>, kms: &Kms) -> Result<(Self, Origin), Problems> {
        let mut origin = Origin::new(path);
        let loaded = settings().load_with_sources(path, |document| {
            let config = Self::read(document, kms.clone());
            document.report_faults(config.missing_files());
            config
        })?;
        origin.files.extend(&loaded.files);
        Ok((loaded.settings, origin))
    }

    /// What `document` says, with defaults where a mistake is reported.
    pub(crate) fn read(document: &Document<'_>, kms: Kms) -> Self {
        let auth = AuthConfig::read(document.section("auth"))
            .with_issuer_remedy(ISSUER_REMEDY)
            .without_login_advice();
        let tls = TlsSettings::read(document.section("tls"));
        let telemetry = TelemetryConfig::read(document);
        let mut api = Self::of(auth, tls, telemetry);
        api.read_section(document.section("api"));
        api.reload = ReloadConfig::read(document.section("reload"));
        api.kms = kms;
        api.audit = audit::read(document, &mut api.kms);
        if let Some(port) = variable("PORT")
            && port.parse::<u16>().is_err()
        {
            document.report_variable("PORT", "api.listen", "expected a port from 0 to 65535");
        }
        document.report_faults(api.faults());
        api
    }

    /// The defaults of everything else.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `PORT` | the port of `claude-tasks api`, where `listen` is not set | `8080` |
    fn of(auth: AuthConfig, tls: Option<TlsSettings>, telemetry: TelemetryConfig) -> Self {
        let port = variable("PORT").and_then(|port| port.parse().ok());
        let host = if auth.is_open() {
            [127, 0, 0, 1]
        } else {
            [0, 0, 0, 0]
        };
        Self {
            listen: SocketAddr::from((host, port.unwrap_or(DEFAULT_PORT))).into(),
            insecure_without_authentication: false,
            max_connections: 1024,
            shutdown_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(20),
            caller: with_defaults(ShareLimits::default()),
            webhooks: None,
            rules: RequestRules::default(),
            auth,
            tls,
            telemetry,
            audit: None,
            reload: ReloadConfig::default(),
            kms: Kms::default(),
        }
    }

    /// Takes the settings that cannot change from the configuration that is served, and names those that differ.
    pub(super) fn keep_running(&mut self, served: &Self) -> NeedsRestart {
        let mut changed = NeedsRestart::default();
        changed.keep("api.listen", &mut self.listen, &served.listen);
        let connections = &mut self.max_connections;
        changed.keep("api.max_connections", connections, &served.max_connections);
        changed.keep("tls", &mut self.tls, &served.tls);
        changed.keep("audit", &mut self.audit, &served.audit);
        changed.keep("telemetry", &mut self.telemetry, &served.telemetry);
        // What its URI says beyond the name of the key.
        changed.keep("audit.anchor_key", &mut self.kms, &served.kms);
        changed
    }

    fn read_section(&mut self, mut section: Section<'_>) {
        section.set("listen", &mut self.listen, listener::parse);
        let insecure = &mut self.insecure_without_authentication;
        section.set("insecure_without_authentication", insecure, values::flag);
        section.set(
            "max_connections",
            &mut self.max_connections,
            values::permits,
        );
        section.set("shutdown_delay", &mut self.shutdown_delay, values::duration);
        section.set("shutdown_grace", &mut self.shutdown_grace, values::duration);
        self.caller = with_defaults(ShareLimits::read(
            &mut section,
            "caller_requests",
            "caller_rate",
            "caller_burst",
        ));
        self.webhooks = section.value("webhooks", values::flag);
        let files = section.value("file_repositories", values::flag);
        self.rules = self.rules.with_file_repositories(files.unwrap_or_default());
        section.finish();
    }

    /// Settings that do not fit together.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self.auth.fault().into_iter().collect();
        let is_open = self.listen.is_remote() && self.auth.is_open();
        if is_open && !self.insecure_without_authentication {
            let message = format!(
                "{} is reachable from other machines, and every caller could run tasks, because the service does not \
                 authenticate clients. Configure a section [auth], or listen on loopback only, such as 127.0.0.1:8080. To \
                 serve everybody all the same, set `insecure_without_authentication = true`",
                self.listen
            );
            faults.push(Fault::new("api.listen", message).following_from("auth"));
        }
        let asks = |tls: &TlsSettings| tls.client_ca.is_some();
        if self.auth.has_certificates() && !self.tls.as_ref().is_some_and(asks) {
            let message = "clients are never asked for a certificate; name the file of the authorities that sign them as \
                           `client_ca` in section [tls]";
            faults.push(Fault::new("auth.certificates", message).following_from("tls"));
        }
        faults
    }

    /// Files that are named and do not exist.
    fn missing_files(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self.tls.iter().flat_map(tls::faults).collect();
        faults.extend(Authenticator::open(&self.auth).err().unwrap_or_default());
        faults.extend(self.telemetry.faults());
        faults
    }
}

/// The limits of a caller with defaults, which keep one caller from taking all places.
fn with_defaults(mut limits: ShareLimits) -> ShareLimits {
    limits.concurrent = limits.concurrent.or(Some(CALLER_REQUESTS));
    if limits.rate.is_none() {
        limits.rate = NonZeroU32::new(CALLER_RATE);
        limits.burst = limits.burst.or(NonZeroU32::new(CALLER_BURST));
    }
    limits
}

/// Where the API's settings come from. Other variables with the prefix are those of the codec server.
pub(crate) fn settings() -> Settings {
    Settings::new("CODEC_").with_other_variables(&["CODEC_CONFIG", "CODEC_LOG_FORMAT"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_document(document: &Document<'_>) -> ApiConfig {
        ApiConfig::read(document, Kms::default())
    }

    fn read(text: &str) -> Result<ApiConfig, String> {
        let read = settings().parse(Some(text), &|_| None, read_document);
        read.map_err(|problems| {
            let texts = problems
                .iter()
                .map(|p| format!("{}: {}", p.setting, p.message));
            texts.collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn other_machines_need_authentication() {
        let open = read("").unwrap();
        assert!(!open.listen.is_remote());
        let refused = read("[api]\nlisten = \"0.0.0.0:8080\"").unwrap_err();
        assert!(
            refused.contains("api.listen") && refused.contains("section [auth]"),
            "{refused}"
        );
        let all = "[api]\nlisten = \"0.0.0.0:8080\"\ninsecure_without_authentication = true";
        assert!(read(all).unwrap().listen.is_remote());
        let authenticated = read(
            "[auth.issuers.google]\nprofile = \"google\"\naudience = [\"https://tasks.example\"]\n\
             emails = { \"a@example.com\" = [\"default:write\"] }",
        );
        assert_eq!(authenticated.unwrap().listen.to_string(), "0.0.0.0:8080");
    }

    #[test]
    fn the_example_file_is_valid_with_and_without_its_comments() {
        let example = include_str!("../../claude-tasks.example.toml");
        read(example).unwrap();
        let settings = example.lines().map(|line| {
            let setting = line.strip_prefix("# ").unwrap_or(line);
            let is_setting = setting.starts_with('[') || setting.contains(" = ");
            if is_setting { setting } else { "" }
        });
        read(&settings.collect::<Vec<_>>().join("\n")).unwrap();
        let declared = super::settings().describe(read_document);
        for setting in declared
            .iter()
            .filter_map(|d| d.setting.strip_prefix("api."))
        {
            assert!(example.contains(&format!("# {setting} = ")), "{setting}");
        }
    }

    #[test]
    fn callers_have_limits_by_default() {
        let limits = |text: &str| {
            let caller = read(text).unwrap().caller;
            let number = |limit: Option<NonZeroU32>| limit.map(NonZeroU32::get);
            (caller.concurrent, number(caller.rate), number(caller.burst))
        };
        assert_eq!(limits(""), (Some(100), Some(20), Some(100)));
        let own = "[api]\ncaller_requests = 5\ncaller_rate = 3";
        assert_eq!(limits(own), (Some(5), Some(3), None));
    }

    #[test]
    fn what_cannot_change_is_named_and_stays() {
        let served = read("[api]\nlisten = \"127.0.0.1:1\"\n[audit]\nstdout = true").unwrap();
        let text = "[api]\nlisten = \"127.0.0.1:2\"\ncaller_rate = 3\n[audit]\nfolder = \"/audit\"";
        let mut new = read(text).unwrap();
        let changed = new.keep_running(&served);
        assert_eq!(changed.settings(), ["api.listen", "audit"]);
        assert_eq!(new.listen.to_string(), "127.0.0.1:1");
        assert_eq!(new.caller.rate.map(NonZeroU32::get), Some(3));
        // What is checked together with an address is checked with the one that is listened on.
        let open = "[api]\nlisten = \"0.0.0.0:1\"\ninsecure_without_authentication = true";
        let (served, mut new) = (read(open).unwrap(), read("").unwrap());
        new.keep_running(&served);
        assert_eq!(new.faults().len(), 1);
    }

    #[test]
    fn issuers_change_at_once() {
        let file = |url: &str, email: &str| {
            read(&format!(
                "[auth.issuers.a]\nissuer = \"{url}\"\naudience = [\"x\"]\nemails = {{ \"{email}\" = [\"default:write\"] }}"
            ))
            .unwrap()
        };
        let served = file("https://a.example", "ann@a.example");
        let mut new = file("https://b.example", "bob@b.example");
        assert_eq!(new.keep_running(&served).settings(), [""; 0]);
        let shown = format!("{:?}", new.auth);
        assert!(
            shown.contains("bob@b.example") && !shown.contains("a.example"),
            "{shown}"
        );
    }

    #[test]
    fn every_mistake_is_reported() {
        let problems = read("[api]\nlisten = \"x\"\ncaller_burst = 3\nlimit = 1").unwrap_err();
        for expected in ["api.listen", "caller_burst", "api.limit"] {
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
    }
}
