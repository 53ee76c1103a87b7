//! Environment variables → settings → builder → codec.

use std::{collections::BTreeMap, str::FromStr};

use crate::{
    Codec, CodecBuilder, ConfigurationError, Error, Format, KeyUri, KmsKind, Namespace,
    PlaintextPolicy, RequiredContext,
    kms::{self, KmsOptions},
};

/// What the environment says of a codec, before any key is opened.
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
    /// How the keys are opened.
    pub kms: KmsOptions,
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
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// Opens the keys, and builds the codec.
    ///
    /// # Errors
    /// When a key cannot be opened, or the settings cannot work together.
    pub async fn open(self) -> Result<Codec, Error> {
        self.into_builder().await?.build()
    }

    /// Opens the keys. The builder has every setting of the environment and can be refined in code.
    ///
    /// # Errors
    /// When a key cannot be opened.
    pub async fn into_builder(self) -> Result<CodecBuilder, Error> {
        let mut builder = Codec::builder(self.namespace)
            .format(self.format)
            .require_context(self.require_context)
            .plaintext(self.plaintext.unwrap_or_default());
        if let Some(formats) = self.decrypt_formats {
            builder = builder.decrypt_formats(formats);
        }
        for (name, value) in self.context {
            builder = builder.context(name, value);
        }
        for uri in &self.encrypt {
            builder = builder.encrypt_with(kms::open(uri, &self.kms).await?);
        }
        for uri in &self.decrypt {
            builder = builder.decrypt_with(kms::open(uri, &self.kms).await?);
        }
        Ok(builder)
    }

    fn from_lookup(variables: Lookup<'_>) -> Result<Self, ConfigurationError> {
        // An empty variable is what a template leaves of one that is not set.
        let variable = |name: &str| variables(name).filter(|value| !value.is_empty());

        let namespace = variable("TEMPORAL_NAMESPACE").unwrap_or_else(|| "default".to_owned());
        let namespace = Namespace::new(&namespace).map_err(named("TEMPORAL_NAMESPACE"))?;
        let mut kms = KmsOptions::from_variables(&variable)?;
        let encrypt = encrypting_keys(&variable, &mut kms)?;
        let decrypt = variable("TEMPORAL_CODEC_DECRYPT_KEYS")
            .map(|list| key_list("TEMPORAL_CODEC_DECRYPT_KEYS", &list, &mut kms))
            .transpose()?;
        Ok(Self {
            namespace,
            encrypt,
            decrypt: decrypt.unwrap_or_default(),
            format: parsed(&variable, "TEMPORAL_CODEC_FORMAT")?.unwrap_or_default(),
            decrypt_formats: variable(DECRYPT_FORMATS)
                .map(|list| {
                    items(&list, |format| {
                        format.parse().map_err(named(DECRYPT_FORMATS))
                    })
                })
                .transpose()?,
            context: variable(CONTEXT)
                .map(|list| items(&list, pair))
                .transpose()?
                .unwrap_or_default(),
            require_context: match variable("TEMPORAL_CODEC_REQUIRE_CONTEXT") {
                Some(required) => required.parse().unwrap_or_else(|never| match never {}),
                None => RequiredContext::default(),
            },
            plaintext: parsed(&variable, "TEMPORAL_CODEC_PLAINTEXT")?,
            kms,
        })
    }
}

const DECRYPT_FORMATS: &str = "TEMPORAL_CODEC_DECRYPT_FORMATS";
const CONTEXT: &str = "TEMPORAL_CODEC_CONTEXT";

/// Reads one environment variable; tests put a map in its place.
type Lookup<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

impl Codec {
    /// A codec from environment variables.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `TEMPORAL_NAMESPACE` | the namespace | `default` |
    /// | `TEMPORAL_CODEC_KEY` | the key to encrypt with, as a [`KeyUri`]; several, with commas between them, are several recipients | |
    /// | `TEMPORAL_CODEC_DECRYPT_KEYS` | further keys to decrypt with | none |
    /// | `TEMPORAL_CODEC_KEYRING` | the folder of `local://` keys; which must exist | |
    /// | `TEMPORAL_CODEC_FORMAT` | the format to write: `envelope`, `envelope-v1` or `direct` | `envelope` |
    /// | `TEMPORAL_CODEC_DECRYPT_FORMATS` | the formats to open, with commas between them | the written one and `envelope` |
    /// | `TEMPORAL_CODEC_CONTEXT` | pairs of the encryption context: `NAME=VALUE`, with commas between them | none |
    /// | `TEMPORAL_CODEC_REQUIRE_CONTEXT` | the pairs that a payload must carry: `true` for all, or names with commas between them | `false` |
    /// | `TEMPORAL_CODEC_PLAINTEXT` | whether unencrypted payloads are decoded: `reject` or `allow` | `reject` |
    ///
    /// Without `TEMPORAL_CODEC_KEY` the key is taken from `GCP_PROJECT`, `GCP_KMS_LOCATION` (default `global`),
    /// `GCP_KMS_KEY_RING`, `GCP_KMS_KEY`, or from `PROJECT_ID`, `KMS_LOCATION`, `KMS_KEY_RING`, `KMS_KEY_NAME`, or from
    /// `KMS_KEY_ALIAS` (`alias/NAME`, or an ARN of AWS KMS). `KMS_PROVIDER` (`aws`, `gcp` or `local`) says which counts;
    /// `local` is `local://default`. The feature `aws-kms` reads further variables: see `AwsOptions::from_env`; so does
    /// `pkcs11`: see `Pkcs11Options::from_env`. Its URIs may end in a query with `module-path` and `pin-source`.
    /// `GCP_KMS_ENDPOINT` names an emulator of Cloud KMS on this machine.
    ///
    /// # Errors
    /// When a variable is missing or has no valid value, and when a key cannot be opened.
    pub async fn from_env() -> Result<Self, Error> {
        Self::from_lookup(&|name| std::env::var(name).ok()).await
    }

    async fn from_lookup(variables: Lookup<'_>) -> Result<Self, Error> {
        CodecSettings::from_lookup(variables)?.open().await
    }
}

fn encrypting_keys(
    variable: &dyn Fn(&str) -> Option<String>,
    options: &mut KmsOptions,
) -> Result<Vec<KeyUri>, ConfigurationError> {
    if let Some(list) = variable("TEMPORAL_CODEC_KEY") {
        return key_list("TEMPORAL_CODEC_KEY", &list, options);
    }
    let provider = variable("KMS_PROVIDER");
    match provider.as_deref() {
        None | Some("gcp") => {}
        Some("aws") => return aws_key(variable),
        Some("local") => return key_list("KMS_PROVIDER", "local://default", options),
        Some(_) => {
            return Err(ConfigurationError::invalid(
                "KMS_PROVIDER",
                "it is none of `aws`, `gcp`, `local`",
            ));
        }
    }
    let families = [
        [
            "GCP_PROJECT",
            "GCP_KMS_LOCATION",
            "GCP_KMS_KEY_RING",
            "GCP_KMS_KEY",
        ],
        ["PROJECT_ID", "KMS_LOCATION", "KMS_KEY_RING", "KMS_KEY_NAME"],
    ];
    for [project, location, ring, key] in families {
        let Some(key_name) = variable(key) else {
            continue;
        };
        let required = |name: &str| {
            variable(name).ok_or_else(|| {
                ConfigurationError::invalid(name, format!("it is not set, but {key} is"))
            })
        };
        let (project, ring) = (required(project)?, required(ring)?);
        let location = variable(location).unwrap_or_else(|| "global".to_owned());
        let uri = format!(
            "gcp-kms://projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key_name}"
        );
        return Ok(vec![uri.parse().map_err(named(key))?]);
    }
    if provider.is_none() && variable("KMS_KEY_ALIAS").is_some() {
        return aws_key(variable);
    }
    Err(ConfigurationError::invalid(
        "TEMPORAL_CODEC_KEY",
        "it is not set; name the key to encrypt with, such as local://default with \
         TEMPORAL_CODEC_KEYRING=FOLDER, or gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K",
    ))
}

fn aws_key(variable: &dyn Fn(&str) -> Option<String>) -> Result<Vec<KeyUri>, ConfigurationError> {
    let alias = variable("KMS_KEY_ALIAS").ok_or_else(|| {
        ConfigurationError::invalid("KMS_KEY_ALIAS", "it is not set, but KMS_PROVIDER is `aws`")
    })?;
    let uri = KeyUri::new(KmsKind::AwsKms, &alias).map_err(named("KMS_KEY_ALIAS"))?;
    Ok(vec![uri])
}

fn key_list(
    name: &'static str,
    list: &str,
    options: &mut KmsOptions,
) -> Result<Vec<KeyUri>, ConfigurationError> {
    items(list, |uri| options.read_key(uri).map_err(named(name)))
}

/// The items between commas.
fn items<T, C: FromIterator<T>>(
    list: &str,
    read: impl FnMut(&str) -> Result<T, ConfigurationError>,
) -> Result<C, ConfigurationError> {
    list.split(',').map(str::trim).map(read).collect()
}

fn pair(text: &str) -> Result<(String, String), ConfigurationError> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err(ConfigurationError::invalid(
            CONTEXT,
            "each pair must have the form NAME=VALUE; separate pairs by commas",
        )),
    }
}

fn parsed<T: FromStr<Err = ConfigurationError>>(
    variable: &dyn Fn(&str) -> Option<String>,
    name: &'static str,
) -> Result<Option<T>, ConfigurationError> {
    variable(name)
        .map(|value| value.parse().map_err(named(name)))
        .transpose()
}

/// Says which variable is at fault.
fn named(variable: &'static str) -> impl Fn(ConfigurationError) -> ConfigurationError {
    move |error| ConfigurationError::invalid(variable, error.reason())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Payload};

    async fn from(variables: &[(&str, &str)]) -> Result<Codec, Error> {
        Codec::from_lookup(&|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
        .await
    }

    fn create(keyring: &std::path::Path, names: &[&str]) {
        let keyring = kms::local::LocalKeyring::open(keyring);
        for name in names {
            keyring.key_or_create(name).unwrap();
        }
    }

    #[tokio::test]
    async fn a_mistyped_key_or_keyring_is_refused_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        create(&folder.path().join("keys"), &["default"]);
        for (keyring, key) in [("keys", "local://defualt"), ("kyes", "local://default")] {
            let keyring = folder.path().join(keyring);
            let keyring = keyring.to_str().unwrap();
            let error = from(&[
                ("TEMPORAL_CODEC_KEY", key),
                ("TEMPORAL_CODEC_KEYRING", keyring),
            ])
            .await
            .unwrap_err()
            .to_string();
            let remedy = format!("codec-server keys create {key} --keyring {keyring}");
            assert!(error.contains(&remedy), "{error}");
        }
        let made = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(made, 1);
        let made = std::fs::read_dir(folder.path().join("keys")).unwrap();
        assert_eq!(made.count(), 1);
    }

    #[tokio::test]
    async fn a_key_and_a_keyring_are_enough() {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), &["default"]);
        let keyring = folder.path().to_str().unwrap();
        let codec = from(&[
            ("TEMPORAL_CODEC_KEY", "local://default"),
            ("TEMPORAL_CODEC_KEYRING", keyring),
        ])
        .await
        .unwrap();
        assert_eq!(codec.namespace().as_str(), "default");
        let payload = Payload {
            data: b"x".to_vec(),
            ..Payload::default()
        };
        let sealed = codec.encode(vec![payload.clone()]).await.unwrap();
        assert_eq!(sealed[0].metadata["kms-key"], b"local://default");
        assert_eq!(codec.decode(sealed).await.unwrap(), [payload]);
    }

    #[tokio::test]
    async fn every_setting_reaches_the_codec() {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), &["a", "b", "c"]);
        let codec = from(&[
            ("TEMPORAL_NAMESPACE", "prod"),
            ("TEMPORAL_CODEC_KEY", "local://a"),
            ("TEMPORAL_CODEC_DECRYPT_KEYS", "local://b, local://c"),
            ("TEMPORAL_CODEC_KEYRING", folder.path().to_str().unwrap()),
            ("TEMPORAL_CODEC_FORMAT", "direct"),
            ("TEMPORAL_CODEC_PLAINTEXT", "reject"),
        ])
        .await
        .unwrap();
        assert_eq!(codec.namespace().as_str(), "prod");
        assert_eq!(codec.0.format, Format::Direct);
        let keys: Vec<_> = codec
            .0
            .keyholder
            .keys()
            .iter()
            .map(|key| key.uri().to_string())
            .collect();
        assert_eq!(keys, ["local://a", "local://b", "local://c"]);
        assert!(codec.decode(vec![Payload::default()]).await.is_err());
    }

    #[tokio::test]
    async fn says_which_variable_is_at_fault() {
        for (variables, expected) in [
            (&[][..], "TEMPORAL_CODEC_KEY: it is not set"),
            (
                &[("TEMPORAL_CODEC_KEY", "")],
                "TEMPORAL_CODEC_KEY: it is not set",
            ),
            (
                &[("TEMPORAL_CODEC_KEY", "default")],
                "TEMPORAL_CODEC_KEY: it starts with none",
            ),
            (
                &[("TEMPORAL_CODEC_KEY", "local://k")],
                "name the folder of the local keyring",
            ),
            (
                &[("TEMPORAL_CODEC_FORMAT", "v9")],
                "TEMPORAL_CODEC_FORMAT: it must be",
            ),
            (
                &[("TEMPORAL_CODEC_PLAINTEXT", "yes")],
                "TEMPORAL_CODEC_PLAINTEXT: it must be",
            ),
            (
                &[("GCP_KMS_KEY", "k")],
                "GCP_PROJECT: it is not set, but GCP_KMS_KEY is",
            ),
            (
                &[("KMS_KEY_NAME", "k"), ("PROJECT_ID", "p")],
                "KMS_KEY_RING: it is not set",
            ),
            (
                &[("KMS_PROVIDER", "aws")],
                "KMS_KEY_ALIAS: it is not set, but KMS_PROVIDER is",
            ),
            (&[("KMS_PROVIDER", "azure")], "KMS_PROVIDER: it is none of"),
            (
                &[("KMS_KEY_ALIAS", "workflows")],
                "KMS_KEY_ALIAS: the form is aws-kms://",
            ),
        ] {
            let error = from(variables).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{variables:?}: {error}");
        }
    }

    #[test]
    fn the_variables_of_aws_name_a_key() {
        for variables in [
            &[("KMS_KEY_ALIAS", "alias/workflows")][..],
            &[
                ("KMS_PROVIDER", "aws"),
                ("KMS_KEY_ALIAS", "alias/workflows"),
                ("GCP_KMS_KEY", "k"),
            ],
        ] {
            let lookup = |name: &str| {
                let mut found = variables.iter().filter(|(n, _)| *n == name);
                found.next().map(|(_, value)| (*value).to_owned())
            };
            let keys = encrypting_keys(&lookup, &mut KmsOptions::default()).unwrap();
            assert_eq!(keys[0].to_string(), "aws-kms://alias/workflows");
        }
    }

    #[tokio::test]
    async fn the_variables_of_google_cloud_name_a_key() {
        let variables = [
            ("GCP_PROJECT", "p"),
            ("GCP_KMS_KEY_RING", "r"),
            ("GCP_KMS_KEY", "k"),
        ];
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let keys = encrypting_keys(&lookup, &mut KmsOptions::default()).unwrap();
        assert_eq!(
            keys[0].to_string(),
            "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k"
        );
    }
}
