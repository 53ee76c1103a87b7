//! Writes a body piece by piece, so that a long answer is never in memory as a whole.

use std::{fmt, sync::Arc, vec};

use base64_simd::STANDARD;

use super::write::{
    BEGINNING, END, Lengths, Separator, external_len, metadata_len, push_before_data,
    push_behind_data, push_metadata,
};
use crate::{Erase as _, Metadata, SharedPayload, parts::erase_unshared};

/// `{"payloads":[…]}` in pieces, which together are the text that [`write_payloads`](super::write_payloads) gives.
///
/// Where the payloads are secret, they are erased as they are written, while the processor has them at hand. What is not written
/// is erased on drop.
pub struct BodyPieces {
    /// Payloads that are not begun.
    payloads: vec::IntoIter<SharedPayload>,
    begun: Option<Begun>,
    separator: Separator,
    /// Text that is written before anything else.
    text: Vec<u8>,
    /// How much of the text is written.
    text_written: usize,
    is_ended: bool,
    metadata: MetadataText,
    /// Bytes that are not written.
    left: usize,
    held_beside: usize,
    erase: Option<fn(&mut [u8])>,
}

/// A payload whose data are being written.
struct Begun {
    payload: SharedPayload,
    /// How many bytes of the data are written.
    written: usize,
}

impl BodyPieces {
    /// Begins to write payloads. `erase` erases bytes, where the payloads are secret.
    #[must_use]
    pub fn new(payloads: Vec<SharedPayload>, erase: Option<fn(&mut [u8])>) -> Self {
        let lengths = Lengths::of(&payloads);
        Self {
            left: lengths.body(),
            // Both texts hold at most the longest member of a payload.
            held_beside: 2 * lengths.longest_member() + OTHER + BEGINNING.len(),
            payloads: payloads.into_iter(),
            begun: None,
            separator: Separator::default(),
            text: BEGINNING.to_vec(),
            text_written: 0,
            is_ended: false,
            metadata: MetadataText::default(),
            erase,
        }
    }

    /// The bytes that are not written.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left
    }

    /// The most bytes that this value holds beside the payloads. The pieces are not counted.
    #[must_use]
    pub const fn held_beside(&self) -> usize {
        self.held_beside
    }

    /// The next piece, of at most so many bytes. A piece has room for the base64 of three bytes in any case.
    pub fn next_piece(&mut self, most: usize) -> Option<Vec<u8>> {
        if self.left == 0 {
            return None;
        }
        let room = most.max(QUANTUM).min(self.left);
        let mut piece = Piece {
            bytes: Vec::with_capacity(room),
            room,
        };
        while self.add_to(&mut piece) {}
        self.left = self.left.saturating_sub(piece.bytes.len());
        Some(piece.bytes)
    }

    /// Adds what comes next. `false` when the piece is full, or the body at its end.
    fn add_to(&mut self, piece: &mut Piece) -> bool {
        if self.text_written < self.text.len() {
            return self.add_text(piece);
        }
        if let Some(begun) = &mut self.begun {
            let rest = begun.payload.data.get_mut(begun.written..);
            let rest = rest.unwrap_or_default();
            if !rest.is_empty() {
                let added = piece.add_base64(rest, self.erase);
                begun.written += added;
                return added > 0;
            }
            let external = external_len(&begun.payload.external_payloads);
            make_room(&mut self.text, external + OTHER);
            push_behind_data(&mut self.text, &begun.payload);
            self.begun = None;
        } else if let Some(payload) = self.payloads.next() {
            self.begin(payload, piece);
        } else if self.is_ended {
            return false;
        } else {
            self.text.extend_from_slice(END);
            self.is_ended = true;
        }
        true
    }

    /// Adds text as far as it fits.
    fn add_text(&mut self, piece: &mut Piece) -> bool {
        let rest = self.text.get(self.text_written..).unwrap_or_default();
        let part = rest.get(..piece.room()).unwrap_or(rest);
        let is_whole = part.len() == rest.len();
        piece.bytes.extend_from_slice(part);
        self.text_written += part.len();
        if is_whole {
            clear(&mut self.text, self.erase);
            self.text_written = 0;
        }
        is_whole
    }

    /// Writes what is before the data of a payload.
    fn begin(&mut self, payload: SharedPayload, piece: &mut Piece) {
        let metadata = self.metadata.text(&payload.metadata, self.erase);
        let length = metadata.len() + OTHER;
        let out = if piece.room() >= length {
            &mut piece.bytes
        } else {
            make_room(&mut self.text, length);
            &mut self.text
        };
        self.separator.push(out);
        push_before_data(out, &payload, |out| out.extend_from_slice(metadata));
        self.begun = Some(Begun {
            payload,
            written: 0,
        });
    }
}

impl Drop for BodyPieces {
    fn drop(&mut self) {
        if self.erase.is_none() {
            return;
        }
        clear(&mut self.text, self.erase);
        self.metadata.forget(self.erase);
        let begun = self.begun.take().map(|begun| begun.payload);
        // Each is dropped before the next one: the last one that has some metadata erases them.
        for mut payload in begun.into_iter().chain(self.payloads.by_ref()) {
            payload.erase();
        }
    }
}

impl fmt::Debug for BodyPieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyPieces({} bytes left)", self.left)
    }
}

/// Four characters of base64 are three bytes.
const QUANTUM: usize = 4;

/// What can be around the metadata of a payload, or around its externally stored parts.
const OTHER: usize = r#",{,"data":""#.len();

struct Piece {
    bytes: Vec<u8>,
    room: usize,
}

impl Piece {
    fn room(&self) -> usize {
        self.room - self.bytes.len()
    }

    /// Adds the base64 of bytes as far as it fits, and erases them. Returns how many bytes it has added.
    fn add_base64(&mut self, bytes: &mut [u8], erase: Option<fn(&mut [u8])>) -> usize {
        /// So many bytes stay in the fastest memory. They are a multiple of three, so they have no padding.
        const PART: usize = 12 << 10;

        let fitting = self.room() / QUANTUM * 3;
        let length = bytes.len().min(fitting);
        for part in bytes.get_mut(..length).unwrap_or_default().chunks_mut(PART) {
            STANDARD.encode_append(&*part, &mut self.bytes);
            if let Some(erase) = erase {
                erase(part);
            }
        }
        length
    }
}

/// The metadata of the last payload, as a member of its object. Payloads that follow each other mostly share theirs.
#[derive(Default)]
struct MetadataText {
    of: Option<Arc<Metadata>>,
    text: Vec<u8>,
}

impl MetadataText {
    /// The text of these metadata, or nothing where there are none.
    fn text(&mut self, metadata: &Arc<Metadata>, erase: Option<fn(&mut [u8])>) -> &[u8] {
        let is_last = |last: &Arc<Metadata>| Arc::ptr_eq(last, metadata);
        if !self.of.as_ref().is_some_and(is_last) {
            self.forget(erase);
            if !metadata.is_empty() {
                make_room(&mut self.text, metadata_len(metadata));
                push_metadata(&mut self.text, metadata);
            }
            self.of = Some(Arc::clone(metadata));
        }
        &self.text
    }

    /// Erases the last metadata where they are secret, unless another payload has them.
    fn forget(&mut self, erase: Option<fn(&mut [u8])>) {
        clear(&mut self.text, erase);
        if let (Some(erase), Some(mut last)) = (erase, self.of.take()) {
            erase_unshared(&mut last, |value| erase(value));
        }
    }
}

/// Makes room in text that is empty. What it had before is given back first, so both are never held together.
fn make_room(text: &mut Vec<u8>, length: usize) {
    if text.capacity() < length {
        *text = Vec::new();
        text.reserve_exact(length);
    }
}

/// Empties text, and erases it where it is secret.
fn clear(text: &mut Vec<u8>, erase: Option<fn(&mut [u8])>) {
    if let Some(erase) = erase {
        erase(text);
    }
    text.clear();
}

#[cfg(test)]
mod tests;
