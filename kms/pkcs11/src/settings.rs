//! The settings of PKCS#11 tokens.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use percent_encoding::percent_decode_str;

use super::credentials::{PinSource, absolute, invalid};
use temporal_kms::{
    ConfigurationError, KeyUri, Setting, SettingKind, SettingRow, SettingTable, Variables,
};

/// Every setting of PKCS#11 tokens.
pub(super) const SETTINGS: SettingTable<Pkcs11Options> = SettingTable(&[
    SettingRow::new(
        Setting::new(
            "pkcs11_module",
            SettingKind::AbsolutePath,
            "The absolute path of the vendor's PKCS#11 library. Its code runs in this process.",
        )
        .variables(&["PKCS11_MODULE"])
        .flag("pkcs11-module", "FILE")
        .example("\"/usr/lib/vendor/libpkcs11.so\""),
        |options, value| options.module = value.into_path(),
    ),
    SettingRow::with_combined_variables(
        Setting::new(
            "pkcs11_pin_file",
            SettingKind::AbsolutePath,
            "The file with the PIN of the token's user.",
        )
        .variables(&["PKCS11_PIN_FILE"])
        .flag("pkcs11-pin-file", "FILE")
        .example("\"/run/secrets/pin\""),
        |options, value| options.pin = value.into_path().map(PinSource::File),
    ),
    SettingRow::only_combined_variables(
        Setting::new(
            "pkcs11_pin",
            SettingKind::Text,
            "The PIN itself, where there is no file with it.",
        )
        .variables(&["PKCS11_PIN"])
        .secret(),
    ),
    SettingRow::new(
        Setting::new(
            "pkcs11_sessions",
            SettingKind::Count,
            "The most sessions that are open at the same time with one token.",
        )
        .example("8"),
        |options, value| options.max_sessions = value.into_count(),
    ),
]);

/// How to reach PKCS#11 tokens. A key's URI does not hold these settings, because it is written into payloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pkcs11Options {
    /// The vendor's PKCS#11 library, by its absolute path. Its code runs in this process.
    pub module: Option<PathBuf>,
    /// The source of the PIN of the token's user. `None` uses the token without a login.
    pub pin: Option<PinSource>,
    /// The number of concurrent sessions with one token. Further calls wait. Default: 8.
    pub max_sessions: Option<usize>,
    /// Keys with different settings.
    pub keys: BTreeMap<KeyUri, Pkcs11Access>,
}

/// How to reach the token of one key, where this differs from other keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pkcs11Access {
    /// As [`Pkcs11Options::module`].
    pub module: Option<PathBuf>,
    /// As [`Pkcs11Options::pin`].
    pub pin: Option<PinSource>,
}

impl Pkcs11Options {
    /// The options from environment variables.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `PKCS11_MODULE` | the absolute path of the vendor's PKCS#11 library |
    /// | `PKCS11_PIN_FILE` | the absolute path of the file with the PIN of the token's user |
    /// | `PKCS11_PIN` | the PIN itself, if it is not in a file |
    ///
    /// # Errors
    /// When a path is not absolute, or both the file and the PIN are set.
    pub fn from_env() -> Result<Self, ConfigurationError> {
        Self::from_variables(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`from_env`](Self::from_env), with variables from `variable` instead of the process. `variable` returns no
    /// empty values. The PIN itself is read from the process's environment when it is needed.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(variable: Variables<'_>) -> Result<Self, ConfigurationError> {
        let mut options = Self::default();
        SETTINGS.read_variables(&mut options, variable)?;
        let path = |name: &str| {
            let path = variable(name).map(PathBuf::from);
            if path.as_deref().is_none_or(Path::is_absolute) {
                Ok(path)
            } else {
                Err(ConfigurationError::invalid(
                    name,
                    "must be an absolute path",
                ))
            }
        };
        options.pin = match (path("PKCS11_PIN_FILE")?, variable("PKCS11_PIN").is_some()) {
            (Some(_), true) => {
                return Err(ConfigurationError::invalid(
                    "PKCS11_PIN",
                    "PKCS11_PIN_FILE is set, too; set one of them",
                ));
            }
            (Some(file), false) => Some(PinSource::File(file)),
            (None, true) => Some(PinSource::Variable("PKCS11_PIN".to_owned())),
            (None, false) => None,
        };
        Ok(options)
    }

    /// Sets [`module`](Self::module).
    #[must_use]
    pub fn with_module(mut self, path: impl Into<PathBuf>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// Sets [`pin`](Self::pin).
    #[must_use]
    pub fn with_pin(mut self, pin: PinSource) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Sets [`max_sessions`](Self::max_sessions).
    #[must_use]
    pub fn with_max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = Some(sessions);
        self
    }

    /// Sets how to reach `key`, instead of the common settings.
    #[must_use]
    pub fn with_key(mut self, key: KeyUri, access: Pkcs11Access) -> Self {
        self.keys.insert(key, access);
        self
    }

    /// Reads a PKCS#11 URI of a configuration. Its query (RFC 7512, section 2.4) may hold `module-path` and
    /// `pin-source` (`file:PATH`, a path, or `env:VARIABLE`). The options keep the query for this key. It is not part
    /// of the key's name.
    ///
    /// # Errors
    /// When the URI is not valid, or its query holds another attribute. A PIN itself (`pin-value`) is refused.
    pub fn read_key(&mut self, uri: &str) -> Result<KeyUri, ConfigurationError> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let key: KeyUri = path.parse()?;
        if !query.is_empty() {
            let access = Pkcs11Access::parse(query)?;
            self.keys.insert(key.clone(), access);
        }
        Ok(key)
    }

    /// How to reach the token of `key`.
    #[must_use]
    pub fn access(&self, key: &KeyUri) -> Pkcs11Access {
        let own = self.keys.get(key).cloned().unwrap_or_default();
        Pkcs11Access {
            module: own.module.or_else(|| self.module.clone()),
            pin: own.pin.or_else(|| self.pin.clone()),
        }
    }
}

impl Pkcs11Access {
    /// Sets [`module`](Self::module).
    #[must_use]
    pub fn with_module(mut self, path: impl Into<PathBuf>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// Sets [`pin`](Self::pin).
    #[must_use]
    pub fn with_pin(mut self, pin: PinSource) -> Self {
        self.pin = Some(pin);
        self
    }

    fn parse(query: &str) -> Result<Self, ConfigurationError> {
        let mut access = Self::default();
        for attribute in query.split('&') {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = || {
                percent_decode_str(value)
                    .decode_utf8()
                    .ok()
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| {
                        invalid("an attribute of its query has no value in UTF-8; correct it")
                    })
            };
            let first = match name {
                "module-path" => access.module.replace(absolute(&value()?)?).is_none(),
                "pin-source" => access.pin.replace(PinSource::parse(&value()?)?).is_none(),
                "pin-value" => {
                    return Err(invalid(
                        "it must not hold a PIN; put the PIN into a file and name it by pin-source=file:PATH",
                    ));
                }
                _ => {
                    return Err(invalid(
                        "its query may hold module-path=PATH and pin-source=file:PATH only",
                    ));
                }
            };
            if !first {
                return Err(invalid("its query holds an attribute twice; write it once"));
            }
        }
        Ok(access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_query_out_of_the_keys_name() {
        let mut options = Pkcs11Options::default();
        let key = options
            .read_key("pkcs11:token=t;object=o?pin-source=file:/run/my%20pin&module-path=/lib/m.so")
            .unwrap();
        assert_eq!(key.to_string(), "pkcs11:token=t;object=o");
        let access = &options.keys[&key];
        assert_eq!(access.module.as_deref(), Some(Path::new("/lib/m.so")));
        assert_eq!(access.pin, Some(PinSource::File("/run/my pin".into())));

        let plain = options.read_key("pkcs11:token=t;object=p").unwrap();
        assert!(!options.keys.contains_key(&plain));
    }

    #[test]
    fn takes_variables() {
        let from = |variables: &[(&str, &str)]| {
            Pkcs11Options::from_variables(&|name| {
                let mut found = variables.iter().filter(|(n, _)| *n == name);
                found.next().map(|(_, value)| (*value).to_owned())
            })
            .map_err(|error| error.to_string())
        };
        assert_eq!(from(&[]).unwrap(), Pkcs11Options::default());
        let file = from(&[("PKCS11_MODULE", "/m.so"), ("PKCS11_PIN_FILE", "/pin")]).unwrap();
        assert_eq!(file.module.as_deref(), Some(Path::new("/m.so")));
        assert_eq!(file.pin, Some(PinSource::File("/pin".into())));
        let pin = from(&[("PKCS11_PIN", "1234")]).unwrap().pin;
        assert_eq!(pin, Some(PinSource::Variable("PKCS11_PIN".into())));

        let both = from(&[("PKCS11_PIN", "1234"), ("PKCS11_PIN_FILE", "/pin")]).unwrap_err();
        assert!(
            both.contains("one of them") && !both.contains("1234"),
            "{both}"
        );
        let relative = from(&[("PKCS11_MODULE", "m.so")]).unwrap_err();
        assert!(
            relative.contains("PKCS11_MODULE: must be an absolute path"),
            "{relative}"
        );
    }

    #[test]
    fn refuses_pins_and_unknown_attributes() {
        for (query, reason) in [
            ("pin-value=1234", "must not hold a PIN"),
            ("pin-value=1234&module-path=/m.so", "must not hold a PIN"),
            ("module-name=softhsm", "only"),
            ("x-vendor=1234", "only"),
            ("module-path=", "no value"),
            ("module-path=%ff", "no value"),
            ("module-path=m.so", "absolute"),
            ("pin-source=pin", "absolute"),
            ("pin-source=env:", "variable"),
            ("pin-source=|cat 1234", "absolute"),
            ("pin-source=/a&pin-source=/b", "twice"),
        ] {
            let error = Pkcs11Options::default()
                .read_key(&format!("pkcs11:token=t;object=o?{query}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(reason), "{query}: {error}");
            assert!(!error.contains("1234"), "{query}: {error}");
        }
    }
}
