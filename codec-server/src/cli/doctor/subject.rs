//! What is examined: namespaces with their keys, from a file, from the environment, or from the command line.

use std::path::Path;

use temporal_kms::support::shell_path;
use temporal_kms_codec::{
    CodecSettings, ConfigurationError, DekLimits, EncryptionContext, Format, KeyUri, Namespace,
    PlaintextPolicy, Scheme,
    kms::{CallPolicy, Kms, RotationPolicy},
};

use super::{
    super::exit::Status,
    arguments::DoctorArgs,
    finding::{Check, Finding, Findings},
    serving::Serving,
};
use crate::config::{Config, NamespaceConfig, NamespacesConfig};

pub(super) struct Subject {
    pub(super) namespaces: Vec<(Namespace, NamespaceConfig)>,
    /// Keys that sign, each with the services that it is opened with.
    pub(super) signing: Vec<(KeyUri, Kms)>,
    /// One attempt for each call.
    pub(super) kms: Kms,
    /// How old the versions of keys may become.
    pub(super) rotation: RotationPolicy,
    /// What a server needs beside its keys, where one is configured.
    pub(super) serving: Option<Serving>,
    /// Whether a server is started with it, whose every setting was chosen.
    serves: bool,
    /// Whether each key is checked on its own, in one namespace for all.
    by_key: bool,
}

/// What one key is used for.
pub(super) struct Uses {
    pub(super) encrypts: bool,
    pub(super) direct: bool,
    pub(super) context: EncryptionContext,
    pub(super) dek_limits: DekLimits,
}

/// Why there is nothing to examine.
struct Refusal(Box<Finding>);

impl Subject {
    /// `None` when that fails, and why is among the findings.
    pub(super) fn read(args: &DoctorArgs, findings: &mut Findings) -> Option<Self> {
        let read = match args.config() {
            Some(file) => no_flags(&file, args).and_then(|()| Self::of_file(&file, args)),
            None if args.names_keys() => Self::of_keys(args),
            None => Self::of_environment(args),
        };
        let read = read.and_then(|(mut subject, what)| {
            subject.add_signing_keys(&args.signing_keys)?;
            Ok((subject, what))
        });
        match read {
            Ok((mut subject, what)) => {
                subject.each_kms(call_once);
                findings.push(
                    Finding::ok(Check::Configuration, subject.summary(&what))
                        .with("namespaces", subject.namespace_count())
                        .with("keys", subject.keys().len())
                        .with("signing_keys", subject.signing.len()),
                );
                subject.warn(findings);
                Some(subject)
            }
            Err(finding) => {
                findings.push(*finding.0);
                None
            }
        }
    }

    fn of_file(file: &Path, args: &DoctorArgs) -> Result<(Self, String), Refusal> {
        let what = file.display().to_string();
        let config = Config::load_settings(file).map_err(|problems| {
            refused(
                problems.to_string(),
                format!(
                    "correct the file; `codec-server config check {}` reports the same",
                    shell_path(file)
                ),
            )
        })?;
        let serving = Serving::of(&config);
        let signing = signing_keys(&config);
        let NamespacesConfig::Named(named) = config.namespaces else {
            return Err(refused(
                format!("{what} has no section [namespaces.NAME]"),
                "add one with the key to encrypt with",
            ));
        };
        let namespaces = if let Some(name) = &args.namespace {
            let namespace = Namespace::new(name).map_err(|error| setting(&error))?;
            let config = named.get(&namespace).cloned().ok_or_else(|| {
                let known: Vec<&str> = named.sections().map(|(name, _)| name).collect();
                usage(
                    format!("{what} has no namespace {name}"),
                    format!("name one that it has: {}", known.join(", ")),
                )
            })?;
            vec![(namespace, config)]
        } else {
            // A pattern is a name that could be used, too.
            let each = named.sections().map(|(name, config)| {
                let namespace = Namespace::new(name).map_err(|error| setting(&error))?;
                Ok((namespace, config.clone()))
            });
            each.collect::<Result<_, Refusal>>()?
        };
        let mut subject = Self::new(namespaces, config.keys, true);
        subject.rotation = config.rotation;
        subject.serving = Some(serving);
        subject.signing = signing;
        Ok((subject, what))
    }

    fn of_environment(args: &DoctorArgs) -> Result<(Self, String), Refusal> {
        let mut serving = None;
        let mut signing = Vec::new();
        if !args.kms.means_default_key() {
            let config = Config::settings_from_environment().map_err(|problems| {
                let remedy = "correct the variables, or name what to check with --config, --key or --keyring";
                refused(problems.to_string(), remedy)
            })?;
            serving = Some(Serving::of(&config));
            signing = signing_keys(&config);
        }
        let settings = CodecSettings::from_variables(&|name| args.kms.variable(name))
            .map_err(|error| setting(&error))?;
        let namespace = match &args.namespace {
            Some(name) => Namespace::new(name).map_err(|error| setting(&error))?,
            None => settings.namespace.clone(),
        };
        let mut config = NamespaceConfig::from_settings(&settings).ok_or_else(|| {
            refused(
                "TEMPORAL_CODEC_KEY names no key".to_owned(),
                "set it to the key to encrypt with",
            )
        })?;
        // Of workers, not of this server.
        config.plaintext = settings.plaintext.unwrap_or_default();
        let mut subject = Self::new(vec![(namespace, config)], settings.kms, false);
        subject.serving = serving;
        subject.signing = signing;
        Ok((subject, "the environment".to_owned()))
    }

    fn of_keys(args: &DoctorArgs) -> Result<(Self, String), Refusal> {
        if args.places().are_named() {
            return Err(usage(
                "--ui and --server are about the server of a configuration".to_owned(),
                "name the configuration with --config, or leave them out",
            ));
        }
        let namespace = args.namespace.as_deref().unwrap_or("default");
        let namespace = Namespace::new(namespace).map_err(|error| setting(&error))?;
        let mut kms = args
            .kms
            .options()
            .map_err(|failure| refused(failure.to_string(), "correct the variable"))?;
        let mut namespaces = Vec::new();
        for uri in &args.keys {
            let key = read_key(&mut kms, "--key", uri)?;
            namespaces.push((namespace.clone(), NamespaceConfig::with_key(key)));
        }
        let subject = Self {
            by_key: true,
            ..Self::new(namespaces, kms, false)
        };
        Ok((subject, "the command line".to_owned()))
    }

    fn new(namespaces: Vec<(Namespace, NamespaceConfig)>, kms: Kms, serves: bool) -> Self {
        Self {
            namespaces,
            signing: Vec::new(),
            kms,
            rotation: RotationPolicy::default(),
            serving: None,
            serves,
            by_key: false,
        }
    }

    /// Adds signing keys of the command line. Each key is checked once.
    fn add_signing_keys(&mut self, uris: &[String]) -> Result<(), Refusal> {
        for uri in uris {
            let key = read_key(&mut self.kms, "--signing-key", uri)?;
            if self.signing.iter().all(|(known, _)| *known != key) {
                self.signing.push((key, self.kms.clone()));
            }
        }
        Ok(())
    }

    /// Changes how keys are called.
    pub(super) fn each_kms(&mut self, change: impl Fn(&mut Kms)) {
        change(&mut self.kms);
        for (_, kms) in &mut self.signing {
            change(kms);
        }
    }

    /// The key that names what is found of a namespace, where the namespace's name does not tell it apart.
    pub(super) fn told_apart_by<'c>(&self, config: &'c NamespaceConfig) -> Option<&'c KeyUri> {
        let several = self.by_key && self.namespaces.len() > 1;
        config.encrypt.first().filter(|_| several)
    }

    fn namespace_count(&self) -> usize {
        if self.by_key {
            self.namespaces.len().min(1)
        } else {
            self.namespaces.len()
        }
    }

    /// Every key once, with what it is for in the first namespace that names it, and whether any encrypts with it.
    pub(super) fn keys(&self) -> Vec<(KeyUri, Uses)> {
        let mut found: Vec<(KeyUri, Uses)> = Vec::new();
        for (namespace, config) in &self.namespaces {
            let encrypt = config.encrypt.iter().map(|key| (key, true));
            let decrypt = config.decrypt.iter().map(|key| (key, false));
            for (key, encrypts) in encrypt.chain(decrypt) {
                let direct = config.format == Format::Direct;
                if let Some((_, uses)) = found.iter_mut().find(|(known, _)| known == key) {
                    uses.encrypts |= encrypts;
                    uses.direct |= direct;
                    continue;
                }
                let context = match config.format {
                    Format::Envelope => {
                        EncryptionContext::for_namespace(namespace, config.context.clone())
                    }
                    _ => Ok(EncryptionContext::empty()),
                };
                found.push((
                    key.clone(),
                    Uses {
                        encrypts,
                        direct,
                        // A context that is not valid fails with the codec.
                        context: context.unwrap_or_else(|_| EncryptionContext::empty()),
                        dek_limits: config.dek_limits.clone(),
                    },
                ));
            }
        }
        found
    }

    fn summary(&self, what: &str) -> String {
        let count = |count: usize, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            count => Some(format!("{count} {what}s")),
        };
        let namespaces = match (self.namespace_count(), self.namespaces.first()) {
            (1, Some((name, _))) => Some(format!("namespace {name}")),
            (several, _) => count(several, "namespace"),
        };
        let keys = count(self.keys().len(), "key");
        let signing = count(self.signing.len(), "signing key");
        let parts: Vec<_> = [namespaces, keys, signing].into_iter().flatten().collect();
        format!("{what}: {}", parts.join(", "))
    }

    /// Settings that are allowed but weaken the protection.
    fn warn(&self, findings: &mut Findings) {
        for (namespace, config) in &self.namespaces {
            let mut warn = |summary: &str, remedy: &str| {
                let finding = Finding::warning(Check::Configuration, summary, remedy);
                findings.push(finding.of_namespace(namespace));
            };
            let is_local = |key: &KeyUri| key.scheme() == Scheme::LOCAL;
            if config.encrypt.iter().any(is_local) && !config.encrypt.iter().all(is_local) {
                warn(
                    "a local key is among several recipients: anyone who can read its file can decrypt every payload",
                    "take the local key out of `encrypt`, and keep it in `decrypt` while payloads need it",
                );
            }
            match config.format {
                Format::Direct => warn(
                    "format = direct: each payload is a call of the service, and is bound to no namespace and no context",
                    "set format = \"envelope\", and keep direct in decrypt_formats while such payloads are in use",
                ),
                Format::EnvelopeV1 => warn(
                    "format = envelope-v1: payloads are bound to no namespace and no context",
                    "set format = \"envelope\" once every reader knows it, and keep envelope-v1 in decrypt_formats while such payloads are in use",
                ),
                _ => {}
            }
            if config.plaintext == PlaintextPolicy::Allow && self.serves {
                findings.push(
                    Finding::ok(
                        Check::Configuration,
                        "plaintext = allow: payloads that are not encrypted pass; set it to reject once all are encrypted",
                    )
                    .of_namespace(namespace),
                );
            }
        }
    }
}

/// A configuration says how keys are reached, also those of --signing-key.
fn no_flags(file: &Path, args: &DoctorArgs) -> Result<(), Refusal> {
    let Some(flag) = args.kms.first_flag() else {
        return Ok(());
    };
    Err(usage(
        format!(
            "--{flag} does not count beside the configuration {}, which says how keys are reached",
            file.display()
        ),
        format!(
            "leave --{flag} out and set it under [keys] of the configuration, or name keys with --key or --signing-key and \
             no configuration"
        ),
    ))
}

/// One attempt for each call.
fn call_once(kms: &mut Kms) {
    let calls = kms.calls();
    let once = CallPolicy::once()
        .with_max_concurrent(calls.max_concurrent)
        .with_attempt_timeout(calls.attempt_timeout)
        .with_total_timeout(calls.total_timeout);
    kms.set_calls(once);
}

/// The keys with which a server signs.
fn signing_keys(config: &Config) -> Vec<(KeyUri, Kms)> {
    let audit = config.audit.as_ref();
    let key = audit.and_then(|audit| audit.anchor_key.clone());
    key.map(|key| (key, config.keys.clone()))
        .into_iter()
        .collect()
}

fn read_key(kms: &mut Kms, option: &str, uri: &str) -> Result<KeyUri, Refusal> {
    kms.read_key(uri).map_err(|error| {
        usage(
            format!("{option} {}: {}", KeyUri::redact(uri), error.reason()),
            "correct the key's name",
        )
    })
}

fn refused(summary: String, remedy: impl Into<String>) -> Refusal {
    refusal(Status::Configuration, summary, remedy.into())
}

/// A mistake on the command line.
fn usage(summary: String, remedy: impl Into<String>) -> Refusal {
    refusal(Status::Usage, summary, remedy.into())
}

fn refusal(exit: Status, summary: String, remedy: String) -> Refusal {
    let finding = Finding::failed(Check::Configuration, exit, summary, remedy);
    Refusal(Box::new(finding))
}

fn setting(error: &ConfigurationError) -> Refusal {
    refused(error.to_string(), format!("correct {}", error.setting()))
}
