mod admin;
mod provider;
mod signer;

use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt as _, path::Path};

use tempfile::TempDir;
use temporal_kms::{
    Diagnose as _, KeyService as _, KeyUri, ProviderError, ProviderErrorKind as Kind,
};

use super::{
    LocalKeyring, LocalKms,
    error::{file_error, keyset_error},
    file::FileError,
    keyset::KeysetError,
};

fn keyring() -> (TempDir, LocalKeyring) {
    let folder = TempDir::new().unwrap();
    let keyring = LocalKeyring::open(folder.path().join("keys"));
    (folder, keyring)
}

fn write(keyring: &LocalKeyring, name: &str, content: &str, mode: u32) {
    fs::create_dir_all(&keyring.folder).unwrap();
    let path = keyring.folder.join(format!("{name}.json"));
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A keyset with one key, in Tink's form.
fn tink_keyset(status: &str, prefix: &str, type_url: &str, value: &str) -> String {
    format!(
        r#"{{"primaryKeyId":7,"key":[{{"keyData":{{"typeUrl":"{type_url}","value":"{value}",
            "keyMaterialType":"SYMMETRIC"}},"status":"{status}","keyId":7,"outputPrefixType":"{prefix}"}}]}}"#
    )
}

/// Each error says once what to do. A wrong setting has a remedy of its own.
#[track_caller]
fn says_what_to_do(error: &ProviderError) {
    let text = error.to_string();
    assert_eq!(text.matches("; ").count(), 1, "{text}");
    if error.kind() == Kind::Misconfigured {
        let general = ProviderError::new(Kind::Misconfigured, error.key());
        assert_ne!(error.remedy(), general.remedy(), "{text}");
    }
}

#[test]
fn a_relative_folder_is_named_to_readers_in_other_folders() {
    let kms = LocalKms::in_folder("none");
    let whole = std::env::current_dir().unwrap().join("none");
    assert_eq!(kms.options().keyring.as_deref(), Some(whole.as_path()));
    assert_eq!(kms.arguments(), format!(" --keyring {}", whole.display()));
}

#[test]
fn a_suggested_command_can_be_pasted_into_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = folder.path().join("my keys");
    let word = format!("'{}'", keyring.display());
    let kms = LocalKms::in_folder(&keyring);
    assert_eq!(kms.arguments(), format!(" --keyring {word}"));
    let key: KeyUri = "local://k".parse().unwrap();
    let create = format!("codec-server keys create local://k --keyring {word}");
    let missing = kms.check_key_file(&key).unwrap_err().to_string();
    assert!(missing.contains(&create), "{missing}");

    let path = keyring.join("k.json");
    let versions = format!("codec-server keys versions local://k --keyring {word}");
    let no_version = keyset_error(&key, &path, &KeysetError::NoSuchKey("7".into()));
    assert!(no_version.remedy().ends_with(&versions), "{no_version}");
    for (error, remedy) in [
        (FileError::NoFile(path.clone()), create),
        (
            FileError::NotPrivate {
                path: path.clone(),
                mode: 0o644,
            },
            format!("`chmod 600 '{}'`", path.display()),
        ),
        (
            FileError::FolderNotPrivate {
                path: keyring.clone(),
                mode: 0o777,
            },
            format!("`chmod go-w {word}`"),
        ),
    ] {
        let error = file_error(&key, &path, &error);
        assert!(error.remedy().ends_with(&remedy), "{error}");
        // What happened is for people.
        assert!(!error.what_happened().contains(&word), "{error}");
    }
}

#[test]
fn every_error_of_a_file_says_what_to_do() {
    let key: KeyUri = "local://k".parse().unwrap();
    let path = Path::new("keys/k.json");
    let named = || path.to_owned();
    let failed = |kind| FileError::Io {
        action: "read",
        path: named(),
        kind,
    };
    for error in [
        FileError::NoFolder(named()),
        FileError::NoFile(named()),
        failed(ErrorKind::PermissionDenied),
        failed(ErrorKind::StorageFull),
        failed(ErrorKind::ReadOnlyFilesystem),
        failed(ErrorKind::Other),
        FileError::NotAFolder(named()),
        FileError::NotAFile(named()),
        FileError::TooLarge(named()),
        FileError::Owner {
            path: named(),
            owner: 7,
        },
        FileError::NotPrivate {
            path: named(),
            mode: 0o644,
        },
        FileError::FolderNotPrivate {
            path: named(),
            mode: 0o777,
        },
        FileError::FolderNotPrivate {
            path: named(),
            mode: 0o1777,
        },
    ] {
        says_what_to_do(&file_error(&key, path, &error));
    }
}

#[test]
fn every_error_of_a_keyset_says_what_to_do() {
    let key: KeyUri = "local://k".parse().unwrap();
    let (id, status) = (7, "disabled");
    for error in [
        KeysetError::Json { line: 1, column: 1 },
        KeysetError::Utf16,
        KeysetError::NoPrimary(id),
        KeysetError::PrimaryNotEnabled { id, status },
        KeysetError::NotEnabled { id, status },
        KeysetError::MixedPurposes,
        KeysetError::WrongPurpose("they sign"),
        KeysetError::Key {
            id,
            reason: "its value is not base64",
        },
        KeysetError::NoSuchKey("7".to_owned()),
        KeysetError::IsPrimary(id),
        KeysetError::IsDestroyed(id),
        KeysetError::UnknownPurpose,
        KeysetError::NoRandomness(ErrorKind::Other.into()),
    ] {
        let path = Path::new("keys/k.json");
        says_what_to_do(&keyset_error(&key, path, &error));
    }
}

const AES_GCM: &str = "type.googleapis.com/google.crypto.tink.AesGcmKey";
/// The bytes 0, 1, 2, … as a key.
const VALUE: &str = "GiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==";
