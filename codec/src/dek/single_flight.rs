//! One call for all callers that ask for the same thing at the same time.

use std::{collections::HashMap, hash::Hash, panic::AssertUnwindSafe, pin::Pin};

use futures::{
    FutureExt as _,
    future::{Shared, WeakShared},
};
use parking_lot::Mutex;

use crate::Error;

type Call<V> = Pin<Box<dyn Future<Output = Result<V, Error>> + Send>>;

/// Runs one call for all callers that ask for the same thing at the same time, and gives each of them its answer or its
/// error.
///
/// The callers drive the call. It ends when no caller waits any more, as with requests that were given up.
pub(crate) struct SingleFlight<K, V: Clone> {
    calls: Mutex<HashMap<K, WeakShared<Call<V>>>>,
}

impl<K, V> SingleFlight<K, V>
where
    K: Eq + Hash,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            calls: Mutex::new(HashMap::new()),
        }
    }

    /// The answer to `key`: of the call that is under way, or of the one that `start` makes. Should the call panic, its
    /// callers get `lost`, and the next caller starts a new one.
    pub(crate) async fn run<F>(
        &self,
        key: K,
        lost: Error,
        start: impl FnOnce() -> F,
    ) -> Result<V, Error>
    where
        F: Future<Output = Result<V, Error>> + Send + 'static,
    {
        self.join(key, lost, start).await
    }

    fn join<F>(&self, key: K, lost: Error, start: impl FnOnce() -> F) -> Shared<Call<V>>
    where
        F: Future<Output = Result<V, Error>> + Send + 'static,
    {
        let mut calls = self.calls.lock();
        if let Some(call) = calls.get(&key).and_then(under_way) {
            return call;
        }
        calls.retain(|_, call| under_way(call).is_some());
        // What a call shares with the outside is behind locks that a panic does not poison.
        let call = AssertUnwindSafe(start())
            .catch_unwind()
            .map(|answer| answer.unwrap_or(Err(lost)))
            .boxed()
            .shared();
        if let Some(handle) = call.downgrade() {
            calls.insert(key, handle);
        }
        call
    }

    pub(crate) fn is_running(&self, key: &K) -> bool {
        self.calls.lock().get(key).and_then(under_way).is_some()
    }
}

/// The call, unless it has answered or all callers gave it up.
fn under_way<V: Clone>(call: &WeakShared<Call<V>>) -> Option<Shared<Call<V>>> {
    call.upgrade().filter(|call| call.peek().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PayloadError;

    fn lost() -> Error {
        PayloadError::NotTried.into()
    }

    #[tokio::test]
    async fn one_call_answers_everybody_who_waits() {
        let (answer, receive) = tokio::sync::oneshot::channel();
        let flight = SingleFlight::<u8, usize>::new();
        let mut receive = Some(receive);
        let mut waiting: Vec<_> = (0..100)
            .map(|_| {
                let receive = receive.take();
                Box::pin(flight.run(1, lost(), || async {
                    Ok(receive.expect("a second call").await.unwrap())
                }))
            })
            .collect();
        for caller in &mut waiting {
            assert!(futures::poll!(caller).is_pending());
        }
        answer.send(7).unwrap();
        for caller in waiting {
            assert_eq!(caller.await.unwrap(), 7);
        }
        assert!(!flight.is_running(&1));
    }

    #[tokio::test]
    async fn an_error_reaches_everybody_and_is_not_kept() {
        let (answer, receive) = tokio::sync::oneshot::channel();
        let flight = SingleFlight::<u8, usize>::new();
        let mut leader = Box::pin(flight.run(1, lost(), || async { receive.await.unwrap() }));
        assert!(futures::poll!(&mut leader).is_pending());
        let mut follower = Box::pin(flight.run(1, lost(), || async { Ok(0) }));
        assert!(futures::poll!(&mut follower).is_pending());
        answer.send(Err(PayloadError::NotAuthentic.into())).unwrap();
        assert!(leader.await.is_err() && follower.await.is_err());
        assert_eq!(flight.run(1, lost(), || async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_nothing_behind() {
        let flight = SingleFlight::<u8, usize>::new();
        let mut waiting = Box::pin(flight.run(1, lost(), futures::future::pending));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(flight.is_running(&1));
        drop(waiting);
        assert!(!flight.is_running(&1));
        assert_eq!(flight.run(1, lost(), || async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_does_not_take_the_others_with_it() {
        let (send, receive) = tokio::sync::oneshot::channel::<usize>();
        let flight = SingleFlight::<u8, usize>::new();
        let mut leader = Box::pin(flight.run(1, lost(), || async { Ok(receive.await.unwrap()) }));
        assert!(futures::poll!(&mut leader).is_pending());
        let mut follower = Box::pin(flight.run(1, lost(), || async { Ok(0) }));
        assert!(futures::poll!(&mut follower).is_pending());
        drop(leader);
        send.send(9).unwrap();
        assert_eq!(follower.await.unwrap(), 9);
    }

    #[tokio::test]
    async fn a_call_that_panics_fails_its_callers_and_nobody_else() {
        let flight = SingleFlight::<u8, usize>::new();
        let panics = || async {
            tokio::task::yield_now().await;
            panic!("the provider is broken")
        };
        let (first, second, other) = futures::join!(
            flight.run(1, lost(), panics),
            flight.run(1, lost(), panics),
            flight.run(2, lost(), || async { Ok(2) }),
        );
        for failed in [first, second] {
            assert!(matches!(
                failed,
                Err(Error::Payload(PayloadError::NotTried))
            ));
        }
        assert_eq!(other.unwrap(), 2);
        assert_eq!(flight.run(1, lost(), || async { Ok(7) }).await.unwrap(), 7);
    }
}
