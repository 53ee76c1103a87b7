//! A ciphertext opens only in the format in which it was written, for payloads of 0 to 64 bytes.

use std::sync::Arc;

use async_trait::async_trait;
use prost::Message as _;
use temporal_kms::{
    Dek, EncryptionContext, KeyProvider, KeyUri, Namespace, ProviderError, ProviderErrorKind,
    UsableKey, WrappedDek,
};
use temporal_kms_codec::{Codec, Error, Format, Payload, Sealer};
use zeroize::Zeroizing;

use crate::suite::{Suite, context, formats};

/// A ciphertext of one format does not open in another format.
pub async fn no_payload_opens_as_another(suite: &Suite) {
    let key = suite.create("k").await;
    // The limits of a key may depend on its kind.
    key.check_usable().await.expect("described");
    let formats = formats(&*key);
    let writers = formats.iter().map(|format| codec(&key, *format, None));
    let writers: Vec<_> = writers.collect();
    let sealer = Sealer::builder().encrypt_with(key.clone());
    let sealer = sealer.build().expect("a sealer");
    let namespace = context(&[("namespace", "payments")]);

    for len in 0..=64 {
        let Some(payload) = of_len(len) else {
            continue;
        };
        let reader = codec(&key, Format::Envelope, Some(&formats));
        let mut ciphertexts = Vec::new();
        for writer in &writers {
            let written = writer.encode(vec![payload.clone()]).await.expect("sealed");
            let opened = reader.decode(written.clone()).await.expect("opened");
            assert_eq!(opened, std::slice::from_ref(&payload), "{len} bytes");
            for sealed in written {
                ciphertexts.extend(sealed.metadata.get("encrypted-dek").cloned());
                let is_direct = !sealed.metadata.contains_key("encrypted-dek");
                assert!(!is_direct || len != Dek::LEN, "a data key's length");
                if !is_direct {
                    refuses(&reader, as_direct(key.uri(), &sealed.data), len).await;
                }
                ciphertexts.push(sealed.data);
            }
        }
        let value = payload.encode_to_vec();
        let envelope = sealer.seal(&value, &namespace).await;
        ciphertexts.push(envelope.expect("sealed").encrypted_data_key);

        // Each as a wrapped data key made of the payload's own bytes, padded or cut to the right length.
        let mut known = [0; Dek::LEN];
        known
            .iter_mut()
            .zip(&value)
            .for_each(|(to, from)| *to = *from);
        for ciphertext in &ciphertexts {
            for format in [Format::EnvelopeV1, Format::Envelope] {
                let forged = forged(key.uri(), known, ciphertext, format).await;
                refuses(&reader, forged, len).await;
            }
        }
    }
    // A wrapped data key as a direct payload, under any context.
    for bound in [EncryptionContext::empty(), namespace] {
        let dek = Dek::from_slice(&of_len(Dek::LEN).expect("a payload").encode_to_vec());
        let dek = dek.expect("a data key that is a payload");
        let wrapped = key.wrap(&dek, &bound).await.expect("wrapped");
        let claim = as_direct(key.uri(), wrapped.as_bytes());
        if formats.contains(&Format::Direct) {
            refuses(&codec(&key, Format::Direct, None), claim, Dek::LEN).await;
        }
    }
}

/// A ciphertext of another program at the same service does not open as a payload.
pub async fn what_the_kms_encrypts_for_others_opens_as_nothing(suite: &Suite) {
    let key = suite.create("k").await;
    key.check_usable().await.expect("described");
    let known = [7; Dek::LEN];
    for len in key.limits().min_plaintext..=64 {
        let ciphertext = key.encrypt(&vec![7; len]).await.expect("encrypted");
        let forged = forged(key.uri(), known, &ciphertext, Format::EnvelopeV1).await;
        for format in formats(&*key) {
            // Version 1 wraps a data key as any program encrypts 32 bytes. Therefore only a configuration that names it
            // opens it.
            if format != Format::EnvelopeV1 || len != Dek::LEN {
                refuses(&codec(&key, format, None), forged.clone(), len).await;
            }
        }
    }
}

/// A payload whose serialized form has `len` bytes. A length of 1 is impossible.
fn of_len(len: usize) -> Option<Payload> {
    let payload = Payload {
        data: vec![b'x'; len.saturating_sub(2)],
        ..Payload::default()
    };
    (payload.encoded_len() == len).then_some(payload)
}

fn codec(key: &Arc<dyn KeyProvider>, format: Format, opened: Option<&[Format]>) -> Codec {
    let namespace = Namespace::new("payments").expect("a namespace");
    let builder = Codec::builder(namespace)
        .encrypt_with(key.clone())
        .format(format);
    let builder = match opened {
        Some(formats) => builder.decrypt_formats(formats.iter().copied()),
        None => builder,
    };
    builder.build().expect("a codec")
}

async fn refuses(reader: &Codec, claim: Payload, len: usize) {
    match reader.decode(vec![claim.clone()]).await {
        Ok(opened) => panic!("{len} bytes: {claim:?} opens as {opened:?}"),
        Err(Error::Payload(_)) => {}
        Err(error) => assert!(!error.is_transient(), "{len} bytes: {error}"),
    }
}

fn as_direct(key: &KeyUri, data: &[u8]) -> Payload {
    let encoding = key.scheme().direct_encoding();
    let metadata = [
        ("encoding", encoding.as_bytes()),
        ("kms-key", key.resource().as_bytes()),
    ];
    Payload {
        metadata: metadata
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .into(),
        data: data.to_vec(),
        external_payloads: Vec::new(),
    }
}

/// An envelope under a data key that the attacker knows. Its wrapped data key is a ciphertext of the victim.
async fn forged(key: &KeyUri, dek: [u8; 32], ciphertext: &[u8], format: Format) -> Payload {
    let forger: Arc<dyn KeyProvider> = Arc::new(Forger {
        key: key.clone(),
        dek,
        ciphertext: ciphertext.to_vec(),
    });
    let payload = Payload {
        data: b"{\"approved\":true}".to_vec(),
        ..Payload::default()
    };
    let sealed = codec(&forger, format, None).encode(vec![payload]).await;
    sealed.expect("forged").remove(0)
}

/// A key with the name of the victim's key. It returns the bytes that the test gives it.
#[derive(Debug)]
struct Forger {
    key: KeyUri,
    dek: [u8; 32],
    ciphertext: Vec<u8>,
}

impl Forger {
    fn error(&self) -> ProviderError {
        ProviderError::new(ProviderErrorKind::PermissionDenied, &self.key)
    }
}

#[async_trait]
impl KeyProvider for Forger {
    fn uri(&self) -> &KeyUri {
        &self.key
    }

    async fn seal(&self, _: &[u8], _: &EncryptionContext) -> Result<Vec<u8>, ProviderError> {
        Ok(self.ciphertext.clone())
    }

    async fn open(
        &self,
        _: &[u8],
        _: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Err(self.error())
    }

    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        let dek = Dek::new(self.dek);
        let wrapped = self.wrap(&dek, context).await?;
        Ok((dek, wrapped))
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        Err(self.error())
    }
}
