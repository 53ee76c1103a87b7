//! Why a call failed, split by who can do something about it.

use temporal_kms::{
    ConfigurationError, ContextError,
    support::{random::NoRandomness, shown},
};

use crate::{Format, KeyUri, kms::ProviderError};

/// Why a payload could not be encoded or decoded, split by who can do something about it.
///
/// No variant holds key material, the data of a payload or what a KMS answered. An error may be shown to a user, logged,
/// or stored by Temporal in the clear. Some variants name the keys, the namespace or the part of the context that a
/// payload names.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The payload itself cannot be processed; trying again changes nothing.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A key management service refused or failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A setting, or a combination of settings, cannot work.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The codec decrypts only ([`CodecBuilder::decrypt_only`](crate::CodecBuilder::decrypt_only)).
    #[error(
        "nothing is encrypted here, because no key to encrypt with is configured; name one under `encrypt` (TEMPORAL_CODEC_KEY)"
    )]
    DecryptOnly,
}

impl Error {
    /// Whether the same call can succeed later without anything being changed: the KMS is unreachable, slow or throttling.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Provider(error) if error.is_transient())
    }
}

/// What is wrong with a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The payload is marked as encrypted but does not have the format's shape.
    #[error("the encrypted payload is malformed: {0}. Check the program that wrote it")]
    Malformed(&'static str),
    /// Authentication failed. On purpose the error does not say which part.
    #[error(
        "the payload is not authentic: it was altered, moved from where it was written, or sealed with another key. Decode it for the namespace and with the key that it was written for"
    )]
    NotAuthentic,
    /// The payload was written for a namespace that this codec does not serve.
    #[error("{}", foreign_namespace(found.as_deref(), expected))]
    ForeignNamespace {
        /// The namespace that the payload names, shortened and with control characters escaped. It is stored in the clear.
        found: Option<String>,
        /// The namespace that this codec serves.
        expected: String,
    },
    /// The payload's context contradicts the configured one.
    #[error(
        "the payload's encryption context differs from the configured one in `{0}`. Decode it with the value that it was written with (`context`, TEMPORAL_CODEC_CONTEXT)"
    )]
    ForeignContext(String),
    /// The payload's context lacks a pair that is required.
    #[error(
        "the payload's encryption context has no `{0}`, which is required here. If your own writers leave it out, remove it from `require_context` (TEMPORAL_CODEC_REQUIRE_CONTEXT)"
    )]
    MissingContext(String),
    /// None of the payload's keys is allowed for decryption.
    #[error(
        "the payload is encrypted with {key}, which is not among the keys allowed for decryption; add it under `decrypt` (TEMPORAL_CODEC_DECRYPT_KEYS) if it is yours"
    )]
    KeyNotAllowed {
        /// The payload's keys: each key's URI, with commas between them. Only the first few are named.
        key: String,
    },
    /// The static key of the payload is not configured.
    #[error(
        "the payload is encrypted with the static key `{id}`, which is not configured here; add it under `static_keys` (TEMPORAL_CODEC_STATIC_KEYS) if it is yours"
    )]
    UnknownStaticKey {
        /// The id of the key, shortened and with control characters escaped. It is metadata of the payload.
        id: String,
    },
    /// The payload was encrypted by something that no codec of this version opens.
    #[error(
        "the payload was encrypted with {0}, which this version does not open; decode it with the codec that wrote it"
    )]
    UnsupportedFormat(&'static str),
    /// The payload has a format that this codec does not open.
    #[error(
        "the payload has the format `{format}`, which is not opened here; add it to `decrypt_formats` (TEMPORAL_CODEC_DECRYPT_FORMATS) if your own writers used it"
    )]
    FormatNotAllowed {
        /// The payload's format.
        format: Format,
    },
    /// The payload is not encrypted, and the policy wants every payload to be.
    #[error(
        "the payload is not encrypted, and unencrypted payloads are refused here; to accept them during a migration, set `plaintext` to `allow` (TEMPORAL_CODEC_PLAINTEXT)"
    )]
    PlaintextRefused,
    /// A size exceeds its limit.
    #[error(
        "{what} exceeds the limit of {limit} bytes; make it smaller, or check the program that wrote it"
    )]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The payloads of one call cost too much to decompress. This one does not fit any more.
    #[error(
        "decompressing the payloads of this call counts as more than {limit} bytes together, which is the limit (`max_decompressed_total`); decode fewer at a time, or check the program that wrote them"
    )]
    TooLargeTogether {
        /// The limit in bytes.
        limit: usize,
    },
    /// The payload has more layers of encryption than are opened.
    #[error(
        "the payload is encrypted more than {0} times over; find the program that encrypts it again and again"
    )]
    NestedTooDeep(usize),
    /// The payload was not tried. Its data key is unknown, and so many payloads of the same request could not be opened
    /// that no further call of a KMS is made for it.
    #[error(
        "the payload was not tried, because too many payloads of the same request could not be opened; decode it in a request of its own"
    )]
    NotTried,
    /// The operating system gave no randomness, so nothing was sealed.
    #[error(
        "the operating system gave no randomness, so nothing was sealed; check that the process may call `getrandom`"
    )]
    NoRandomness,
    /// The payload needs a feature that this build does not have.
    #[error("this build cannot process the payload: {0}; use a build with it")]
    Unsupported(&'static str),
}

impl PayloadError {
    /// The payload names a static key that is not configured.
    pub(crate) fn unknown_static_key(id: &str) -> Self {
        const MAX_ID: usize = 64;
        Self::UnknownStaticKey {
            id: shown(id, MAX_ID),
        }
    }

    /// The payload names `keys`, and none of them is allowed.
    pub(crate) fn keys_not_allowed<'k>(keys: impl IntoIterator<Item = &'k KeyUri>) -> Self {
        const NAMED: usize = 3;
        const MAX_NAME: usize = 256;
        let mut keys = keys.into_iter();
        let mut named: Vec<_> = keys
            .by_ref()
            .take(NAMED)
            .map(|key| shown(&key.to_string(), MAX_NAME))
            .collect();
        match keys.count() {
            0 => {}
            more => named.push(format!("{more} more")),
        }
        Self::KeyNotAllowed {
            key: named.join(", "),
        }
    }
}

fn foreign_namespace(found: Option<&str>, expected: &str) -> String {
    match found {
        Some(found) => {
            format!(
                "the payload belongs to the namespace `{found}`, and is decoded for `{expected}`; decode it for its own namespace"
            )
        }
        None => format!(
            "the payload names no namespace, and is decoded for `{expected}`; check the program that wrote it"
        ),
    }
}

impl From<ContextError> for PayloadError {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Malformed(reason) => Self::Malformed(reason),
            _ => Self::TooLarge {
                what: "the encryption context",
                limit: ContextError::MAX_BYTES,
            },
        }
    }
}

impl From<NoRandomness> for PayloadError {
    fn from(NoRandomness: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::kms::{ProviderErrorKind, ServiceError};

    #[test]
    fn a_providers_error_has_nothing_below_it() {
        let key: KeyUri = "local://default".parse().unwrap();
        let answer = ServiceError::new(Some(500)).with_code(Some("SeCrEtCode"));
        let error = ProviderError::new(ProviderErrorKind::Unavailable, &key);
        let error = Error::from(error.with_service_error(answer));
        assert!(error.source().is_none());
        assert!(!format!("{error} {error:?}").contains("SeCrEtCode"));
    }

    /// One of each variant, with what its text must name: the thing at fault, and what to do.
    ///
    /// The `match` makes a new variant a compiler error here: add it to `all` too.
    fn samples() -> Vec<(PayloadError, &'static [&'static str])> {
        use PayloadError as E;
        fn named(error: &E) -> &'static [&'static str] {
            match error {
                E::Malformed(_) => &["its header is short", "Check the program"],
                E::NotAuthentic => &["payload", "key", "namespace", "Decode it"],
                E::ForeignNamespace { found: None, .. } => &["`ours`", "check the program"],
                E::ForeignNamespace { .. } => &["`theirs`", "`ours`", "decode it for"],
                E::ForeignContext(_) => &["`env`", "TEMPORAL_CODEC_CONTEXT"],
                E::MissingContext(_) => &["`env`", "TEMPORAL_CODEC_REQUIRE_CONTEXT"],
                E::KeyNotAllowed { .. } => &["local://k", "add it", "TEMPORAL_CODEC_DECRYPT_KEYS"],
                E::UnknownStaticKey { .. } => &["`old`", "TEMPORAL_CODEC_STATIC_KEYS"],
                E::UnsupportedFormat(_) => &["Vault", "decode it with"],
                E::FormatNotAllowed { .. } => &["`direct`", "TEMPORAL_CODEC_DECRYPT_FORMATS"],
                E::PlaintextRefused => &["not encrypted", "TEMPORAL_CODEC_PLAINTEXT"],
                E::TooLarge { .. } => &["the wrapped data key", "16384 bytes", "make it smaller"],
                E::TooLargeTogether { .. } => {
                    &["64 bytes", "`max_decompressed_total`", "decode fewer"]
                }
                E::NestedTooDeep(_) => &["8 times", "find the program"],
                E::NotTried => &["not tried", "decode it in a request of its own"],
                E::NoRandomness => &["operating system", "check"],
                E::Unsupported(_) => &["zstd", "use a build with it"],
            }
        }
        let all = vec![
            E::Malformed("its header is short"),
            E::NotAuthentic,
            E::ForeignNamespace {
                found: Some("theirs".to_owned()),
                expected: "ours".to_owned(),
            },
            E::ForeignNamespace {
                found: None,
                expected: "ours".to_owned(),
            },
            E::ForeignContext("env".to_owned()),
            E::MissingContext("env".to_owned()),
            E::KeyNotAllowed {
                key: "local://k".to_owned(),
            },
            E::unknown_static_key("old"),
            E::UnsupportedFormat("Vault"),
            E::FormatNotAllowed {
                format: Format::Direct,
            },
            E::PlaintextRefused,
            E::TooLarge {
                what: "the wrapped data key",
                limit: 16384,
            },
            E::TooLargeTogether { limit: 64 },
            E::NestedTooDeep(8),
            E::NotTried,
            E::NoRandomness,
            E::Unsupported("it is compressed, and the feature `zstd` is missing"),
        ];
        let with_names = |error: E| {
            let names = named(&error);
            (error, names)
        };
        all.into_iter().map(with_names).collect()
    }

    #[test]
    fn every_error_of_a_payload_names_what_is_at_fault_and_what_to_do() {
        let samples = samples();
        assert_eq!(samples.len(), 17, "a variant has no sample");
        for (error, names) in samples {
            let text = error.to_string();
            for name in names {
                assert!(text.contains(name), "`{text}` does not name {name}");
            }
        }
    }
}
