//! Local keys as a [`KeyService`].

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use temporal_kms::{
    ConfigurationError, Diagnose, KeyAdmin, KeyProvider, KeyService, KeyUri, ProviderError,
    ProviderErrorKind as Kind, Scheme, Setting, SettingValue, SignatureAlgorithm, Signer,
    Variables,
    support::{TINK_PREFIX, absolute_path, shell_path},
};

use super::{
    LocalKeyring,
    settings::{KEYRING, LocalOptions, PROVIDER_NAME, SETTINGS},
};

/// The keys of the folder that the options name.
#[derive(Clone, Debug, Default)]
pub struct LocalKms {
    options: LocalOptions,
}

impl LocalKms {
    /// Local keys with these options. This reads nothing yet. A relative folder is from now on the one below the working
    /// directory, also in [`options`](Self::options).
    #[must_use]
    pub fn new(mut options: LocalOptions) -> Self {
        options.keyring = options.keyring.map(absolute_path);
        Self { options }
    }

    /// The keys in `folder`.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self::new(LocalOptions::default().with_keyring(folder))
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &LocalOptions {
        &self.options
    }

    fn keyring(&self, uri: &KeyUri) -> Result<LocalKeyring, ProviderError> {
        match &self.options.keyring {
            Some(folder) => Ok(LocalKeyring::open(folder)),
            None => Err(ProviderError::new(Kind::Misconfigured, uri)
                .with_detail("the folder of local keys is not named")
                .with_remedy("set TEMPORAL_CODEC_KEYRING, or local_keyring in [keys]")),
        }
    }
}

#[async_trait]
impl KeyService for LocalKms {
    fn scheme(&self) -> Scheme {
        Scheme::LOCAL
    }

    fn place_form(&self) -> Option<&'static str> {
        Some("local://")
    }

    fn settings(&self) -> Vec<&'static Setting> {
        SETTINGS.settings()
    }

    fn with_variables(
        &self,
        variable: Variables<'_>,
    ) -> Result<Option<Arc<dyn KeyService>>, ConfigurationError> {
        Ok(Some(Arc::new(Self::new(LocalOptions::from_variables(
            variable,
        )?))))
    }

    fn with_setting(&self, name: &str, value: SettingValue) -> Option<Arc<dyn KeyService>> {
        let options = SETTINGS.changed(self.options(), name, value)?;
        Some(Arc::new(Self::new(options)))
    }

    fn provider_name(&self) -> Option<&'static str> {
        Some(PROVIDER_NAME)
    }

    /// `KMS_PROVIDER=local` alone is enough.
    fn named_key(&self, variable: Variables<'_>) -> Result<Option<KeyUri>, ConfigurationError> {
        if variable("KMS_PROVIDER").as_deref() == Some(PROVIDER_NAME) {
            return KeyUri::new(Scheme::LOCAL, "default").map(Some);
        }
        Ok(None)
    }

    fn version_in(&self, ciphertext: &[u8]) -> Option<String> {
        match ciphertext.split_first_chunk::<5>()? {
            (&[TINK_PREFIX, a, b, c, d], _) => Some(u32::from_be_bytes([a, b, c, d]).to_string()),
            _ => None,
        }
    }

    fn key_in(&self, place: &str) -> Option<String> {
        (place == "local:").then(|| "local://any".to_owned())
    }

    fn check_key(&self, _key: &KeyUri) -> Result<(), ConfigurationError> {
        if self.options.keyring.is_some() {
            return Ok(());
        }
        Err(ConfigurationError::invalid(
            KEYRING,
            "name the folder of local:// keys: local_keyring under [keys], or TEMPORAL_CODEC_KEYRING",
        ))
    }

    fn check_key_file(&self, key: &KeyUri) -> Result<(), ConfigurationError> {
        let Some(folder) = &self.options.keyring else {
            return Ok(());
        };
        if folder.join(format!("{}.json", key.resource())).exists() {
            return Ok(());
        }
        let shown = folder.display();
        let word = shell_path(folder);
        let create = format!("codec-server keys create {key} --keyring {word}");
        let (missing, remedy) = if folder.exists() {
            (
                format!("no key {key} in {shown}"),
                format!("create it: {create}"),
            )
        } else {
            (
                format!("no keyring {shown}"),
                format!("create it with its key: {create}"),
            )
        };
        Err(ConfigurationError::invalid(KEYRING, missing).with_remedy(&remedy))
    }

    fn is_in_process(&self) -> bool {
        true
    }

    async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        let keyring = self.keyring(uri)?;
        if self.options.create_missing {
            return keyring.key_or_create(uri.resource());
        }
        keyring.key(uri.resource())
    }

    async fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        let keyring = self.keyring(uri)?;
        if self.options.create_missing {
            return keyring
                .signing_key_or_create(uri.resource(), SignatureAlgorithm::EcdsaP256Sha256);
        }
        keyring.signing_key(uri.resource())
    }

    async fn admin(&self, uri: &KeyUri) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        Ok(Arc::new(self.keyring(uri)?))
    }

    fn diagnose(&self) -> &dyn Diagnose {
        self
    }
}
