//! The faulty key follows its instructions.

use super::*;

use Answer::{Fails, FailsAfter, Gives, Panics, Passes, Presumes, Stalls, Takes};
use ProviderErrorKind::{InvalidCiphertext, PermissionDenied, Throttled, Unavailable};

fn context(namespace: &str) -> EncryptionContext {
    EncryptionContext::new([("namespace".to_owned(), namespace.to_owned())].into()).unwrap()
}

#[tokio::test]
async fn without_instructions_the_key_behind_it_answers_and_calls_are_counted() {
    let key = FaultyKey::new("k");
    let (dek, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    assert_eq!(key.wrap(&dek, &context("a")).await.unwrap(), wrapped);
    let opened = key.unwrap(&wrapped, &context("a")).await.unwrap();
    assert_eq!(opened.expose(), dek.expose());
    let ciphertext = key.encrypt(b"x").await.unwrap();
    assert_eq!(*key.decrypt(&ciphertext).await.unwrap(), b"x");
    key.check_usable().await.unwrap();
    assert_eq!((key.calls(), key.calls_of(Operation::Wrap)), (6, 2));
    assert_eq!(key.most_concurrent(), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_come_one_after_another() {
    let key = FaultyKey::new("k");
    let time = Duration::from_secs(5);
    key.next([Fails(Throttled), Passes, Takes(time), Gives(vec![7])]);
    key.next([Presumes(PermissionDenied), FailsAfter(time, Unavailable)]);

    let presumed = key.encrypt(b"x").await.unwrap_err();
    assert!(presumed.is_presumed() && presumed.kind() == PermissionDenied);
    let start = tokio::time::Instant::now();
    assert_eq!(key.encrypt(b"x").await.unwrap_err().kind(), Unavailable);
    assert_eq!(start.elapsed(), time);
    assert_eq!(key.encrypt(b"x").await.unwrap_err().kind(), Throttled);
    assert_eq!(key.encrypt(b"x").await.unwrap(), b"x");
    assert_eq!(key.encrypt(b"x").await.unwrap(), b"x");
    assert_eq!(start.elapsed(), 2 * time);
    assert_eq!(key.encrypt(b"x").await.unwrap(), [7]);
    assert_eq!(key.encrypt(b"x").await.unwrap(), b"x");
}

#[tokio::test]
async fn scripts_see_the_call_and_leave_others_to_older_ones() {
    let key = FaultyKey::new("k");
    key.always_for(&[Operation::Encrypt], Fails(Unavailable));
    key.script(|call| {
        let is_known = call.input == [1] && call.context == Some(&context("a"));
        is_known.then(|| Gives(vec![9; 32]))
    });
    let unwrapped = async |byte, namespace| {
        let wrapped = WrappedDek::new(vec![byte]);
        let dek = key.unwrap(&wrapped, &context(namespace)).await;
        dek.map(|dek| *dek.expose()).map_err(|error| error.kind())
    };
    assert_eq!(unwrapped(1, "a").await, Ok([9; 32]));
    assert_eq!(unwrapped(1, "b").await, Err(InvalidCiphertext));
    assert_eq!(unwrapped(2, "a").await, Err(InvalidCiphertext));
    assert_eq!(key.encrypt(&[1]).await.unwrap_err().kind(), Unavailable);
    assert!(key.decrypt(&[1]).await.is_ok());
}

#[tokio::test]
async fn an_input_has_answers_of_its_own_and_the_last_one_is_repeated() {
    let key = FaultyKey::failing("k", Throttled);
    key.answers(
        b"known",
        [Fails(Unavailable), Gives(vec![1]), Gives(vec![2])],
    );
    assert_eq!(key.decrypt(b"known").await.unwrap_err().kind(), Unavailable);
    for expected in [1, 2, 2] {
        assert_eq!(*key.decrypt(b"known").await.unwrap(), [expected]);
    }
    assert_eq!(key.decrypt(b"other").await.unwrap_err().kind(), Throttled);
}

#[tokio::test]
async fn a_call_that_stalls_is_answered_after_recovery() {
    let key = FaultyKey::new("k");
    key.always(Stalls);
    let mut call = key.encrypt(b"x");
    for _ in 0..3 {
        assert!(futures::poll!(&mut call).is_pending());
    }
    key.next([Fails(Throttled)]);
    key.retry_stalled();
    assert_eq!(call.await.unwrap_err().kind(), Throttled);

    let mut call = key.encrypt(b"x");
    for _ in 0..3 {
        assert!(futures::poll!(&mut call).is_pending());
    }
    key.recover();
    assert_eq!(call.await.unwrap(), b"x");

    // A cancelled call no longer runs.
    key.always(Stalls);
    let mut call = key.encrypt(b"x");
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    assert_eq!(key.most_concurrent(), 1);
}

#[tokio::test]
#[should_panic(expected = "the provider is broken")]
async fn a_broken_provider_panics() {
    let key = FaultyKey::new("k");
    key.next([Panics]);
    let _ = key.check_usable().await;
}
