//! Sealed files: a header and chunks.
//!
//! ```text
//! file   = header ‖ commitment(32) ‖ chunk ‖ … ‖ last chunk
//! header = "TKCFILE1" ‖ length(4, big endian) ‖ recipients, JSON of that length ‖ file id(32)
//! chunk  = AES-256-GCM ciphertext of 65,536 bytes (the last one: up to that) ‖ tag(16)
//! ```
//!
//! The recipients are `[{"kek":KEY URI,"dek":BASE64}, …]`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::recipients::{distinct, parse_wrapped};
use crate::{
    PayloadError,
    crypto::aead::TAG_LEN,
    types::{MAX_RECIPIENTS, Recipient},
};

pub(crate) const MAGIC: [u8; 8] = *b"TKCFILE1";
pub(crate) const FILE_ID_LEN: usize = 32;
pub(crate) const CHUNK_LEN: usize = 64 * 1024;
pub(crate) const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// Ten recipients with the largest wrapped keys take less.
pub(crate) const MAX_RECIPIENTS_LEN: usize = 256 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRecipient {
    kek: String,
    dek: String,
}

/// Everything of the header before the commitment: what the file's key is bound to.
pub(crate) fn bound_header(recipients: &[Recipient], file_id: &[u8; FILE_ID_LEN]) -> Vec<u8> {
    let recipients: Vec<_> = recipients
        .iter()
        .map(|recipient| JsonRecipient {
            kek: recipient.key.to_string(),
            dek: STANDARD.encode(recipient.wrapped.as_bytes()),
        })
        .collect();
    let json = serde_json::to_vec(&recipients).unwrap_or_default();
    let len = u32::try_from(json.len()).unwrap_or(u32::MAX);
    [MAGIC.as_slice(), &len.to_be_bytes(), &json, file_id].concat()
}

/// Whether a file that begins with `start` can be a sealed file, of which the end may be missing.
pub(crate) fn has_magic(start: &[u8]) -> bool {
    let len = start.len().min(MAGIC.len());
    len > 0 && start.get(..len) == MAGIC.get(..len)
}

/// The length of the recipients that follows the magic bytes, if it is one.
pub(crate) fn parse_len(start: &[u8; 12]) -> Result<usize, PayloadError> {
    let malformed = PayloadError::Malformed("it is not a file that this program sealed");
    let (magic, len) = start.split_first_chunk::<8>().ok_or(malformed.clone())?;
    let len = <[u8; 4]>::try_from(len).map_err(|_| malformed.clone())?;
    if *magic != MAGIC {
        return Err(malformed);
    }
    usize::try_from(u32::from_be_bytes(len))
        .ok()
        .filter(|len| *len <= MAX_RECIPIENTS_LEN)
        .ok_or(PayloadError::TooLarge {
            what: "the file's header",
            limit: MAX_RECIPIENTS_LEN,
        })
}

pub(crate) fn parse_recipients(json: &[u8]) -> Result<Vec<Recipient>, PayloadError> {
    let malformed = PayloadError::Malformed("the recipients in its header are malformed");
    let recipients: Vec<JsonRecipient> =
        serde_json::from_slice(json).map_err(|_| malformed.clone())?;
    if recipients.len() > MAX_RECIPIENTS {
        return Err(malformed);
    }
    let recipients: Result<Vec<_>, PayloadError> = recipients
        .into_iter()
        .map(|recipient| {
            let wrapped = STANDARD
                .decode(recipient.dek)
                .map_err(|_| malformed.clone())?;
            Ok(Recipient {
                key: recipient.kek.parse().map_err(|_| malformed.clone())?,
                wrapped: parse_wrapped(wrapped)?,
            })
        })
        .collect();
    distinct(recipients?)
}

/// The nonce of a chunk: its number, and whether it is the last one. Chunks can be neither moved nor cut off
/// (STREAM: Hoang, Reyhanitabar, Rogaway, Vizár, *Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance*,
/// CRYPTO 2015).
pub(crate) fn nonce(number: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    let (head, flag) = nonce.split_at_mut(11);
    if let Some(tail) = head.last_chunk_mut::<8>() {
        *tail = number.to_be_bytes();
    }
    flag.fill(u8::from(last));
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WrappedDek;

    #[test]
    fn nonces_differ_in_number_and_end() {
        assert_eq!(nonce(0, false), [0; 12]);
        assert_eq!(nonce(0, true), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(nonce(0x0102, false), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0]);
    }

    #[test]
    fn a_header_round_trips() {
        let recipients = [Recipient {
            key: "local://k".parse().unwrap(),
            wrapped: WrappedDek::new(vec![1, 2, 3]),
        }];
        let header = bound_header(&recipients, &[9; 32]);
        let len = parse_len(header[..12].try_into().unwrap()).unwrap();
        assert_eq!(header.len(), 12 + len + 32);
        let parsed = parse_recipients(&header[12..12 + len]).unwrap();
        assert_eq!(parsed[0].key, recipients[0].key);
        assert_eq!(parsed[0].wrapped, recipients[0].wrapped);
    }

    #[test]
    fn refuses_other_files_and_broken_headers() {
        assert!(parse_len(b"PK\x03\x04........").is_err());
        for other in [&b""[..], b"T?", b"hello", b"TKCFILE2 and more"] {
            assert!(!has_magic(other));
        }
        for sealed in [&b"T"[..], b"TKCFILE", b"TKCFILE1", b"TKCFILE1 and more"] {
            assert!(has_magic(sealed));
        }
        assert!(parse_len(b"TKCFILE1\xff\xff\xff\xff").is_err());
        for json in [
            "",
            "{}",
            "[]",
            r#"[{"kek":"x","dek":"AA=="}]"#,
            r#"[{"kek":"local://k","dek":"?"}]"#,
            r#"[{"kek":"local://k","dek":"AA=="},{"kek":"local://k","dek":"AQ=="}]"#,
        ] {
            assert!(parse_recipients(json.as_bytes()).is_err(), "{json}");
        }
    }
}
