//! The key for development, and which keys a command uses: those of its command line, of the variables, or that key.

use std::{
    env,
    path::{Path, PathBuf},
};

use temporal_kms_codec::{CodecSettings, ConfigurationError, kms::Kms};

/// The key of a keyring when no key is named.
pub const DEFAULT_LOCAL_KEY: &str = "local://default";

const KEY: &str = "TEMPORAL_CODEC_KEY";
const KEYRING: &str = "TEMPORAL_CODEC_KEYRING";
const NAMESPACE: &str = "TEMPORAL_NAMESPACE";

/// Reads a variable. One that is empty counts as unset.
type Variables<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// Where the default key is stored. It does not depend on the working directory, so that every command finds it.
/// `None` where neither `XDG_DATA_HOME` nor `HOME` is set.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `XDG_DATA_HOME` | commands without `--keyring` look for local keys in `temporal-kms-codec/keyring` there | `~/.local/share` |
#[must_use]
pub fn default_keyring() -> Option<PathBuf> {
    let folder = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    folder("XDG_DATA_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("temporal-kms-codec/keyring"))
}

/// Whether a variable names the key to encrypt with.
#[must_use]
pub fn is_named(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    variable(KEY).is_some() || Kms::default().has_named_key(variable)
}

/// The keys of a command line, over the variables of a worker.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct KeyChoice {
    keys: Vec<String>,
    keyring: Option<PathBuf>,
    namespace: Option<String>,
    keyring_first: bool,
    without_keyring: bool,
}

impl KeyChoice {
    /// The variables alone. The key is [`DEFAULT_LOCAL_KEY`] where they name a keyring and no key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keys, as URIs. Without any, the variables count.
    pub fn keys(mut self, keys: &[String]) -> Self {
        self.keys = keys.to_vec();
        self
    }

    /// The folder of local keys. Without one, the variable counts.
    pub fn keyring(mut self, keyring: Option<PathBuf>) -> Self {
        self.keyring = keyring;
        self
    }

    /// The namespace, over the variable.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// A keyring on the command line means its default key, even when variables name the key of a service.
    pub fn keyring_over_services(mut self) -> Self {
        self.keyring_first = true;
        self
    }

    /// Without a named key, it is the default key in [`default_keyring`].
    pub fn or_default(mut self) -> Self {
        self.without_keyring = true;
        self
    }

    /// The settings of a codec.
    ///
    /// # Errors
    /// When a key or another variable has no valid value, or no key is named.
    pub fn settings(&self, variable: Variables<'_>) -> Result<CodecSettings, ConfigurationError> {
        let key = if self.keys.is_empty() {
            variable(KEY).or_else(|| self.key_of_keyring(variable))
        } else {
            Some(self.keys.join(","))
        };
        let with_key = |key: Option<&str>| {
            CodecSettings::from_variables(&|name| match name {
                KEY => key.map(str::to_owned),
                NAMESPACE => self.namespace.clone().or_else(|| variable(name)),
                name => variable(name),
            })
        };
        let mut settings = match with_key(key.as_deref()) {
            Err(error) if key.is_none() && self.without_keyring && error.setting() == KEY => {
                with_key(Some(DEFAULT_LOCAL_KEY))?
            }
            settings => settings?,
        };
        let default = || self.without_keyring.then(default_keyring).flatten();
        let keyring = self.keyring.clone();
        let keyring = keyring.or_else(|| settings.kms.local_keyring().map(Path::to_owned));
        if let Some(keyring) = keyring.or_else(default) {
            settings.kms.set_local_keyring(keyring);
        }
        Ok(settings)
    }

    fn key_of_keyring(&self, variable: Variables<'_>) -> Option<String> {
        let has_keyring = self.keyring.is_some() || variable(KEYRING).is_some();
        let is_meant =
            (self.keyring_first && self.keyring.is_some()) || (has_keyring && !is_named(&variable));
        is_meant.then(|| DEFAULT_LOCAL_KEY.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GCP: [(&str, &str); 3] = [
        ("PROJECT_ID", "p"),
        ("KMS_KEY_RING", "r"),
        ("KMS_KEY_NAME", "k"),
    ];
    const GCP_KEY: &str = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k";

    fn chosen(choice: &KeyChoice, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            let mut found = variables.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        let settings = choice.settings(&variable);
        let settings = settings.map_err(|error| error.setting().to_owned())?;
        let keys: Vec<String> = settings.encrypt.iter().map(ToString::to_string).collect();
        Ok(keys.join(","))
    }

    #[test]
    fn the_command_line_is_over_the_variables() {
        let choice = KeyChoice::new().keys(&["local://a".to_owned(), "local://b".to_owned()]);
        let named = [(KEY, "local://c")];
        assert_eq!(chosen(&choice, &named).unwrap(), "local://a,local://b");
        assert_eq!(chosen(&KeyChoice::new(), &named).unwrap(), "local://c");
    }

    #[test]
    fn a_keyring_means_its_default_key_where_no_key_is_named() {
        let keyring = KeyChoice::new().keyring(Some("keys".into()));
        assert_eq!(chosen(&keyring, &[]).unwrap(), DEFAULT_LOCAL_KEY);
        let variable = [(KEYRING, "keys")];
        assert_eq!(
            chosen(&KeyChoice::new(), &variable).unwrap(),
            DEFAULT_LOCAL_KEY
        );
        assert_eq!(chosen(&keyring, &GCP).unwrap(), GCP_KEY);
        let first = keyring.keyring_over_services();
        assert_eq!(chosen(&first, &GCP).unwrap(), DEFAULT_LOCAL_KEY);
    }

    #[test]
    fn without_any_key_it_is_the_default_one_where_the_program_says_so() {
        assert_eq!(chosen(&KeyChoice::new(), &[]), Err(KEY.to_owned()));
        let or_default = KeyChoice::new().or_default();
        assert_eq!(chosen(&or_default, &[]).unwrap(), DEFAULT_LOCAL_KEY);
        assert_eq!(chosen(&or_default, &GCP).unwrap(), GCP_KEY);
    }
}
