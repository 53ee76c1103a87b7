//! The hash chain: what a line says of the line before.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256, in 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first line of a log has in place of a hash.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of the exact bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digits.
    pub(crate) fn digits(self) -> [u8; 64] {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
        let mut digits = [b'0'; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            if let [high, low] = pair {
                (*high, *low) = (digit(byte >> 4), digit(byte & 15));
            }
        }
        digits
    }

    /// Reads 64 lower-case digits.
    pub(crate) fn parse(digits: &[u8]) -> Option<Self> {
        if digits.len() != 64 {
            return None;
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            *byte = value(high)? << 4 | value(low)?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A place in a chain: a line's number and its hash. Everything up to that line follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Head {
    /// The number of the line; 0 before the first one.
    pub seq: u64,
    /// The hash of the line.
    pub hash: Hash,
}

impl Head {
    /// Before the first line.
    pub const START: Self = Self {
        seq: 0,
        hash: Hash::ZERO,
    };

    pub(crate) const fn new(seq: u64, hash: Hash) -> Self {
        Self { seq, hash }
    }

    /// Adds the next line to `lines`, and returns its place. `body` is the inside of its object behind `seq` and `prev`.
    pub(crate) fn extend(self, body: &[u8], lines: &mut Vec<u8>) -> Self {
        let start = lines.len();
        let seq = self.seq.saturating_add(1);
        lines.extend_from_slice(b"{\"seq\":");
        lines.extend_from_slice(seq.to_string().as_bytes());
        lines.extend_from_slice(b",\"prev\":\"");
        lines.extend_from_slice(&self.hash.digits());
        lines.extend_from_slice(b"\",");
        lines.extend_from_slice(body);
        lines.extend_from_slice(b"}\n");
        Self {
            seq,
            hash: Hash::of(lines.get(start..).unwrap_or_default()),
        }
    }
}

/// The last line that was written, and in which chain. A stream begins a new one after each failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The number of the chain, in this process.
    pub(crate) chain: u64,
    pub(crate) head: Head,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for Head {
    type Err = String;

    /// Reads `NUMBER:HASH`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "expected NUMBER:HASH, as the server's log and `audit verify` show it".to_owned();
        let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
        Ok(Self {
            seq: seq.parse().map_err(|_| wrong())?,
            hash: Hash::parse(hash.as_bytes()).ok_or_else(wrong)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_the_hash_of_the_line_before() {
        let mut lines = Vec::new();
        let first = Head::START.extend(b"\"a\":1", &mut lines);
        let end = lines.len();
        let second = first.extend(b"\"b\":2", &mut lines);
        let (one, two) = lines.split_at(end);
        let zeros = "0".repeat(64);
        assert_eq!(
            one,
            format!("{{\"seq\":1,\"prev\":\"{zeros}\",\"a\":1}}\n").as_bytes()
        );
        assert!(two.starts_with(format!("{{\"seq\":2,\"prev\":\"{}\",", Hash::of(one)).as_bytes()));
        assert_eq!(second, Head::new(2, Hash::of(two)));
        assert_eq!(second.to_string().parse(), Ok(second));
    }

    #[test]
    fn the_digits_are_those_of_sha256sum() {
        // sha256sum </dev/null
        let digits = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Hash::of(b"").to_string(), digits);
        assert_eq!(Hash::parse(digits.as_bytes()), Some(Hash::of(b"")));
        for bad in [
            "",
            "1:",
            "x:0",
            &format!("1:{}", digits.to_uppercase()),
            &format!("1:{digits}0"),
        ] {
            assert!(bad.parse::<Head>().is_err(), "{bad}");
        }
    }
}
