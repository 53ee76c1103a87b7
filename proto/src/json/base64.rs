//! Base64 of bytes fields.

use std::mem;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use crate::{Data, Room};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
pub(super) const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
pub(super) const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Base64 in either alphabet, padded or not. The usual form is decoded by vector instructions.
pub(super) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    decode_base64_with_room(text, Room::default()).map(Data::into_vec)
}

/// As [`decode_base64`]. There is `room` around data that are not small.
pub(super) fn decode_base64_with_room(text: &[u8], room: Room) -> Option<Data> {
    decode_usual_base64(text, room).or_else(|| decode_any_base64(text, room))
}

/// As [`decode_base64_with_room`], for a text in the usual form. `None` for any other form.
pub(super) fn decode_usual_base64(text: &[u8], room: Room) -> Option<Data> {
    let buffer = Buffer::new(text.len(), room);
    buffer.decoded(|bytes| usual(text, bytes))
}

/// As [`decode_base64_with_room`], for a text in pieces and in the usual form. `None` for any other form.
pub(super) fn decode_base64_in_pieces(pieces: &[&[u8]], room: Room) -> Option<Data> {
    let length = pieces.iter().map(|piece| piece.len()).sum();
    decode_in_pieces(length, pieces.iter().copied(), room, usual)
}

/// As [`decode_base64_with_room`], for a text of this length in pieces.
pub(super) fn decode_any_base64_in_pieces<'t>(
    length: usize,
    pieces: &(impl Iterator<Item = &'t [u8]> + Clone),
    room: Room,
) -> Option<Data> {
    let decoders: [Decode; 3] = [usual, standard, url_safe];
    let mut decoders = decoders.into_iter();
    decoders.find_map(|decode| decode_in_pieces(length, pieces.clone(), room, decode))
}

fn decode_in_pieces<'t>(
    length: usize,
    pieces: impl Iterator<Item = &'t [u8]>,
    room: Room,
    decode: Decode,
) -> Option<Data> {
    let mut decoded = Decoded {
        buffer: Buffer::new(length, room),
        is_padded: false,
        decode,
    };
    // The beginning of a quantum whose end is in the next piece.
    let mut begun = Zeroizing::new(Vec::with_capacity(QUANTUM));
    for piece in pieces {
        let missing = (QUANTUM - begun.len()) % QUANTUM;
        let (end, rest) = piece.split_at(missing.min(piece.len()));
        begun.extend_from_slice(end);
        if begun.len() == QUANTUM {
            decoded.append(&begun)?;
            begun.clear();
        }
        let (quanta, rest) = rest.split_at(rest.len() - rest.len() % QUANTUM);
        decoded.append(quanta)?;
        begun.extend_from_slice(rest);
    }
    // The last quantum can be shorter where a form has no padding.
    decoded.append(&begun)?;
    Some(decoded.buffer.into_data())
}

/// Appends the bytes of a text to those that have room for it. `false` for a text that is not in its form.
type Decode = fn(&[u8], &mut Vec<u8>) -> bool;

fn usual(text: &[u8], bytes: &mut Vec<u8>) -> bool {
    base64_simd::STANDARD.decode_append(text, bytes).is_ok()
}

fn standard(text: &[u8], bytes: &mut Vec<u8>) -> bool {
    STANDARD.decode_vec(text, bytes).is_ok()
}

fn url_safe(text: &[u8], bytes: &mut Vec<u8>) -> bool {
    URL_SAFE.decode_vec(text, bytes).is_ok()
}

/// What is decoded into. A decoder that fails leaves the beginning of the plaintext in it, so it is erased.
struct Buffer {
    bytes: Zeroizing<Vec<u8>>,
    start: usize,
}

impl Buffer {
    /// Memory for the data of a text of this length.
    fn new(text: usize, room: Room) -> Self {
        /// Copying fewer data costs little, and the room would take more memory than they do.
        const SMALL: usize = 512;

        let length = text.div_ceil(QUANTUM) * 3;
        let room = if length < SMALL {
            Room::default()
        } else {
            room
        };
        let capacity = room.before + length + room.behind;
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        bytes.resize(room.before, 0);
        Self {
            bytes,
            start: room.before,
        }
    }

    /// The data, if `decode` appends them.
    fn decoded(mut self, decode: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Data> {
        decode(&mut self.bytes).then(|| self.into_data())
    }

    fn into_data(mut self) -> Data {
        Data::behind(self.start, mem::take(&mut *self.bytes))
    }
}

/// Four characters are three bytes.
const QUANTUM: usize = 4;

/// What is decoded so far.
struct Decoded {
    buffer: Buffer,
    is_padded: bool,
    decode: Decode,
}

impl Decoded {
    /// Nothing may follow the padding.
    fn append(&mut self, quanta: &[u8]) -> Option<()> {
        let Some(last) = quanta.last() else {
            return Some(());
        };
        if mem::replace(&mut self.is_padded, *last == b'=') {
            return None;
        }
        (self.decode)(quanta, &mut self.buffer.bytes).then_some(())
    }
}

/// Base64 in either alphabet, padded or not.
pub(super) fn decode_any_base64(text: &[u8], room: Room) -> Option<Data> {
    let decoders: [Decode; 2] = [standard, url_safe];
    let mut decoders = decoders.into_iter();
    decoders.find_map(|decode| {
        let buffer = Buffer::new(text.len(), room);
        buffer.decoded(|bytes| decode(text, bytes))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The vector instructions read nothing in another way, and refuse nothing that is read.
        #[test]
        fn both_decoders_of_base64_agree(text in "[A-Za-z0-9+/=_-]{0,12}|[A-Za-z0-9+/]{0,90}={0,3}|.{0,8}") {
            let other = decode_any_base64(text.as_bytes(), Room::default());
            prop_assert_eq!(decode_base64(text.as_bytes()), other.map(Data::into_vec));
        }

        /// Room changes nothing of what is decoded, and is there around data that are not small.
        #[test]
        fn room_is_left_around_the_data(
            text in "[A-Za-z0-9+/]{0,900}={0,3}|[A-Za-z0-9_-]{660,900}",
            (before, behind) in (0usize..99, 0usize..99),
            cut in 0usize..900,
        ) {
            let (text, room) = (text.as_bytes(), Room { before, behind });
            let data = decode_base64_with_room(text, room);
            prop_assert_eq!(data.clone().map(Data::into_vec), decode_base64(text));
            let (head, tail) = text.split_at(cut.min(text.len()));
            let in_pieces = decode_base64_in_pieces(&[head, tail], room);
            let usual = base64_simd::STANDARD.decode_to_vec(text).ok();
            prop_assert_eq!(in_pieces.as_deref(), usual.as_deref());
            for data in [data, in_pieces].into_iter().flatten() {
                prop_assert!(data.len() < 520 || data.has_room(room));
                let (buffer, start) = data.into_buffer();
                prop_assert!(buffer[..start].iter().all(|byte| *byte == 0));
            }
        }

        /// Pieces mean what their text means, wherever it is cut.
        #[test]
        fn pieces_mean_what_the_text_means(
            text in "[A-Za-z0-9+/]{0,90}={0,3}|[A-Za-z0-9_-]{0,40}={0,3}|[A-Za-z0-9+/=_-]{0,20}",
            cuts in proptest::collection::vec(0usize..90, 0..6),
        ) {
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            let usual = base64_simd::STANDARD.decode_to_vec(text).ok();
            let data = decode_base64_in_pieces(&pieces, Room::default());
            prop_assert_eq!(data.map(Data::into_vec), usual);
            let pieces = pieces.into_iter();
            let data = decode_any_base64_in_pieces(text.len(), &pieces, Room::default());
            prop_assert_eq!(data.map(Data::into_vec), decode_base64(text));
        }
    }
}
