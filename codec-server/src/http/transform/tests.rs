//! What a key management service's failures make of a request.

use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};

use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tempfile::TempDir;
use temporal_kms::faulty::{Answer, FaultyKey};
use temporal_kms_codec::{
    Compression, Format, Namespace, Payload, PlaintextPolicy,
    kms::{KeyProvider, ProviderErrorKind, local::LocalKeyring},
};
use tokio::time::timeout;

use super::{
    decode::{CONCURRENT, STEP_BYTES},
    *,
};
use crate::{config::OnUndecodable, http::memory::Memory};

fn served(key: Arc<dyn KeyProvider>, on_undecodable: OnUndecodable) -> NamespaceCodec {
    let namespace = Namespace::new("default").unwrap();
    let codec = Codec::builder(namespace).encrypt_with(key).build().unwrap();
    NamespaceCodec::new(codec, on_undecodable)
}

async fn run_parts(
    served: &NamespaceCodec,
    operation: Operation,
    parts: &[&[u8]],
    limits: &Limits,
    known_metadata: &KnownMetadata,
) -> Result<Done, RequestError> {
    let request = Request {
        id: RequestId::next(),
        operation,
        namespace: served,
        preserve_storage_refs: false,
        limits,
        facts: &RequestFacts::default(),
        is_audited: false,
        known_metadata,
    };
    let body = Received {
        bytes: Parts::from(parts),
        share: Memory::new(limits.max_memory).share(),
    };
    request.run(body).await
}

async fn run_within(
    served: &NamespaceCodec,
    operation: Operation,
    body: &[u8],
    limits: &Limits,
) -> Result<Done, RequestError> {
    let known = KnownMetadata::default();
    run_parts(served, operation, &[body], limits, &known).await
}

async fn run(
    served: &NamespaceCodec,
    operation: Operation,
    body: &[u8],
) -> Result<Done, RequestError> {
    run_within(served, operation, body, &Limits::default()).await
}

/// The answer's text.
async fn text(done: Done) -> Vec<u8> {
    let collected = done.answer.collect().await;
    collected.unwrap().to_bytes().to_vec()
}

/// A body that a key of the same name encrypted while its service was there.
async fn sealed() -> (TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let key = LocalKeyring::open(folder.path())
        .key_or_create("default")
        .unwrap();
    let served = served(key, OnUndecodable::Fail);
    let done = run(
        &served,
        Operation::Encode,
        br#"{"payloads":[{"data":"QQ=="}]}"#,
    )
    .await
    .unwrap();
    (folder, text(done).await)
}

/// The codec that made [`sealed`].
fn sealing(folder: &TempDir) -> NamespaceCodec {
    let keys = LocalKeyring::open(folder.path());
    let key = keys.key_or_create("default").unwrap();
    served(key, OnUndecodable::Fail)
}

fn failing(kind: ProviderErrorKind, on_undecodable: OnUndecodable) -> NamespaceCodec {
    served(FaultyKey::failing("default", kind), on_undecodable)
}

#[tokio::test]
async fn while_the_service_is_away_requests_fail_even_where_placeholders_are_wanted() {
    let (_folder, body) = sealed().await;
    for on_undecodable in [OnUndecodable::Fail, OnUndecodable::Placeholder] {
        let served = failing(ProviderErrorKind::Unavailable, on_undecodable);
        for operation in [Operation::Decode, Operation::Encode] {
            let plain = br#"{"payloads":[{"data":"QQ=="}]}"#.to_vec();
            let body = if operation == Operation::Decode {
                body.clone()
            } else {
                plain
            };
            let refusal = run(&served, operation, &body).await.err().unwrap();
            assert_eq!(
                refusal.status(),
                StatusCode::SERVICE_UNAVAILABLE,
                "{refusal}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_is_decoded_wherever_it_is_cut() {
    let (folder, body) = sealed().await;
    let served = sealing(&folder);
    let whole = text(run(&served, Operation::Decode, &body).await.unwrap()).await;
    let (limits, known) = (Limits::default(), KnownMetadata::default());
    for cut in 1..body.len() {
        let (head, tail) = body.split_at(cut);
        let done = run_parts(&served, Operation::Decode, &[head, tail], &limits, &known).await;
        assert_eq!(text(done.unwrap()).await, whole, "{cut}");
    }
}

/// Such a body takes the other parser, because of its unknown member.
#[tokio::test(start_paused = true)]
async fn copies_of_strings_with_escapes_are_counted() {
    let (folder, _) = sealed().await;
    let served = sealing(&folder);
    let known = KnownMetadata::default();
    let limits = Limits {
        max_memory: 4 << 20,
        ..Limits::default()
    };
    let text = "QUFB".repeat(256 << 10);
    for (end, is_refused) in [("==", false), (r"\u003d=", true)] {
        let body = format!(r#"{{"payloads":[{{"data":"{text}QQ{end}"}}],"more":null}}"#);
        let (head, tail) = body.as_bytes().split_at(100);
        let done = run_parts(&served, Operation::Encode, &[head, tail], &limits, &known).await;
        assert_eq!(matches!(done, Err(RequestError::Busy)), is_refused, "{end}");
        assert_eq!(done.is_err(), is_refused, "{end}");
    }
}

#[tokio::test]
async fn metadata_are_learned_from_what_is_decoded() {
    let (folder, body) = sealed().await;
    let served = sealing(&folder);
    let (limits, known) = (Limits::default(), KnownMetadata::default());
    for (operation, is_learned) in [(Operation::Encode, false), (Operation::Decode, true)] {
        let done = run_parts(&served, operation, &[&body], &limits, &known).await;
        done.unwrap();
        assert_eq!(known.load().is_some(), is_learned);
    }
}

#[tokio::test]
async fn metadata_of_payloads_that_are_not_opened_are_not_learned() {
    let (_folder, body) = sealed().await;
    let (limits, known) = (Limits::default(), KnownMetadata::default());
    let disabled = failing(ProviderErrorKind::KeyDisabled, OnUndecodable::Placeholder);
    let done = run_parts(&disabled, Operation::Decode, &[&body], &limits, &known).await;
    assert_eq!(done.unwrap().placeholders, [0]);
    assert!(known.load().is_none());

    let namespace = Namespace::new("default").unwrap();
    let builder = Codec::builder(namespace).encrypt_with(FaultyKey::new("default"));
    let codec = builder.plaintext_policy(PlaintextPolicy::Allow).build();
    let passing = NamespaceCodec::new(codec.unwrap(), OnUndecodable::Fail);
    let other = Payload {
        metadata: [("encoding".to_owned(), b"binary/other-kms".to_vec())].into(),
        ..Payload::default()
    };
    let body = json::write_payloads(&[other]);
    let done = run_parts(&passing, Operation::Decode, &[&body], &limits, &known).await;
    assert_eq!(text(done.unwrap()).await, body);
    assert!(known.load().is_none());
}

#[tokio::test]
async fn only_envelopes_without_other_members_are_dropped_without_erasing() {
    let (folder, sealed) = sealed().await;
    let served = sealing(&folder);
    let sealed = String::from_utf8(sealed).unwrap();
    let secret = r#"],"x":"secret"}"#;
    for (body, is_ciphertext) in [
        (sealed.clone(), true),
        (sealed.replace("]}", secret), false),
        (format!(r#"{{"payloads":[{secret}"#), false),
        (r#"{"payloads":[{"data":"QQ=="}]}"#.to_owned(), false),
        (r#"{"payloads":[]}"#.to_owned(), false),
    ] {
        let request = Request {
            id: RequestId::next(),
            operation: Operation::Decode,
            namespace: &served,
            preserve_storage_refs: false,
            limits: &Limits::default(),
            facts: &RequestFacts::default(),
            is_audited: false,
            known_metadata: &KnownMetadata::default(),
        };
        let parsed = request.parse_whole(body.as_bytes(), &json::Limits::new(1));
        assert_eq!(parsed.unwrap().is_ciphertext(), is_ciphertext, "{body}");
    }
}

#[tokio::test]
async fn a_key_that_is_gone_makes_a_placeholder() {
    let (_folder, body) = sealed().await;
    let served = failing(ProviderErrorKind::KeyDisabled, OnUndecodable::Placeholder);
    let done = run(&served, Operation::Decode, &body).await.unwrap();
    assert_eq!(done.placeholders, [0]);
    let limits = json::Limits::new(1);
    let payloads = json::parse_payloads(&text(done).await, &limits)
        .unwrap()
        .payloads;
    assert!(placeholder::is_placeholder(&payloads[0].data));
}

#[tokio::test]
async fn a_placeholder_is_not_encrypted() {
    let (_folder, body) = sealed().await;
    let disabled = failing(ProviderErrorKind::KeyDisabled, OnUndecodable::Placeholder);
    let shown = text(run(&disabled, Operation::Decode, &body).await.unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let key = LocalKeyring::open(folder.path())
        .key_or_create("default")
        .unwrap();
    let usable = served(key, OnUndecodable::Placeholder);
    let refusal = run(&usable, Operation::Encode, &shown).await.unwrap_err();
    assert!(matches!(refusal, RequestError::Placeholder { index: 0 }));
    assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
}

/// What the Web UI sends when a person edits a value that it could not decode.
#[tokio::test]
async fn the_json_of_an_encrypted_payload_is_not_encrypted_as_a_value() {
    let (_folder, body) = sealed().await;
    let encrypted: Value = serde_json::from_slice(&body).unwrap();
    let edited = serde_json::to_string_pretty(&encrypted["payloads"][0]).unwrap();
    let payload = Payload {
        data: edited.into_bytes(),
        ..Payload::default()
    };
    let body = temporal_kms_codec_proto::json::write_payloads(&[payload]);
    let folder = tempfile::tempdir().unwrap();
    let key = LocalKeyring::open(folder.path())
        .key_or_create("default")
        .unwrap();
    let usable = served(key, OnUndecodable::Fail);
    let refusal = run(&usable, Operation::Encode, &body).await.unwrap_err();
    assert!(matches!(
        refusal,
        RequestError::ShownCiphertext { index: 0 }
    ));
    assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn payloads_that_each_fail_slowly_cost_a_few_calls() {
    let (_folder, body) = sealed().await;
    let one: Value = serde_json::from_slice(&body).unwrap();
    // Each wants a data key of its own.
    let many: Vec<Value> = (0..1000)
        .map(|number| {
            let mut payload = one["payloads"][0].clone();
            payload["metadata"]["encrypted-dek"] = format!("{number:08}").into();
            payload
        })
        .collect();
    let body = serde_json::json!({ "payloads": many }).to_string();
    let key = FaultyKey::new("default");
    key.always(Answer::FailsAfter(
        Duration::from_secs(1),
        ProviderErrorKind::KeyDisabled,
    ));
    let served = served(key.clone(), OnUndecodable::Placeholder);
    let limit = Duration::from_secs(2);
    let answer = timeout(limit, run(&served, Operation::Decode, body.as_bytes())).await;
    let done = answer.unwrap().unwrap();
    assert_eq!(done.placeholders.len(), 1000);
    assert!(key.calls() <= CONCURRENT, "{} calls", key.calls());
}

#[tokio::test]
async fn what_decompression_makes_of_a_request_stays_within_the_answer_and_one_payload() {
    let folder = tempfile::tempdir().unwrap();
    let key = LocalKeyring::open(folder.path())
        .key_or_create("default")
        .unwrap();
    let namespace = Namespace::new("default").unwrap();
    let zstd = Compression::Zstd {
        level: 3,
        min_bytes: 1,
    };
    let codec = Codec::builder(namespace)
        .encrypt_with(key)
        .compression(zstd)
        .build()
        .unwrap();
    let bomb = Payload {
        data: vec![b'a'; 1 << 20],
        ..Payload::default()
    };
    let sealed = codec.encode(vec![bomb; 16]).await.unwrap();
    let body = json::write_payloads(&sealed);
    assert!(body.len() < 64 << 10, "a small request");
    let served = NamespaceCodec::new(codec.clone(), OnUndecodable::Placeholder);
    let limits = Limits {
        max_answer: 3 << 20,
        ..Limits::default()
    };
    let refusal = run_within(&served, Operation::Decode, &body, &limits).await;
    assert!(matches!(refusal, Err(RequestError::AnswerTooLarge { .. })));
    // The first four of them were opened, and none after that.
    assert_eq!(codec.stats().opened, 4);

    let limits = Limits {
        max_memory: 4 << 20,
        ..Limits::default()
    };
    let refusal = run_within(&served, Operation::Decode, &body, &limits).await;
    assert!(matches!(refusal, Err(RequestError::Busy)));
}

/// Payloads wait behind one whose data key must be unwrapped. None of them may be opened before those ahead of it are counted.
#[tokio::test]
async fn payloads_behind_an_unknown_data_key_stay_within_the_answer_and_one_payload() {
    const SIZE: usize = 64 << 10;

    let zstd = Compression::Zstd {
        level: 3,
        min_bytes: 1,
    };
    for compression in [Compression::None, zstd] {
        let key = FaultyKey::new("default");
        let codec = || {
            let namespace = Namespace::new("default").unwrap();
            let builder = Codec::builder(namespace).encrypt_with(key.clone());
            builder.compression(compression).build().unwrap()
        };
        let (codec, other) = (codec(), codec());
        let large = Payload {
            data: vec![b'a'; SIZE],
            ..Payload::default()
        };
        let mut sealed = other.encode(vec![Payload::default()]).await.unwrap();
        sealed.extend(codec.encode(vec![large; 15]).await.unwrap());
        // From now on the data key of the large ones is known.
        codec.decode(vec![sealed[1].clone()]).await.unwrap();
        let before = codec.stats().opened;
        let body = json::write_payloads(&sealed);
        let served = NamespaceCodec::new(codec.clone(), OnUndecodable::Fail);
        let limits = Limits {
            max_answer: 2 * SIZE - 1,
            ..Limits::default()
        };
        let refusal = run_within(&served, Operation::Decode, &body, &limits).await;
        assert!(
            matches!(refusal, Err(RequestError::AnswerTooLarge { .. })),
            "{compression:?}"
        );
        // The first one, and two large ones: the second exceeds the limit.
        assert_eq!(codec.stats().opened - before, 3, "{compression:?}");
    }
}

/// Ends some work, and counts how often it let other requests run.
async fn pauses<T>(work: impl Future<Output = T>) -> (usize, T) {
    let mut work = pin!(work);
    let mut polls = 0;
    let done = poll_fn(|context| {
        polls += 1;
        work.as_mut().poll(context)
    })
    .await;
    (polls - 1, done)
}

/// 95 bytes that become a payload with an unknown field of 1 MiB, and so nothing: gzip within gzip.
const BOMB: &str = "H4sIAAAAAAACA+MS5+JIzUvOT8nMSxfiTsrMSyyq1E+vyiwQWsAh383BAAJMzG8POvIyMHCwKMy+efrN9kyO/QdSdjOMglEwCkYckON7b2cYy8AgwAAAsv6qdDwEAAA=";

#[tokio::test]
async fn what_becomes_nothing_by_decompression_counts_and_lets_others_run() {
    let folder = tempfile::tempdir().unwrap();
    let keys = LocalKeyring::open(folder.path());
    let payload = format!(r#"{{"metadata":{{"encoding":"YmluYXJ5L2d6aXA="}},"data":"{BOMB}"}}"#);
    let body = format!(r#"{{"payloads":[{}]}}"#, vec![payload; 100].join(","));
    let limits = Limits {
        max_answer: 2 << 20,
        ..Limits::default()
    };
    for on_undecodable in [OnUndecodable::Fail, OnUndecodable::Placeholder] {
        let codec = Codec::builder(Namespace::new("default").unwrap())
            .encrypt_with(keys.key_or_create("default").unwrap())
            .decrypt_formats([Format::Envelope, Format::Gzip])
            .plaintext_policy(PlaintextPolicy::Allow)
            .max_decompressed(1 << 20)
            .build()
            .unwrap();
        let served = NamespaceCodec::new(codec.clone(), on_undecodable);
        let run = run_within(&served, Operation::Decode, body.as_bytes(), &limits);
        let (paused, refusal) = pauses(run).await;
        let refusal = refusal.unwrap_err();
        let expected = 2 * limits.max_answer;
        assert!(
            matches!(refusal, RequestError::DecompressedTooLarge { limit } if limit == expected),
            "{refusal}"
        );
        assert_eq!(refusal.status(), StatusCode::PAYLOAD_TOO_LARGE);
        // Three became nothing. The fourth would have been too much.
        assert_eq!(codec.stats().passed_through, 3);
        assert!(paused >= 3, "{paused}");
    }
}

#[tokio::test]
async fn a_large_request_is_worked_on_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let keys = LocalKeyring::open(folder.path());
    let zstd = Compression::Zstd {
        level: 3,
        min_bytes: 1,
    };
    for compression in [Compression::None, zstd] {
        let codec = Codec::builder(Namespace::new("default").unwrap())
            .encrypt_with(keys.key_or_create("default").unwrap())
            .compression(compression)
            .build()
            .unwrap();
        let served = NamespaceCodec::new(codec, OnUndecodable::Fail);
        let large = Payload {
            data: vec![b'a'; STEP_BYTES + 1],
            ..Payload::default()
        };
        let body = json::write_payloads(&vec![large.clone(); 4]);
        let (paused, done) = pauses(run(&served, Operation::Encode, &body)).await;
        let sealed = text(done.unwrap()).await;
        assert!(paused >= 3, "{compression:?}: {paused}");
        let (paused, done) = pauses(run(&served, Operation::Decode, &sealed)).await;
        assert!(paused >= 3, "{compression:?}: {paused}");
        let decoded = text(done.unwrap()).await;
        let decoded = json::parse_payloads(&decoded, &json::Limits::new(4)).unwrap();
        assert_eq!(decoded.payloads.len(), 4);
        assert!(
            decoded
                .payloads
                .iter()
                .all(|payload| payload.data == large.data)
        );
    }
}
