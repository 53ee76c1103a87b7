//! Key management of a keyring.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::{
    LocalKeyring,
    error::{file_error, keyset_error},
    file::{self, FileError},
    keyset::{Keyset, KeysetError},
    watched::load,
};
use temporal_kms::{
    KeyAdmin, KeyDetails, KeyGrants, KeyRole, KeySpec, KeyState, KeyUri, KeyVersion, Protection,
    ProviderError, ProviderErrorKind as Kind, Scheme,
};

#[async_trait]
impl KeyAdmin for LocalKeyring {
    async fn create(&self, key: &KeyUri, spec: &KeySpec) -> Result<KeyDetails, ProviderError> {
        check_spec(key, spec)?;
        let path = self.path(key)?;
        let keyset =
            Keyset::generate(spec.purpose).map_err(|error| keyset_error(key, &path, &error))?;
        let created = file::create(&path, &keyset.to_json())
            .map_err(|error| file_error(key, &path, &error))?;
        if !created {
            return Err(ProviderError::new(Kind::AlreadyExists, key));
        }
        details(key, &keyset).map_err(|error| keyset_error(key, &path, &error))
    }

    async fn list(&self, key: &KeyUri) -> Result<Vec<KeyDetails>, ProviderError> {
        let names = file::names(&self.folder).map_err(|error| {
            let failed = file_error(key, &self.folder, &error);
            match error {
                // The caller may mean the whole keyring, and then `key` is any key of it.
                FileError::NoFolder(_) => failed.with_remedy("correct the name of the folder"),
                _ => failed,
            }
        })?;
        let names = names.iter().filter_map(|name| name.strip_suffix(".json"));
        let mut keys: Vec<_> = names
            .filter_map(|name| KeyUri::new(Scheme::LOCAL, name).ok())
            .collect();
        keys.sort();
        keys.iter().map(|key| self.read(key)).collect()
    }

    async fn details(&self, key: &KeyUri) -> Result<KeyDetails, ProviderError> {
        self.read(key)
    }

    async fn versions(&self, key: &KeyUri) -> Result<Vec<KeyVersion>, ProviderError> {
        let keyset = load(key, &self.path(key)?)?.0;
        Ok(keyset.versions().map(version).collect())
    }

    async fn rotate(&self, key: &KeyUri) -> Result<(), ProviderError> {
        self.change(key, Keyset::rotate).map(drop)
    }

    async fn set_primary(&self, key: &KeyUri, version: &str) -> Result<(), ProviderError> {
        self.change(key, |keyset| keyset.set_primary(version))
    }

    async fn set_rotation(
        &self,
        key: &KeyUri,
        period: Option<Duration>,
    ) -> Result<(), ProviderError> {
        if period.is_none() {
            return self.read(key).map(drop);
        }
        let rotates = unsupported(key, "a keyset does not rotate by itself");
        Err(rotates.with_remedy("rotate it with `codec-server keys rotate`"))
    }

    async fn disable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        let id = named(key, version, "name a version")?;
        self.change(key, |keyset| keyset.disable(id))
    }

    async fn enable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        let id = named(key, version, "name a version")?;
        self.change(key, |keyset| keyset.enable(id))
    }

    async fn destroy(
        &self,
        key: &KeyUri,
        version: Option<&str>,
    ) -> Result<Option<SystemTime>, ProviderError> {
        let remedy = "name a version, or delete the keyset's file to remove the whole key";
        let id = named(key, version, remedy)?;
        self.change(key, |keyset| keyset.destroy(id))?;
        Ok(None)
    }

    async fn replicate(&self, key: &KeyUri, _region: &str) -> Result<KeyUri, ProviderError> {
        Err(unsupported(key, "a keyset is in one place").with_remedy("copy its file"))
    }

    async fn grant(
        &self,
        key: &KeyUri,
        _member: &str,
        _role: KeyRole,
    ) -> Result<bool, ProviderError> {
        Err(one_user(key))
    }

    async fn revoke(
        &self,
        key: &KeyUri,
        _member: &str,
        _role: KeyRole,
    ) -> Result<bool, ProviderError> {
        Err(one_user(key))
    }

    async fn grants(&self, key: &KeyUri) -> Result<KeyGrants, ProviderError> {
        Err(one_user(key))
    }
}

impl LocalKeyring {
    /// Changes a keyset under a lock, so that no other process changes it at the same time.
    pub(super) fn change<T>(
        &self,
        key: &KeyUri,
        change: impl FnOnce(&mut Keyset) -> Result<T, KeysetError>,
    ) -> Result<T, ProviderError> {
        let path = self.path(key)?;
        // Check first: a lock file for a missing key would remain in the folder.
        file::stamp(&path).map_err(|error| file_error(key, &path, &error))?;
        let _lock = file::lock(&path).map_err(|error| file_error(key, &path, &error))?;
        let mut keyset = load(key, &path)?.0;
        let answer = change(&mut keyset).map_err(|error| keyset_error(key, &path, &error))?;
        file::replace(&path, &keyset.to_json()).map_err(|error| file_error(key, &path, &error))?;
        Ok(answer)
    }

    fn read(&self, key: &KeyUri) -> Result<KeyDetails, ProviderError> {
        let path = self.path(key)?;
        let keyset = load(key, &path)?.0;
        details(key, &keyset).map_err(|error| keyset_error(key, &path, &error))
    }
}

fn details(key: &KeyUri, keyset: &Keyset) -> Result<KeyDetails, KeysetError> {
    // Tink's keysets hold no times.
    Ok(
        KeyDetails::new(key.clone(), keyset.purpose()?, Protection::File)
            .with_primary(Some(version((keyset.primary(), KeyState::Enabled)))),
    )
}

fn version((id, state): (u32, KeyState)) -> KeyVersion {
    KeyVersion::new(id.to_string(), state)
}

fn check_spec(key: &KeyUri, spec: &KeySpec) -> Result<(), ProviderError> {
    if !matches!(spec.protection, None | Some(Protection::File)) {
        return Err(
            unsupported(key, "a keyset is a file, and has no other protection")
                .with_remedy("leave --protection out"),
        );
    }
    match spec.unsupported_by_plain_keys() {
        Some(reason) => Err(unsupported(key, reason)),
        None => Ok(()),
    }
}

fn named<'a>(
    key: &KeyUri,
    version: Option<&'a str>,
    remedy: &'static str,
) -> Result<&'a str, ProviderError> {
    version.ok_or_else(|| {
        ProviderError::new(Kind::Misconfigured, key)
            .with_detail("this changes single versions of a keyset")
            .with_remedy(remedy)
    })
}

fn unsupported(key: &KeyUri, detail: &'static str) -> ProviderError {
    ProviderError::new(Kind::Unsupported, key).with_detail(detail)
}

/// Permissions are not kept for single members.
fn one_user(key: &KeyUri) -> ProviderError {
    unsupported(key, "its file belongs to one user, who may do everything")
}
