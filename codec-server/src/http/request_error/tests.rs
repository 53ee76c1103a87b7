//! Who is told what: users no key and no detail, operators both.

use temporal_kms_codec::{
    KeyUri, PayloadError,
    kms::{ProviderError, ProviderErrorKind},
};

use super::*;

fn provider(kind: ProviderErrorKind) -> Error {
    let key: KeyUri = "aws-kms://arn:aws:kms:us-east-1:1:key/theirs"
        .parse()
        .unwrap();
    ProviderError::new(kind, &key)
        .with_detail("sk-detail")
        .into()
}

fn decode(error: Error) -> RequestError {
    RequestError::Decode {
        index: 3,
        key: Some("aws-kms://arn:aws:kms:us-east-1:1:key/theirs".to_owned()),
        error: Box::new(error),
    }
}

#[test]
fn who_is_at_fault_decides_the_status() {
    use ProviderErrorKind as Kind;
    let decode = |error| decode(error).status().as_u16();
    assert_eq!(decode(PayloadError::NotAuthentic.into()), 400);
    assert_eq!(decode(provider(Kind::InvalidCiphertext)), 400);
    assert_eq!(decode(provider(Kind::KeyDisabled)), 400);
    assert_eq!(decode(provider(Kind::KeyVersionGone)), 400);
    assert_eq!(decode(provider(Kind::PermissionDenied)), 503);
    assert_eq!(decode(provider(Kind::Misconfigured)), 503);
    let encode = |error: Error| RequestError::Encode(Box::new(error)).status().as_u16();
    assert_eq!(encode(PayloadError::Unsupported("x").into()), 400);
    assert_eq!(encode(provider(Kind::KeyDisabled)), 503);
    let too_many = JsonError::TooManyPayloads { limit: 1 };
    assert_eq!(RequestError::Json(too_many).status().as_u16(), 413);
}

#[test]
fn users_are_told_no_key_and_no_detail() {
    use ProviderErrorKind as Kind;
    for kind in [
        Kind::PermissionDenied,
        Kind::KeyNotFound,
        Kind::KeyDisabled,
        Kind::KeyVersionGone,
        Kind::InvalidCiphertext,
        Kind::ContextMismatch,
        Kind::Throttled,
        Kind::Unavailable,
        Kind::DeadlineExceeded,
        Kind::Integrity,
        Kind::Misconfigured,
    ] {
        let decode = decode(provider(kind)).to_string();
        let encode = RequestError::Encode(Box::new(provider(kind))).to_string();
        for words in [decode, encode] {
            assert!(
                !words.contains("arn:") && !words.contains("sk-detail"),
                "{words}"
            );
        }
    }
}

#[test]
fn operators_are_told_the_key_that_the_payload_wants() {
    let words = decode(PayloadError::NotAuthentic.into()).for_operator();
    assert!(
        words.contains("aws-kms://arn:aws:kms:us-east-1:1:key/theirs"),
        "{words}"
    );
}

/// Every refusal that is not an error of the codec.
fn refusals() -> Vec<RequestError> {
    vec![
        RequestError::ForeignHost,
        RequestError::ForeignOrigin,
        RequestError::CookieOrigin,
        RequestError::CookieContentType,
        RequestError::NoLogin,
        RequestError::NotAdmin,
        RequestError::Overloaded,
        RequestError::TooMany {
            limited: Limited::Caller,
            wait: Duration::ZERO,
        },
        RequestError::UnknownPath,
        RequestError::NoDownload,
        RequestError::NotPost,
        RequestError::BadNamespace,
        RequestError::TwoNamespaces,
        RequestError::UnknownNamespace("prod".to_owned()),
        RequestError::UnknownNamespaceInPath("prod".to_owned()),
        RequestError::BodyTooLarge { limit: 1 },
        RequestError::BodyTooSlow,
        RequestError::BodyBroken,
        RequestError::AnswerTooLarge { limit: 1 },
        RequestError::DecompressedTooLarge { limit: 2 },
        RequestError::Busy,
        RequestError::NoPlace,
        RequestError::TooSlow,
        RequestError::Miscounted,
        RequestError::Placeholder { index: 3 },
        RequestError::ShownCiphertext { index: 3 },
    ]
}

#[test]
fn every_refusal_says_what_to_do() {
    let remedies = [
        "add ",
        "ask ",
        "answers POST",
        "enter ",
        "must agree",
        "raise ",
        "read them",
        "report",
        "send ",
        "try again",
    ];
    for refusal in refusals() {
        let text = refusal.to_string().to_lowercase();
        let has = |remedy: &str| text.contains(&remedy.to_lowercase());
        assert!(remedies.iter().any(|remedy| has(remedy)), "{text}");
    }
}
