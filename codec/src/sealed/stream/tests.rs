use std::io::Cursor;

use tempfile::TempDir;

use super::*;
use crate::{
    CacheLimits, DekLimits, EncryptionContext, EnvelopeCipher,
    format::file::{CHUNK_LEN, SEALED_CHUNK_LEN},
    kms::local::LocalKeyring,
};

fn fixture(keys: &[&str]) -> (TempDir, EnvelopeCipher) {
    let folder = TempDir::new().unwrap();
    let cipher = cipher(&folder, keys);
    (folder, cipher)
}

fn cipher(folder: &TempDir, keys: &[&str]) -> EnvelopeCipher {
    let keyring = LocalKeyring::open(folder.path());
    let keys = keys
        .iter()
        .map(|name| keyring.key_or_create(name).unwrap())
        .collect();
    EnvelopeCipher::new(keys, vec![], DekLimits::default(), &CacheLimits::default()).unwrap()
}

fn context() -> EncryptionContext {
    EncryptionContext::new([("file".to_owned(), "backup".to_owned())].into()).unwrap()
}

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 251).to_le_bytes()[0]).collect()
}

async fn seal(cipher: &EnvelopeCipher, data: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let total = cipher
        .seal_stream(data, &mut sealed, &context())
        .await
        .unwrap();
    assert_eq!(total, data.len() as u64);
    sealed
}

async fn open(cipher: &EnvelopeCipher, sealed: &[u8]) -> Result<Vec<u8>, StreamError> {
    let mut opened = Cursor::new(Vec::new());
    let total = cipher.open_stream(sealed, &mut opened, &context()).await?;
    assert_eq!(total, opened.get_ref().len() as u64);
    Ok(opened.into_inner())
}

fn header_len(sealed: &[u8]) -> usize {
    12 + u32::from_be_bytes(sealed[8..12].try_into().unwrap()) as usize + 64
}

#[tokio::test]
async fn every_length_round_trips() {
    let (_folder, cipher) = fixture(&["k"]);
    for len in [
        0,
        1,
        CHUNK_LEN - 1,
        CHUNK_LEN,
        CHUNK_LEN + 1,
        3 * CHUNK_LEN,
        5 * CHUNK_LEN + 7,
    ] {
        let sealed = seal(&cipher, &data(len)).await;
        let chunks = len.div_ceil(CHUNK_LEN).max(1);
        assert_eq!(
            sealed.len(),
            header_len(&sealed) + len + 16 * chunks,
            "{len}"
        );
        assert_eq!(open(&cipher, &sealed).await.unwrap(), data(len), "{len}");
    }
}

#[tokio::test]
async fn what_is_cut_off_anywhere_is_refused() {
    let (_folder, cipher) = fixture(&["k"]);
    let sealed = seal(&cipher, &data(3 * CHUNK_LEN)).await;
    let header = header_len(&sealed);
    for chunks in 0..3 {
        let cut = &sealed[..header + chunks * SEALED_CHUNK_LEN];
        assert!(
            matches!(open(&cipher, cut).await, Err(StreamError::Truncated)),
            "{chunks} chunks"
        );
    }
    for len in [
        0,
        5,
        11,
        12,
        40,
        header - 1,
        header + 1,
        header + 17,
        sealed.len() - 1,
    ] {
        let error = open(&cipher, &sealed[..len]).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("incomplete"), "{len} bytes: {said}");
    }
}

#[tokio::test]
async fn altered_moved_repeated_and_added_chunks_are_refused() {
    let (_folder, cipher) = fixture(&["k"]);
    let sealed = seal(&cipher, &data(3 * CHUNK_LEN)).await;
    let header = header_len(&sealed);
    let chunk = |n: usize| sealed[header + n * SEALED_CHUNK_LEN..][..SEALED_CHUNK_LEN].to_vec();
    let start = sealed[..header].to_vec();
    for wrong in [
        [start.clone(), chunk(1), chunk(0), chunk(2)].concat(),
        [start.clone(), chunk(0), chunk(0), chunk(1), chunk(2)].concat(),
        [start.clone(), chunk(0), chunk(2)].concat(),
        [start.clone(), chunk(2)].concat(),
        [sealed.clone(), chunk(2)].concat(),
        [sealed.clone(), vec![0]].concat(),
        [sealed.clone(), vec![0; 16]].concat(),
    ] {
        let error = open(&cipher, &wrong).await.unwrap_err();
        assert!(is_altered(&error), "{error:?}");
    }
    for position in (0..header).chain([header, sealed.len() - 1]) {
        let mut altered = sealed.clone();
        altered[position] ^= 1;
        let error = open(&cipher, &altered).await.unwrap_err();
        let is_payloads = matches!(error, StreamError::Codec(Error::Payload(_)));
        assert!(
            is_payloads || is_altered(&error),
            "byte {position}: {error:?}"
        );
    }
    // A header of another file with the same data key.
    let other = seal(&cipher, &data(3 * CHUNK_LEN)).await;
    let swapped = [&other[..header], &sealed[header..]].concat();
    assert!(matches!(
        open(&cipher, &swapped).await,
        Err(StreamError::NotAuthentic)
    ));
}

/// A stream whose end was altered cannot be told from one whose end is missing.
fn is_altered(error: &StreamError) -> bool {
    matches!(
        error,
        StreamError::NotAuthentic | StreamError::IncompleteOrAltered | StreamError::Truncated
    )
}

#[tokio::test]
async fn another_context_or_key_is_refused_and_any_recipient_opens() {
    let (folder, both) = fixture(&["a", "b"]);
    let sealed = seal(&both, b"x").await;
    for name in ["a", "b"] {
        assert_eq!(
            open(&cipher(&folder, &[name]), &sealed).await.unwrap(),
            b"x"
        );
    }
    let stranger = open(&cipher(&folder, &["c"]), &sealed).await.unwrap_err();
    assert!(matches!(
        stranger,
        StreamError::Codec(Error::Payload(PayloadError::KeyNotAllowed { .. }))
    ));
    let other = EncryptionContext::new([("file".to_owned(), "other".to_owned())].into()).unwrap();
    let elsewhere = both.open_stream(&*sealed, &mut Vec::new(), &other).await;
    assert!(matches!(elsewhere, Err(StreamError::NotAuthentic)));
    let zip = open(&both, b"PK\x03\x04 is not a sealed file").await;
    assert!(
        matches!(
            zip,
            Err(StreamError::Codec(Error::Payload(PayloadError::Malformed(
                _
            ))))
        ),
        "{zip:?}"
    );
}

/// A data key that is wrapped under the empty context cannot be told from what direct mode encrypts.
#[tokio::test]
async fn the_empty_context_is_refused_both_ways() {
    let (_folder, cipher) = fixture(&["k"]);
    let (empty, sealed) = (EncryptionContext::empty(), seal(&cipher, b"x").await);
    let sealing = cipher.seal_stream(&b"x"[..], Vec::new(), &empty).await;
    let opening = cipher.open_stream(&*sealed, Vec::new(), &empty).await;
    for refused in [sealing, opening] {
        assert!(matches!(
            refused,
            Err(StreamError::Codec(Error::Configuration(_)))
        ));
    }
}
