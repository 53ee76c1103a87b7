//! Text that a command reads and prints: its encoding, and buffers that are erased.

use std::io::{self, Read};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use temporal_kms_codec::Payload;
use temporal_kms_codec_service::terminal;
use zeroize::{Zeroize as _, Zeroizing};

const FIRST: usize = 64 << 10;

/// Why bytes are not text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum EncodingError {
    #[error("it is not valid UTF-16, from byte {0} on; save it as UTF-8")]
    Utf16(usize),
    #[error("it is UTF-16 without a byte order mark; save it as UTF-8")]
    NoMark,
}

/// Reads to the end; `None` for more than `limit` bytes. A buffer that grows leaves no copy of its content.
pub(super) fn read(mut input: impl Read, limit: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut bytes = Zeroizing::new(vec![0; FIRST]);
    let mut len = 0;
    loop {
        if len == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; len.saturating_mul(2)]);
            if let Some(start) = larger.get_mut(..len) {
                start.copy_from_slice(&bytes);
            }
            bytes = larger;
        }
        let free = bytes.get_mut(len..).unwrap_or_default();
        match input.read(free) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if len > limit {
            return Ok(None);
        }
    }
    bytes.truncate(len);
    Ok(Some(bytes))
}

/// The text in UTF-8 without a byte order mark. PowerShell writes UTF-16, and Windows editors write a mark.
pub(super) fn utf8(bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, EncodingError> {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return Ok(Zeroizing::new(rest.to_vec()));
    }
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return utf16(rest, u16::from_be_bytes);
    }
    // JSON begins with an ASCII character. A zero byte beside it means UTF-16.
    if matches!(bytes.get(..2), Some([0, _] | [_, 0])) {
        return Err(EncodingError::NoMark);
    }
    Ok(bytes)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Zeroizing<Vec<u8>>, EncodingError> {
    const MARK: usize = 2;
    let (pairs, rest) = bytes.as_chunks::<2>();
    // No UTF-16 unit takes more than three bytes in UTF-8, so the buffer never grows.
    let mut text = Zeroizing::new(Vec::with_capacity(pairs.len().saturating_mul(3)));
    let mut at = MARK;
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let character = character.map_err(|_| EncodingError::Utf16(at))?;
        at += 2 * character.len_utf16();
        let mut buffer = [0; 4];
        text.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        buffer.zeroize();
    }
    if rest.is_empty() {
        Ok(text)
    } else {
        Err(EncodingError::Utf16(at))
    }
}

/// The content of each payload, one payload a line. Binary content is shown in base64.
pub(super) fn of_payloads(payloads: &[Payload]) -> Zeroizing<Vec<u8>> {
    let line = |payload: &Payload| match std::str::from_utf8(&payload.data) {
        Ok(text) if !text.contains('\0') => Zeroizing::new(text.as_bytes().to_vec()),
        _ => Zeroizing::new(STANDARD.encode(&payload.data).into_bytes()),
    };
    let lines: Vec<_> = payloads.iter().map(line).collect();
    let len = lines.iter().map(|line| line.len() + 1).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(len));
    for line in &lines {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text
}

/// The text without characters that steer a terminal.
pub(super) fn for_terminal(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    Zeroizing::new(terminal::lines(&text).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf8_of(bytes: &[u8]) -> Result<String, EncodingError> {
        utf8(Zeroizing::new(bytes.to_vec())).map(|text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn byte_order_marks_and_utf16_are_understood() {
        let text = "{\"a\":\"ä😀\"}";
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe", little.as_slice()].concat(),
            [b"\xfe\xff", big.as_slice()].concat(),
        ] {
            assert_eq!(utf8_of(&bytes).unwrap(), text);
        }
        assert_eq!(utf8_of(&little), Err(EncodingError::NoMark));
        assert_eq!(utf8_of(&big), Err(EncodingError::NoMark));
        assert_eq!(utf8_of(b"\xff\xfea\0b"), Err(EncodingError::Utf16(4)));
        assert_eq!(
            utf8_of(b"\xff\xfea\0\x00\xd8"),
            Err(EncodingError::Utf16(4))
        );
        assert_eq!(utf8_of(b"").unwrap(), "");
    }

    #[test]
    fn reads_up_to_the_limit() {
        let input = vec![7; FIRST * 3];
        let read = |limit| read(input.as_slice(), limit).unwrap();
        assert_eq!(*read(FIRST * 3).unwrap(), input);
        assert!(read(FIRST * 3 - 1).is_none());
    }

    #[test]
    fn content_is_printed_a_line_a_payload() {
        let payload = |data: &[u8]| Payload {
            data: data.to_vec(),
            ..Payload::default()
        };
        let text = of_payloads(&[payload(b"\"hi\""), payload(b"\xff\x00"), payload(b"")]);
        assert_eq!(*text, b"\"hi\"\n/wA=\n\n");
    }
}
