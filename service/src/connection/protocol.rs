//! Which version of HTTP a client speaks, as its first bytes show, and how much is read at once.

use std::sync::atomic::{AtomicU8, Ordering};

use http::Version;

/// How every connection of HTTP/2 begins (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How much of a body of HTTP/1.1 is read at once. The HTTP library takes so much memory only while a client fills it.
pub const READ_BUFFER: usize = 128 << 10;
const HTTP_1: u8 = 0xff;

/// What is known of a connection's protocol: the bytes that matched the beginning of HTTP/2 so far, or [`HTTP_1`].
#[derive(Debug, Default)]
pub(super) struct Protocol(AtomicU8);

impl Protocol {
    /// Looks at the next bytes that the client sent.
    pub(super) fn saw(&self, bytes: &[u8]) {
        let seen = self.0.load(Ordering::Relaxed);
        let Some(expected) = PREFACE.get(usize::from(seen)..) else {
            return;
        };
        if expected.is_empty() || bytes.is_empty() {
            return;
        }
        let length = expected.len().min(bytes.len());
        let matches = expected.get(..length) == bytes.get(..length);
        let known = u8::try_from(length).unwrap_or(HTTP_1);
        let now = if matches { seen + known } else { HTTP_1 };
        self.0.store(now, Ordering::Relaxed);
    }

    /// Whether the client has sent a byte.
    pub(super) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// The version, once it is known.
    pub(super) fn version(&self) -> Option<Version> {
        match self.0.load(Ordering::Relaxed) {
            HTTP_1 => Some(Version::HTTP_11),
            seen if usize::from(seen) == PREFACE.len() => Some(Version::HTTP_2),
            _ => None,
        }
    }

    /// HTTP/1.1. The HTTP library itself limits how long such a connection may be idle.
    pub(super) fn is_http1(&self) -> bool {
        self.version() == Some(Version::HTTP_11)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(parts: &[&[u8]]) -> (bool, Option<Version>) {
        let protocol = Protocol::default();
        for part in parts {
            protocol.saw(part);
        }
        (protocol.has_begun(), protocol.version())
    }

    #[test]
    fn the_first_bytes_decide() {
        let (http1, http2) = (Some(Version::HTTP_11), Some(Version::HTTP_2));
        assert_eq!(seen(&[]), (false, None));
        assert_eq!(seen(&[b"P"]), (true, None));
        assert_eq!(seen(&[b"P", b"OST /decode HTTP/1.1"]), (true, http1));
        assert_eq!(seen(&[b"GET"]), (true, http1));
        assert_eq!(seen(&[PREFACE, b"GET"]), (true, http2));
        assert_eq!(
            seen(&[b"PRI * HTTP/2.0", b"\r\n\r\nSM\r\n\r\n\0\0"]),
            (true, http2)
        );
        assert_eq!(seen(&[b"PRI * HTTP/2.0", b"\r\nHost"]), (true, http1));
    }
}
