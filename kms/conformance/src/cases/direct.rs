//! Encrypting and decrypting directly.

use temporal_kms::ProviderErrorKind as Kind;

use crate::suite::{Suite, kind};

/// Plaintexts from the shortest to the longest round-trip. Shorter and longer ones are refused before they are
/// encrypted.
pub async fn takes_the_least_and_the_most(suite: &Suite) {
    let key = suite.create("k").await;
    // The limits of a key may depend on its kind.
    key.check_usable().await.expect("described");
    let limits = key.limits();
    let (least, most) = (limits.min_plaintext, limits.max_plaintext);
    assert!(least <= 1 && most >= 4096, "{least} to {most} bytes");
    for len in [least, least + 1, most - 1, most] {
        let plaintext = vec![0x5a; len];
        let ciphertext = key.encrypt(&plaintext).await.expect("encrypted");
        assert!(ciphertext.len() > len);
        let decrypted = key.decrypt(&ciphertext).await.expect("decrypted");
        assert_eq!(*decrypted, plaintext, "{len} bytes");
    }
    let refused = kind(key.encrypt(&vec![0x5a; most + 1]).await);
    assert_eq!(refused, Kind::Misconfigured);
    if let Some(less) = least.checked_sub(1) {
        let refused = kind(key.encrypt(&vec![0x5a; less]).await);
        assert_eq!(refused, Kind::Misconfigured);
    }
}

/// Another key's ciphertexts, altered ones and other bytes are refused.
pub async fn foreign_and_altered_ciphertexts_are_refused(suite: &Suite) {
    let (key, other) = (suite.create("k").await, suite.create("other").await);
    let foreign = other.encrypt(b"secret").await.expect("encrypted");
    suite.refuses(key.decrypt(&foreign).await, "another key's");

    let ciphertext = key.encrypt(b"secret").await.expect("encrypted");
    for position in 0..ciphertext.len() {
        let mut flipped = ciphertext.clone();
        flipped[position] ^= 1 << (position % 8);
        let opened = key.decrypt(&flipped).await;
        suite.refuses(opened, format_args!("byte {position}"));
    }
    for garbage in [vec![], vec![1], vec![0; 100], vec![0xff; 1 << 20]] {
        let what = format_args!("{} bytes", garbage.len());
        suite.refuses(key.decrypt(&garbage).await, what);
    }
    assert_eq!(
        key.decrypt(&ciphertext)
            .await
            .expect("decrypted")
            .as_slice(),
        b"secret"
    );
}
