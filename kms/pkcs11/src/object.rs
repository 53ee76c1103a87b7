//! The objects of a token that are keys. Objects with one label are the versions of one key. `CKA_ID` distinguishes
//! them.

use cryptoki::{
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};

use super::{error::Failure, version_id};
use temporal_kms::{
    KeyPurpose, KeyState, KeyVersion, ProviderErrorKind as Kind,
    support::{Pkcs11Class, Pkcs11Path},
};

/// The object identifier of P-256 in DER (RFC 5480, section 2.1.1.1).
pub(super) const P256: [u8; 10] = [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];

/// The most objects that are read. Tokens with keys for this purpose hold fewer.
const MAX_OBJECTS: usize = 10_000;

/// A search for objects of a token.
#[derive(Clone, Debug)]
pub(super) struct ObjectName {
    pub(super) label: Option<String>,
    pub(super) id: Option<Vec<u8>>,
}

/// One version of a key.
pub(super) struct KeyObject {
    pub(super) handle: ObjectHandle,
    pub(super) id: Vec<u8>,
    pub(super) label: Vec<u8>,
    pub(super) usage: Usage,
}

/// What the token permits a key to do.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of PKCS#11"
)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) encrypt: bool,
    pub(super) decrypt: bool,
    pub(super) wrap: bool,
    pub(super) unwrap: bool,
    pub(super) sign: bool,
}

impl ObjectName {
    /// The objects that a URI names. The URI may also name their purpose.
    pub(super) fn of(path: &Pkcs11Path, purpose: KeyPurpose) -> Result<Self, Failure> {
        let expected = match purpose {
            KeyPurpose::Encrypt => Pkcs11Class::Secret,
            _ => Pkcs11Class::Private,
        };
        if path.class.is_some_and(|class| class != expected) {
            return Err(Failure::misconfigured(
                "the URI's type is that of a key for another purpose",
                "leave the type out of the URI, or name another key",
            ));
        }
        Ok(Self::any(path))
    }

    /// The objects that a URI names, for any purpose.
    pub(super) fn any(path: &Pkcs11Path) -> Self {
        Self {
            label: path.object.clone(),
            id: path.id.clone(),
        }
    }

    /// The keys with this name, newest first.
    pub(super) fn find(
        &self,
        session: &Session,
        purpose: KeyPurpose,
    ) -> Result<Vec<KeyObject>, Failure> {
        let mut keys = Vec::new();
        for handle in handles(session, &self.template(purpose))? {
            keys.extend(KeyObject::read(session, handle)?);
        }
        keys.sort_by(|a, b| version_id::compare(&b.id, &a.id));
        Ok(keys)
    }

    /// The newest usable key with this name.
    pub(super) fn newest(
        &self,
        session: &Session,
        purpose: KeyPurpose,
    ) -> Result<KeyObject, Failure> {
        let keys = self.find(session, purpose)?;
        if keys.is_empty() {
            return Err(not_found(Some(purpose)));
        }
        keys.into_iter()
            .find(|key| key.usage.starts(purpose))
            .ok_or_else(|| {
                Failure::new(Kind::KeyDisabled, "no version of the key may be used")
                    .with_remedy("enable a version, or rotate the key")
            })
    }

    /// The keys with this name and `id`. Tokens allow several objects with one id.
    pub(super) fn versions(
        &self,
        session: &Session,
        purpose: KeyPurpose,
        id: &[u8],
    ) -> Result<Vec<KeyObject>, Failure> {
        if self.id.as_ref().is_some_and(|own| own != id) {
            return Ok(Vec::new());
        }
        let name = Self {
            label: self.label.clone(),
            id: Some(id.to_vec()),
        };
        name.find(session, purpose)
    }

    fn template(&self, purpose: KeyPurpose) -> Vec<Attribute> {
        let (class, key_type) = match purpose {
            KeyPurpose::Encrypt => (ObjectClass::SECRET_KEY, KeyType::AES),
            _ => (ObjectClass::PRIVATE_KEY, KeyType::EC),
        };
        let mut template = self.attributes();
        template.extend([
            Attribute::Class(class),
            Attribute::KeyType(key_type),
            Attribute::Token(true),
        ]);
        template
    }

    pub(super) fn attributes(&self) -> Vec<Attribute> {
        let label = self
            .label
            .as_ref()
            .map(|label| Attribute::Label(label.clone().into()));
        let id = self.id.as_ref().map(|id| Attribute::Id(id.clone()));
        label.into_iter().chain(id).collect()
    }
}

impl KeyObject {
    /// `None` for keys on other curves.
    fn read(session: &Session, handle: ObjectHandle) -> Result<Option<Self>, Failure> {
        let mut key = Self {
            handle,
            id: Vec::new(),
            label: Vec::new(),
            usage: Usage::default(),
        };
        let wanted = [
            AttributeType::Id,
            AttributeType::Label,
            AttributeType::EcParams,
            AttributeType::Encrypt,
            AttributeType::Decrypt,
            AttributeType::Wrap,
            AttributeType::Unwrap,
            AttributeType::Sign,
        ];
        for attribute in session.get_attributes(handle, &wanted)? {
            match attribute {
                Attribute::Id(id) => key.id = id,
                Attribute::Label(label) => key.label = label,
                Attribute::EcParams(curve) if !curve.is_empty() && curve != P256 => {
                    return Ok(None);
                }
                Attribute::Encrypt(is) => key.usage.encrypt = is,
                Attribute::Decrypt(is) => key.usage.decrypt = is,
                Attribute::Wrap(is) => key.usage.wrap = is,
                Attribute::Unwrap(is) => key.usage.unwrap = is,
                Attribute::Sign(is) => key.usage.sign = is,
                _ => {}
            }
        }
        Ok(Some(key))
    }

    pub(super) fn version(&self, purpose: KeyPurpose) -> KeyVersion {
        KeyVersion::new(
            hex::encode(&self.id),
            if self.usage.starts(purpose) {
                KeyState::Enabled
            } else {
                KeyState::Disabled
            },
        )
        .with_created(version_id::created(&self.id))
    }
}

impl Usage {
    /// Whether the key can encrypt and decrypt, or sign.
    pub(super) fn starts(self, purpose: KeyPurpose) -> bool {
        match purpose {
            KeyPurpose::Encrypt => (self.encrypt && self.decrypt) || (self.wrap && self.unwrap),
            _ => self.sign,
        }
    }
}

pub(super) fn handles(
    session: &Session,
    template: &[Attribute],
) -> Result<Vec<ObjectHandle>, Failure> {
    let mut handles = Vec::new();
    for handle in session.iter_objects(template)? {
        if handles.len() == MAX_OBJECTS {
            return Err(Failure::misconfigured(
                "the token holds more than 10,000 keys",
                "use a token with fewer keys",
            ));
        }
        handles.push(handle?);
    }
    Ok(handles)
}

/// The error for a key that the token does not show. A token hides private keys from callers without a login.
pub(super) fn not_found(purpose: Option<KeyPurpose>) -> Failure {
    let detail = match purpose {
        Some(KeyPurpose::Encrypt) => "the token shows no AES key of this name to this login",
        Some(_) => "the token shows no P-256 key of this name to this login",
        None => "the token shows no key of this name to this login",
    };
    Failure::new(Kind::KeyNotFound, detail)
        .with_remedy("check its label and that the PIN is named, or create it")
}
