use temporal_kms_codec::kms::ProviderErrorKind as Kind;

use crate::conformance::service::{Bench, kind};

pub(crate) async fn takes_the_least_and_the_most(bench: &Bench) {
    let key = bench.made("k").await;
    // What a key takes may depend on what it is.
    key.describe().await.expect("described");
    let (least, most) = (key.min_plaintext(), key.max_plaintext());
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

pub(crate) async fn foreign_and_altered_ciphertexts_are_refused(bench: &Bench) {
    let (key, other) = (bench.made("k").await, bench.made("other").await);
    let foreign = other.encrypt(b"secret").await.expect("encrypted");
    bench.refuses(key.decrypt(&foreign).await, "another key's");

    let ciphertext = key.encrypt(b"secret").await.expect("encrypted");
    for position in 0..ciphertext.len() {
        let mut flipped = ciphertext.clone();
        flipped[position] ^= 1 << (position % 8);
        let opened = key.decrypt(&flipped).await;
        bench.refuses(opened, format_args!("byte {position}"));
    }
    for garbage in [vec![], vec![1], vec![0; 100], vec![0xff; 1 << 20]] {
        let what = format_args!("{} bytes", garbage.len());
        bench.refuses(key.decrypt(&garbage).await, what);
    }
    assert_eq!(
        key.decrypt(&ciphertext)
            .await
            .expect("decrypted")
            .as_slice(),
        b"secret"
    );
}
