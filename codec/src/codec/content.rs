//! The serialized payload that is inside of an encrypted one, and its limits.

mod in_place;
pub(crate) mod serialized;

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

use prost::{
    Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

use temporal_kms::support::{SecretVec, erase, erase_from};
use temporal_kms_codec_proto::{Data, Metadata, PayloadParts, SharedPayload};

use crate::{
    Payload, PayloadError,
    payload::{Erase as _, Plain},
};

/// Temporal's payloads have fewer than 20 entries. Entries cost far more memory than bytes of a message: a message of
/// some megabytes must not become gigabytes.
pub(crate) const MAX_ENTRIES: usize = 1000;
/// The most fields of a serialized payload, with those of its entries and those that are unknown. Reading the eight million empty
/// ones that fit into 16 MiB takes a tenth of a second, in which no other task runs.
const MAX_FIELDS: usize = 10 * MAX_ENTRIES;
/// How deep groups are nested at most, as in `prost`.
const MAX_DEPTH: usize = 100;

/// `message Payload`.
const METADATA: u32 = 1;
const DATA: u32 = 2;
const EXTERNAL_PAYLOADS: u32 = 3;
/// An entry of the metadata.
const ENTRY_KEY: u32 = 1;
const ENTRY_VALUE: u32 = 2;

/// Whether `decode` would read what becomes of `payload`.
pub(crate) fn check(payload: &impl PayloadParts) -> Result<(), PayloadError> {
    let entries = payload.metadata().len();
    match entries.max(payload.external_payloads().len()) {
        0..=MAX_ENTRIES => Ok(()),
        _ => Err(TOO_MANY_ENTRIES),
    }
}

/// Reads a serialized payload.
pub(crate) fn decode(serialized: &[u8]) -> Result<Payload, PayloadError> {
    check_fields(serialized)?;
    // If the rest is not a payload, what was read is erased. Entries of the metadata are whole, since `prost` would not erase
    // the value of half an entry. It does not erase what a second value replaces, either: no SDK writes such a payload.
    let mut payload = Plain::<Payload>::default();
    payload.merge(serialized).map_err(|_| NOT_A_PAYLOAD)?;
    Ok(payload.into_inner())
}

/// Reads a serialized payload out of the buffer that it was decrypted in. Its data stay in this buffer, and everything else in
/// the buffer is erased.
pub(crate) fn take(buffer: SecretVec, serialized: Range<usize>) -> Result<Payload, PayloadError> {
    Ok(match taken(buffer, serialized, in_place::metadata)? {
        Taken::InPlace(metadata, data) => Payload {
            metadata,
            data: data.into_vec(),
            external_payloads: Vec::new(),
        },
        Taken::Read(payload) => payload,
    })
}

/// The serialized metadata of the last payload, and what they are. They are erased once no payload has them.
#[derive(Default)]
pub(crate) struct LastMetadata(Option<(SecretVec, Arc<Metadata>)>);

/// The metadata that Temporal's own converters make, in serialized form and as they are.
static USUAL: LazyLock<[(Vec<u8>, Arc<Metadata>); 5]> = LazyLock::new(|| {
    let encodings = [
        "json/plain",
        "json/protobuf",
        "binary/plain",
        "binary/protobuf",
        "binary/null",
    ];
    encodings.map(|encoding| {
        let metadata = Metadata::from([("encoding".to_owned(), encoding.into())]);
        let payload = Payload {
            metadata: metadata.clone(),
            ..Payload::default()
        };
        (payload.encode_to_vec(), Arc::new(metadata))
    })
});

/// As [`take`]. A payload with the metadata of the last one, or with usual ones, shares them.
pub(crate) fn take_shared(
    buffer: SecretVec,
    serialized: Range<usize>,
    last: &mut LastMetadata,
) -> Result<SharedPayload, PayloadError> {
    Ok(
        match taken(buffer, serialized, |text| last.metadata(text))? {
            Taken::InPlace(metadata, data) => SharedPayload::new(metadata, data),
            Taken::Read(payload) => payload.into(),
        },
    )
}

/// What was taken out of a buffer.
enum Taken<M> {
    /// The metadata and the data.
    InPlace(M, Data),
    /// A payload in another form than most, which was read the other way.
    Read(Payload),
}

/// Takes a payload out of a buffer. `metadata` reads its serialized metadata.
fn taken<M>(
    mut buffer: SecretVec,
    serialized: Range<usize>,
    metadata: impl FnOnce(&[u8]) -> Option<M>,
) -> Result<Taken<M>, PayloadError> {
    /// A small buffer may be kept for any data.
    const SMALL: usize = 4096;

    let start = serialized.start;
    let serialized = buffer.get(serialized).unwrap_or_default();
    let Some(parts) = in_place::parts(serialized, MAX_ENTRIES) else {
        return decode(serialized).map(Taken::Read);
    };
    let text = serialized.get(parts.metadata).unwrap_or_default();
    let Some(metadata) = metadata(text) else {
        return decode(serialized).map(Taken::Read);
    };
    let len = parts.data.len();
    if buffer.capacity() > SMALL && len < buffer.capacity() / 2 {
        // Few data must not keep much memory.
        let data = serialized.get(parts.data).unwrap_or_default();
        return Ok(Taken::InPlace(metadata, data.to_vec().into()));
    }
    let data = start + parts.data.start..start + parts.data.end;
    erase_from(&mut buffer, data.end);
    erase(buffer.get_mut(..data.start).unwrap_or_default());
    let data = Data::behind(data.start, buffer.into_inner());
    Ok(Taken::InPlace(metadata, data))
}

impl LastMetadata {
    /// The metadata that `serialized` is.
    fn metadata(&mut self, serialized: &[u8]) -> Option<Arc<Metadata>> {
        if let Some((_, metadata)) = USUAL.iter().find(|(usual, _)| usual == serialized) {
            return Some(Arc::clone(metadata));
        }
        if let Some((last, metadata)) = &self.0
            && last.as_slice() == serialized
        {
            return Some(Arc::clone(metadata));
        }
        let metadata = Arc::new(in_place::metadata(serialized)?);
        self.forget();
        self.0 = Some((serialized.to_vec().into(), Arc::clone(&metadata)));
        Some(metadata)
    }

    fn forget(&mut self) {
        if let Some((_, mut metadata)) = self.0.take() {
            metadata.erase();
        }
    }
}

impl Drop for LastMetadata {
    fn drop(&mut self) {
        self.forget();
    }
}

const NOT_A_PAYLOAD: PayloadError = PayloadError::Malformed("its content is not a payload");
const TOO_MANY_ENTRIES: PayloadError = PayloadError::Malformed(
    "it has more than 1,000 entries in its metadata or its external payloads",
);

const TOO_MANY_FIELDS: PayloadError = PayloadError::Malformed("it has more than 10,000 fields");

/// Checks that a serialized payload has few entries and few fields, and that every entry of the metadata is whole. `prost` reads an
/// entry of a map from a field of any type, where other readers skip the field.
fn check_fields(mut serialized: &[u8]) -> Result<(), PayloadError> {
    let mut fields = Fields::default();
    let (mut metadata, mut external) = (0, 0);
    while !serialized.is_empty() {
        let (tag, wire_type) = fields.key(&mut serialized)?;
        match (tag, wire_type) {
            (METADATA, WireType::LengthDelimited) => {
                metadata += 1;
                fields.check_entry(delimited(&mut serialized)?)?;
            }
            (METADATA, _) => return Err(NOT_A_PAYLOAD),
            (EXTERNAL_PAYLOADS, WireType::LengthDelimited) => {
                external += 1;
                fields.check_message(delimited(&mut serialized)?)?;
            }
            _ => fields.skip(wire_type, tag, &mut serialized, MAX_DEPTH)?,
        }
        if metadata > MAX_ENTRIES || external > MAX_ENTRIES {
            return Err(TOO_MANY_ENTRIES);
        }
    }
    Ok(())
}

/// Counts the fields of a serialized payload.
struct Fields {
    left: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self { left: MAX_FIELDS }
    }
}

impl Fields {
    /// The key of the next field.
    fn key(&mut self, bytes: &mut &[u8]) -> Result<(u32, WireType), PayloadError> {
        self.left = self.left.checked_sub(1).ok_or(TOO_MANY_FIELDS)?;
        decode_key(bytes).map_err(|_| NOT_A_PAYLOAD)
    }

    /// Whether `prost` would read an entry of the metadata. Entries with groups are refused.
    fn check_entry(&mut self, mut entry: &[u8]) -> Result<(), PayloadError> {
        while !entry.is_empty() {
            let (tag, wire_type) = self.key(&mut entry)?;
            match tag {
                ENTRY_KEY | ENTRY_VALUE if wire_type != WireType::LengthDelimited => {
                    return Err(NOT_A_PAYLOAD);
                }
                ENTRY_KEY => {
                    str::from_utf8(delimited(&mut entry)?).map_err(|_| NOT_A_PAYLOAD)?;
                }
                // No SDK writes groups, and `prost` counts their depth from outside.
                _ if wire_type == WireType::StartGroup => return Err(NOT_A_PAYLOAD),
                _ => self.skip(wire_type, tag, &mut entry, MAX_DEPTH)?,
            }
        }
        Ok(())
    }

    /// Counts the fields of a message.
    fn check_message(&mut self, mut message: &[u8]) -> Result<(), PayloadError> {
        while !message.is_empty() {
            let (tag, wire_type) = self.key(&mut message)?;
            self.skip(wire_type, tag, &mut message, MAX_DEPTH)?;
        }
        Ok(())
    }

    /// Skips what is behind a key. The fields of a group count.
    fn skip(
        &mut self,
        wire_type: WireType,
        tag: u32,
        bytes: &mut &[u8],
        depth: usize,
    ) -> Result<(), PayloadError> {
        if wire_type != WireType::StartGroup {
            let skipped = skip_field(wire_type, tag, bytes, DecodeContext::default());
            return skipped.map_err(|_| NOT_A_PAYLOAD);
        }
        let depth = depth.checked_sub(1).ok_or(NOT_A_PAYLOAD)?;
        loop {
            let (inner_tag, inner_type) = self.key(bytes)?;
            if inner_type == WireType::EndGroup {
                return if inner_tag == tag {
                    Ok(())
                } else {
                    Err(NOT_A_PAYLOAD)
                };
            }
            self.skip(inner_type, inner_tag, bytes, depth)?;
        }
    }
}

/// Takes what has its length before it.
fn delimited<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], PayloadError> {
    let length = decode_varint(bytes).map_err(|_| NOT_A_PAYLOAD)?;
    let length = usize::try_from(length).map_err(|_| NOT_A_PAYLOAD)?;
    let (content, rest) = bytes.split_at_checked(length).ok_or(NOT_A_PAYLOAD)?;
    *bytes = rest;
    Ok(content)
}

#[cfg(test)]
mod tests;
