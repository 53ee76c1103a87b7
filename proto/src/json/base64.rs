//! Base64 of bytes fields.

use std::mem;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use memchr::memchr2;

use crate::{Data, Plain, Room};

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

/// Decodes a text that comes in pieces. The text may be cut anywhere. It means the same as in one piece.
pub(super) struct PiecesDecoder {
    decoded: Decoded,
    room: Room,
    /// What was copied and not decoded yet. Short pieces are decoded together.
    block: Plain<Vec<u8>>,
}

impl PiecesDecoder {
    /// A decoder of a text of at most this length. There is `room` around data that are not small.
    pub(super) fn new(length: usize, room: Room) -> Self {
        Self {
            decoded: Decoded {
                buffer: Buffer::new(length, room),
                alphabet: None,
                is_padded: false,
            },
            room,
            block: Plain::new(Vec::with_capacity(length.min(BLOCK))),
        }
    }

    /// Decodes the next piece. `None` when the text is not base64.
    pub(super) fn append(&mut self, mut piece: &[u8]) -> Option<()> {
        while !piece.is_empty() {
            let missing = BLOCK - self.block.len();
            let (here, rest) = piece.split_at(missing.min(piece.len()));
            piece = rest;
            if here.len() == BLOCK {
                // It need not be copied.
                self.decoded.append(here)?;
            } else {
                self.block.extend_from_slice(here);
                self.decode_full_block()?;
            }
        }
        Some(())
    }

    /// As [`append`](Self::append), for one character.
    #[inline]
    pub(super) fn push(&mut self, character: u8) -> Option<()> {
        self.block.push(character);
        self.decode_full_block()
    }

    #[inline]
    fn decode_full_block(&mut self) -> Option<()> {
        if self.block.len() == BLOCK {
            self.decoded.append(&self.block)?;
            self.block.clear();
        }
        Some(())
    }

    /// The data, if the text has ended.
    pub(super) fn finish(mut self) -> Option<Data> {
        // The last quantum can be shorter where a form has no padding.
        self.decoded.append(&self.block)?;
        Some(self.decoded.buffer.into_fitting_data(self.room))
    }
}

/// So many characters are decoded together. In tests they are few, so that short texts have several blocks.
const BLOCK: usize = QUANTUM * if cfg!(test) { 2 } else { 1024 };

/// What is decoded so far.
struct Decoded {
    buffer: Buffer,
    /// `None` while the text has only characters that both alphabets have.
    alphabet: Option<Alphabet>,
    is_padded: bool,
}

impl Decoded {
    /// Decodes whole quanta, or the end of the text. Nothing may follow the padding.
    fn append(&mut self, text: &[u8]) -> Option<()> {
        let Some(last) = text.last() else {
            return Some(());
        };
        if mem::replace(&mut self.is_padded, *last == b'=') {
            return None;
        }
        self.alphabet = self.alphabet.or_else(|| Alphabet::of(text));
        let bytes = &mut self.buffer.bytes;
        let is_decoded = match self.alphabet {
            Some(Alphabet::UrlSafe) => url_safe(text, bytes),
            Some(Alphabet::Standard) | None => usual(text, bytes) || standard(text, bytes),
        };
        is_decoded.then_some(())
    }
}

#[derive(Clone, Copy)]
enum Alphabet {
    Standard,
    UrlSafe,
}

impl Alphabet {
    /// The alphabet that has the characters of a text. The decoder of one alphabet refuses the characters of the other.
    fn of(text: &[u8]) -> Option<Self> {
        let standard = memchr2(b'+', b'/', text).map(|_| Self::Standard);
        standard.or_else(|| memchr2(b'-', b'_', text).map(|_| Self::UrlSafe))
    }
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
    bytes: Plain<Vec<u8>>,
    start: usize,
}

impl Buffer {
    /// Copying fewer data costs little, and the room would take more memory than they do.
    const SMALL: usize = 512;

    /// Memory for the data of a text of this length.
    fn new(text: usize, room: Room) -> Self {
        let length = text.div_ceil(QUANTUM) * 3;
        let room = if length < Self::SMALL {
            Room::default()
        } else {
            room
        };
        let capacity = room.before + length + room.behind;
        let mut bytes = Plain::new(Vec::with_capacity(capacity));
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

    /// As [`into_data`](Self::into_data), for a text that can be shorter than expected. Escapes are longer than their characters.
    /// The data are copied if much memory would be left over, because owners of data count their length only.
    fn into_fitting_data(self, room: Room) -> Data {
        let data = self.bytes.get(self.start..).unwrap_or_default();
        let (used, capacity) = (
            room.before + data.len() + room.behind,
            self.bytes.capacity(),
        );
        if capacity < Self::SMALL || used > capacity / 4 * 3 {
            return self.into_data();
        }
        let mut fitting = Self::new(data.len().div_ceil(3) * QUANTUM, room);
        fitting.bytes.extend_from_slice(data);
        fitting.into_data()
    }

    fn into_data(self) -> Data {
        Data::behind(self.start, self.bytes.into_inner())
    }
}

/// Four characters are three bytes.
const QUANTUM: usize = 4;

/// Base64 in either alphabet, padded or not.
pub(super) fn decode_any_base64(text: &[u8], room: Room) -> Option<Data> {
    let decoders: [Decode; 2] = [standard, url_safe];
    decoders.into_iter().find_map(|decode| {
        let buffer = Buffer::new(text.len(), room);
        buffer.decoded(|bytes| decode(text, bytes))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of one byte come as characters.
    fn decode_in_pieces(pieces: &[&[u8]], room: Room) -> Option<Data> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        let mut decoder = PiecesDecoder::new(length, room);
        for piece in pieces {
            match piece {
                [character] => decoder.push(*character)?,
                _ => decoder.append(piece)?,
            }
        }
        decoder.finish()
    }

    #[test]
    fn memory_that_escapes_would_have_taken_is_not_kept() {
        let room = Room {
            before: 9,
            behind: 5,
        };
        for longest in [4000, 4400, 6000, 24_000] {
            let mut decoder = PiecesDecoder::new(longest, room);
            decoder.append(&[b'A'; 4000]).unwrap();
            let data = decoder.finish().unwrap();
            assert_eq!(&*data, [0; 3000]);
            assert!(data.has_room(room));
            let (buffer, _) = data.into_buffer();
            assert!(
                buffer.capacity() <= 4100,
                "{longest}: {}",
                buffer.capacity()
            );
        }
    }

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
            let in_pieces = decode_in_pieces(&[head, tail], room);
            prop_assert_eq!(&in_pieces, &data);
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
            let data = decode_in_pieces(&pieces, Room::default());
            prop_assert_eq!(data.map(Data::into_vec), decode_base64(text));
        }
    }
}
