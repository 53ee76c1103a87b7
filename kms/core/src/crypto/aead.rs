//! AES-256-GCM (NIST SP 800-38D) with 96-bit nonces and 128-bit tags. Only this file names the library that computes
//! it.
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "shared by this project's own crates only"
)]

#[cfg(not(any(feature = "aws-lc-rs", feature = "aes-gcm")))]
compile_error!("temporal-kms-codec needs one of the features `aws-lc-rs` and `aes-gcm`");

/// The length of a key in bytes.
pub const KEY_LEN: usize = 32;
/// The length of a nonce in bytes.
pub const NONCE_LEN: usize = 12;
/// The length of a tag in bytes.
pub const TAG_LEN: usize = 16;

/// Authentication failed, or an input exceeds what GCM allows. On purpose it carries no detail.
#[derive(Debug, PartialEq, Eq)]
pub struct Unauthentic;

/// One key, expanded. Both libraries erase it when it is dropped.
pub struct Aes256Gcm(imp::Key);

impl Aes256Gcm {
    /// Expands a key.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        Self(imp::key(key))
    }

    /// Replaces `buffer[from..]` with its ciphertext and appends the tag. Never use a nonce twice under one key.
    pub fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        buffer: &mut Vec<u8>,
        from: usize,
    ) -> Result<(), Unauthentic> {
        let plaintext = buffer.get_mut(from..).ok_or(Unauthentic)?;
        let tag = imp::seal(&self.0, nonce, additional, plaintext)?;
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Decrypts `ciphertext ‖ tag` in place and returns the plaintext, which is a prefix of the buffer.
    pub fn open<'a>(
        &self,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], Unauthentic> {
        if sealed.len() < TAG_LEN {
            return Err(Unauthentic);
        }
        imp::open(&self.0, nonce, additional, sealed)
    }
}

#[cfg(feature = "aws-lc-rs")]
#[expect(
    clippy::disallowed_types,
    reason = "this is the module that names the library"
)]
mod imp {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    use super::{KEY_LEN, NONCE_LEN, TAG_LEN, Unauthentic};

    pub(super) type Key = LessSafeKey;

    #[expect(
        clippy::expect_used,
        reason = "fails for a wrong key length only, and the length is in the type"
    )]
    pub(super) fn key(key: &[u8; KEY_LEN]) -> Key {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key"))
    }

    pub(super) fn seal(
        key: &Key,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        plaintext: &mut [u8],
    ) -> Result<[u8; TAG_LEN], Unauthentic> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(additional), plaintext)
            .map_err(|_| Unauthentic)?;
        tag.as_ref().try_into().map_err(|_| Unauthentic)
    }

    pub(super) fn open<'a>(
        key: &Key,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], Unauthentic> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.open_in_place(nonce, Aad::from(additional), sealed)
            .map(|plaintext| &*plaintext)
            .map_err(|_| Unauthentic)
    }
}

#[cfg(all(feature = "aes-gcm", not(feature = "aws-lc-rs")))]
#[expect(
    clippy::disallowed_types,
    reason = "this is the module that names the library"
)]
mod imp {
    use aes_gcm::{
        KeyInit as _,
        aead::{AeadInOut as _, inout::InOutBuf},
    };

    use super::{KEY_LEN, NONCE_LEN, TAG_LEN, Unauthentic};

    pub(super) type Key = aes_gcm::Aes256Gcm;

    pub(super) fn key(key: &[u8; KEY_LEN]) -> Key {
        Key::new(key.into())
    }

    pub(super) fn seal(
        key: &Key,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        plaintext: &mut [u8],
    ) -> Result<[u8; TAG_LEN], Unauthentic> {
        key.encrypt_inout_detached(&nonce.into(), additional, InOutBuf::from(plaintext))
            .map(Into::into)
            .map_err(|_| Unauthentic)
    }

    pub(super) fn open<'a>(
        key: &Key,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], Unauthentic> {
        let (ciphertext, tag) = sealed
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(Unauthentic)?;
        let tag = (*tag).into();
        key.decrypt_inout_detached(
            &nonce.into(),
            additional,
            InOutBuf::from(&mut *ciphertext),
            &tag,
        )
        .map_err(|_| Unauthentic)?;
        Ok(ciphertext)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 16 of the GCM specification (`McGrew` and Viega), which NIST SP 800-38D refers to.
    #[test]
    fn matches_the_published_test_case() {
        let key: [u8; 32] =
            hex::decode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
                .unwrap()
                .try_into()
                .unwrap();
        let nonce: [u8; 12] = hex::decode("cafebabefacedbaddecaf888")
            .unwrap()
            .try_into()
            .unwrap();
        let additional = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
        let plaintext = hex::decode(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        )
        .unwrap();

        let mut buffer = plaintext.clone();
        let cipher = Aes256Gcm::new(&key);
        cipher.seal(nonce, &additional, &mut buffer, 0).unwrap();
        assert_eq!(
            hex::encode(&buffer),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
        );
        assert_eq!(
            cipher.open(nonce, &additional, &mut buffer).unwrap(),
            plaintext
        );
    }

    #[test]
    fn opens_nothing_but_what_was_sealed() {
        let cipher = Aes256Gcm::new(&[7; 32]);
        let mut sealed = b"prefix: secret".to_vec();
        cipher.seal([1; 12], b"bound", &mut sealed, 8).unwrap();
        assert_eq!(&sealed[..8], b"prefix: ");

        let open = |nonce, additional: &[u8], from: usize, to: usize| {
            cipher
                .open(nonce, additional, &mut sealed.clone()[from..to])
                .map(<[u8]>::to_vec)
        };
        let end = sealed.len();
        assert_eq!(open([1; 12], b"bound", 8, end).unwrap(), b"secret");
        assert_eq!(open([2; 12], b"bound", 8, end), Err(Unauthentic));
        assert_eq!(open([1; 12], b"loose", 8, end), Err(Unauthentic));
        assert_eq!(open([1; 12], b"bound", 8, end - 1), Err(Unauthentic));
        assert_eq!(open([1; 12], b"bound", end - 3, end), Err(Unauthentic));
    }
}
