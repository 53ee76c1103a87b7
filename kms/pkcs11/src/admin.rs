//! Key management of a token.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use cryptoki::object::Attribute;

use super::{
    create,
    error::Failure,
    object::{self, KeyObject, ObjectName},
    pool::Connection,
    signer,
    token::Token,
    version_id,
};
use temporal_kms::{
    KeyAdmin, KeyDetails, KeyGrants, KeyPurpose, KeyRole, KeySpec, KeyUri, KeyVersion,
    ProviderError, ProviderErrorKind as Kind, Scheme,
    support::{Pkcs11Class, Pkcs11Path},
};

const PURPOSES: [KeyPurpose; 2] = [KeyPurpose::Encrypt, KeyPurpose::SignP256];

/// Manages the keys of one token.
#[derive(Debug)]
pub(super) struct Pkcs11Admin {
    token: Arc<Token>,
}

impl Pkcs11Admin {
    pub(super) fn new(token: Arc<Token>) -> Self {
        Self { token }
    }

    async fn run<T: Send + 'static>(
        &self,
        key: &KeyUri,
        call: impl Fn(&Connection, &Pkcs11Path) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let path = Pkcs11Path::parse(key.resource())
            .map_err(|reason| Failure::malformed(reason).for_key(key))?;
        if self.token.name() != &path.token_part() {
            let other = Failure::misconfigured(
                "the key is in another token",
                "name a key of the same token",
            );
            return Err(other.for_key(key));
        }
        self.token
            .run_admin(move |connection| call(connection, &path))
            .await
            .map_err(|failure| failure.for_key(key))
    }

    /// Changes all versions of a key, or the named version.
    async fn change(
        &self,
        key: &KeyUri,
        version: Option<&str>,
        change: impl Fn(&Connection, KeyPurpose, &KeyObject) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), ProviderError> {
        let version = version.map(str::to_owned);
        self.run(key, move |connection, path| {
            let (purpose, mut objects) = find(connection, path)?;
            if let Some(version) = &version {
                objects.retain(|object| hex::encode(&object.id) == *version);
                if objects.is_empty() {
                    return Err(Failure::missing_version());
                }
            }
            objects
                .iter()
                .try_for_each(|object| change(connection, purpose, object))
        })
        .await
    }
}

#[async_trait]
impl KeyAdmin for Pkcs11Admin {
    async fn create(&self, key: &KeyUri, spec: &KeySpec) -> Result<KeyDetails, ProviderError> {
        let (uri, spec) = (key.clone(), spec.clone());
        self.run(key, move |connection, path| {
            create::check_spec(connection, &spec)?;
            let label = create::label(path)?;
            let name = ObjectName::any(path);
            for purpose in PURPOSES {
                if !name.find(&connection.session, purpose)?.is_empty() {
                    return Err(Failure::new(Kind::AlreadyExists, ""));
                }
            }
            let id = match &path.id {
                Some(id) => id.clone(),
                None => version_id::next(None, SystemTime::now())?,
            };
            create::key(connection, spec.purpose, label, &id)?;
            details(connection, path, &uri)
        })
        .await
    }

    async fn list(&self, key: &KeyUri) -> Result<Vec<KeyDetails>, ProviderError> {
        self.run(key, |connection, path| {
            let everything = ObjectName {
                label: None,
                id: None,
            };
            let mut names = BTreeMap::new();
            for purpose in PURPOSES {
                for object in everything.find(&connection.session, purpose)? {
                    if let Some(name) = name(path, purpose, &object) {
                        names.insert(name.to_string(), name);
                    }
                }
            }
            names
                .values()
                .map(|name| {
                    let uri = KeyUri::new(Scheme::PKCS11, &name.to_string()).map_err(|_| {
                        Failure::misconfigured(
                            "the token holds a key with an overlong name",
                            "give that key a shorter label",
                        )
                    })?;
                    details(connection, name, &uri)
                })
                .collect()
        })
        .await
    }

    async fn details(&self, key: &KeyUri) -> Result<KeyDetails, ProviderError> {
        let uri = key.clone();
        self.run(key, move |connection, path| details(connection, path, &uri))
            .await
    }

    async fn versions(&self, key: &KeyUri) -> Result<Vec<KeyVersion>, ProviderError> {
        self.run(key, |connection, path| {
            let (purpose, objects) = find(connection, path)?;
            Ok(objects.iter().map(|key| key.version(purpose)).collect())
        })
        .await
    }

    async fn rotate(&self, key: &KeyUri) -> Result<(), ProviderError> {
        self.run(key, |connection, path| {
            let label = create::label(path)?;
            if path.id.is_some() {
                return Err(Failure::misconfigured(
                    "the URI names one version",
                    "leave its id out",
                ));
            }
            let (purpose, objects) = find(connection, path)?;
            let newest = objects.first().map(|key| key.id.as_slice());
            let id = version_id::next(newest, SystemTime::now())?;
            create::key(connection, purpose, label, &id)
        })
        .await
    }

    async fn set_rotation(
        &self,
        key: &KeyUri,
        period: Option<Duration>,
    ) -> Result<(), ProviderError> {
        match period {
            None => self.details(key).await.map(drop),
            Some(_) => Err(unsupported(
                key,
                "a token does not rotate keys by itself",
                "rotate them with `codec-server keys rotate`",
            )),
        }
    }

    async fn disable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        self.change(key, version, |connection, purpose, key| {
            // Attributes for encrypting stay unchanged. They tell `enable` the key's purpose.
            let off = match purpose {
                KeyPurpose::Encrypt => vec![Attribute::Decrypt(false), Attribute::Unwrap(false)],
                _ => vec![Attribute::Sign(false)],
            };
            Ok(connection.session.update_attributes(key.handle, &off)?)
        })
        .await
    }

    async fn enable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        self.change(key, version, |connection, purpose, key| {
            let on = match purpose {
                KeyPurpose::Encrypt => vec![
                    Attribute::Decrypt(key.usage.encrypt),
                    Attribute::Unwrap(key.usage.wrap),
                ],
                _ => vec![Attribute::Sign(true)],
            };
            Ok(connection.session.update_attributes(key.handle, &on)?)
        })
        .await
    }

    async fn destroy(
        &self,
        key: &KeyUri,
        version: Option<&str>,
    ) -> Result<Option<SystemTime>, ProviderError> {
        self.change(key, version, |connection, purpose, key| {
            let session = &connection.session;
            if purpose != KeyPurpose::Encrypt {
                for public in signer::public_objects(session, key)? {
                    session.destroy_object(public)?;
                }
            }
            Ok(session.destroy_object(key.handle)?)
        })
        .await?;
        Ok(None)
    }

    async fn replicate(&self, key: &KeyUri, _region: &str) -> Result<KeyUri, ProviderError> {
        Err(unsupported(
            key,
            "",
            "replicate the token with its vendor's tools",
        ))
    }

    async fn grant(
        &self,
        key: &KeyUri,
        _member: &str,
        _role: KeyRole,
    ) -> Result<bool, ProviderError> {
        Err(one_pin(key))
    }

    async fn revoke(
        &self,
        key: &KeyUri,
        _member: &str,
        _role: KeyRole,
    ) -> Result<bool, ProviderError> {
        Err(one_pin(key))
    }

    async fn grants(&self, key: &KeyUri) -> Result<KeyGrants, ProviderError> {
        Err(one_pin(key))
    }
}

/// The versions of a key, newest first, and its purpose.
fn find(
    connection: &Connection,
    path: &Pkcs11Path,
) -> Result<(KeyPurpose, Vec<KeyObject>), Failure> {
    let mut found = None;
    for purpose in PURPOSES {
        // A URI with a type names only keys for one purpose.
        let Ok(name) = ObjectName::of(path, purpose) else {
            continue;
        };
        let objects = name.find(&connection.session, purpose)?;
        if objects.is_empty() {
            continue;
        }
        if found.replace((purpose, objects)).is_some() {
            return Err(Failure::misconfigured(
                "the token has an AES key and a P-256 key of this name",
                "add type=secret-key or type=private to the URI",
            ));
        }
    }
    found.ok_or_else(|| object::not_found(None))
}

fn details(
    connection: &Connection,
    path: &Pkcs11Path,
    uri: &KeyUri,
) -> Result<KeyDetails, Failure> {
    let (purpose, objects) = find(connection, path)?;
    let primary = objects.iter().find(|key| key.usage.starts(purpose));
    Ok(KeyDetails::new(uri.clone(), purpose, connection.protection)
        .with_primary(primary.map(|key| key.version(purpose)))
        .with_created(objects.last().and_then(|key| version_id::created(&key.id))))
}

/// The name of a key that was found. `None` for a key with neither a label nor an id.
fn name(token: &Pkcs11Path, purpose: KeyPurpose, key: &KeyObject) -> Option<Pkcs11Path> {
    let label = String::from_utf8(key.label.clone()).ok();
    let object = label.filter(|label| !label.is_empty());
    let id = (object.is_none() && !key.id.is_empty()).then(|| key.id.clone());
    (object.is_some() || id.is_some()).then(|| Pkcs11Path {
        object,
        id,
        class: Some(match purpose {
            KeyPurpose::Encrypt => Pkcs11Class::Secret,
            _ => Pkcs11Class::Private,
        }),
        ..token.token_part()
    })
}

fn unsupported(key: &KeyUri, detail: &'static str, remedy: &'static str) -> ProviderError {
    ProviderError::new(Kind::Unsupported, key)
        .with_detail(detail)
        .with_remedy(remedy)
}

/// Permissions are not kept for single members.
fn one_pin(key: &KeyUri) -> ProviderError {
    unsupported(
        key,
        "the token's PIN permits the use of all its keys",
        "give the PIN to those who may use them, and change it to take that away",
    )
}
