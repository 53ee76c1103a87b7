//! The codec erases its keys when it ends, and plaintext when a batch fails. It also erases its copy of a value that is
//! marked as encrypted. The reader of bodies leaves no copy of base64 with escapes. The tests look into the memory of their
//! own process, because the memory of a server cannot be read after its end. They keep what they look for in masked form.

use std::{fmt::Write as _, hint::black_box, iter::repeat_n, sync::Arc};

use async_trait::async_trait;
use dev_servers::{Masked, own_memory_holds};
use temporal_kms::faulty::FaultyKey;
use temporal_kms_codec::{
    Codec, EncryptionContext, Error, KeyUri, Namespace, Payload,
    kms::{KeyProvider, Protection, ProviderError, ProviderErrorKind, UsableKey},
    payload::{ENCRYPTED_DEK, Plain},
};
use temporal_kms_codec_proto::json::{Limits, parse_payloads};
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use crate::support::{encode64, until};

/// A key whose ciphertexts are the plaintexts in masked form.
#[derive(Debug)]
struct MaskingKey(KeyUri);

#[async_trait]
impl KeyProvider for MaskingKey {
    fn uri(&self) -> &KeyUri {
        &self.0
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        _: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        Ok(Masked::of(plaintext.iter().copied()).into_inner())
    }

    async fn open(
        &self,
        sealed: &[u8],
        _: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let sealed = Masked::from(sealed.to_vec());
        Ok(Zeroizing::new(sealed.bytes().collect()))
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        Ok(UsableKey::new(self.0.clone(), "1", Protection::Software))
    }
}

/// A codec with a data key of its own, and the runtime that it works in.
struct Worker {
    key: Arc<FaultyKey>,
    codec: Codec,
    runtime: Runtime,
}

impl Worker {
    fn start() -> Self {
        let key = MaskingKey("local://masking".parse().unwrap());
        let key = FaultyKey::over(Arc::new(key));
        let codec = Codec::builder(Namespace::new("default").unwrap())
            .encrypt_with(key.clone())
            .build();
        Self {
            key,
            codec: codec.unwrap(),
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    fn encode(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        self.runtime.block_on(self.codec.encode(payloads))
    }

    fn decode(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        self.runtime.block_on(self.codec.decode(payloads))
    }

    fn seal(&self, payload: Payload) -> Payload {
        self.encode(vec![payload]).unwrap().remove(0)
    }

    /// Every call of the key fails from now on.
    fn lose_key(&self) {
        self.key.fail(ProviderErrorKind::PermissionDenied);
    }
}

/// What the data and the metadata of a payload hold.
struct Secrets {
    data: Masked,
    metadata: Masked,
}

impl Secrets {
    const LEN: u8 = 32;

    /// They differ from those of other tests.
    fn new(number: u8) -> Self {
        let secret = |number: u8| {
            let bytes = (0..Self::LEN).map(|at| at.wrapping_mul(57) ^ number);
            Masked::of(bytes)
        };
        Self {
            data: secret(2 * number),
            metadata: secret(2 * number + 1),
        }
    }

    fn payload(&self) -> Payload {
        Payload {
            metadata: [("note".to_owned(), surrounded(&self.metadata))].into(),
            data: surrounded(&self.data),
            ..Payload::default()
        }
    }

    /// Whether both are in memory.
    fn are_held(&self) -> bool {
        holds(&self.data) && holds(&self.metadata)
    }

    #[track_caller]
    fn assert_held(&self) {
        assert!(
            self.are_held(),
            "the payloads are not where this test looks"
        );
    }

    #[track_caller]
    fn assert_erased(&self) {
        assert!(!holds(&self.data), "the data are still in memory");
        assert!(!holds(&self.metadata), "the metadata are still in memory");
    }
}

/// A secret with other bytes around it. Allocators write into memory that was freed, at its start and its end.
fn surrounded(secret: &Masked) -> Vec<u8> {
    const FILLER: usize = 400;

    // A vector that grows would leave a copy behind.
    let mut bytes: Vec<u8> = Vec::with_capacity(FILLER + usize::from(Secrets::LEN) + FILLER);
    bytes.extend(repeat_n(0xa5_u8, FILLER));
    bytes.extend(secret.bytes());
    bytes.extend(repeat_n(0xa5_u8, FILLER));
    bytes
}

fn holds(secret: &Masked) -> bool {
    own_memory_holds(secret).unwrap()
}

/// Waits until a secret has left the memory. Other codecs work meanwhile: a thread keeps what was on its stack until it works
/// again.
#[track_caller]
fn wait_until_erased(secret: &Masked) {
    until(|| {
        let other = Worker::start();
        let sealed = other.seal(Payload::default());
        other.decode(vec![sealed]).unwrap();
        drop(other);
        let is_erased = !holds(secret);
        is_erased.then_some(()).ok_or("it is still in memory")
    });
}

#[test]
fn a_data_key_is_not_in_memory_after_a_shutdown() {
    let worker = Worker::start();
    let sealed = worker.seal(Payload::default());
    let data_key = Masked::from(sealed.metadata[ENCRYPTED_DEK].clone());
    worker.decode(vec![sealed]).unwrap();
    assert!(
        holds(&data_key),
        "the data key is not where this test looks"
    );
    drop(worker);
    wait_until_erased(&data_key);
}

/// What was freed and not erased is not overwritten by the search itself. Otherwise the tests below would prove nothing.
#[test]
fn a_payload_that_was_not_erased_is_found() {
    /// Another test may use the memory again.
    const ATTEMPTS: usize = 10;

    let secrets = Secrets::new(0);
    let is_found = (0..ATTEMPTS).any(|_| {
        let payload = black_box(secrets.payload());
        secrets.assert_held();
        drop(payload);
        secrets.are_held()
    });
    assert!(is_found, "a search does not see memory that was freed");
}

#[test]
fn a_batch_that_cannot_be_encrypted_is_not_in_memory() {
    let sealed = Worker::start().seal(Payload::default());
    for (number, sealed) in [(1, None), (2, Some(sealed))] {
        let secrets = Secrets::new(number);
        let worker = Worker::start();
        worker.lose_key();
        let batch = [secrets.payload(), secrets.payload()];
        let batch: Vec<_> = batch.into_iter().chain(sealed).collect();
        secrets.assert_held();
        assert!(worker.encode(batch).is_err());
        secrets.assert_erased();
    }
}

#[test]
fn what_was_decrypted_of_a_batch_that_fails_is_not_in_memory() {
    let (worker, other) = (Worker::start(), Worker::start());
    let secrets = Secrets::new(3);
    let known = worker.seal(secrets.payload());
    let unknown = other.seal(secrets.payload());
    let opened = worker.decode(vec![known.clone()]).map(Plain::new);
    secrets.assert_held();
    drop(opened);
    worker.lose_key();
    let batch = vec![known.clone(), unknown, known];
    assert!(worker.decode(batch).is_err());
    secrets.assert_erased();
}

/// The codec tries to open such a value, and has a second copy of it.
#[test]
fn a_value_that_is_marked_as_encrypted_is_not_in_memory_once_its_owner_erases_it() {
    let worker = Worker::start();
    let secrets = Secrets::new(4);
    let mut marked = secrets.payload();
    let encoding = b"binary/encrypted".to_vec();
    marked.metadata.insert("encoding".to_owned(), encoding);
    let sealed = worker.seal(marked);
    let opened = worker.decode(vec![sealed]).map(Plain::new);
    assert!(opened.is_ok());
    secrets.assert_held();
    drop(opened);
    secrets.assert_erased();
}

/// Base64 of a secret with others around it. Every fourth character is escaped, as Gson escapes `=`. Beside it is a part of the
/// secret's base64 without escapes.
fn escaped(secret: &Masked) -> (String, Masked) {
    let text = Zeroizing::new(encode64(&Zeroizing::new(surrounded(secret))));
    let middle = text.len() / 2 - 16..text.len() / 2 + 16;
    let middle = Masked::of(text.as_bytes()[middle].iter().copied());
    assert!(holds(&middle), "the base64 is not where this test looks");
    let mut escaped = String::new();
    for (at, character) in text.chars().enumerate() {
        if at % 4 == 0 {
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    (escaped, middle)
}

/// Nothing erases a copy that a parser makes to remove the escapes of a string.
#[test]
fn base64_with_escapes_is_not_in_memory_once_it_is_read() {
    let secrets = Secrets::new(5);
    let (data, data_middle) = escaped(&secrets.data);
    let (metadata, metadata_middle) = escaped(&secrets.metadata);
    let body =
        format!(r#"{{"payloads":[{{"metadata":{{"note":"{metadata}"}},"data":"{data}"}}]}}"#);
    let read = parse_payloads(body.as_bytes(), &Limits::new(1)).unwrap();
    let read = Plain::new(read.payloads);
    secrets.assert_held();
    drop(read);
    secrets.assert_erased();
    for middle in [data_middle, metadata_middle] {
        assert!(!holds(&middle), "a copy without escapes is in memory");
    }
}
