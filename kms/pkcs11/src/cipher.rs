//! Encrypts under a key of the token. The crate's documentation explains the formats.

use cryptoki::{
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
    types::Ulong,
};
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    error::Failure,
    mechanisms::Mechanisms,
    object::KeyObject,
    pool::Connection,
    probe::{Probes, Verdict},
    wrapped::{Method, Wrapped},
};
use temporal_kms::{
    ProviderErrorKind as Kind,
    support::{
        OneTimeKey,
        aead::{KEY_LEN, NONCE_LEN, TAG_LEN},
        random,
    },
};

/// AES key wrap adds 8 bytes (RFC 3394, section 2.2.1).
const WRAPPED_KEY_LEN: usize = KEY_LEN + 8;

/// The most bytes that are added to a plaintext, in addition to the key's id.
pub(super) const MAX_OVERHEAD: usize = 3 + 255 + WRAPPED_KEY_LEN + TAG_LEN;

/// Encrypts under `key` by the best method that token and key permit.
pub(super) fn seal(
    connection: &Connection,
    key: &KeyObject,
    plaintext: &[u8],
    additional: &[u8],
) -> Result<Vec<u8>, Failure> {
    let session = &connection.session;
    let method = check(connection, key)?;
    let body = match method {
        Method::Gcm => gcm_seal(session, key.handle, plaintext, additional)?,
        Method::KeyWrap => key_wrap_seal(session, key.handle, plaintext, additional)?,
    };
    let key_id = &key.id;
    Wrapped {
        method,
        key_id,
        body: &body,
    }
    .write()
}

/// The best method that token and key permit.
pub(super) fn check(connection: &Connection, key: &KeyObject) -> Result<Method, Failure> {
    let Mechanisms { gcm, key_wrap } = connection.mechanisms;
    let usage = key.usage;
    if gcm && usage.encrypt && usage.decrypt {
        return Ok(Method::Gcm);
    }
    if key_wrap && usage.wrap && usage.unwrap {
        return Ok(Method::KeyWrap);
    }
    Err(Failure::misconfigured(
        "token and key permit neither AES-GCM nor AES key wrap",
        "give the key CKA_ENCRYPT and CKA_DECRYPT for AES-GCM, or CKA_WRAP and CKA_UNWRAP for AES key wrap",
    ))
}

/// Decrypts what [`seal`] encrypted under `key`.
pub(super) fn open(
    connection: &Connection,
    probes: &Probes,
    key: &KeyObject,
    method: Method,
    body: &[u8],
    additional: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let session = &connection.session;
    let permitted = match method {
        Method::Gcm => key.usage.decrypt,
        Method::KeyWrap => key.usage.unwrap,
    };
    if !permitted {
        // This key cannot have encrypted it, because the key is for the other method.
        return Err(if key.usage.decrypt || key.usage.unwrap {
            not_authentic()
        } else {
            Failure::new(
                Kind::KeyDisabled,
                "the version that encrypted it may not decrypt",
            )
        });
    }
    let opened = match method {
        Method::Gcm => gcm_open(session, key.handle, body, additional),
        Method::KeyWrap => key_wrap_open(session, key.handle, body, additional),
    };
    match opened {
        Ok(plaintext) => {
            probes.worked((&key.label, &key.id));
            Ok(plaintext)
        }
        Err(failure) if failure.is_unspecific() => {
            let probe = || match method {
                Method::Gcm => gcm_works(session, key.handle),
                Method::KeyWrap => key_wrap_works(session, key.handle),
            };
            let is_there = || connection.is_there();
            let name = (key.label.as_slice(), key.id.as_slice());
            Err(
                match probes.ask(
                    name,
                    tokio::time::Instant::now().into_std(),
                    probe,
                    is_there,
                ) {
                    Verdict::Works => not_authentic(),
                    // The token may have failed, and the payload may be authentic.
                    Verdict::Worked => not_authentic().presumed(),
                    Verdict::Fails => failure,
                },
            )
        }
        Err(failure) => Err(failure),
    }
}

fn gcm_seal(
    session: &Session,
    key: ObjectHandle,
    plaintext: &[u8],
    additional: &[u8],
) -> Result<Vec<u8>, Failure> {
    let mut iv = [0; NONCE_LEN];
    system_random(&mut iv)?;
    let parameters = gcm_parameters(&mut iv, additional)?;
    let ciphertext = session.encrypt(&Mechanism::AesGcm(parameters), key, plaintext)?;
    if ciphertext.len() != plaintext.len() + TAG_LEN {
        return Err(Failure::new(
            Kind::Integrity,
            "the ciphertext has another length than AES-GCM gives",
        ));
    }
    // A token that uses its own initialization vector has overwritten ours.
    Ok([&iv[..], &ciphertext].concat())
}

fn gcm_open(
    session: &Session,
    key: ObjectHandle,
    body: &[u8],
    additional: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (iv, ciphertext) = body
        .split_first_chunk::<NONCE_LEN>()
        .ok_or_else(not_authentic)?;
    if ciphertext.len() < TAG_LEN {
        return Err(not_authentic());
    }
    let mut iv = *iv;
    let parameters = gcm_parameters(&mut iv, additional)?;
    let plaintext = session.decrypt(&Mechanism::AesGcm(parameters), key, ciphertext)?;
    Ok(Zeroizing::new(plaintext))
}

fn gcm_works(session: &Session, key: ObjectHandle) -> bool {
    gcm_seal(session, key, b"probe", b"").is_ok_and(|body| {
        let Some((iv, ciphertext)) = body.split_first_chunk::<NONCE_LEN>() else {
            return false;
        };
        let mut iv = *iv;
        gcm_parameters(&mut iv, b"").is_ok_and(|parameters| {
            session
                .decrypt(&Mechanism::AesGcm(parameters), key, ciphertext)
                .is_ok_and(|plaintext| plaintext == b"probe")
        })
    })
}

fn gcm_parameters<'a>(
    iv: &'a mut [u8; NONCE_LEN],
    additional: &'a [u8],
) -> Result<GcmParams<'a>, Failure> {
    Ok(GcmParams::new(iv, additional, Ulong::new(128))?)
}

fn key_wrap_seal(
    session: &Session,
    key: ObjectHandle,
    plaintext: &[u8],
    additional: &[u8],
) -> Result<Vec<u8>, Failure> {
    let fresh = OneTimeKey::generate().map_err(|_| no_randomness())?;

    let [class, key_type, token, private, sensitive, extractable] = session_key();
    let value = Attribute::Value(fresh.expose().to_vec());
    let mut template = [
        class,
        key_type,
        token,
        private,
        sensitive,
        extractable,
        value,
    ];
    let object = session.create_object(&template);
    if let [.., Attribute::Value(value)] = &mut template {
        value.zeroize();
    }
    let object = object?;
    let wrapped = session.wrap_key(&Mechanism::AesKeyWrap, key, object);
    session.destroy_object(object)?;
    let wrapped = wrapped?;
    if wrapped.len() != WRAPPED_KEY_LEN {
        return Err(Failure::new(
            Kind::Integrity,
            "the wrapped key has another length than AES key wrap gives",
        ));
    }

    fresh.seal(wrapped, plaintext, additional).map_err(|_| {
        Failure::misconfigured("it cannot encrypt that much", "use the format `envelope`")
    })
}

fn key_wrap_open(
    session: &Session,
    key: ObjectHandle,
    body: &[u8],
    additional: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (wrapped, ciphertext) = body
        .split_at_checked(WRAPPED_KEY_LEN)
        .ok_or_else(not_authentic)?;
    let object = session.unwrap_key(&Mechanism::AesKeyWrap, key, wrapped, &session_key())?;
    let attributes = session.get_attributes(object, &[AttributeType::Value]);
    session.destroy_object(object)?;
    let value = attributes?
        .into_iter()
        .find_map(|attribute| match attribute {
            Attribute::Value(value) => Some(Zeroizing::new(value)),
            _ => None,
        });
    let fresh = value.and_then(|value| OneTimeKey::from_slice(&value));
    let fresh = fresh.ok_or_else(|| {
        Failure::new(
            Kind::Integrity,
            "the token did not give out the key that it unwrapped",
        )
    })?;

    fresh
        .open(ciphertext, additional)
        .map_err(|_| not_authentic())
}

fn key_wrap_works(session: &Session, key: ObjectHandle) -> bool {
    key_wrap_seal(session, key, b"", b"").is_ok_and(|body| {
        session
            .unwrap_key(
                &Mechanism::AesKeyWrap,
                key,
                body.get(..WRAPPED_KEY_LEN).unwrap_or_default(),
                &session_key(),
            )
            .is_ok_and(|object| session.destroy_object(object).is_ok())
    })
}

/// A session key that can be read.
fn session_key() -> [Attribute; 6] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}

fn not_authentic() -> Failure {
    Failure::new(Kind::InvalidCiphertext, "")
}

fn system_random(bytes: &mut [u8]) -> Result<(), Failure> {
    random::fill_from_system(bytes).map_err(|_| no_randomness())
}

fn no_randomness() -> Failure {
    Failure::new(Kind::Unavailable, "the operating system gave no randomness")
}
