//! Where the parts of a serialized payload are, for payloads in the form that SDKs write: entries of the metadata, and data
//! once. A payload in any other form is read by the protobuf library.

use std::ops::Range;

use temporal_kms_codec_proto::Metadata;

use crate::payload::Plain;

/// `message Payload`: fields 1 and 2, and the fields of an entry of the map. All of them have a length before them.
const METADATA: u8 = 0x0a;
const DATA: u8 = 0x12;
const ENTRY_KEY: u8 = 0x0a;
const ENTRY_VALUE: u8 = 0x12;

/// The places of the parts of a serialized payload.
pub(super) struct Parts {
    /// The metadata, from the start.
    pub(super) metadata: Range<usize>,
    pub(super) data: Range<usize>,
}

/// The parts of a serialized payload, or `None` when it has another form, or more metadata than `max_entries`.
pub(super) fn parts(serialized: &[u8], max_entries: usize) -> Option<Parts> {
    let mut reader = Reader {
        bytes: serialized,
        at: 0,
    };
    let (mut metadata, mut data, mut entries) = (0..0, None, 0);
    while let Some(tag) = reader.byte() {
        let content = reader.delimited()?;
        match tag {
            METADATA if entries < max_entries && data.is_none() => {
                metadata.end = content.end;
                entries += 1;
            }
            DATA if data.is_none() => data = Some(content),
            _ => return None,
        }
    }
    Some(Parts {
        metadata,
        data: data.unwrap_or_default(),
    })
}

/// The metadata in the place that [`parts`] gave.
pub(super) fn metadata(serialized: &[u8]) -> Option<Metadata> {
    let mut reader = Reader {
        bytes: serialized,
        at: 0,
    };
    let mut metadata = Plain::<Metadata>::default();
    while reader.byte().is_some() {
        let (key, value) = entry(serialized.get(reader.delimited()?)?)?;
        drop(Plain::new(metadata.insert(key, value)));
    }
    Some(metadata.into_inner())
}

/// One entry of the map. A serializer leaves out an empty key or value.
fn entry(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.byte()? != ENTRY_KEY {
        return None;
    }
    let key = std::str::from_utf8(bytes.get(reader.delimited()?)?).ok()?;
    let value = match reader.byte() {
        None => Range::default(),
        Some(ENTRY_VALUE) => reader.delimited()?,
        Some(_) => return None,
    };
    let is_whole = reader.at == bytes.len();
    is_whole.then(|| {
        (
            key.to_owned(),
            bytes.get(value).unwrap_or_default().to_vec(),
        )
    })
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// The place of what has its length before it.
    fn delimited(&mut self) -> Option<Range<usize>> {
        let len = self.length()?;
        let start = self.at;
        let end = start.checked_add(len)?;
        if end > self.bytes.len() {
            return None;
        }
        self.at = end;
        Some(start..end)
    }

    /// A length of up to four bytes, each with seven bits.
    fn length(&mut self) -> Option<usize> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(length);
            }
        }
        None
    }
}
