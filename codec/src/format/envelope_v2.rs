//! Envelope version 2: `data` = header(66) ‖ AES-256-GCM ciphertext ‖ tag(16).
//!
//! | offset | length | header |
//! |---|---|---|
//! | 0 | 1 | `0x02` |
//! | 1 | 1 | flags: bit 0 = compressed with zstd before encryption; all others are zero |
//! | 2 | 32 | message id, never repeated under one data key |
//! | 34 | 32 | key commitment |

use std::{collections::BTreeMap, mem};

use temporal_kms::support::SecretVec;

use super::recipients::{distinct, parse_key, wrapped_in};
use crate::{
    EncryptionContext, Payload, PayloadError,
    crypto::{
        aead::TAG_LEN,
        key_schedule::{COMMITMENT_LEN, Commitment, MESSAGE_ID_LEN, MessageId},
    },
    payload::{
        ENCODING, ENCODING_ENVELOPE, ENCRYPTED_DEK, ENCRYPTION_CONTEXT, ENVELOPE_VERSION, KMS_KEY,
        Plain,
    },
    types::{MAX_RECIPIENTS, Recipient},
};

pub(crate) const HEADER_LEN: usize = 2 + MESSAGE_ID_LEN + COMMITMENT_LEN;

const VERSION: u8 = 2;
const FLAG_ZSTD: u8 = 1;

/// Whether the `data` of a message say that its content is compressed.
pub(crate) fn is_compressed(data: &[u8]) -> bool {
    data.starts_with(&[VERSION, FLAG_ZSTD])
}

/// The clear part of a message; all of it is authenticated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) compressed: bool,
    pub(crate) message_id: MessageId,
    pub(crate) commitment: Commitment,
}

impl Header {
    pub(crate) fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let (start, rest) = bytes.split_at_mut(2);
        let (message_id, commitment) = rest.split_at_mut(MESSAGE_ID_LEN);
        start.copy_from_slice(&[VERSION, if self.compressed { FLAG_ZSTD } else { 0 }]);
        message_id.copy_from_slice(&self.message_id);
        commitment.copy_from_slice(&self.commitment);
        bytes
    }

    /// Reads the header of a whole message.
    pub(crate) fn parse(data: &[u8]) -> Result<Self, PayloadError> {
        let malformed = PayloadError::Malformed;
        if data.len() < HEADER_LEN + TAG_LEN {
            return Err(malformed("its data are shorter than a header and a tag"));
        }
        let (&[version, flags], rest) = data
            .split_first_chunk()
            .ok_or(malformed("it has no header"))?;
        let (message_id, rest) = rest
            .split_first_chunk()
            .ok_or(malformed("it has no message id"))?;
        let (commitment, _) = rest
            .split_first_chunk()
            .ok_or(malformed("it has no commitment"))?;
        if version != VERSION {
            return Err(malformed("the version in its header is unknown"));
        }
        if flags & !FLAG_ZSTD != 0 {
            return Err(malformed("its header has an unknown flag"));
        }
        Ok(Self {
            compressed: flags & FLAG_ZSTD != 0,
            message_id: *message_id,
            commitment: *commitment,
        })
    }
}

/// A sealed payload with everything that it takes to open it, but for the keys.
pub(crate) struct EnvelopeV2 {
    pub(crate) header: Header,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) context: EncryptionContext,
    /// Header and all.
    pub(crate) data: SecretVec,
}

pub(crate) fn parse(mut payload: Plain<Payload>) -> Result<EnvelopeV2, PayloadError> {
    let header = Header::parse(&payload.data)?;
    let (recipients, context) =
        named_in(|name| payload.metadata.remove(name).map(SecretVec::from))?;
    Ok(EnvelopeV2 {
        header,
        recipients,
        context,
        data: mem::take(&mut payload.data).into(),
    })
}

/// The recipients and the context that an envelope's metadata name. `entry` gives an entry of the metadata. Entries that are
/// refused are erased: they may be those of a value that is not encrypted.
pub(crate) fn named_in(
    mut entry: impl FnMut(&str) -> Option<SecretVec>,
) -> Result<(Vec<Recipient>, EncryptionContext), PayloadError> {
    let context = entry(ENCRYPTION_CONTEXT).unwrap_or_default();
    let context = EncryptionContext::parse(&context)?;

    let mut recipients = Vec::new();
    for (number, (key, wrapped)) in KMS_KEYS.into_iter().zip(ENCRYPTED_DEKS).enumerate() {
        match (entry(key), entry(wrapped)) {
            (Some(key), wrapped) => {
                recipients.push(Recipient {
                    key: parse_key(&key)?,
                    wrapped: wrapped_in(wrapped)?,
                });
            }
            (None, Some(_)) => {
                return Err(PayloadError::Malformed(
                    "an `encrypted-dek` has no `kms-key`",
                ));
            }
            (None, None) if number == 0 => {
                return Err(PayloadError::Malformed("it has no `kms-key`"));
            }
            (None, None) => {}
        }
    }
    Ok((distinct(recipients)?, context))
}

/// The metadata of every payload that one data key seals.
pub(crate) fn metadata(
    recipients: &[Recipient],
    context: &EncryptionContext,
) -> BTreeMap<String, Vec<u8>> {
    let mut metadata: BTreeMap<String, Vec<u8>> = [
        (ENCODING.to_owned(), ENCODING_ENVELOPE.as_bytes().to_vec()),
        (ENVELOPE_VERSION.to_owned(), b"2".to_vec()),
    ]
    .into();
    let names = KMS_KEYS.into_iter().zip(ENCRYPTED_DEKS);
    for (recipient, (key, wrapped)) in recipients.iter().zip(names) {
        metadata.insert(key.to_owned(), recipient.key.to_string().into_bytes());
        metadata.insert(wrapped.to_owned(), recipient.wrapped.as_bytes().to_vec());
    }
    if !context.is_empty() {
        metadata.insert(ENCRYPTION_CONTEXT.to_owned(), context.as_bytes().to_vec());
    }
    metadata
}

/// The names of each recipient's entries.
const KMS_KEYS: [&str; MAX_RECIPIENTS] = [
    KMS_KEY,
    "kms-key.1",
    "kms-key.2",
    "kms-key.3",
    "kms-key.4",
    "kms-key.5",
    "kms-key.6",
    "kms-key.7",
    "kms-key.8",
    "kms-key.9",
];
const ENCRYPTED_DEKS: [&str; MAX_RECIPIENTS] = [
    ENCRYPTED_DEK,
    "encrypted-dek.1",
    "encrypted-dek.2",
    "encrypted-dek.3",
    "encrypted-dek.4",
    "encrypted-dek.5",
    "encrypted-dek.6",
    "encrypted-dek.7",
    "encrypted-dek.8",
    "encrypted-dek.9",
];
