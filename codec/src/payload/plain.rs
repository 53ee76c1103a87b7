//! Payloads with plaintext, and who erases them: their owner, when it is dropped.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::Arc,
    vec,
};

use temporal_kms::support::erase_vec;
use temporal_kms_codec_proto::{Metadata, Payload, PayloadParts as _, SharedPayload};

/// Payloads that can be plaintext. They are erased on drop, unless they are taken out.
#[derive(Default)]
pub struct Plain<T: Erase>(T);

impl<T: Erase> Plain<T> {
    /// Erases `payloads` when it is dropped.
    #[must_use]
    pub fn new(payloads: T) -> Self {
        Self(payloads)
    }

    /// The payloads, which nobody erases any more.
    #[must_use]
    pub fn into_inner(mut self) -> T
    where
        T: Default,
    {
        mem::take(&mut self.0)
    }
}

impl<T: Erase> Deref for Plain<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Erase> DerefMut for Plain<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// Payloads that are taken one by one.
impl<P: Erase> Iterator for Plain<vec::IntoIter<P>> {
    type Item = P;

    fn next(&mut self) -> Option<P> {
        self.0.next()
    }
}

impl<T: Erase> Drop for Plain<T> {
    fn drop(&mut self) {
        self.0.erase();
    }
}

/// What holds payloads.
pub trait Erase {
    /// Erases what the payloads hold. Metadata that others have too are left.
    fn erase(&mut self);
}

impl Erase for Payload {
    fn erase(&mut self) {
        self.erase_with(erase_vec);
    }
}

impl Erase for SharedPayload {
    fn erase(&mut self) {
        self.erase_with(erase_vec);
    }
}

impl<P: Erase> Erase for Option<P> {
    fn erase(&mut self) {
        erase_each(self.take().into_iter());
    }
}

impl<P: Erase> Erase for Vec<P> {
    fn erase(&mut self) {
        erase_each(self.drain(..));
    }
}

impl<P: Erase> Erase for vec::IntoIter<P> {
    fn erase(&mut self) {
        erase_each(self);
    }
}

/// Erases metadata that payloads shared, unless another payload has them.
pub(crate) fn erase_metadata(metadata: Arc<Metadata>) {
    drop(Plain::new(SharedPayload::new(metadata, Vec::new())));
}

/// Each is dropped before the next one: the last one that has some metadata erases them.
fn erase_each(payloads: impl Iterator<Item: Erase>) {
    payloads.for_each(|mut payload| payload.erase());
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    fn payload() -> SharedPayload {
        SharedPayload::from(Payload {
            metadata: [("note".to_owned(), b"secret".to_vec())].into(),
            data: b"secret".to_vec(),
            ..Payload::default()
        })
    }

    #[test]
    fn a_payload_is_erased() {
        let mut erased = payload();
        erased.erase();
        assert!(erased.data.is_empty() && erased.metadata["note"].is_empty());
        let shared = payload();
        let mut other = shared.clone();
        other.erase();
        assert!(other.data.is_empty());
        assert_eq!(shared, payload());
    }

    #[test]
    fn payloads_that_are_taken_are_whole() {
        assert_eq!(Plain::new(vec![payload()]).into_inner(), [payload()]);
        let one = Plain::new(Some(payload()));
        assert_eq!(one.into_inner(), Some(payload()));
        let mut all = Plain::new(vec![payload(), payload()].into_iter());
        assert_eq!(all.next(), Some(payload()));
    }

    /// Counts how often it is erased.
    struct Secret(Rc<Cell<usize>>);

    impl Erase for Secret {
        fn erase(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn what_is_not_taken_is_erased_on_drop() {
        let erased = Rc::<Cell<usize>>::default();
        let secrets =
            |count: usize| -> Vec<_> { (0..count).map(|_| Secret(Rc::clone(&erased))).collect() };
        drop(Plain::new(secrets(3)));
        assert_eq!(erased.take(), 3);
        drop(Plain::new(Some(Secret(Rc::clone(&erased)))));
        assert_eq!(erased.take(), 1);
        let mut others = Plain::new(secrets(3).into_iter());
        drop(others.next());
        drop(others);
        assert_eq!(erased.take(), 2);
        drop(Plain::new(secrets(2)).into_inner());
        assert_eq!(erased.take(), 0);
    }
}
