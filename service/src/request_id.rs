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
        write!(f, "{:08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_own() {
        let (one, other) = (RequestId::next(), RequestId::next());
        assert_ne!(one, other);
        assert_eq!(one.to_string().len(), 8);
    }
}
