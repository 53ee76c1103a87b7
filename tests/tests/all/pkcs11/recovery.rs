//! Tokens that come and go while a process runs.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Long enough for every pause between two attempts to find a token.
const SOON: Duration = Duration::from_secs(30);

/// Asks until the answer is `Some`.
async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, asked)
        .await
        .unwrap_or_else(|_| panic!("not within {SOON:?}: {what}"))
}

/// Payloads that do not open, as many as use up every idle session. Each is refused for what it is.
async fn use_up_sessions(key: &Arc<dyn KeyProvider>, wrapped: &WrappedDek) {
    let mut altered = wrapped.as_bytes().to_vec();
    *altered.last_mut().expect("a tag") ^= 1;
    let altered = WrappedDek::new(altered);
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (key, altered) = (key.clone(), altered.clone());
            tokio::spawn(async move { unwrap(&*key, &altered).await })
        })
        .collect();
    for call in calls {
        let answer = call.await.expect("it ends");
        assert_eq!(answer, Err(Kind::InvalidCiphertext));
    }
}

#[test]
fn the_removal_of_another_token_changes_nothing() {
    isolated(|hsm| async move {
        let neighbour = hsm.made_elsewhere("neighbour", "k");
        hsm.stop();
        hsm.initialize();
        let key = made(&hsm, "k").await;
        let wrapped = wrap(&*key).await;
        fs::remove_dir_all(neighbour).expect("removed");
        use_up_sessions(&key, &wrapped).await;
        for _ in 0..10 {
            assert_eq!(unwrap(&*key, &wrapped).await, Ok([7; 32]));
        }
    });
}

#[test]
fn a_token_that_comes_back_is_found_again() {
    isolated(|hsm| async move {
        let [own] = <[_; 1]>::try_from(hsm.token_folders()).expect("one token");
        let key = made(&hsm, "k").await;
        let signer = made_signer(&hsm, "s").await;
        let wrapped = wrap(&*key).await;
        for _ in 0..2 {
            let bring_back = hsm.take_away(&own);
            let kind = eventually("the token's absence is noticed", async || {
                unwrap(&*key, &wrapped).await.err()
            })
            .await;
            assert_eq!(kind, Kind::Unavailable);
            bring_back();
            let dek = eventually("the token is found", async || {
                unwrap(&*key, &wrapped).await.ok()
            })
            .await;
            assert_eq!(dek, [7; 32]);
            signer.sign(b"data").await.expect("signed");
        }
    });
}

#[test]
fn a_token_that_is_made_anew_is_found_by_its_label() {
    isolated(|hsm| async move {
        let [own] = <[_; 1]>::try_from(hsm.token_folders()).expect("one token");
        let key = made(&hsm, "k").await;
        let old = wrap(&*key).await;
        fs::remove_dir_all(own).expect("removed");
        hsm.made_elsewhere("tests", "k");
        let new = eventually("the new key is found", async || {
            let wrapped = key.wrap(&Dek::new([7; 32]), &context("a")).await.ok()?;
            let is_new = wrapped.as_bytes().get(3..12) == Some(b"elsewhere");
            is_new.then_some(wrapped)
        })
        .await;
        assert_eq!(unwrap(&*key, &new).await, Ok([7; 32]));
        assert_eq!(unwrap(&*key, &old).await, Err(Kind::KeyVersionGone));
    });
}

#[test]
fn a_token_that_appears_after_the_start_is_found() {
    isolated(|hsm| async move {
        generate(&hsm, "k", b"\x01", &only_encrypts());
        hsm.made_elsewhere("later", "k");
        let uri = "pkcs11:token=later;object=k".parse().expect("a key");
        let key = options(hsm.options()).key(&uri).await.expect("a key");
        wrap(&*key).await;
    });
}

#[test]
fn calls_of_other_tokens_go_on_while_the_module_is_initialized_again() {
    isolated(|hsm| async move {
        let [own] = <[_; 1]>::try_from(hsm.token_folders()).expect("one token");
        hsm.made_elsewhere("neighbour", "k");
        hsm.stop();
        hsm.initialize();
        let key = made(&hsm, "k").await;
        let wrapped = wrap(&*key).await;
        let uri = "pkcs11:token=neighbour;object=k".parse().expect("a key");
        let neighbour = options(hsm.options()).key(&uri).await.expect("a key");

        let ended = Arc::new(AtomicBool::new(false));
        let others: Vec<_> = (0..6)
            .map(|_| {
                let (neighbour, ended) = (neighbour.clone(), ended.clone());
                tokio::spawn(async move {
                    let mut calls = 0;
                    while !ended.load(Ordering::SeqCst) {
                        let wrapped = wrap(&*neighbour).await;
                        assert_eq!(unwrap(&*neighbour, &wrapped).await, Ok([7; 32]));
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        let bring_back = hsm.take_away(&own);
        eventually("the token's absence is noticed", async || {
            unwrap(&*key, &wrapped).await.err()
        })
        .await;
        bring_back();
        eventually("the token is found", async || {
            unwrap(&*key, &wrapped).await.ok()
        })
        .await;
        ended.store(true, Ordering::SeqCst);
        for other in others {
            assert!(other.await.expect("no call fails") > 0);
        }
    });
}

#[test]
fn a_refused_pin_is_not_sent_again_after_a_recovery() {
    isolated(|hsm| async move {
        let [own] = <[_; 1]>::try_from(hsm.token_folders()).expect("one token");
        let key = made(&hsm, "k").await;
        let wrapped = wrap(&*key).await;
        hsm.write_wrong_pin(Some("112233"));
        let bring_back = hsm.take_away(&own);
        eventually("the token's absence is noticed", async || {
            unwrap(&*key, &wrapped).await.err()
        })
        .await;
        bring_back();
        let refused = async || {
            let error = key.unwrap(&wrapped, &context("a")).await.err()?;
            assert!(!format!("{error} {error:?}").contains("112233"), "{error}");
            (error.kind() == Kind::Misconfigured).then(|| error.to_string())
        };
        let first = eventually("the PIN is refused", refused).await;
        assert!(first.contains("refuses the PIN"), "{first}");
        for _ in 0..2 {
            hsm.stop();
            let again = refused().await.expect("refused");
            assert!(again.contains("not tried again"), "{again}");
        }
        hsm.write_wrong_pin(None);
        assert_eq!(unwrap(&*key, &wrapped).await, Ok([7; 32]));
    });
}

#[test]
fn a_module_that_hangs_takes_few_threads_and_does_not_keep_the_process() {
    isolated(|hsm| async move {
        end_in_time();
        made(&hsm, "k").await;
        let few = hsm.options().with_max_sessions(3);
        let key = options(few).key(&hsm.key("k")).await.expect("a key");
        let wrapped = wrap(&*key).await;
        hsm.hang();
        hang(&*key, &wrapped, 10).await;
        wait_for_threads(3).await;
        // The runtime and the process end now, while the calls go on.
    });
}

/// What a reload does with another `pkcs11_sessions`: it opens the keys again while the ones before are in use.
#[test]
fn another_number_of_sessions_counts_beside_keys_with_the_one_before() {
    isolated(|hsm| async move {
        end_in_time();
        let before = made(&hsm, "k").await;
        let wrapped = wrap(&*before).await;
        let two = async || {
            let options = options(hsm.options().with_max_sessions(2));
            options.key(&hsm.key("k")).await.expect("a key")
        };
        let (key, same) = (two().await, two().await);
        assert_eq!(unwrap(&*key, &wrapped).await, Ok([7; 32]));
        hsm.hang();
        hang(&*key, &wrapped, 3).await;
        wait_for_threads(2).await;
        // Another value with the same settings has no sessions of its own.
        hang(&*same, &wrapped, 3).await;
        assert_eq!(threads(), 2);
        hang(&*before, &wrapped, 3).await;
        wait_for_threads(5).await;
    });
}

/// A process that does not end would not fail but wait.
fn end_in_time() {
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_mins(2));
        std::process::abort();
    });
}

/// Makes calls that hang, and gives each of them up.
async fn hang(key: &dyn KeyProvider, wrapped: &WrappedDek, calls: usize) {
    for _ in 0..calls {
        timeout(Duration::from_millis(100), unwrap(key, wrapped))
            .await
            .expect_err("it hangs");
    }
}

/// Waits until so many threads are in the module. A thread is counted once it runs and has set its name.
async fn wait_for_threads(count: usize) {
    eventually("the threads are in the module", async || {
        (threads() == count).then_some(())
    })
    .await;
}

/// How many threads are in the module.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("the threads");
    let names = tasks.filter_map(|task| {
        let path = task.expect("a thread").path().join("comm");
        fs::read_to_string(path).ok()
    });
    names.filter(|name| name.trim() == "pkcs11").count()
}
