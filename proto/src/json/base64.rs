//! Base64 of bytes fields.

use std::mem;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
pub(super) const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
pub(super) const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Base64 in either alphabet, padded or not. The usual form is decoded by vector instructions.
pub(super) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    decode_erasing(|bytes| base64_simd::STANDARD.decode_append(text, bytes).is_ok())
        .or_else(|| decode_any_base64(text))
}

/// As [`decode_base64`], for a text in pieces and in the usual form. `None` for any other form.
pub(super) fn decode_base64_in_pieces(pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut decoded = Decoded {
        bytes: Zeroizing::new(Vec::with_capacity(length / QUANTUM * 3)),
        is_padded: false,
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
    begun.is_empty().then(|| mem::take(&mut *decoded.bytes))
}

/// Four characters are three bytes.
const QUANTUM: usize = 4;

/// What is decoded so far.
struct Decoded {
    bytes: Zeroizing<Vec<u8>>,
    is_padded: bool,
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
        let bytes = &mut *self.bytes;
        base64_simd::STANDARD.decode_append(quanta, bytes).ok()
    }
}

fn decode_any_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut alphabets = [&STANDARD, &URL_SAFE].into_iter();
    alphabets.find_map(|alphabet| decode_erasing(|bytes| alphabet.decode_vec(text, bytes).is_ok()))
}

/// A decoder that fails leaves the beginning of the plaintext in its buffer. It is erased.
fn decode_erasing(decode: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::new());
    decode(&mut bytes).then(|| mem::take(&mut *bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The vector instructions read nothing in another way, and refuse nothing that is read.
        #[test]
        fn both_decoders_of_base64_agree(text in "[A-Za-z0-9+/=_-]{0,12}|[A-Za-z0-9+/]{0,90}={0,3}|.{0,8}") {
            prop_assert_eq!(decode_base64(text.as_bytes()), decode_any_base64(text.as_bytes()));
        }

        /// Pieces mean what their text means, and the usual form is read wherever it is cut.
        #[test]
        fn pieces_mean_what_the_text_means(
            text in "[A-Za-z0-9+/]{0,90}={0,3}|[A-Za-z0-9+/=]{0,20}",
            cuts in proptest::collection::vec(0usize..90, 0..6),
        ) {
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            let usual = base64_simd::STANDARD.decode_to_vec(text).ok();
            prop_assert_eq!(decode_base64_in_pieces(&pieces), usual);
        }
    }
}
