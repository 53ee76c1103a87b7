//! Base64 of bytes fields.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
pub(super) const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
pub(super) const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Base64 in either alphabet, padded or not. The usual form is decoded by vector instructions.
pub(super) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    base64_simd::STANDARD
        .decode_to_vec(text)
        .ok()
        .or_else(|| decode_any_base64(text))
}

fn decode_any_base64(text: &[u8]) -> Option<Vec<u8>> {
    let standard = STANDARD.decode(text);
    standard.or_else(|_| URL_SAFE.decode(text)).ok()
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
    }
}
