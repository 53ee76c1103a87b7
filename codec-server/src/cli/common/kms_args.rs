//! How the commands that call a key management service reach it: a flag for each setting of a service that has one.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::{
    Arg, ArgMatches, Args, Command, Error, FromArgMatches, builder::PathBufValueParser,
    error::ErrorKind, parser::ValueSource, value_parser,
};
use temporal_kms_codec::kms::{Kms, Setting, SettingKind};
use temporal_kms_codec_service::{
    arguments,
    local_key::{self, DEFAULT_LOCAL_KEY, default_keyring},
};

use super::exit::{Failure, Status};

const HEADING: &str = "Key management services";
const KEYRING: &str = "local_keyring";
const DEFAULT_KEYRING: &str =
    "[default: temporal-kms-codec/keyring in `$XDG_DATA_HOME` or `~/.local/share`]";

/// The values of the flags, or of the variables behind them, by the names of the settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct KmsArgs {
    values: BTreeMap<&'static str, OsString>,
    /// The names of those that the command line has.
    given: BTreeSet<&'static str>,
}

impl KmsArgs {
    /// Whether the key is `local://default`: there is a keyring, and no variable names a key.
    pub(crate) fn means_default_key(&self) -> bool {
        self.values.contains_key(KEYRING) && !local_key::is_named(&arguments::variable)
    }

    /// The first flag of the command line, without its dashes. Variables do not count.
    pub(crate) fn first_flag(&self) -> Option<&'static str> {
        let given = |setting: &&Setting| self.given.contains(setting.name());
        settings().into_iter().find(given)?.flag_name()
    }

    /// A variable of the process, with `--keyring` over it.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        match name {
            "TEMPORAL_CODEC_KEYRING" => self.values.get(KEYRING)?.to_str().map(str::to_owned),
            "TEMPORAL_CODEC_KEY" if self.means_default_key() => Some(DEFAULT_LOCAL_KEY.to_owned()),
            name => arguments::variable(name),
        }
    }

    /// The services as their own variables describe them, with the arguments over them.
    pub(crate) fn options(&self) -> Result<Kms, Failure> {
        let configuration = |error| Failure::new(Status::Configuration, error);
        let mut kms = Kms::from_env().map_err(configuration)?;
        for setting in settings() {
            let Some(value) = self.values.get(setting.name()) else {
                continue;
            };
            let value = read(setting, value).map_err(|reason| {
                let flag = setting.flag_name().unwrap_or_default();
                Failure::new(Status::Usage, format_args!("--{flag}: {reason}"))
            })?;
            kms.set(setting.name(), value).map_err(configuration)?;
        }
        // Without a home folder there is no default. Opening a local key then reports the missing folder.
        if !self.values.contains_key(KEYRING)
            && let Some(folder) = default_keyring()
        {
            kms.set_local_keyring(folder);
        }
        Ok(kms)
    }
}

/// On a command line, every path may be relative to the working directory.
fn read(setting: &Setting, value: &OsStr) -> Result<temporal_kms_codec::kms::SettingValue, String> {
    if setting.kind() == SettingKind::AbsolutePath {
        let path = std::path::absolute(value).map_err(|error| error.to_string())?;
        return setting.kind().read(path.as_os_str());
    }
    setting.kind().read(value)
}

/// The settings that have flags.
fn settings() -> Vec<&'static Setting> {
    let mut settings = Kms::default().settings();
    settings.retain(|setting| setting.flag_name().is_some());
    settings
}

fn argument(setting: &'static Setting, flag: &'static str) -> Arg {
    // clap leaves out the full stop of one sentence, too.
    let help = setting.help().trim_end_matches('.');
    let argument = Arg::new(setting.name())
        .long(flag)
        .global(true)
        .help_heading(HEADING)
        .help(match setting.name() {
            KEYRING => format!("{help} {DEFAULT_KEYRING}"),
            _ => help.to_owned(),
        });
    let argument = match setting.value_name() {
        Some(name) => argument.value_name(name),
        None => argument,
    };
    let argument = match setting.variable_names().first() {
        Some(name) => argument.env(*name),
        None => argument,
    };
    match setting.kind() {
        SettingKind::Path | SettingKind::AbsolutePath => {
            argument.value_parser(PathBufValueParser::new())
        }
        _ => argument.value_parser(value_parser!(String)),
    }
}

impl Args for KmsArgs {
    fn augment_args(command: Command) -> Command {
        settings()
            .into_iter()
            .fold(command, |command, setting| match setting.flag_name() {
                Some(flag) => command.arg(argument(setting, flag)),
                None => command,
            })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for KmsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        let failed = |_| Error::new(ErrorKind::InvalidValue);
        for setting in settings() {
            let name = setting.name();
            let value = match setting.kind() {
                SettingKind::Path | SettingKind::AbsolutePath => {
                    let path = matches.try_get_one::<PathBuf>(name).map_err(failed)?;
                    path.map(|path| path.clone().into_os_string())
                }
                _ => {
                    let text = matches.try_get_one::<String>(name).map_err(failed)?;
                    text.map(|text| OsString::from(text.clone()))
                }
            };
            if let Some(value) = value {
                self.values.insert(name, value);
                if matches.value_source(name) == Some(ValueSource::CommandLine) {
                    self.given.insert(name);
                }
            }
        }
        Ok(())
    }
}
