//! `dev`: a server with one local key, for development.

use std::path::PathBuf;

use clap::Args;
use temporal_kms_codec::{
    Format, KeyUri, PlaintextPolicy,
    kms::{Kms, RotationPolicy, local::LocalKeyring},
};
use temporal_kms_codec_service::{
    auth::AuthConfig,
    listener::{self, ListenAddress},
    local_key::{DEFAULT_LOCAL_KEY, default_keyring},
    log::EarlyLog,
    telemetry::TelemetryConfig,
};

use super::{
    exit::{Failure, Status, say},
    serve,
};
use crate::config::{
    self, Config, CorsConfig, LimitsConfig, LoadedConfig, LogConfig, NamespaceConfig,
    NamespacesConfig, OnUndecodable, ReloadConfig, ServerConfig,
};

pub(super) const HELP: &str = "\
Examples:
  codec-server dev
  codec-server dev --listen localhost:8081 --keyring ./keys
  temporal server start-dev --ui-codec-endpoint http://127.0.0.1:8081

The key is local://default, the Tink keyset default.json in the folder KEYRING.
It is created on the first start. Never use it in production: a user who can
read the file can decrypt everything.

SIGTERM, SIGINT and SIGHUP stop the server after the requests in flight.";

#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// Address and port for clients, a loopback address, or `unix:PATH`. Port 0 is a free one.
    #[arg(long, value_name = "ADDR", env = "CODEC_SERVER_LISTEN", default_value = config::DEFAULT_LISTEN,
          value_parser = config::loopback)]
    listen: ListenAddress,
    /// Address and port for /healthz, /readyz and /metrics. Any address: they show no payload and no secret.
    #[arg(long, value_name = "ADDR", env = "CODEC_SERVER_ADMIN_LISTEN", value_parser = listener::parse)]
    admin_listen: Option<ListenAddress>,
    /// Folder of the keyset [default: temporal-kms-codec/keyring in `$XDG_DATA_HOME` or `~/.local/share`].
    #[arg(long, value_name = "DIR", env = "TEMPORAL_CODEC_KEYRING")]
    keyring: Option<PathBuf>,
    /// What happens to a payload that cannot be decoded: `placeholder` answers a text that says why, `fail` an error.
    #[arg(long, value_name = "WHAT", default_value = "placeholder")]
    on_undecodable: OnUndecodable,
    /// A format to open beside `envelope`: `envelope-v1` or `direct`; may be repeated.
    #[arg(long = "decrypt-format", value_name = "FORMAT")]
    decrypt_formats: Vec<Format>,
    /// Whether payloads that are not encrypted pass: `allow` or `reject`.
    #[arg(long, value_name = "WHAT", default_value = "allow")]
    plaintext: PlaintextPolicy,
}

pub(super) fn run(options: DevArgs, log: Option<EarlyLog>) -> Result<(), Failure> {
    let keyring = match options.keyring {
        Some(keyring) => keyring,
        None => default_keyring().ok_or_else(|| {
            Failure::new(
                Status::Usage,
                "name the folder of the local key with --keyring DIR",
            )
        })?,
    };
    let key: KeyUri = DEFAULT_LOCAL_KEY
        .parse()
        .map_err(|error| Failure::new(Status::Usage, error))?;
    create_missing(&key, &keyring)?;
    let mut server = ServerConfig::on(options.listen);
    server.admin_listen = options.admin_listen;
    let mut namespace = NamespaceConfig::with_key(key);
    namespace.on_undecodable = options.on_undecodable;
    namespace.plaintext = options.plaintext;
    namespace.open_formats_too(&options.decrypt_formats);
    let keys = Kms::builder().local_keyring(keyring).build();
    let variable = |name: &str| std::env::var(name).ok();
    let telemetry = TelemetryConfig::from_variables(&variable)
        .map_err(|mistakes| Failure::new(Status::Configuration, mistakes))?;
    let config = LoadedConfig::fixed(Config {
        server,
        tls: None,
        auth: AuthConfig::default(),
        limits: LimitsConfig::default(),
        cors: CorsConfig::local(),
        audit: None,
        keys,
        rotation: RotationPolicy::default(),
        log: LogConfig::default(),
        reload: ReloadConfig::default(),
        telemetry,
        namespaces: NamespacesConfig::Any(namespace),
    });
    serve::start(config, log)
}

/// Only `dev` creates its key; other servers never do.
fn create_missing(key: &KeyUri, keyring: &std::path::Path) -> Result<(), Failure> {
    let file = keyring.join(format!("{}.json", key.resource()));
    let is_new = !file.exists();
    LocalKeyring::open(keyring)
        .key_or_create(key.resource())
        .map_err(Failure::from)?;
    if is_new {
        say(format_args!(
            "created {key} in {} (development only)",
            keyring.display()
        ));
    }
    Ok(())
}
