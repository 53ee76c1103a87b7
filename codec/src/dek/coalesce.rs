use std::{collections::HashMap, hash::Hash, pin::Pin};

use futures::{
    FutureExt as _,
    future::{Shared, WeakShared},
};
use parking_lot::Mutex;

use crate::Error;

type Call<V> = Pin<Box<dyn Future<Output = Result<V, Error>> + Send>>;

/// Runs one call for everybody who asks for the same thing at the same time, and gives all of them its answer,
/// be it an error.
///
/// Whoever waits drives the call. It ends when nobody waits any more, as with requests that were given up.
pub(crate) struct Coalesce<K, V: Clone> {
    calls: Mutex<HashMap<K, WeakShared<Call<V>>>>,
}

impl<K, V> Coalesce<K, V>
where
    K: Eq + Hash,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            calls: Mutex::new(HashMap::new()),
        }
    }

    /// The answer to `key`: of the call that is under way, or of the one that `start` makes.
    pub(crate) async fn run<F>(&self, key: K, start: impl FnOnce() -> F) -> Result<V, Error>
    where
        F: Future<Output = Result<V, Error>> + Send + 'static,
    {
        self.join(key, start).await
    }

    fn join<F>(&self, key: K, start: impl FnOnce() -> F) -> Shared<Call<V>>
    where
        F: Future<Output = Result<V, Error>> + Send + 'static,
    {
        let mut calls = self.calls.lock();
        if let Some(call) = calls.get(&key).and_then(under_way) {
            return call;
        }
        calls.retain(|_, call| under_way(call).is_some());
        let call = start().boxed().shared();
        if let Some(handle) = call.downgrade() {
            calls.insert(key, handle);
        }
        call
    }

    pub(crate) fn is_running(&self, key: &K) -> bool {
        self.calls.lock().get(key).and_then(under_way).is_some()
    }
}

/// The call, unless it has answered or everybody gave it up.
fn under_way<V: Clone>(call: &WeakShared<Call<V>>) -> Option<Shared<Call<V>>> {
    call.upgrade().filter(|call| call.peek().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PayloadError;

    #[tokio::test]
    async fn one_call_answers_everybody_who_waits() {
        let (answer, receive) = tokio::sync::oneshot::channel();
        let coalesce = Coalesce::<u8, usize>::new();
        let mut receive = Some(receive);
        let mut waiting: Vec<_> = (0..100)
            .map(|_| {
                let receive = receive.take();
                Box::pin(coalesce.run(1, || async {
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
        assert!(!coalesce.is_running(&1));
    }

    #[tokio::test]
    async fn an_error_reaches_everybody_and_is_not_kept() {
        let (answer, receive) = tokio::sync::oneshot::channel();
        let coalesce = Coalesce::<u8, usize>::new();
        let mut leader = Box::pin(coalesce.run(1, || async { receive.await.unwrap() }));
        assert!(futures::poll!(&mut leader).is_pending());
        let mut follower = Box::pin(coalesce.run(1, || async { Ok(0) }));
        assert!(futures::poll!(&mut follower).is_pending());
        answer.send(Err(PayloadError::NotAuthentic.into())).unwrap();
        assert!(leader.await.is_err() && follower.await.is_err());
        assert_eq!(coalesce.run(1, || async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_nothing_behind() {
        let coalesce = Coalesce::<u8, usize>::new();
        let mut waiting = Box::pin(coalesce.run(1, futures::future::pending));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(coalesce.is_running(&1));
        drop(waiting);
        assert!(!coalesce.is_running(&1));
        assert_eq!(coalesce.run(1, || async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_does_not_take_the_others_with_it() {
        let (send, receive) = tokio::sync::oneshot::channel::<usize>();
        let coalesce = Coalesce::<u8, usize>::new();
        let mut leader = Box::pin(coalesce.run(1, || async { Ok(receive.await.unwrap()) }));
        assert!(futures::poll!(&mut leader).is_pending());
        let mut follower = Box::pin(coalesce.run(1, || async { Ok(0) }));
        assert!(futures::poll!(&mut follower).is_pending());
        drop(leader);
        send.send(9).unwrap();
        assert_eq!(follower.await.unwrap(), 9);
    }
}
