//! Keys and plaintext are erased when a codec ends, and when a batch fails. The test looks into the memory of its own
//! process, because that of a server cannot be read after its end. It keeps what it looks for in masked form.

use std::sync::Arc;

use async_trait::async_trait;
use dev_servers::{Masked, own_memory_holds};
use temporal_kms::faulty::FaultyKey;
use temporal_kms_codec::{
    Codec, EncryptionContext, Error, KeyUri, Namespace, Payload,
    kms::{KeyProvider, Protection, ProviderError, ProviderErrorKind, UsableKey},
    payload::{ENCRYPTED_DEK, Plain},
};
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use crate::support::until;

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

/// A secret that differs from those of other tests.
fn secret(number: u8) -> Masked {
    Masked::of((0..32).map(|at: u8| at.wrapping_mul(57) ^ number))
}

fn payload(data: &Masked) -> Payload {
    Payload {
        data: data.bytes().collect(),
        ..Payload::default()
    }
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

#[test]
fn a_batch_that_cannot_be_encrypted_is_not_in_memory() {
    let sealed = Worker::start().seal(Payload::default());
    for (number, sealed) in [(1, None), (2, Some(sealed))] {
        let secret = secret(number);
        let worker = Worker::start();
        worker.lose_key();
        let batch = [payload(&secret), payload(&secret)];
        let batch: Vec<_> = batch.into_iter().chain(sealed).collect();
        assert!(holds(&secret), "the payloads are not where this test looks");
        assert!(worker.encode(batch).is_err());
        wait_until_erased(&secret);
    }
}

#[test]
fn what_was_decrypted_of_a_batch_that_fails_is_not_in_memory() {
    let (worker, other) = (Worker::start(), Worker::start());
    let secret = secret(3);
    let known = worker.seal(payload(&secret));
    let unknown = other.seal(payload(&secret));
    let opened = worker.decode(vec![known.clone()]).map(Plain::new);
    assert!(holds(&secret), "the payload is not where this test looks");
    drop(opened);
    worker.lose_key();
    let batch = vec![known.clone(), unknown, known];
    assert!(worker.decode(batch).is_err());
    wait_until_erased(&secret);
}
