//! Wrapping and unwrapping data keys.

use std::sync::Arc;

use temporal_kms::{
    Dek, EncryptionContext, KeyProvider, ProviderError, ProviderErrorKind as Kind, WrappedDek,
};

use crate::suite::{Suite, context, kind};

/// Data keys unwrap unchanged, with and without a context, and their wrapped form does not show them.
pub async fn wraps_and_unwraps(suite: &Suite) {
    let key = suite.create("k").await;
    let payments = context(&[("namespace", "payments"), ("env", "production")]);
    for context in [payments, EncryptionContext::empty()] {
        let (dek, wrapped) = key.generate_dek(&context).await.expect("a data key");
        let opened = key.unwrap(&wrapped, &context).await.expect("it opens");
        assert_eq!(opened.expose(), dek.expose());

        let dek = Dek::new([7; 32]);
        let one = key.wrap(&dek, &context).await.expect("wrapped");
        let two = key.wrap(&dek, &context).await.expect("wrapped");
        assert_ne!(one.as_bytes(), two.as_bytes());
        for wrapped in [one, two] {
            let shows = |part: &[u8]| wrapped.as_bytes().windows(part.len()).any(|w| w == part);
            assert!(!shows(&[7; 8]), "the data key is not in what is stored");
            let opened = key.unwrap(&wrapped, &context).await.expect("it opens");
            assert_eq!(opened.expose(), dek.expose());
        }
    }
    let described = key.check_usable().await.expect("described");
    assert_eq!(&described.uri, key.uri());
}

/// A data key unwraps only under its own context.
pub async fn another_context_is_refused(suite: &Suite) {
    let key = suite.create("k").await;
    let asked = context(&[("namespace", "a"), ("env", "test")]);
    let (_, wrapped) = key.generate_dek(&asked).await.expect("a data key");
    for other in [
        context(&[("namespace", "b"), ("env", "test")]),
        context(&[("namespace", "a")]),
        context(&[("namespace", "a"), ("env", "test"), ("more", "1")]),
        context(&[("namespace", "a"), ("Env", "test")]),
        EncryptionContext::empty(),
    ] {
        suite.refuses(
            key.unwrap(&wrapped, &other).await,
            format_args!("{other:?}"),
        );
    }
    let unbound = key
        .wrap(&Dek::new([1; 32]), &EncryptionContext::empty())
        .await
        .expect("wrapped");
    suite.refuses(key.unwrap(&unbound, &asked).await, "an empty context");
}

/// Another key's ciphertexts, and bytes of any length that are not a ciphertext, are refused.
pub async fn foreign_ciphertexts_are_refused(suite: &Suite) {
    let (key, other) = (suite.create("k").await, suite.create("other").await);
    let context = context(&[("namespace", "a")]);
    let (_, wrapped) = other.generate_dek(&context).await.expect("a data key");
    suite.refuses(key.unwrap(&wrapped, &context).await, "another key's");
    for len in [0, 1, 12, 28, 60, 200, 1 << 20] {
        for byte in [0, 1, 0xff] {
            let garbage = WrappedDek::new(vec![byte; len]);
            let what = format_args!("{len} times {byte}");
            suite.refuses(key.unwrap(&garbage, &context).await, what);
        }
    }
}

/// An authentic ciphertext of any length but 32 bytes is not a data key.
pub async fn only_32_bytes_are_a_data_key(suite: &Suite) {
    let key = suite.create("k").await;
    for len in [0, 1, 31, 33, 4096, 4097] {
        if !(key.limits().min_plaintext..=key.limits().max_plaintext).contains(&len) {
            continue;
        }
        // Authentic, of the same key, and with another length.
        let other = WrappedDek::new(key.encrypt(&vec![7; len]).await.expect("encrypted"));
        let refused = kind(key.unwrap(&other, &EncryptionContext::empty()).await);
        assert_eq!(refused, Kind::InvalidCiphertext, "{len} bytes");
    }
}

/// A wrapped data key is refused when one bit is altered, or when it is shorter or longer.
pub async fn no_altered_byte_opens(suite: &Suite) {
    let key = suite.create("k").await;
    let context = context(&[("namespace", "a")]);
    let (dek, wrapped) = key.generate_dek(&context).await.expect("a data key");
    let bytes = wrapped.as_bytes();
    for position in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[position] ^= 1 << (position % 8);
        let opened = key.unwrap(&WrappedDek::new(flipped), &context).await;
        suite.refuses(opened, format_args!("byte {position}"));
    }
    for len in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let cut = WrappedDek::new(bytes[..len].to_vec());
        let opened = key.unwrap(&cut, &context).await;
        suite.refuses(opened, format_args!("the first {len} bytes"));
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    let opened = key.unwrap(&WrappedDek::new(longer), &context).await;
    suite.refuses(opened, "a byte more");

    let opened = key.unwrap(&wrapped, &context).await.expect("as it was");
    assert_eq!(opened.expose(), dek.expose());
}

/// A key that does not exist is reported as not found.
pub async fn an_unknown_key_is_told(suite: &Suite) {
    let asked = async || -> Result<Arc<dyn KeyProvider>, _> {
        let key = suite.try_open("nobody").await?;
        key.check_usable().await?;
        Ok(key)
    };
    assert_eq!(kind(asked().await), Kind::KeyNotFound);
    let Some(admin) = suite.optional_admin().await else {
        return;
    };
    assert_eq!(
        kind(admin.details(&suite.uri("nobody")).await),
        Kind::KeyNotFound
    );
    assert_eq!(
        kind(admin.rotate(&suite.uri("nobody")).await),
        Kind::KeyNotFound
    );
}

/// Concurrent calls do not mix up their answers.
pub async fn serves_many_calls_at_once(suite: &Suite) {
    let key = suite.create("k").await;
    let calls = (0..64_u8).map(|number| {
        let key = key.clone();
        tokio::spawn(async move {
            let context = context(&[("number", &number.to_string())]);
            let wrapped = key.wrap(&Dek::new([number; 32]), &context).await?;
            let dek = key.unwrap(&wrapped, &context).await?;
            assert_eq!(dek.expose(), &[number; 32]);
            Ok::<_, ProviderError>(())
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no panic").expect("it opens");
    }
}
