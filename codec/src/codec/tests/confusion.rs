//! No ciphertext opens as anything but what it was written as.
//!
//! Every format gives ciphertexts: payloads' data, wrapped data keys, and what the KMS itself encrypts. Each is presented
//! as the data and as the wrapped data key of every format, to a reader that opens all formats.

use prost::Message as _;

use super::*;
use crate::{
    DataEnvelope, Sealer,
    crypto::aead::{Aes256Gcm, NONCE_LEN},
    format::{Marker, direct},
};

/// Serialized payloads of 0 to 64 bytes are tried.
const LENGTHS: std::ops::RangeInclusive<usize> = 0..=64;

/// A payload whose serialized form has `len` bytes. No payload has just one.
fn of_len(len: usize) -> Option<Payload> {
    let data = vec![b'x'; len.saturating_sub(2)];
    let payload = Payload {
        data,
        ..Payload::default()
    };
    (payload.encoded_len() == len).then_some(payload)
}

fn of_every_len() -> impl Iterator<Item = (usize, Payload)> {
    LENGTHS.filter_map(|len| Some((len, of_len(len)?)))
}

/// Opens everything that this version knows.
fn reader(key: &Arc<dyn KeyProvider>) -> Codec {
    builder("n")
        .encrypt_with(key.clone())
        .decrypt_formats(FORMATS)
        .build()
        .unwrap()
}

fn writer(key: &Arc<dyn KeyProvider>, format: Format) -> Codec {
    builder("n")
        .encrypt_with(key.clone())
        .format(format)
        .build()
        .unwrap()
}

fn claim(metadata: &[(&str, &[u8])], data: &[u8]) -> Payload {
    Payload {
        metadata: metadata
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect(),
        data: data.to_vec(),
        external_payloads: vec![],
    }
}

fn as_direct(data: &[u8]) -> Payload {
    claim(
        &[("encoding", b"binary/local-kms"), ("kms-key", b"k")],
        data,
    )
}

fn as_v1(wrapped: &[u8], data: &[u8]) -> Payload {
    claim(
        &[
            ("encoding", b"binary/envelope-kms"),
            ("kms-key", b"local://k"),
            ("encrypted-dek", wrapped),
        ],
        data,
    )
}

fn as_v2(wrapped: &[u8], data: &[u8]) -> Payload {
    let mut claim = as_v1(wrapped, data);
    claim
        .metadata
        .insert("envelope-version".into(), b"2".to_vec());
    claim.metadata.insert(
        "encryption-context".into(),
        br#"{"namespace":"n"}"#.to_vec(),
    );
    claim
}

/// Data of version 1 under a data key that the forger knows.
fn forged_v1_data(dek: [u8; 32]) -> Vec<u8> {
    let mut data = vec![0; NONCE_LEN];
    payload("{\"approved\":true}").encode(&mut data).unwrap();
    Aes256Gcm::new(&dek)
        .seal([0; NONCE_LEN], &[], &mut data, NONCE_LEN)
        .unwrap();
    data
}

/// What was encrypted: the format of a payload, if it is one.
struct Ciphertext {
    format: Option<Format>,
    wrapped: Vec<u8>,
    data: Vec<u8>,
}

/// Every ciphertext that the formats and the KMS make of one payload.
async fn ciphertexts(key: &Arc<dyn KeyProvider>, payload: &Payload) -> Vec<Ciphertext> {
    let mut found = Vec::new();
    for format in FORMATS {
        let sealed = writer(key, format)
            .encode(vec![payload.clone()])
            .await
            .unwrap()
            .remove(0);
        let wrapped = sealed.metadata.get("encrypted-dek").cloned();
        found.push(Ciphertext {
            format: Some(Marker::of(&sealed).unwrap().format().unwrap()),
            wrapped: wrapped.unwrap_or_else(|| sealed.data.clone()),
            data: sealed.data,
        });
    }
    let sealer = Sealer::builder().encrypt_with(key.clone());
    let sealer = sealer.build().unwrap();
    for context in [
        EncryptionContext::parse(br#"{"namespace":"n"}"#).unwrap(),
        EncryptionContext::parse(br#"{"a":"b"}"#).unwrap(),
    ] {
        let value = payload.encode_to_vec();
        let envelope = sealer.seal(&value, &context).await.unwrap();
        found.push(Ciphertext {
            format: None,
            data: [&envelope.iv[..], &envelope.encrypted, &envelope.auth_tag].concat(),
            wrapped: envelope.encrypted_data_key,
        });
    }
    for context in [
        EncryptionContext::empty(),
        EncryptionContext::parse(br#"{"namespace":"n"}"#).unwrap(),
    ] {
        let wrapped = key.wrap(&Dek::new([7; 32]), &context).await.unwrap();
        found.push(Ciphertext {
            format: None,
            wrapped: wrapped.as_bytes().to_vec(),
            data: wrapped.as_bytes().to_vec(),
        });
    }
    found
}

#[tokio::test]
async fn no_ciphertext_opens_as_another() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    for (len, payload) in of_every_len() {
        let ciphertexts = ciphertexts(&key, &payload).await;
        let codec = reader(&key);
        let mut opened = 0;
        for (i, one) in ciphertexts.iter().enumerate() {
            let mut claims = vec![(i, as_direct(&one.wrapped)), (i, as_direct(&one.data))];
            for (j, other) in ciphertexts.iter().enumerate() {
                for wrapped in [&one.wrapped, &one.data] {
                    claims.push((j, as_v1(wrapped, &other.data)));
                    claims.push((j, as_v2(wrapped, &other.data)));
                }
            }
            for (j, claim) in claims {
                let claimed = Marker::of(&claim).unwrap().format().unwrap();
                if let Ok(decoded) = codec.decode(vec![claim]).await {
                    assert_eq!(i, j, "{len} bytes as {claimed}");
                    assert_eq!(one.format, Some(claimed), "{len} bytes");
                    assert_eq!(
                        decoded,
                        std::slice::from_ref(&payload),
                        "{len} bytes as {claimed}"
                    );
                    opened += 1;
                }
            }
        }
        // Each of the three formats, the direct payload twice. At 32 bytes direct mode writes version 2.
        let expected = if direct::may_have_len(len) { 4 } else { 3 };
        assert_eq!(opened, expected, "{len} bytes");
    }
}

#[tokio::test]
async fn no_ciphertext_of_a_payload_is_a_data_key_that_its_author_knows() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let codec = reader(&key);
    for (len, payload) in of_every_len() {
        let plaintext = payload.encode_to_vec();
        let mut dek = [0; 32];
        let known = len.min(32);
        dek[..known].copy_from_slice(&plaintext[..known]);
        for ciphertext in ciphertexts(&key, &payload).await {
            for wrapped in [ciphertext.wrapped, ciphertext.data] {
                let forged = as_v1(&wrapped, &forged_v1_data(dek));
                assert!(codec.decode(vec![forged]).await.is_err(), "{len}");
            }
        }
    }
}

/// What another program encrypts under the same key is out of our hands: a reader that opens version 1 takes 32 of its
/// bytes for a data key. The default reader, and one of direct payloads, do not.
#[tokio::test]
async fn what_the_kms_encrypts_for_others_opens_as_nothing_by_default() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    for len in LENGTHS {
        let ciphertext = key.encrypt(&vec![7; len]).await.unwrap();
        let forged = as_v1(&ciphertext, &forged_v1_data([7; 32]));
        for format in [Format::Envelope, Format::Direct] {
            let codec = writer(&key, format);
            assert!(codec.decode(vec![forged.clone()]).await.is_err(), "{len}");
        }
        let opened = reader(&key).decode(vec![forged]).await;
        assert_eq!(opened.is_ok(), len == 32, "{len}");
    }
}

#[tokio::test]
async fn an_unwrapped_data_key_is_never_read_as_a_payload() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    // Bytes that are a payload: data of 30 bytes.
    let dek: [u8; 32] = of_len(32).unwrap().encode_to_vec().try_into().unwrap();
    let wrapped = key
        .wrap(&Dek::new(dek), &EncryptionContext::empty())
        .await
        .unwrap();
    let refused = refusal(&reader(&key), as_direct(wrapped.as_bytes())).await;
    assert_eq!(refused, PayloadError::NotAuthentic);
}

#[tokio::test]
async fn no_payload_opens_as_an_envelope_of_a_value() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let sealer = Sealer::builder().encrypt_with(key.clone());
    let sealer = sealer.build().unwrap();
    let namespace = EncryptionContext::parse(br#"{"namespace":"n"}"#).unwrap();
    for (len, payload) in of_every_len() {
        let mut ciphertexts = ciphertexts(&key, &payload).await;
        ciphertexts.retain(|ciphertext| ciphertext.format.is_some());
        for Ciphertext { wrapped, data, .. } in ciphertexts {
            for encrypted_data_key in [wrapped, data.clone()] {
                let Some((iv, rest)) = data.split_first_chunk::<NONCE_LEN>() else {
                    continue;
                };
                let (encrypted, auth_tag) = rest.split_at(rest.len() - 16);
                let envelope = DataEnvelope {
                    encrypted: encrypted.to_vec(),
                    encrypted_data_key,
                    iv: iv.to_vec(),
                    auth_tag: auth_tag.to_vec(),
                    key_id: "local://k".to_owned(),
                };
                for context in [&namespace, &EncryptionContext::empty()] {
                    let opened = sealer.open(&envelope, context).await;
                    assert!(opened.is_err(), "{len}");
                }
            }
        }
    }
}
