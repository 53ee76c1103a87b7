//! One call for all callers that ask for the same thing at the same time.

use std::{
    collections::HashMap,
    future::poll_fn,
    hash::Hash,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

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
    calls: Mutex<HashMap<K, Handle<V>>>,
}

/// A call, as long as callers wait for it.
struct Handle<V> {
    call: WeakShared<Call<V>>,
    polls: Arc<Polls>,
}

/// How often a call was driven, and how all its callers are woken.
#[derive(Default)]
struct Polls {
    count: AtomicUsize,
    everyone: OnceLock<Waker>,
}

/// One who waits for a call, and drives it.
///
/// A caller that comes while another one drives the call does not drive it, and [`Shared`] does not drive it again for a wake-up of
/// that moment (<https://github.com/rust-lang/futures-rs/issues/2706>). If the other one gave up then, the call would not go on. So a
/// caller that gives up wakes the others, if it was the last one that drove the call.
struct Caller<V> {
    call: Shared<Call<V>>,
    polls: Arc<Polls>,
    /// The number of polls after its own last one. 0 before it drove the call.
    last: usize,
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

    fn join<F>(&self, key: K, lost: Error, start: impl FnOnce() -> F) -> Caller<V>
    where
        F: Future<Output = Result<V, Error>> + Send + 'static,
    {
        let mut calls = self.calls.lock();
        if let Some(call) = calls.get(&key).and_then(under_way) {
            return call;
        }
        calls.retain(|_, call| under_way(call).is_some());
        // What a call shares with the outside is behind locks that a panic does not poison.
        let mut call = AssertUnwindSafe(start())
            .catch_unwind()
            .map(|answer| answer.unwrap_or(Err(lost)))
            .boxed();
        let polls = Arc::new(Polls::default());
        let driven = Arc::clone(&polls);
        let call = poll_fn(move |context| {
            driven.add(context.waker());
            call.poll_unpin(context)
        })
        .boxed()
        .shared();
        if let Some(call) = call.downgrade() {
            let polls = Arc::clone(&polls);
            calls.insert(key, Handle { call, polls });
        }
        Caller::new(call, polls)
    }

    pub(crate) fn is_running(&self, key: &K) -> bool {
        self.calls.lock().get(key).and_then(under_way).is_some()
    }

    /// Whether no call is under way.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let calls = self.calls.lock();
        calls.values().all(|call| under_way(call).is_none())
    }
}

/// A further caller of the call, unless it has answered or all callers gave it up.
fn under_way<V: Clone>(handle: &Handle<V>) -> Option<Caller<V>> {
    let call = handle.call.upgrade();
    let call = call.filter(|call| call.peek().is_none())?;
    Some(Caller::new(call, Arc::clone(&handle.polls)))
}

impl Polls {
    /// Counts a poll. `everyone` wakes all callers, in each poll.
    fn add(&self, everyone: &Waker) {
        self.everyone.get_or_init(|| everyone.clone());
        self.count.fetch_add(1, SeqCst);
    }

    fn count(&self) -> usize {
        self.count.load(SeqCst)
    }
}

impl<V> Caller<V> {
    fn new(call: Shared<Call<V>>, polls: Arc<Polls>) -> Self {
        Self {
            call,
            polls,
            last: 0,
        }
    }
}

impl<V: Clone> Future for Caller<V> {
    type Output = Result<V, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let before = this.polls.count();
        let answer = this.call.poll_unpin(context);
        let after = this.polls.count();
        if after != before {
            this.last = after;
        }
        answer
    }
}

impl<V> Drop for Caller<V> {
    fn drop(&mut self) {
        let is_last = self.last > 0 && self.last == self.polls.count();
        if let Some(everyone) = self.polls.everyone.get().filter(|_| is_last) {
            everyone.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicBool, task::Wake};

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

    /// Tells whether it was woken.
    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }

    /// The service answers while the first caller drives the call, and the second one comes just then.
    #[test]
    fn a_caller_that_gives_up_wakes_those_that_came_while_it_drove_the_call() {
        let flight = SingleFlight::<u8, usize>::new();
        let second = Arc::new(Mutex::new(None::<Caller<usize>>));
        let woken = Arc::new(Woken::default());
        let call = {
            let (second, waker) = (second.clone(), Waker::from(woken.clone()));
            let mut is_answered = false;
            poll_fn(move |context| {
                if is_answered {
                    return Poll::Ready(Ok(7));
                }
                is_answered = true;
                context.waker().wake_by_ref();
                let mut second = second.lock();
                let second = second.as_mut().expect("the second caller");
                let polled = second.poll_unpin(&mut Context::from_waker(&waker));
                assert!(polled.is_pending());
                Poll::Pending
            })
        };
        let mut first = flight.join(1, lost(), || call);
        *second.lock() = Some(flight.join(1, lost(), || async { Ok(0) }));
        let polled = first.poll_unpin(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(first);
        assert!(woken.0.load(SeqCst), "nobody drives the call any more");
        let second = second.lock().take().expect("the second caller");
        assert_eq!(futures::executor::block_on(second).unwrap(), 7);
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
