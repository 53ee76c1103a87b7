use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use async_trait::async_trait;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{
    ConfigurationError, Dek, EncryptionContext, KeyUri, PayloadExt as _, WrappedDek,
    kms::{KeyDescription, KeyProvider, ProviderError, ProviderErrorKind, local::LocalKeyring},
};

fn keyring() -> (TempDir, LocalKeyring) {
    let folder = TempDir::new().unwrap();
    let keyring = LocalKeyring::open(folder.path());
    (folder, keyring)
}

fn builder(namespace: &str) -> CodecBuilder {
    Codec::builder(Namespace::new(namespace).unwrap())
}

fn payload(text: &str) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: text.as_bytes().to_vec(),
        external_payloads: vec![],
    }
}

fn payloads(count: usize) -> Vec<Payload> {
    (0..count)
        .map(|n| payload(&format!("\"secret {n}\"")))
        .collect()
}

async fn seal(codec: &Codec, text: &str) -> Payload {
    codec.encode(vec![payload(text)]).await.unwrap().remove(0)
}

async fn refusal(codec: &Codec, payload: Payload) -> PayloadError {
    match codec.decode(vec![payload]).await {
        Err(Error::Payload(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A key behind which calls are counted and fail when told to.
#[derive(Debug)]
struct Watched {
    key: Arc<dyn KeyProvider>,
    calls: AtomicUsize,
    failure: parking_lot::Mutex<Option<ProviderErrorKind>>,
}

impl Watched {
    fn new(key: Arc<dyn KeyProvider>) -> Arc<Self> {
        Arc::new(Self {
            key,
            calls: AtomicUsize::new(0),
            failure: parking_lot::Mutex::new(None),
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    fn fail(&self, kind: impl Into<Option<ProviderErrorKind>>) {
        *self.failure.lock() = kind.into();
    }

    async fn call(&self) -> Result<(), ProviderError> {
        self.calls.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        match *self.failure.lock() {
            Some(kind) => Err(ProviderError::new(kind, self.key.uri())),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl KeyProvider for Watched {
    fn uri(&self) -> &KeyUri {
        self.key.uri()
    }

    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError> {
        self.call().await?;
        self.key.wrap(dek, context).await
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        self.call().await?;
        self.key.unwrap(wrapped, context).await
    }

    fn max_plaintext(&self) -> usize {
        self.key.max_plaintext()
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.call().await?;
        self.key.encrypt(plaintext).await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.call().await?;
        self.key.decrypt(ciphertext).await
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        self.call().await?;
        self.key.describe().await
    }
}

#[tokio::test]
async fn every_format_round_trips_and_every_codec_reads_all_of_them() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("default").unwrap();
    let build = |format| {
        builder("n")
            .encrypt_with(key.clone())
            .format(format)
            .build()
            .unwrap()
    };
    let reader = build(Format::Envelope);
    for (format, encoding) in [
        (Format::Envelope, "binary/envelope-kms"),
        (Format::EnvelopeV1, "binary/envelope-kms"),
        (Format::Direct, "binary/local-kms"),
    ] {
        let sealed = build(format).encode(payloads(50)).await.unwrap();
        assert_eq!(sealed.len(), 50);
        assert!(
            sealed.iter().all(|p| p.encoding() == Some(encoding)),
            "{format:?}"
        );
        assert!(
            sealed
                .iter()
                .all(|p| !p.data.windows(6).any(|w| w == b"secret")),
            "{format:?}"
        );
        assert_eq!(
            reader.decode(sealed).await.unwrap(),
            payloads(50),
            "{format:?}"
        );
    }
}

#[tokio::test]
async fn metadata_and_external_payloads_survive() {
    let (_folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let mut original = payload("1");
    original
        .metadata
        .insert("messageType".into(), b"a.B".to_vec());
    original
        .external_payloads
        .push(temporal_kms_codec_proto::payload::ExternalPayloadDetails {
            size_bytes: 1 << 40,
        });
    let sealed = codec
        .encode(vec![original.clone(), Payload::default()])
        .await
        .unwrap();
    assert!(sealed[0].external_payloads.is_empty());
    assert_eq!(
        codec.decode(sealed).await.unwrap(),
        [original, Payload::default()]
    );
}

#[tokio::test]
async fn a_hundred_thousand_payloads_wrap_once_and_unwrap_once() {
    let (_folder, keyring) = keyring();
    let kms = Watched::new(keyring.key_or_create("k").unwrap());
    let writer = builder("n").encrypt_with(kms.clone()).build().unwrap();
    let mut sealed = Vec::new();
    for _ in 0..1000 {
        sealed = writer.encode(payloads(100)).await.unwrap();
    }
    assert_eq!(
        (kms.calls(), writer.stats().wraps, writer.stats().sealed),
        (1, 1, 100_000)
    );

    // What was sealed here opens here without a call, and elsewhere with one.
    writer.decode(sealed.clone()).await.unwrap();
    assert_eq!(kms.calls(), 1);
    let reader = builder("n").encrypt_with(kms.clone()).build().unwrap();
    futures::future::join_all((0..20).map(|_| reader.decode(sealed.clone()))).await;
    let stats = reader.stats();
    assert_eq!((kms.calls(), stats.unwraps, stats.opened), (2, 1, 2000));
    assert_eq!(stats.dek_cache_hits + stats.dek_cache_misses, 2000);
}

#[tokio::test]
async fn a_foreign_namespace_is_refused_before_any_call() {
    let (_folder, keyring) = keyring();
    let kms = Watched::new(keyring.key_or_create("k").unwrap());
    let theirs = seal(
        &builder("theirs").encrypt_with(kms.clone()).build().unwrap(),
        "1",
    )
    .await;
    let before = kms.calls();

    let ours = builder("ours").encrypt_with(kms.clone()).build().unwrap();
    assert_eq!(
        refusal(&ours, theirs.clone()).await,
        PayloadError::ForeignNamespace
    );
    // Claiming another namespace in the clear does not help: the context is authenticated.
    let mut moved = theirs.clone();
    moved.metadata.insert(
        "encryption-context".into(),
        br#"{"namespace":"ours"}"#.to_vec(),
    );
    assert_eq!(refusal(&ours, moved).await, PayloadError::NotAuthentic);
    let mut stripped = theirs.clone();
    stripped.metadata.remove("encryption-context");
    assert_eq!(
        refusal(&ours, stripped).await,
        PayloadError::ForeignNamespace
    );
    assert_eq!(kms.calls(), before + 1, "one call, for the moved payload");

    let both = builder("ours")
        .also_decode(Namespace::new("theirs").unwrap())
        .encrypt_with(kms)
        .build()
        .unwrap();
    assert_eq!(both.decode(vec![theirs]).await.unwrap(), [payload("1")]);
}

#[tokio::test]
async fn pairs_of_the_context_must_agree_where_both_have_them() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let build = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .fold(
                builder("n").encrypt_with(key.clone()),
                |b, (name, value)| b.context(*name, *value),
            )
            .build()
            .unwrap()
    };
    let plain = build(&[]);
    let staging = build(&[("env", "staging")]);
    let production = build(&[("env", "production"), ("team", "a")]);
    let sealed = seal(&staging, "1").await;
    assert_eq!(
        sealed.metadata["encryption-context"],
        br#"{"env":"staging","namespace":"n"}"#
    );
    assert_eq!(
        refusal(&production, sealed.clone()).await,
        PayloadError::ForeignContext("env".into())
    );
    assert!(plain.decode(vec![sealed]).await.is_ok());
    assert!(
        production
            .decode(vec![seal(&plain, "1").await])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_key_outside_the_policy_is_never_called() {
    let (_folder, keyring) = keyring();
    let (ours, theirs) = (
        Watched::new(keyring.key_or_create("ours").unwrap()),
        Watched::new(keyring.key_or_create("theirs").unwrap()),
    );
    let codec = builder("n").encrypt_with(ours.clone()).build().unwrap();
    for format in [Format::Envelope, Format::EnvelopeV1, Format::Direct] {
        let writer = builder("n")
            .encrypt_with(theirs.clone())
            .format(format)
            .build()
            .unwrap();
        assert_eq!(
            refusal(&codec, seal(&writer, "1").await).await,
            PayloadError::KeyNotAllowed
        );
    }
    assert_eq!(ours.calls(), 0);
}

#[tokio::test]
async fn an_older_key_goes_on_decoding() {
    let (_folder, keyring) = keyring();
    let (old, new) = (
        keyring.key_or_create("old").unwrap(),
        keyring.key_or_create("new").unwrap(),
    );
    let sealed = seal(
        &builder("n").encrypt_with(old.clone()).build().unwrap(),
        "1",
    )
    .await;
    let codec = builder("n")
        .encrypt_with(new)
        .decrypt_with(old)
        .build()
        .unwrap();
    assert_eq!(codec.decode(vec![sealed]).await.unwrap(), [payload("1")]);
    assert_eq!(seal(&codec, "1").await.metadata["kms-key"], b"local://new");
}

#[tokio::test]
async fn version_1_without_a_key_name_opens_with_whichever_key_fits() {
    let (_folder, keyring) = keyring();
    let (a, b) = (
        keyring.key_or_create("a").unwrap(),
        keyring.key_or_create("b").unwrap(),
    );
    let writer = builder("n")
        .encrypt_with(b.clone())
        .format(Format::EnvelopeV1)
        .build()
        .unwrap();
    let mut sealed = seal(&writer, "1").await;
    assert_eq!(sealed.metadata.remove("kms-key").unwrap(), b"local://b");
    let reader = builder("n")
        .encrypt_with(a.clone())
        .decrypt_with(b)
        .build()
        .unwrap();
    assert_eq!(
        reader.decode(vec![sealed.clone()]).await.unwrap(),
        [payload("1")]
    );
    let stranger = builder("n").encrypt_with(a).build().unwrap();
    assert_eq!(refusal(&stranger, sealed).await, PayloadError::NotAuthentic);
}

#[tokio::test]
async fn any_recipient_opens_and_one_that_is_away_is_skipped() {
    let (_folder, keyring) = keyring();
    let [a, b] = ["a", "b"].map(|name| Watched::new(keyring.key_or_create(name).unwrap()));
    let writer = builder("n")
        .encrypt_with(a.clone())
        .encrypt_with(b.clone())
        .build()
        .unwrap();
    let sealed = seal(&writer, "1").await;
    assert_eq!(sealed.metadata["kms-key.1"], b"local://b");
    assert_eq!(writer.stats().wraps, 2);

    let only_b = builder("n").encrypt_with(b.clone()).build().unwrap();
    assert!(only_b.decode(vec![sealed.clone()]).await.is_ok());

    let reader = || {
        builder("n")
            .encrypt_with(a.clone())
            .encrypt_with(b.clone())
            .build()
            .unwrap()
    };
    a.fail(ProviderErrorKind::Unavailable);
    assert!(reader().decode(vec![sealed.clone()]).await.is_ok());
    b.fail(ProviderErrorKind::KeyDisabled);
    let error = reader().decode(vec![sealed.clone()]).await.unwrap_err();
    assert!(error.is_transient(), "{error}: the first key may come back");
    a.fail(ProviderErrorKind::PermissionDenied);
    assert!(
        !reader()
            .decode(vec![sealed])
            .await
            .unwrap_err()
            .is_transient()
    );
}

#[tokio::test]
async fn while_the_kms_is_away_known_keys_go_on() {
    let (_folder, keyring) = keyring();
    let kms = Watched::new(keyring.key_or_create("k").unwrap());
    let codec = builder("n").encrypt_with(kms.clone()).build().unwrap();
    let sealed = seal(&codec, "1").await;
    kms.fail(ProviderErrorKind::Unavailable);
    assert!(codec.decode(vec![sealed.clone()]).await.is_ok());
    assert!(codec.encode(payloads(3)).await.is_ok());
    assert!(codec.ready().await.unwrap_err().is_transient());
    let fresh = builder("n").encrypt_with(kms.clone()).build().unwrap();
    assert!(fresh.decode(vec![sealed]).await.unwrap_err().is_transient());
    assert!(fresh.encode(payloads(1)).await.unwrap_err().is_transient());
    kms.fail(None);
    assert!(fresh.encode(payloads(1)).await.is_ok());
    assert_eq!(fresh.stats().rejected, 2);
}

#[tokio::test]
async fn plaintext_passes_or_is_refused_as_configured() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let lenient = builder("n").encrypt_with(key.clone()).build().unwrap();
    assert_eq!(lenient.decode(payloads(3)).await.unwrap(), payloads(3));
    assert_eq!(lenient.stats().passed_through, 3);

    let strict = builder("n")
        .encrypt_with(key)
        .plaintext(PlaintextPolicy::Reject)
        .build()
        .unwrap();
    assert_eq!(
        refusal(&strict, payload("1")).await,
        PayloadError::PlaintextRefused
    );
    assert!(strict.decode(vec![seal(&lenient, "1").await]).await.is_ok());
}

#[tokio::test]
async fn each_payload_has_its_own_result_in_its_own_place() {
    let (_folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let mut sealed = codec.encode(payloads(40)).await.unwrap();
    sealed[7].data[70] ^= 1;
    let results = codec.decode_each(sealed.clone()).await;
    assert_eq!(results.len(), 40);
    for (index, result) in results.iter().enumerate() {
        match result {
            Ok(opened) => assert_eq!(*opened, payloads(40)[index]),
            Err(error) => assert!(index == 7, "{index}: {error}"),
        }
    }
    assert!(
        codec.decode(sealed).await.is_err(),
        "never fewer than were asked for"
    );
    assert_eq!(codec.decode(vec![]).await.unwrap(), []);
    assert_eq!(codec.encode(vec![]).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_encrypted_already_is_not_encrypted_again() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let codec = builder("n").encrypt_with(key.clone()).build().unwrap();
    let sealed = seal(&codec, "1").await;
    let mixed = codec
        .encode(vec![payload("2"), sealed.clone(), payload("3")])
        .await
        .unwrap();
    assert_eq!(mixed[1], sealed);
    assert_eq!(
        codec.decode(mixed).await.unwrap(),
        [payload("2"), payload("1"), payload("3")]
    );

    // Another namespace's, a forged and a merely marked payload are data like any other.
    let foreign = seal(&builder("m").encrypt_with(key).build().unwrap(), "1").await;
    let mut forged = sealed.clone();
    forged.data[80] ^= 1;
    let mut marked = payload("\"secret\"");
    marked
        .metadata
        .insert("encoding".into(), b"binary/envelope-kms".to_vec());
    for data in [foreign, forged, marked] {
        let sealed = codec.encode(vec![data.clone()]).await.unwrap().remove(0);
        assert_ne!(sealed.data, data.data);
        assert_eq!(codec.decode(vec![sealed]).await.unwrap(), [data]);
    }
}

#[tokio::test]
async fn layers_are_opened_up_to_a_limit() {
    let (_folder, keyring) = keyring();
    let [a, b] = ["a", "b"].map(|name| keyring.key_or_create(name).unwrap());
    // Two codecs that cannot open each other's payloads, so that each adds a layer.
    let writers = [&a, &b].map(|key| builder("n").encrypt_with(key.clone()).build().unwrap());
    let reader = builder("n")
        .encrypt_with(a)
        .decrypt_with(b)
        .build()
        .unwrap();
    let mut layered = payload("1");
    for layer in 0..=MAX_NESTING {
        assert_eq!(
            reader.decode(vec![layered.clone()]).await.unwrap(),
            [payload("1")],
            "{layer}"
        );
        layered = writers[layer % 2]
            .encode(vec![layered])
            .await
            .unwrap()
            .remove(0);
    }
    assert_eq!(
        refusal(&reader, layered).await,
        PayloadError::NestedTooDeep(MAX_NESTING)
    );
}

#[tokio::test]
async fn direct_mode_seals_an_envelope_over_the_limit() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let limit = key.max_plaintext();
    let codec = builder("n")
        .encrypt_with(key)
        .format(Format::Direct)
        .build()
        .unwrap();
    let overhead = prost::Message::encoded_len(&payload("")) + 4;
    let (fits, over) = (
        payload(&"x".repeat(limit - overhead)),
        payload(&"x".repeat(limit)),
    );
    assert_eq!(prost::Message::encoded_len(&fits), limit);
    let sealed = codec
        .encode(vec![fits.clone(), over.clone()])
        .await
        .unwrap();
    assert_eq!(sealed[0].encoding(), Some("binary/local-kms"));
    assert_eq!(sealed[1].metadata["envelope-version"], b"2");
    assert_eq!(codec.decode(sealed).await.unwrap(), [fits, over]);
    let stats = codec.stats();
    assert_eq!(
        (stats.direct_fallbacks, stats.direct_calls, stats.sealed),
        (1, 2, 2)
    );
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let (_folder, keyring) = keyring();
    let [a, b] = ["a", "b"].map(|name| keyring.key_or_create(name).unwrap());
    let refused = |builder: CodecBuilder| -> ConfigurationError {
        match builder.build() {
            Err(Error::Configuration(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let two = || builder("n").encrypt_with(a.clone()).encrypt_with(b.clone());
    assert!(refused(builder("n")).reason().contains("there is none"));
    assert!(
        refused(two().encrypt_with(a.clone()))
            .reason()
            .contains("local://a is named twice")
    );
    assert!(
        refused(two().format(Format::Direct))
            .reason()
            .contains("several recipients")
    );
    assert!(
        refused(two().format(Format::EnvelopeV1))
            .reason()
            .contains("several recipients")
    );
    assert!(
        refused(two().context("namespace", "x"))
            .reason()
            .contains("set by the codec itself")
    );
    assert!(
        refused(two().compression(Compression::Zstd {
            level: 99,
            min_bytes: 0
        }))
        .reason()
        .contains("level")
    );
    assert!(
        refused(two().cache_limits(crate::CacheLimits {
            max_keys: 0,
            ..Default::default()
        }))
        .reason()
        .contains("max_keys")
    );
}

#[tokio::test]
async fn errors_and_debug_hold_no_secret() {
    let (folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let mut sealed = seal(&codec, "\"hunter2\"").await;
    sealed.data[80] ^= 1;
    let error = codec.decode(vec![sealed.clone()]).await.unwrap_err();
    let keyset = std::fs::read_to_string(folder.path().join("k.json")).unwrap();
    let material = keyset
        .split("\"value\": \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let shown = format!(
        "{error} {error:?} {codec:?} {sealed:?} {:?}",
        payload("hunter2")
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains(material),
        "{shown}"
    );
}
