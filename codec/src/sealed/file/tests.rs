//! Sealed files that were cut, altered or moved.

#![allow(
    clippy::similar_names,
    reason = "`sealer` and `sealed` are the terms of the field"
)]

use std::io::Cursor;

use tempfile::TempDir;
use temporal_kms_local::LocalKeyring;

use super::*;
use crate::{
    EncryptionContext, Sealer, SealerBuilder,
    format::file::{CHUNK_LEN, SEALED_CHUNK_LEN},
    kms::ProviderErrorKind,
};

fn fixture(keys: &[&str]) -> (TempDir, Sealer) {
    let folder = TempDir::new().unwrap();
    let sealer = sealer(&folder, keys);
    (folder, sealer)
}

fn sealer(folder: &TempDir, keys: &[&str]) -> Sealer {
    let keyring = LocalKeyring::open(folder.path());
    let keys = keys.iter().map(|name| keyring.key_or_create(name).unwrap());
    keys.fold(Sealer::builder(), SealerBuilder::encrypt_with)
        .build()
        .unwrap()
}

fn context() -> EncryptionContext {
    EncryptionContext::new([("file".to_owned(), "backup".to_owned())].into()).unwrap()
}

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 251).to_le_bytes()[0]).collect()
}

async fn seal(sealer: &Sealer, data: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let total = sealer
        .seal_file(data, &mut sealed, &context())
        .await
        .unwrap();
    assert_eq!(total, data.len() as u64);
    sealed
}

async fn open(sealer: &Sealer, sealed: &[u8]) -> Result<Vec<u8>, SealedFileError> {
    let mut opened = Cursor::new(Vec::new());
    let total = sealer.open_file(sealed, &mut opened, &context()).await?;
    assert_eq!(total, opened.get_ref().len() as u64);
    Ok(opened.into_inner())
}

fn header_len(sealed: &[u8]) -> usize {
    12 + u32::from_be_bytes(sealed[8..12].try_into().unwrap()) as usize + 64
}

#[tokio::test]
async fn a_file_names_its_keys_without_a_key() {
    let (_folder, sealer) = fixture(&["a", "b"]);
    let sealed = seal(&sealer, &data(10)).await;
    let named = Sealer::keys_of_file(&sealed[..]).await.unwrap();
    let mut names: Vec<String> = named.iter().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["local://a", "local://b"]);
    // Only the header is read.
    let header = &sealed[..header_len(&sealed) - 32];
    assert_eq!(Sealer::keys_of_file(header).await.unwrap(), named);
    let cut = &header[..header.len() - 1];
    let cut = Sealer::keys_of_file(cut).await.unwrap_err();
    assert!(matches!(cut, SealedFileError::Truncated), "{cut}");
    let other = Sealer::keys_of_file(&b"not a sealed file"[..]).await;
    assert!(other.is_err());
}

#[tokio::test]
async fn every_length_round_trips() {
    let (_folder, sealer) = fixture(&["k"]);
    for len in [
        0,
        1,
        CHUNK_LEN - 1,
        CHUNK_LEN,
        CHUNK_LEN + 1,
        3 * CHUNK_LEN,
        5 * CHUNK_LEN + 7,
    ] {
        let sealed = seal(&sealer, &data(len)).await;
        let chunks = len.div_ceil(CHUNK_LEN).max(1);
        assert_eq!(
            sealed.len(),
            header_len(&sealed) + len + 16 * chunks,
            "{len}"
        );
        assert_eq!(open(&sealer, &sealed).await.unwrap(), data(len), "{len}");
    }
}

#[tokio::test]
async fn what_is_cut_off_anywhere_is_refused() {
    let (_folder, sealer) = fixture(&["k"]);
    let sealed = seal(&sealer, &data(3 * CHUNK_LEN)).await;
    let header = header_len(&sealed);
    for chunks in 0..3 {
        let cut = &sealed[..header + chunks * SEALED_CHUNK_LEN];
        assert!(
            matches!(open(&sealer, cut).await, Err(SealedFileError::Truncated)),
            "{chunks} chunks"
        );
    }
    for len in [
        1,
        5,
        11,
        12,
        40,
        header - 1,
        header + 1,
        header + 17,
        sealed.len() - 1,
    ] {
        let error = open(&sealer, &sealed[..len]).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("incomplete"), "{len} bytes: {said}");
    }
}

#[tokio::test]
async fn altered_moved_repeated_and_added_chunks_are_refused() {
    let (_folder, sealer) = fixture(&["k"]);
    let sealed = seal(&sealer, &data(3 * CHUNK_LEN)).await;
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
        let error = open(&sealer, &wrong).await.unwrap_err();
        assert!(is_altered(&error), "{error:?}");
    }
    for position in (0..header).chain([header, sealed.len() - 1]) {
        let mut altered = sealed.clone();
        altered[position] ^= 1;
        let error = open(&sealer, &altered).await.unwrap_err();
        // The header also names the key and its version.
        let is_elsewhere = match &error {
            SealedFileError::NotSealed | SealedFileError::Codec(Error::Payload(_)) => true,
            SealedFileError::Codec(Error::Provider(error)) => {
                error.kind() == ProviderErrorKind::KeyVersionGone
            }
            _ => false,
        };
        assert!(
            is_elsewhere || is_altered(&error),
            "byte {position}: {error:?}"
        );
    }
    // A header of another file with the same data key.
    let other = seal(&sealer, &data(3 * CHUNK_LEN)).await;
    let swapped = [&other[..header], &sealed[header..]].concat();
    assert!(matches!(
        open(&sealer, &swapped).await,
        Err(SealedFileError::NotAuthentic)
    ));
}

/// A stream whose end was altered cannot be told from one whose end is missing.
fn is_altered(error: &SealedFileError) -> bool {
    matches!(
        error,
        SealedFileError::NotAuthentic
            | SealedFileError::IncompleteOrAltered
            | SealedFileError::Truncated
    )
}

#[tokio::test]
async fn another_context_or_key_is_refused_and_any_recipient_opens() {
    let (folder, both) = fixture(&["a", "b"]);
    let sealed = seal(&both, b"x").await;
    for name in ["a", "b"] {
        assert_eq!(
            open(&sealer(&folder, &[name]), &sealed).await.unwrap(),
            b"x"
        );
    }
    let stranger = open(&sealer(&folder, &["c"]), &sealed).await.unwrap_err();
    assert!(matches!(
        stranger,
        SealedFileError::Codec(Error::Payload(PayloadError::KeyNotAllowed { .. }))
    ));
    let other = EncryptionContext::new([("file".to_owned(), "other".to_owned())].into()).unwrap();
    let elsewhere = both.open_file(&*sealed, &mut Vec::new(), &other).await;
    assert!(matches!(elsewhere, Err(SealedFileError::NotAuthentic)));
    for other in [&b""[..], b"plain", b"PK\x03\x04 is not a sealed file"] {
        let refused = open(&both, other).await;
        assert!(
            matches!(refused, Err(SealedFileError::NotSealed)),
            "{refused:?}"
        );
    }
}

/// A data key that is wrapped under the empty context cannot be told from what direct mode encrypts.
#[tokio::test]
async fn the_empty_context_is_refused_both_ways() {
    let (_folder, sealer) = fixture(&["k"]);
    let (empty, sealed) = (EncryptionContext::empty(), seal(&sealer, b"x").await);
    let sealing = sealer.seal_file(&b"x"[..], Vec::new(), &empty).await;
    let opening = sealer.open_file(&*sealed, Vec::new(), &empty).await;
    for refused in [sealing, opening] {
        assert!(matches!(
            refused,
            Err(SealedFileError::Codec(Error::Configuration(_)))
        ));
    }
}

#[test]
fn every_error_names_its_subject_and_what_to_do() {
    use SealedFileError as E;
    let all = [
        E::Read(io::ErrorKind::PermissionDenied.into()),
        E::Write(io::ErrorKind::StorageFull.into()),
        E::NotSealed,
        E::Truncated,
        E::IncompleteOrAltered,
        E::NotAuthentic,
        E::Codec(PayloadError::Malformed("its header is short").into()),
    ];
    for error in all {
        // A new variant does not compile until it is here.
        let (subject, remedy) = match error {
            E::Read(_) => ("the input", "check its path"),
            E::Write(_) => ("the output", "the free space"),
            E::NotSealed => ("the input", "check its name"),
            E::Truncated | E::IncompleteOrAltered => ("the input", "transfer the file again"),
            E::NotAuthentic => ("the input", "open it with the context and the key"),
            E::Codec(_) => ("its header is short", "Check the program"),
        };
        let text = error.to_string();
        assert!(text.contains(subject) && text.contains(remedy), "{text}");
    }
}
