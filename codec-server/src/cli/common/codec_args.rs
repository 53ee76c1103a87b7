//! The codec of a command that encodes or decodes payloads: keys, formats and namespace from its arguments, from the
//! variables of a worker, or from a configuration.

use std::path::{Path, PathBuf};

use clap::Args;
use temporal_kms_codec::{
    Codec, CodecSettings, ConfigurationError, Error, Format, KeyUri, Namespace, StaticKeySource,
};
use temporal_kms_codec_service::{
    arguments::variable,
    local_key::KeyChoice,
    namespaces::{Keys, OpenError},
};

use super::{
    audit_log::{AuditArgs, CommandEvent, CommandLog},
    exit::{Failure, Status},
    missing_key,
};
use crate::config::{Config, NamespaceConfig, NamespacesConfig};

const KEY: &str = "TEMPORAL_CODEC_KEY";

#[derive(Clone, Debug, Args)]
pub(crate) struct CodecArgs {
    /// A key, as a URI; several are several recipients [default: `TEMPORAL_CODEC_KEY`, else `local://default`].
    #[arg(long = "key", value_name = "URI", conflicts_with = "config")]
    keys: Vec<String>,
    /// Folder of `local://` keys [default: `TEMPORAL_CODEC_KEYRING`, else as for `dev`].
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    keyring: Option<PathBuf>,
    /// A configuration as for `serve`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A format to open beside `envelope`: `envelope-v1`, `direct`, or `static`, `temporal-proxy`, `zlib`, `snappy` or `gzip` of another codec; may be repeated.
    #[arg(
        long = "decrypt-format",
        value_name = "FORMAT",
        conflicts_with = "config"
    )]
    decrypt_formats: Vec<Format>,
    /// A static key of another codec: its id, and the file that holds it or `env:NAME`; opens the format `static` too; may be repeated.
    #[arg(
        long = "static-key",
        value_name = "ID=FILE",
        value_parser = static_key,
        conflicts_with = "config"
    )]
    static_keys: Vec<(String, StaticKeySource)>,
    /// The namespace of the payloads.
    #[arg(
        long,
        value_name = "NAME",
        env = "TEMPORAL_NAMESPACE",
        default_value = "default"
    )]
    namespace: String,
    #[command(flatten)]
    audit: AuditArgs,
}

impl CodecArgs {
    /// Opens the audit log of a command.
    pub(crate) async fn log(
        &self,
        command: &'static str,
        files: &[PathBuf],
    ) -> Result<CommandLog, Failure> {
        let event = CommandEvent::of(command)
            .in_namespace(&self.namespace)
            .reading(files);
        self.audit.open(event).await
    }

    /// Opens the keys. `log` has a line for each call of one.
    pub(crate) async fn codec(&self, log: &CommandLog) -> Result<Codec, Failure> {
        let opened = self.open(log).await?;
        opened.map_err(|error| OpenError::from(error).into())
    }

    /// As [`codec`](Self::codec), for commands that only decrypt. A new key would decrypt nothing, so the error about a
    /// missing key says how to name the right one. `wanted` are the keys that the payloads name. It runs only after
    /// such an error.
    pub(crate) async fn decoder(
        &self,
        log: &CommandLog,
        wanted: impl Future<Output = Vec<KeyUri>>,
    ) -> Result<Codec, Failure> {
        match self.open(log).await? {
            Ok(codec) => Ok(codec),
            Err(Error::Provider(error)) => {
                let (remedy, names) = (self.remedy(), "the payloads name");
                Err(missing_key::failure_of_input(error, remedy, names, wanted).await)
            }
            Err(error) => Err(OpenError::from(error).into()),
        }
    }

    /// What to do when a local key that has to decrypt does not exist.
    fn remedy(&self) -> &'static str {
        if self.config.is_some() {
            "correct the name of the key or its keyring in the configuration"
        } else if self.keys.is_empty() {
            "name the key with --key, and its folder with --keyring"
        } else {
            missing_key::WRONG_NAME
        }
    }

    /// Opens the keys. The inner error is about a key, or about settings that cannot work together.
    async fn open(&self, log: &CommandLog) -> Result<Result<Codec, Error>, Failure> {
        let namespace = Namespace::new(&self.namespace)
            .map_err(|error| Failure::new(Status::Usage, format_args!("--namespace: {error}")))?;
        let (config, mut kms) = if let Some(file) = &self.config {
            let config = Config::load_settings(file)?;
            (of_file(&config, file, &namespace)?, config.keys)
        } else {
            let mut settings = self.settings()?;
            settings
                .static_keys
                .extend(self.static_keys.iter().cloned());
            let mut config = NamespaceConfig::from_settings(&settings).ok_or_else(|| {
                Failure::new(
                    Status::Configuration,
                    "no key is named; use --key, or set TEMPORAL_CODEC_KEY",
                )
            })?;
            let mut formats = self.decrypt_formats.clone();
            if !self.static_keys.is_empty() {
                formats.push(Format::Static);
            }
            config.open_formats_too(&formats);
            (config, settings.kms)
        };
        log.observe(&mut kms);
        let opened = async {
            let keys = Keys::open(&config, &kms, &mut [].into()).await?;
            keys.codec(&config, &namespace, None)
        };
        Ok(opened.await)
    }

    /// The variables of a worker, with the arguments over them.
    fn settings(&self) -> Result<CodecSettings, Failure> {
        let choice = KeyChoice::new()
            .keys(&self.keys)
            .keyring(self.keyring.clone())
            .namespace(&self.namespace)
            .keyring_over_services()
            .or_default();
        choice.settings(&variable).map_err(|error| {
            if !self.keys.is_empty() && error.setting() == KEY {
                return Failure::new(Status::Usage, format_args!("--key: {}", error.reason()));
            }
            Failure::new(Status::Configuration, error)
        })
    }
}

fn of_file(
    config: &Config,
    file: &Path,
    namespace: &Namespace,
) -> Result<NamespaceConfig, Failure> {
    let named = match &config.namespaces {
        NamespacesConfig::Named(named) => named,
        NamespacesConfig::Any(config) => return Ok(config.clone()),
    };
    named.get(namespace).cloned().ok_or_else(|| {
        let known: Vec<&str> = named.sections().map(|(name, _)| name).collect();
        Failure::new(
            Status::Usage,
            format_args!(
                "{}: there is no namespace {namespace}; choose one of {}",
                file.display(),
                known.join(", ")
            ),
        )
    })
}

/// On a command line, a path may be relative to the working directory.
fn static_key(text: &str) -> Result<(String, StaticKeySource), String> {
    let (id, source) = text.split_once('=').ok_or("expected ID=FILE")?;
    let reason = |error: ConfigurationError| error.reason().to_owned();
    if source.starts_with("env:") {
        return Ok((id.to_owned(), source.parse().map_err(reason)?));
    }
    let path = std::path::absolute(source).map_err(|error| error.to_string())?;
    Ok((id.to_owned(), StaticKeySource::File(path)))
}
