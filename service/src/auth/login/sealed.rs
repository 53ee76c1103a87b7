//! Values that a browser keeps for this server: encrypted and authenticated, so that nothing is kept here.

use std::{fmt, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;
use temporal_kms::support::{
    aead::{Aes256Gcm, KEY_LEN, NONCE_LEN},
    random,
};
use zeroize::Zeroizing;

use crate::auth::secret;

/// A secret with fewer characters could be guessed.
const LEAST_SECRET: usize = 32;
/// For a rotation, two are enough.
const MOST_SECRETS: usize = 4;
/// A browser keeps a cookie of at most 4,096 bytes with its name and attributes.
const MOST_BYTES: usize = 3800;

/// What a value is for. A value for one purpose does not open for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Session,
    Login,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"temporal-kms-codec session 1",
            Self::Login => b"temporal-kms-codec login 1",
        }
    }
}

/// The keys of values: the first one seals, each one opens.
pub(super) struct Keys(Vec<Aes256Gcm>);

impl Keys {
    /// The keys of the secrets in a file, one a line. Without a file, a random key that ends with the process.
    ///
    /// # Errors
    /// What is wrong with the file, for the user.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path else {
            let mut key = Zeroizing::new([0; KEY_LEN]);
            random::fill_from_system(key.as_mut_slice())
                .map_err(|_| "the system gave no randomness; check it".to_owned())?;
            return Ok(Self(vec![Aes256Gcm::new(&key)]));
        };
        let shown = path.display();
        let secrets = secret::read_lines(path)?;
        if secrets.len() > MOST_SECRETS {
            return Err(format!(
                "{shown} has more than {MOST_SECRETS} lines; remove old secrets"
            ));
        }
        let keys = secrets.iter().map(|secret| {
            if secret.expose().len() < LEAST_SECRET {
                return Err(format!(
                    "{shown} has a secret of less than {LEAST_SECRET} characters; put the output of `openssl rand -base64 32` into it"
                ));
            }
            let mut key = Zeroizing::new([0; KEY_LEN]);
            let derived = Hkdf::<Sha256>::new(None, secret.expose().as_bytes())
                .expand(b"temporal-kms-codec cookies 1", key.as_mut_slice());
            derived.map_err(|_| "the key cannot be derived; check the secret".to_owned())?;
            Ok(Aes256Gcm::new(&key))
        });
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// `None` when the value is too large for a cookie.
    pub(super) fn seal(&self, purpose: Purpose, value: &impl Serialize) -> Option<String> {
        let mut sealed = vec![0; NONCE_LEN];
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce).ok()?;
        sealed.copy_from_slice(&nonce);
        serde_json::to_writer(&mut sealed, value).ok()?;
        self.0
            .first()?
            .seal(nonce, purpose.label(), &mut sealed, NONCE_LEN)
            .ok()?;
        let text = URL_SAFE_NO_PAD.encode(sealed);
        (text.len() <= MOST_BYTES).then_some(text)
    }

    /// `None` when the value was not sealed here for this purpose.
    pub(super) fn unseal<T: DeserializeOwned>(&self, purpose: Purpose, text: &str) -> Option<T> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        self.0.iter().find_map(|key| {
            let mut sealed = Zeroizing::new(sealed.to_vec());
            let opened = key.open(*nonce, purpose.label(), &mut sealed).ok()?;
            serde_json::from_slice(opened).ok()
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_value_opens_for_its_purpose_only_and_not_when_changed() {
        let keys = Keys::open(None).unwrap();
        let sealed = keys.seal(Purpose::Session, &"user").unwrap();
        assert_eq!(
            keys.unseal(Purpose::Session, &sealed),
            Some("user".to_owned())
        );
        assert_eq!(keys.unseal::<String>(Purpose::Login, &sealed), None);
        assert_eq!(
            Keys::open(None)
                .unwrap()
                .unseal::<String>(Purpose::Session, &sealed),
            None
        );
        assert_ne!(keys.seal(Purpose::Session, &"user").unwrap(), sealed);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                keys.unseal::<String>(Purpose::Session, &changed),
                None,
                "{index}"
            );
        }
        for odd in ["", "AAAA", "ä", &"A".repeat(5000)] {
            assert_eq!(keys.unseal::<String>(Purpose::Session, odd), None);
        }
        assert_eq!(keys.seal(Purpose::Session, &"x".repeat(4000)), None);
        assert_eq!(format!("{keys:?}"), "[redacted]");
    }

    #[test]
    fn servers_with_one_secret_open_the_values_of_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let (old, new) = ("o".repeat(40), "n".repeat(40));
        let with = |text: &str| {
            fs::write(&path, text).unwrap();
            Keys::open(Some(&path))
        };
        let sealed = with(&old).unwrap().seal(Purpose::Session, &1).unwrap();
        assert_eq!(
            with(&old).unwrap().unseal(Purpose::Session, &sealed),
            Some(1)
        );
        let both = with(&format!("{new}\n{old}\n")).unwrap();
        assert_eq!(both.unseal(Purpose::Session, &sealed), Some(1));
        assert_eq!(
            with(&new).unwrap().unseal::<i32>(Purpose::Session, &sealed),
            None
        );
        let error = with("short").unwrap_err();
        assert!(
            error.contains("openssl rand") && !error.contains("short\""),
            "{error}"
        );
        assert!(with(&format!("{old}\n").repeat(5)).is_err());
    }
}
