//! The name of a request, in its answer and in the log.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use http::{HeaderName, HeaderValue, Response};

/// The header of an answer that names its request.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Eight hexadecimal digits. The first number is random, so that a log of several starts seldom has a number
/// twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u32);

static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| {
    let random = RandomState::new().hash_one("request");
    AtomicU32::new((random >> 32) as u32)
});

impl RequestId {
    /// The id of the next request.
    #[must_use]
    pub fn next() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The id that the request got when it arrived.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Self {
        let id = request.extensions().get().copied();
        id.unwrap_or_else(Self::next)
    }

    /// Names the request in its answer, as in the logs.
    pub fn name_answer<B>(self, answer: &mut Response<B>) {
        if let Ok(id) = HeaderValue::try_from(self.to_string()) {
            answer.headers_mut().insert(HEADER, id);
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |shift: u32| char::from_digit(self.0 >> shift & 15, 16);
        let digits = [28, 24, 20, 16, 12, 8, 4, 0].map(|shift| {
            let digit = digit(shift).map(u8::try_from);
            digit.and_then(Result::ok).unwrap_or(b'0')
        });
        f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_own() {
        let (one, other) = (RequestId::next(), RequestId::next());
        assert_ne!(one, other);
        for number in [0, 1, 0x00c0_ffee, 0x1234_5678, 0x9abc_def0, u32::MAX] {
            assert_eq!(RequestId(number).to_string(), format!("{number:08x}"));
        }
    }
}
