use std::fs;

use super::{AES_GCM, LocalKeyring, VALUE, keyring, mode, says_what_to_do, tink_keyset, write};
use temporal_kms::{
    Dek, EncryptionContext, KeyAdmin as _, ProviderError, ProviderErrorKind as Kind, WrappedDek,
};

fn context(namespace: &str) -> EncryptionContext {
    EncryptionContext::parse(format!(r#"{{"namespace":"{namespace}"}}"#).as_bytes()).unwrap()
}

#[tokio::test]
async fn a_new_keyset_is_private_and_wraps_and_unwraps() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("default").unwrap();
    assert_eq!(mode(&keyring.folder.join("default.json")), 0o600);
    assert_eq!(mode(&keyring.folder), 0o700);

    let dek = Dek::new([3; 32]);
    let wrapped = key.wrap(&dek, &context("a")).await.unwrap();
    assert_eq!(wrapped.as_bytes().len(), 5 + 12 + 32 + 16);
    assert_eq!(
        key.unwrap(&wrapped, &context("a")).await.unwrap().expose(),
        dek.expose()
    );
    assert_eq!(key.uri().to_string(), "local://default");

    // Created once, then read.
    let again = keyring.key_or_create("default").unwrap();
    assert_eq!(
        again
            .unwrap(&wrapped, &context("a"))
            .await
            .unwrap()
            .expose(),
        dek.expose()
    );
}

#[tokio::test]
async fn unwraps_nothing_but_what_it_wrapped_under_the_same_context() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("default").unwrap();
    let other = keyring.key_or_create("other").unwrap();
    let wrapped = key.wrap(&Dek::new([3; 32]), &context("a")).await.unwrap();
    let refused = |result: Result<Dek, ProviderError>| {
        let kind = result.unwrap_err().kind();
        // With an altered key id, the keyset does not hold that key.
        assert!(
            [Kind::InvalidCiphertext, Kind::KeyVersionGone].contains(&kind),
            "{kind:?}"
        );
    };

    refused(key.unwrap(&wrapped, &context("b")).await);
    refused(key.unwrap(&wrapped, &EncryptionContext::empty()).await);
    refused(other.unwrap(&wrapped, &context("a")).await);
    for position in 0..wrapped.as_bytes().len() {
        let mut flipped = wrapped.as_bytes().to_vec();
        flipped[position] ^= 1;
        refused(key.unwrap(&WrappedDek::new(flipped), &context("a")).await);
    }
    for len in 0..wrapped.as_bytes().len() {
        let cut = wrapped.as_bytes()[..len].to_vec();
        refused(key.unwrap(&WrappedDek::new(cut), &context("a")).await);
    }
    // Authentic, but no data key.
    let short = key.encrypt(b"16 bytes, no key").await.unwrap();
    refused(
        key.unwrap(&WrappedDek::new(short), &EncryptionContext::empty())
            .await,
    );
}

#[tokio::test]
async fn rotation_keeps_old_keys_and_reaches_running_processes() {
    let (_folder, keyring) = keyring();
    let running = keyring.key_or_create("default").unwrap();
    let old = running
        .wrap(&Dek::new([1; 32]), &context("a"))
        .await
        .unwrap();

    let id = keyring.rotate("default").unwrap();
    let new = running
        .wrap(&Dek::new([2; 32]), &context("a"))
        .await
        .unwrap();
    assert_eq!(new.as_bytes()[1..5], id.to_be_bytes());
    assert_ne!(old.as_bytes()[1..5], id.to_be_bytes());
    assert_eq!(
        running.check_usable().await.unwrap().primary_version,
        id.to_string()
    );
    assert_eq!(
        running.unwrap(&old, &context("a")).await.unwrap().expose(),
        &[1; 32]
    );
    assert_eq!(mode(&keyring.folder.join("default.json")), 0o600);
}

#[test]
fn processes_that_start_together_share_one_keyset() {
    let (_folder, keyring) = keyring();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let keyring = keyring.clone();
            std::thread::spawn(move || {
                let key = keyring.key_or_create("default").unwrap();
                futures::executor::block_on(key.check_usable())
                    .unwrap()
                    .primary_version
            })
        })
        .collect();
    let mut versions: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    versions.dedup();
    assert_eq!(versions.len(), 1, "{versions:?}");
}

#[tokio::test]
async fn a_disabled_key_neither_wraps_nor_unwraps() {
    let (_folder, keyring) = keyring();
    write(
        &keyring,
        "k",
        &tink_keyset("ENABLED", "TINK", AES_GCM, VALUE),
        0o600,
    );
    let key = keyring.key("k").unwrap();
    let wrapped = key.wrap(&Dek::new([1; 32]), &context("a")).await.unwrap();

    keyring.rotate("k").unwrap();
    let path = keyring.folder.join("k.json");
    let disabled = fs::read_to_string(&path)
        .unwrap()
        .replacen("ENABLED", "DISABLED", 1);
    write(&keyring, "k", &disabled, 0o600);
    let error = key.unwrap(&wrapped, &context("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyDisabled);
    assert!(error.to_string().contains("key 7"), "{error}");
}

/// A keyset is refused with what to do, and its key is not repeated.
fn is_refused(keyring: &LocalKeyring, name: &str, kind: Kind, text: &str) {
    let error = keyring.key_or_create(name).unwrap_err();
    assert_eq!(error.kind(), kind, "{name}: {error}");
    assert!(error.to_string().contains(text), "{name}: {error}");
    says_what_to_do(&error);
    assert!(!format!("{error}{error:?}").contains(VALUE), "{name}");
}

#[test]
fn refuses_json_that_is_not_a_keyset() {
    const NO_KEYSET: &str = "not a Tink JSON keyset";

    let (_folder, keyring) = keyring();
    let good = tink_keyset("ENABLED", "TINK", AES_GCM, VALUE);
    let cases = [
        ("json", good.replace('}', ""), NO_KEYSET),
        ("empty", String::new(), "line 1, column 0"),
        (
            "array",
            format!(r#"[7,[[["{AES_GCM}","{VALUE}","SYMMETRIC"],"ENABLED",7,"TINK"]]]"#),
            NO_KEYSET,
        ),
        (
            "arraykey",
            format!(
                r#"{{"primaryKeyId":7,"key":[[{{"typeUrl":"{AES_GCM}","value":"{VALUE}","keyMaterialType":"SYMMETRIC"}},"ENABLED",7,"TINK"]]}}"#
            ),
            NO_KEYSET,
        ),
        (
            "arraydata",
            format!(
                r#"{{"primaryKeyId":7,"key":[{{"keyData":["{AES_GCM}","{VALUE}","SYMMETRIC"],"status":"ENABLED","keyId":7,"outputPrefixType":"TINK"}}]}}"#
            ),
            NO_KEYSET,
        ),
        (
            "status",
            good.replace(r#""ENABLED""#, r#"{"ENABLED":null}"#),
            NO_KEYSET,
        ),
    ];
    for (name, content, text) in cases {
        write(&keyring, name, &content, 0o600);
        is_refused(&keyring, name, Kind::Misconfigured, text);
    }
}

#[test]
fn refuses_each_broken_keyset_with_what_to_do() {
    let (_folder, keyring) = keyring();
    let good = tink_keyset("ENABLED", "TINK", AES_GCM, VALUE);
    let cases = [
        (
            "group",
            good.clone(),
            0o640,
            Kind::Misconfigured,
            "chmod 600",
        ),
        (
            "world",
            good.clone(),
            0o604,
            Kind::Misconfigured,
            "mode 0604",
        ),
        (
            "nokeys",
            r#"{"primaryKeyId":7,"key":[]}"#.into(),
            0o600,
            Kind::Misconfigured,
            "primary key's id 7",
        ),
        (
            "off",
            tink_keyset("DISABLED", "TINK", AES_GCM, VALUE),
            0o600,
            Kind::KeyDisabled,
            "key 7 is disabled",
        ),
        (
            "raw",
            tink_keyset("ENABLED", "RAW", AES_GCM, VALUE),
            0o600,
            Kind::Misconfigured,
            "type TINK",
        ),
        (
            "type",
            tink_keyset("ENABLED", "TINK", "x/AesEaxKey", VALUE),
            0o600,
            Kind::Misconfigured,
            "only AesGcmKey",
        ),
        (
            "b64",
            tink_keyset("ENABLED", "TINK", AES_GCM, "?"),
            0o600,
            Kind::Misconfigured,
            "not base64",
        ),
        (
            "proto",
            tink_keyset("ENABLED", "TINK", AES_GCM, "/////w=="),
            0o600,
            Kind::Misconfigured,
            "not an AesGcmKey message",
        ),
        (
            "short",
            tink_keyset("ENABLED", "TINK", AES_GCM, "GhAAAQIDBAUGBwgJCgsMDQ4P"),
            0o600,
            Kind::Misconfigured,
            "256 bits",
        ),
    ];
    for (name, content, mode, kind, text) in cases {
        write(&keyring, name, &content, mode);
        is_refused(&keyring, name, kind, text);
    }
    assert_eq!(keyring.key("absent").unwrap_err().kind(), Kind::KeyNotFound);
    assert_eq!(
        keyring.key("../up").unwrap_err().kind(),
        Kind::Misconfigured
    );
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped_and_utf_16_is_named() {
    let (_folder, keyring) = keyring();
    let good = tink_keyset("ENABLED", "TINK", AES_GCM, VALUE);
    write(&keyring, "bom", &format!("\u{feff}{good}"), 0o600);
    keyring.key("bom").unwrap();

    let units: Vec<u16> = format!("\u{feff}{good}").encode_utf16().collect();
    for bytes in [
        units.iter().copied().flat_map(u16::to_le_bytes).collect(),
        units
            .iter()
            .copied()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<_>>(),
    ] {
        write(&keyring, "utf16", "", 0o600);
        fs::write(keyring.folder.join("utf16.json"), bytes).unwrap();
        let error = keyring.key("utf16").unwrap_err().to_string();
        assert!(
            error.contains("utf16.json: it is UTF-16; save it as UTF-8"),
            "{error}"
        );
    }
}

#[test]
fn a_link_a_pipe_and_a_device_are_refused_without_waiting() {
    use nix::{sys::stat::Mode, unistd::mkfifo};

    let (_folder, keyring) = keyring();
    let good = tink_keyset("ENABLED", "TINK", AES_GCM, VALUE);
    write(&keyring, "real", &good, 0o600);
    let path = |name: &str| keyring.folder.join(name);
    std::os::unix::fs::symlink(path("real.json"), path("link.json")).unwrap();
    std::os::unix::fs::symlink(path("nothing"), path("dangling.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path("device.json")).unwrap();
    mkfifo(&path("pipe.json"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    fs::create_dir(path("folder.json")).unwrap();
    for name in ["link", "dangling", "device", "pipe", "folder"] {
        for error in [
            keyring.key(name).unwrap_err(),
            keyring.key_or_create(name).unwrap_err(),
            keyring.rotate(name).unwrap_err(),
        ] {
            let text = error.to_string();
            assert_eq!(error.kind(), Kind::Misconfigured, "{text}");
            assert!(
                text.contains(&format!("{name}.json is not a regular file")),
                "{text}"
            );
        }
    }
    // A lock file of another program.
    mkfifo(&path("real.lock"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let error = keyring.rotate("real").unwrap_err().to_string();
    assert!(error.contains("real.lock"), "{error}");
    keyring.key("real").unwrap();
}

#[test]
fn what_to_do_about_a_file_is_told_apart() {
    let (_folder, keyring) = keyring();
    let file = keyring.folder.join("k.json");
    let file = file.display();
    let good = tink_keyset("ENABLED", "TINK", AES_GCM, VALUE);
    for (content, mode, happened, remedy) in [
        (
            "{",
            0o600,
            format!("{file}: the file is damaged: not a Tink JSON keyset (line 1, column 1)"),
            "correct it, or restore it from a backup".to_owned(),
        ),
        (
            good.as_str(),
            0o640,
            format!("other users can access {file} (mode 0640)"),
            format!("run `chmod 600 {file}`"),
        ),
    ] {
        write(&keyring, "k", content, mode);
        let error = keyring.key("k").unwrap_err();
        assert_eq!(error.what_happened(), happened);
        assert_eq!(error.remedy(), remedy);
        assert_eq!(error.to_string(), format!("{happened}; {remedy}"));
    }
}

#[tokio::test]
async fn a_missing_version_is_not_a_missing_key() {
    let (_folder, keyring) = keyring();
    keyring.key_or_create("k").unwrap();
    let key = "local://k".parse().unwrap();
    let error = keyring.set_primary(&key, "7").await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyNotFound);
    assert!(!error.is_key_missing(), "{error}");
    says_what_to_do(&error);
    let folder = keyring.folder.display();
    assert_eq!(
        error.to_string(),
        format!(
            "local://k: the key has no version \"7\"; name one that this command lists: codec-server keys versions local://k --keyring {folder}"
        )
    );
    let missing = keyring.key("absent").unwrap_err();
    assert!(missing.is_key_missing(), "{missing}");
}

#[test]
fn a_large_keyset_is_refused() {
    let (_folder, keyring) = keyring();
    write(&keyring, "large", &" ".repeat((1 << 20) + 1), 0o600);
    let error = keyring.key("large").unwrap_err().to_string();
    assert!(error.contains("large.json is larger than 1 MiB"), "{error}");
}

#[test]
fn a_keyring_that_others_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let (_folder, keyring) = keyring();
    keyring.key_or_create("k").unwrap();
    let set = |mode| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(&keyring.folder, permissions).unwrap();
    };
    for mode in [0o777, 0o1777, 0o770, 0o702] {
        set(mode);
        for error in [
            keyring.key("k").unwrap_err(),
            keyring.key_or_create("new").unwrap_err(),
            keyring.rotate("k").unwrap_err(),
        ] {
            let text = error.to_string();
            let folder = keyring.folder.display();
            let remedy = if mode == 0o1777 {
                format!("; name a folder of your own below it, such as {folder}/keys")
            } else {
                format!("; run `chmod go-w {folder}`")
            };
            assert!(text.ends_with(&remedy), "{text}");
        }
    }
    assert!(!keyring.folder.join("new.json").exists());
    for mode in [0o755, 0o700, 0o2750] {
        set(mode);
        keyring.key("k").unwrap();
    }
}

#[test]
fn a_missing_keyring_is_told_apart_from_a_missing_key() {
    let (folder, keyring) = keyring();
    let path = keyring.folder.display().to_string();
    let error = keyring.key("default").unwrap_err();
    assert_eq!(error.kind(), Kind::KeyNotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "no keyring {path}; create it with its key: codec-server keys create local://default --keyring {path}"
        )
    );
    assert_eq!(error.what_happened(), format!("no keyring {path}"));
    keyring.key_or_create("other").unwrap();
    let error = keyring.key("default").unwrap_err();
    assert_eq!(error.kind(), Kind::KeyNotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "no key local://default in {path}; create it: codec-server keys create local://default --keyring {path}"
        )
    );
    assert_eq!(
        error.what_happened(),
        format!("no key local://default in {path}")
    );
    let create = format!("create it: codec-server keys create local://default --keyring {path}");
    assert_eq!(error.remedy(), create);
    assert_eq!(
        keyring.rotate("default").unwrap_err().kind(),
        Kind::KeyNotFound
    );

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for folder in [file.clone(), file.join("below")] {
        let keyring = LocalKeyring::open(&folder);
        for error in [
            keyring.key("k").unwrap_err(),
            keyring.key_or_create("k").unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains("is not a folder"), "{text}");
            assert!(!text.contains("File exists"), "{text}");
        }
    }
}

#[test]
fn rotations_at_the_same_time_lose_no_key() {
    let (_folder, keyring) = keyring();
    keyring.key_or_create("k").unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let keyring = keyring.clone();
            std::thread::spawn(move || keyring.rotate("k").unwrap().to_string())
        })
        .collect();
    let made: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    let uri = "local://k".parse().unwrap();
    let versions = futures::executor::block_on(keyring.versions(&uri)).unwrap();
    assert_eq!(versions.len(), 9);
    for id in made {
        assert!(
            versions.iter().any(|version| version.id == id),
            "{id} is lost"
        );
    }
}

#[tokio::test]
async fn encrypts_up_to_its_limit() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("default").unwrap();
    for plaintext in [vec![], vec![5; key.limits().max_plaintext]] {
        let ciphertext = key.encrypt(&plaintext).await.unwrap();
        assert_eq!(*key.decrypt(&ciphertext).await.unwrap(), plaintext);
    }
    let kind = |result: Result<(), ProviderError>| result.unwrap_err().kind();
    let too_long = vec![5; key.limits().max_plaintext + 1];
    assert_eq!(
        kind(key.encrypt(&too_long).await.map(drop)),
        Kind::Misconfigured
    );
    assert_eq!(
        kind(key.decrypt(b"").await.map(drop)),
        Kind::InvalidCiphertext
    );
}
