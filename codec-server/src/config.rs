//! The configuration: one TOML file, environment variables over it, and every mistake in them reported at once.
//!
//! | section | keys |
//! |---|---|
//! | `[server]` | `listen`, `admin_listen`, `allowed_hosts`, the limits and timeouts of [`ServerConfig`] |
//! | `[tls]` | `certificate`, `key` and the other settings of [`TlsSettings`] |
//! | `[auth]` | the settings of [`AuthConfig`] |
//! | `[limits]` | the settings of [`LimitsConfig`] |
//! | `[cors]` | `allowed_origins`, `allow_local_origins`, `allow_credentials`, `max_age` |
//! | `[cache]` | `data_keys`, `ttl`: unwrapped data keys that are kept for decoding |
//! | `[audit]` | where the audit log goes, and the key that signs its anchors ([`AuditConfig`]) |
//! | `[keys]` | how key management services are reached: the settings of each service ([`Kms::settings`]), `[keys.calls]`, `[keys.rotation]` |
//! | `[log]` | `level`: what is logged |
//! | `[reload]` | `watch_interval`: when the configuration is read again |
//! | `[telemetry]` | the settings of [`TelemetryConfig`] |
//! | `[namespaces.NAME]` | the settings of [`NamespaceConfig`] |
//!
//! The environment variable of a key outside of `[namespaces]` is `CODEC_`, the section and the key in capitals:
//! `CODEC_SERVER_LISTEN`, `CODEC_CORS_ALLOWED_ORIGINS` (commas between the items of a list),
//! `CODEC_KEYS_LOCAL_KEYRING`. What `[keys]` leaves open is taken from the services' own variables
//! ([`Kms::from_env`]). Without a file the namespace is the one of the library's variables
//! ([`CodecSettings::from_env`](temporal_kms_codec::CodecSettings::from_env)).

mod cors;
mod limits;
mod loaded;
mod log;
pub(crate) mod reference;
mod restart;
mod schema;
mod server;
#[cfg(test)]
mod tests;

use std::path::Path;

use temporal_kms_codec::kms::{Kms, RotationPolicy};
use temporal_kms_codec_service::{
    audit,
    auth::{AuthConfig, Authenticator},
    keys, namespaces,
    settings::{Document, Fault, Found, Settings},
    telemetry::TelemetryConfig,
    tls::{self, TlsSettings},
};
pub use temporal_kms_codec_service::{
    audit::AuditConfig,
    lifecycle::ReloadConfig,
    namespaces::{NamedNamespaces, NamespaceConfig, NamespacesConfig, OnUndecodable},
    settings::{Place, Problem, Problems},
};

pub use cors::CorsConfig;
pub use limits::{LimitsConfig, ShareLimits};
pub use loaded::LoadedConfig;
pub use log::LogConfig;
pub(crate) use schema::schema;
pub(crate) use server::{DEFAULT_LISTEN, loopback};
pub use server::{Limits, ServerConfig, Timeouts};

/// For callers without a token, where issuers are known.
const ISSUER_REMEDY: &str = "In the Web UI, let the codec server get the user's access token; other clients send \
                             `Authorization: Bearer TOKEN`";

/// Everything that `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listeners, limits and timeouts.
    pub server: ServerConfig,
    /// Certificates, if the server speaks TLS.
    pub tls: Option<TlsSettings>,
    /// Who may call.
    pub auth: AuthConfig,
    /// Limits for each caller and each namespace.
    pub limits: LimitsConfig,
    /// Which web pages may call.
    pub cors: CorsConfig,
    /// The audit log, if there is one.
    pub audit: Option<AuditConfig>,
    /// What opening a key takes beyond its URI.
    pub keys: Kms,
    /// How old the versions of keys may become before `doctor` warns.
    pub rotation: RotationPolicy,
    /// What is logged.
    pub log: LogConfig,
    /// When a running server reads the configuration again.
    pub reload: ReloadConfig,
    /// Where traces and metrics are sent.
    pub telemetry: TelemetryConfig,
    /// The namespaces that are served.
    pub namespaces: NamespacesConfig,
}

impl Config {
    /// Reads the file at `path`, with the environment over it, and checks everything that can be checked without opening
    /// a key.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        settings().load(Some(path), Self::read_and_find_files)
    }

    /// What the file, if there is one, and the variables say. Files that they name may be missing.
    pub(crate) fn load_found(path: Option<&Path>) -> Result<Vec<Found>, Problems> {
        let loaded = settings().load_with_sources(path, Self::read)?;
        Ok(loaded.found)
    }

    /// As [`load`](Self::load), but files that the configuration names may be missing: for commands that find that out
    /// with the key that they need.
    pub(crate) fn load_settings(path: &Path) -> Result<Self, Problems> {
        settings().load(Some(path), Self::read)
    }

    /// The configuration without a file: settings from `CODEC_…` variables, and one namespace from the library's own
    /// variables ([`CodecSettings::from_env`](temporal_kms_codec::CodecSettings::from_env)). It is checked as
    /// [`load`](Self::load) does.
    ///
    /// # Errors
    /// Every mistake in the variables.
    pub fn from_environment() -> Result<Self, Problems> {
        settings().load(None, Self::read_and_find_files)
    }

    /// As [`from_environment`](Self::from_environment), with the exception of [`load_settings`](Self::load_settings).
    pub(crate) fn settings_from_environment() -> Result<Self, Problems> {
        settings().load(None, Self::read)
    }

    /// Reads the text of a file, without variables and without the files that it names.
    ///
    /// # Errors
    /// Every mistake, with its line.
    #[cfg(fuzzing)]
    #[doc(hidden)]
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        settings().parse(Some(text), &|_| None, Self::read)
    }

    /// Checks everything that can be checked without opening a key.
    ///
    /// # Errors
    /// Every mistake. Its setting is named as in a file.
    pub fn validate(&self) -> Result<(), Problems> {
        let faults = self.faults().into_iter().chain(self.missing_files());
        Problems::of_faults(faults)
    }

    fn read_and_find_files(document: &Document<'_>) -> Self {
        let config = Self::read(document);
        document.report_faults(config.missing_files());
        config
    }

    /// What `document` says, with defaults where a mistake is reported.
    fn read(document: &Document<'_>) -> Self {
        let server = ServerConfig::read(document.section("server"));
        let tls = TlsSettings::read(document.section("tls"));
        let auth = AuthConfig::read(document.section("auth")).with_issuer_remedy(ISSUER_REMEDY);
        let limits = LimitsConfig::read(document.section("limits"));
        let cors = CorsConfig::read(document.section("cors"));
        let log = LogConfig::read(document.section("log"));
        let reload = ReloadConfig::read(document.section("reload"));
        let telemetry = TelemetryConfig::read(document);
        let (namespaces, mut keys) = namespaces::read(document);
        let audit = audit::read(document, &mut keys);
        let config = Self {
            server,
            tls,
            auth,
            limits,
            cors,
            audit,
            keys,
            rotation: keys::rotation(document),
            log,
            reload,
            telemetry,
            namespaces,
        };
        document.report_faults(config.faults());
        config
    }

    /// Settings that do not fit together.
    fn faults(&self) -> Vec<Fault> {
        let mut faults = namespaces::faults(&self.namespaces, &self.keys);
        let server = &self.server;
        faults.extend(server.unauthenticated(!self.auth.is_open()));
        faults.extend(self.auth.fault());
        faults.extend(self.unasked_certificates());
        faults.extend(self.unnamed_namespaces());
        let is_picked = server.listen.tcp().is_some_and(|tcp| tcp.port() == 0);
        if !is_picked && server.admin_listen.as_ref() == Some(&server.listen) {
            let message = "it is the address of `listen` too; choose another port";
            faults.push(Fault::new("server.admin_listen", message).following_from("server.listen"));
        }
        faults
    }

    /// Callers that are known by certificates that TLS does not ask for.
    fn unasked_certificates(&self) -> Option<Fault> {
        let asks = |tls: &TlsSettings| tls.client_ca.is_some();
        let is_asked = self.tls.as_ref().is_some_and(asks);
        (self.auth.has_certificates() && !is_asked).then(|| {
            let message = "clients are never asked for a certificate; name the file of the authorities that sign them as \
                           `client_ca` in section [tls]";
            Fault::new("auth.certificates", message).following_from("tls")
        })
    }

    /// Roles are of namespaces. Where any namespace is served, a path may name one and mean another.
    fn unnamed_namespaces(&self) -> Option<Fault> {
        let serves_any = matches!(self.namespaces, NamespacesConfig::Any(_));
        (serves_any && !self.auth.is_open()).then(|| {
            let message = "any namespace is served, and callers have roles in named ones; name each namespace, or serve without \
                           authentication";
            Fault::new("namespaces", message).following_from("auth")
        })
    }

    /// Files and keys that are named and do not exist.
    fn missing_files(&self) -> Vec<Fault> {
        let mut faults = namespaces::missing_files(&self.namespaces, &self.keys);
        faults.extend(self.tls.iter().flat_map(tls::faults));
        faults.extend(Authenticator::open(&self.auth).err().unwrap_or_default());
        faults.extend(self.telemetry.faults());
        faults
    }
}

fn settings() -> Settings {
    // Variables of the command line.
    Settings::new("CODEC_").with_other_variables(&[
        "CODEC_CONFIG",
        "CODEC_LOG_FORMAT",
        "CODEC_AUDIT_LOG",
    ])
}
