//! Environment variables → settings → builder → codec.

mod cache;
mod keys;
mod variables;

use std::collections::BTreeMap;

use self::{
    keys::{encrypting_keys, key_list},
    variables::{
        CONTEXT, DECRYPT_FORMATS, DECRYPT_KEYS, FORMAT, KEY, Lookup, NAMESPACE, PLAINTEXT,
        REQUIRE_CONTEXT, STATIC_KEYS, items, named, pairs, parsed,
    },
};
use crate::{
    CacheLimits, Codec, CodecBuilder, ConfigurationError, Error, Format, KeyUri, Namespace,
    PlaintextPolicy, RequiredContext, StaticKeySource, StaticKeys, kms::Kms,
};

/// The settings that the environment holds for a codec, before any key is opened.
///
/// ```no_run
/// # async fn example() -> Result<(), temporal_kms_codec::Error> {
/// use temporal_kms_codec::{CodecSettings, Compression};
///
/// // Variables and code together: the environment names the keys, the program what it knows of its payloads.
/// let builder = CodecSettings::from_env()?.into_builder().await?;
/// let codec = builder
///     .compression(Compression::Zstd { level: 3, min_bytes: 512 })
///     .build()?;
/// # drop(codec);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CodecSettings {
    /// The namespace.
    pub namespace: Namespace,
    /// The keys to encrypt with.
    pub encrypt: Vec<KeyUri>,
    /// Further keys to decrypt with.
    pub decrypt: Vec<KeyUri>,
    /// The format to write.
    pub format: Format,
    /// The formats to open, where they are named.
    pub decrypt_formats: Option<Vec<Format>>,
    /// The pairs of the encryption context beside the namespace.
    pub context: BTreeMap<String, String>,
    /// Which of these pairs a payload must carry to be decoded.
    pub require_context: RequiredContext,
    /// What happens to payloads that are not encrypted, where it is set.
    pub plaintext: Option<PlaintextPolicy>,
    /// Where the static keys of other codecs come from, by their ids.
    pub static_keys: BTreeMap<String, StaticKeySource>,
    /// How many unwrapped data keys are kept for decoding, and for how long.
    pub cache_limits: CacheLimits,
    /// How the keys are opened.
    pub kms: Kms,
}

impl CodecSettings {
    /// As [`from_env`](Self::from_env), of other variables than the process's: for programs that have options beside
    /// the variables. An empty variable counts as unset.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(
        variables: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Result<Self, ConfigurationError> {
        Self::from_lookup(variables)
    }

    /// Reads the variables of [`Codec::from_env`].
    ///
    /// # Errors
    /// When a variable is missing or has no valid value.
    pub fn from_env() -> Result<Self, ConfigurationError> {
        let is_read = |name: &str| name == NAMESPACE || name.starts_with("TEMPORAL_CODEC_");
        for (name, value) in std::env::vars_os() {
            if let Some(name) = name.to_str().filter(|name| is_read(name))
                && value.to_str().is_none()
            {
                return Err(ConfigurationError::invalid(
                    name,
                    "it is not valid UTF-8; set it to UTF-8 text",
                ));
            }
        }
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// Opens the keys, and builds the codec.
    ///
    /// # Errors
    /// When a key cannot be opened, or the settings cannot work together.
    pub async fn open(self) -> Result<Codec, Error> {
        self.into_builder().await?.build().map_err(of_variable)
    }

    /// Opens the keys. The builder has every setting of the environment and can be refined in code.
    ///
    /// # Errors
    /// When a key cannot be opened.
    pub async fn into_builder(self) -> Result<CodecBuilder, Error> {
        let mut builder = Codec::builder(self.namespace)
            .format(self.format)
            .require_context(self.require_context)
            .cache_limits(self.cache_limits)
            .plaintext_policy(self.plaintext.unwrap_or_default());
        if let Some(formats) = self.decrypt_formats {
            builder = builder.decrypt_formats(formats);
        }
        let mut static_keys = StaticKeys::new();
        for (id, source) in self.static_keys {
            static_keys = static_keys.with(id, source.load().map_err(named(STATIC_KEYS))?);
        }
        builder = builder.static_keys(static_keys);
        for (name, value) in self.context {
            builder = builder.context(name, value);
        }
        for uri in &self.encrypt {
            builder = builder.encrypt_with(self.kms.key(uri).await?);
        }
        for uri in &self.decrypt {
            builder = builder.decrypt_with(self.kms.key(uri).await?);
        }
        Ok(builder)
    }

    fn from_lookup(variables: Lookup<'_>) -> Result<Self, ConfigurationError> {
        // An empty variable is what a template leaves of one that is not set.
        let variable = |name: &str| variables(name).filter(|value| !value.is_empty());

        let namespace = match variable(NAMESPACE) {
            Some(name) => Namespace::new(&name).map_err(named(NAMESPACE))?,
            None => Namespace::new("default")?,
        };
        let format = parsed(&variable, FORMAT)?.unwrap_or_default();
        let plaintext = parsed(&variable, PLAINTEXT)?;
        let mut kms = Kms::from_variables(&variable)?;
        Ok(Self {
            namespace,
            encrypt: encrypting_keys(&variable, &mut kms)?,
            decrypt: match variable(DECRYPT_KEYS) {
                Some(list) => key_list(DECRYPT_KEYS, &list, &mut kms)?,
                None => Vec::new(),
            },
            format,
            decrypt_formats: variable(DECRYPT_FORMATS)
                .map(|list| items(&list, |name| name.parse().map_err(named(DECRYPT_FORMATS))))
                .transpose()?,
            context: variable(CONTEXT)
                .map(|list| pairs(CONTEXT, &list))
                .transpose()?
                .unwrap_or_default(),
            require_context: variable(REQUIRE_CONTEXT)
                .map(|text| text.parse().unwrap_or_else(|never| match never {}))
                .unwrap_or_default(),
            plaintext,
            static_keys: variable(STATIC_KEYS)
                .map(|list| static_keys(&list))
                .transpose()?
                .unwrap_or_default(),
            cache_limits: cache::limits(&variable)?,
            kms,
        })
    }
}

impl Codec {
    /// A codec from environment variables.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `TEMPORAL_NAMESPACE` | the namespace | `default` |
    /// | `TEMPORAL_CODEC_KEY` | the key to encrypt with, as a [`KeyUri`]; several, with commas between them, are several recipients | |
    /// | `TEMPORAL_CODEC_DECRYPT_KEYS` | further keys to decrypt with | none |
    /// | `TEMPORAL_CODEC_KEYRING` | the folder of `local://` keys, which must exist | |
    /// | `TEMPORAL_CODEC_FORMAT` | the format to write: `envelope`, `envelope-v1` or `direct` | `envelope` |
    /// | `TEMPORAL_CODEC_DECRYPT_FORMATS` | the formats to open, with commas between them: also `static`, `temporal-proxy`, `zlib`, `snappy` and `gzip` of other codecs | the written one and `envelope` |
    /// | `TEMPORAL_CODEC_CONTEXT` | pairs of the encryption context: `NAME=VALUE`, with commas between them | none |
    /// | `TEMPORAL_CODEC_REQUIRE_CONTEXT` | the pairs that a payload must carry: `true` for all, or names with commas between them | `false` |
    /// | `TEMPORAL_CODEC_STATIC_KEYS` | keys of other codecs, for the format `static`: `ID=FILE` or `ID=env:NAME`, with commas between them | none |
    /// | `TEMPORAL_CODEC_PLAINTEXT` | whether unencrypted payloads are decoded: `reject` or `allow` | `reject` |
    /// | `TEMPORAL_CODEC_CACHE_DATA_KEYS` | unwrapped data keys that are kept for decoding | `10000` |
    /// | `TEMPORAL_CODEC_CACHE_TTL` | how long one is kept, such as `30m` | `1h` |
    ///
    /// Without `TEMPORAL_CODEC_KEY`, variables may name the key in parts, such as `KMS_KEY_ALIAS` for a key at AWS KMS:
    /// [`KeyService::key_settings`](crate::kms::KeyService::key_settings) lists them for each service. `KMS_PROVIDER` says
    /// which service counts, and `KMS_PROVIDER=local` alone is `local://default`. An empty variable counts as unset. Each
    /// key service reads variables of its own: [`Kms::settings`](crate::kms::Kms::settings) lists them.
    ///
    /// # Errors
    /// When a variable is missing or has no valid value, and when a key cannot be opened.
    pub async fn from_env() -> Result<Self, Error> {
        CodecSettings::from_env()?.open().await
    }
}

fn static_keys(list: &str) -> Result<BTreeMap<String, StaticKeySource>, ConfigurationError> {
    let read = |(id, source): (String, String)| {
        let source = source.parse().map_err(named(STATIC_KEYS))?;
        Ok((id, source))
    };
    pairs(STATIC_KEYS, list)?.into_iter().map(read).collect()
}

/// Names the variable behind a setting of the builder.
fn of_variable(error: Error) -> Error {
    let Error::Configuration(problem) = error else {
        return error;
    };
    let variable = match problem.setting() {
        "encrypting keys" => KEY,
        "encryption context" => CONTEXT,
        "decrypt_formats" => DECRYPT_FORMATS,
        "require_context" => REQUIRE_CONTEXT,
        "static_keys" => STATIC_KEYS,
        _ => return problem.into(),
    };
    named(variable)(problem).into()
}

#[cfg(test)]
#[cfg(feature = "local")]
mod tests;
