//! Objects that are sealed with the keys of the codec.

use std::{collections::BTreeMap, fmt};

use sha2::{Digest as _, Sha256};
use temporal_kms_codec::{EncryptionContext, Error, SealedFileError, Sealer};
use temporal_kms_codec_service::missing_key::with_remedy;
use zeroize::Zeroizing;

use super::{error::StoreError, objects::Objects};

/// How much longer a sealed object can be than its content: the header with ten recipients, and a tag for each chunk.
const SEAL_OVERHEAD: u64 = 1 << 20;

/// A store whose objects are sealed. An object opens only under the namespace and the name with which it was sealed.
#[derive(Clone)]
pub(crate) struct Vault {
    objects: Objects,
    sealer: Sealer,
    /// Seals the secrets of requests. Its key can be another one, so that who submits tasks cannot open them.
    secrets: Sealer,
    namespace: String,
    is_plain: bool,
}

impl Vault {
    /// A vault of this namespace.
    pub(crate) fn new(objects: Objects, sealer: Sealer, namespace: &str) -> Self {
        Self {
            objects,
            secrets: sealer.clone(),
            sealer,
            namespace: namespace.to_owned(),
            is_plain: false,
        }
    }

    /// Seals the secrets of requests with other keys than logs and artefacts.
    pub(crate) fn with_secrets(mut self, sealer: Sealer) -> Self {
        self.secrets = sealer;
        self
    }

    /// Leaves logs and artefacts unsealed, for other programs that read them. Secrets are always sealed.
    pub(crate) fn with_plain_sessions(mut self, is_plain: bool) -> Self {
        self.is_plain = is_plain;
        self
    }

    /// The namespace whose objects these are.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The objects without their seals.
    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Seals an object and stores it under a name that must not exist. Returns the hash of what is stored.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when it exists, and other errors when it cannot be sealed or stored.
    pub(super) async fn create(&self, name: &str, content: &[u8]) -> Result<String, StoreError> {
        let sealed = self.seal(&self.secrets, name, content).await?;
        let hash = hash(&sealed);
        self.objects.create(name, sealed).await?;
        Ok(hash)
    }

    /// As [`create`](Self::create), over an older object.
    ///
    /// # Errors
    /// When it cannot be sealed or stored.
    pub(super) async fn replace(&self, name: &str, content: &[u8]) -> Result<String, StoreError> {
        let sealed = self.seal(&self.secrets, name, content).await?;
        let hash = hash(&sealed);
        self.objects.put(name, sealed).await?;
        Ok(hash)
    }

    /// Reads an object and opens it. `hash` is what [`create`](Self::create) returned.
    ///
    /// # Errors
    /// When it does not exist, is not the one with this hash, or cannot be opened.
    pub(super) async fn open(
        &self,
        name: &str,
        expected: &str,
        limit: u64,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let sealed = self.objects.get(name, limit + SEAL_OVERHEAD).await?;
        if hash(&sealed) != expected {
            return Err(StoreError::Replaced {
                object: name.to_owned(),
            });
        }
        self.unseal(&self.secrets, name, &sealed).await
    }

    /// Whether an object is the one with this hash. One that does not exist is not.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn has_hash(
        &self,
        name: &str,
        expected: &str,
        limit: u64,
    ) -> Result<bool, StoreError> {
        match self.objects.get(name, limit + SEAL_OVERHEAD).await {
            Ok(sealed) => Ok(hash(&sealed) == expected),
            Err(StoreError::Missing { .. } | StoreError::TooLarge { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores a part of a session, sealed unless the operator wants it plain.
    ///
    /// # Errors
    /// When it cannot be sealed or stored.
    pub(crate) async fn put_session(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let stored = if self.is_plain {
            content.to_vec()
        } else {
            self.seal(&self.sealer, name, content).await?
        };
        self.objects.put(name, stored).await
    }

    /// Reads a part of a session.
    ///
    /// # Errors
    /// When it does not exist or cannot be opened.
    pub(crate) async fn get_session(
        &self,
        name: &str,
        limit: u64,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let stored = self.objects.get(name, limit + SEAL_OVERHEAD).await?;
        if self.is_plain {
            return Ok(Zeroizing::new(stored));
        }
        self.unseal(&self.sealer, name, &stored).await
    }

    async fn seal(
        &self,
        sealer: &Sealer,
        name: &str,
        content: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let mut object = Vec::with_capacity(content.len() + 4096);
        let seal = async {
            let place = self.context(name)?;
            sealer.seal_file(content, &mut object, &place).await
        };
        seal.await.map_err(|problem| StoreError::Seal {
            operation: "seal",
            object: name.to_owned(),
            problem,
        })?;
        Ok(object)
    }

    async fn unseal(
        &self,
        sealer: &Sealer,
        name: &str,
        object: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        // With its capacity, no part of the content stays behind in memory that was too small.
        let mut content = Zeroizing::new(Vec::with_capacity(object.len()));
        let open = async {
            let place = self.context(name)?;
            sealer.open_file(object, &mut *content, &place).await
        };
        open.await.map_err(|problem| StoreError::Seal {
            operation: "open",
            object: name.to_owned(),
            problem: of_reader(problem),
        })?;
        Ok(content)
    }

    fn context(&self, name: &str) -> Result<EncryptionContext, SealedFileError> {
        let pairs = [
            ("purpose", "claude-tasks-object"),
            ("namespace", self.namespace.as_str()),
            ("object", name),
        ];
        let pairs: BTreeMap<String, String> = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        EncryptionContext::new(pairs).map_err(|error| Error::from(error).into())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("objects", &self.objects)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// The same error for a program that only opens. A new key would open nothing.
fn of_reader(problem: SealedFileError) -> SealedFileError {
    match problem {
        SealedFileError::Codec(Error::Provider(error)) => {
            Error::from(with_remedy(error, "use the key that sealed the object")).into()
        }
        problem => problem,
    }
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
