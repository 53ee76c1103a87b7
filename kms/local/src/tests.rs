mod admin;
mod provider;
mod signer;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tempfile::TempDir;

use super::LocalKeyring;

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

const AES_GCM: &str = "type.googleapis.com/google.crypto.tink.AesGcmKey";
/// The bytes 0, 1, 2, … as a key.
const VALUE: &str = "GiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==";
