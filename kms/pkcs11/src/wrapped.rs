//! The bytes of a wrapped key.

use super::error::Failure;
use temporal_kms::ProviderErrorKind as Kind;

const VERSION: u8 = 1;

/// The method of encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// AES-GCM in the token.
    Gcm,
    /// AES-GCM under a fresh key that the token wrapped with AES key wrap.
    KeyWrap,
}

/// The parts of a ciphertext of this provider.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrapped<'a> {
    pub(super) method: Method,
    /// `CKA_ID` of the key.
    pub(super) key_id: &'a [u8],
    pub(super) body: &'a [u8],
}

impl<'a> Wrapped<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Failure> {
        let parsed = (|| {
            let (&[VERSION, method, len], rest) = bytes.split_first_chunk::<3>()? else {
                return None;
            };
            let (key_id, body) = rest.split_at_checked(len.into())?;
            let method = [Method::Gcm, Method::KeyWrap]
                .into_iter()
                .find(|known| known.code() == method)?;
            Some(Self {
                method,
                key_id,
                body,
            })
        })();
        parsed.ok_or_else(|| {
            Failure::new(
                Kind::InvalidCiphertext,
                "it was not encrypted by a PKCS#11 key",
            )
        })
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, Failure> {
        let len = u8::try_from(self.key_id.len()).map_err(|_| {
            Failure::misconfigured(
                "the key's CKA_ID is longer than 255 bytes",
                "give the key a shorter one",
            )
        })?;
        let header = [VERSION, self.method.code(), len];
        Ok([&header[..], self.key_id, self.body].concat())
    }
}

impl Method {
    const fn code(self) -> u8 {
        match self {
            Self::Gcm => 1,
            Self::KeyWrap => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for method in [Method::Gcm, Method::KeyWrap] {
            for key_id in [&b""[..], b"\x01", &[7; 255]] {
                let wrapped = Wrapped {
                    method,
                    key_id,
                    body: b"body",
                };
                let bytes = wrapped.write().unwrap();
                assert_eq!(Wrapped::parse(&bytes).unwrap(), wrapped);
            }
        }
    }

    #[test]
    fn refuses_what_it_never_writes() {
        for bytes in [
            &b""[..],
            b"\x01",
            b"\x01\x01",
            b"\x01\x01\x02i",
            b"\x02\x01\x00",
            b"\x01\x03\x00",
            b"\x01\x00\x00",
        ] {
            let failure = Wrapped::parse(bytes).unwrap_err();
            assert_eq!(failure.kind(), Kind::InvalidCiphertext, "{bytes:?}");
        }
        let long = Wrapped {
            method: Method::Gcm,
            key_id: &[7; 256],
            body: b"",
        };
        assert_eq!(long.write().unwrap_err().kind(), Kind::Misconfigured);
    }
}
