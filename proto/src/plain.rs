//! What can be plaintext, and who erases it: its owner, when it is dropped.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::Arc,
    vec,
};

use zeroize::optimization_barrier;

use crate::{Data, Metadata, Payload, PayloadParts as _, SharedPayload, parts::erase_unshared};

/// A value that can be plaintext. It is erased on drop, unless it is taken out.
#[derive(Default)]
pub struct Plain<T: Erase>(T);

impl<T: Erase> Plain<T> {
    /// Erases `value` when it is dropped.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Takes the value out. The caller must erase it.
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

/// Values that are taken one by one.
impl<T: Erase> Iterator for Plain<vec::IntoIter<T>> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next()
    }
}

impl<T: Erase> Drop for Plain<T> {
    fn drop(&mut self) {
        self.0.erase();
    }
}

/// A value that can be plaintext, or holds such values.
pub trait Erase {
    /// Erases it. Bytes, lists and options are empty afterwards. The names of metadata are left, and metadata that others have
    /// too.
    fn erase(&mut self);
}

impl Erase for Vec<u8> {
    fn erase(&mut self) {
        erase_bytes(self);
    }
}

impl Erase for Data {
    fn erase(&mut self) {
        self.buffer_mut().erase();
    }
}

impl Erase for Metadata {
    fn erase(&mut self) {
        self.values_mut().for_each(erase_bytes);
    }
}

impl Erase for Arc<Metadata> {
    fn erase(&mut self) {
        erase_unshared(self, erase_bytes);
    }
}

impl Erase for Payload {
    fn erase(&mut self) {
        self.erase_with(erase_bytes);
    }
}

impl Erase for SharedPayload {
    fn erase(&mut self) {
        self.erase_with(erase_bytes);
    }
}

impl<T: Erase> Erase for Option<T> {
    fn erase(&mut self) {
        erase_each(self.take().into_iter());
    }
}

impl<T: Erase> Erase for Vec<T> {
    fn erase(&mut self) {
        erase_each(self.drain(..));
    }
}

impl<T: Erase> Erase for vec::IntoIter<T> {
    fn erase(&mut self) {
        erase_each(self);
    }
}

/// Each is dropped before the next one: the last one that has some metadata erases them.
fn erase_each(values: impl Iterator<Item: Erase>) {
    values.for_each(|mut value| value.erase());
}

/// Empties a vector, and erases what it held with its spare capacity. Filling takes a tenth of the time of `Zeroize`. The barrier
/// makes the compiler believe that the bytes are read afterwards, so it does not leave the filling out.
fn erase_bytes(bytes: &mut Vec<u8>) {
    bytes.fill(0);
    // The capacity is there already, so nothing is moved.
    bytes.resize(bytes.capacity(), 0);
    optimization_barrier(bytes.as_slice());
    bytes.clear();
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
    fn bytes_are_erased_with_the_room_behind_them() {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&[7; 50]);
        let place = bytes.as_ptr();
        bytes.erase();
        assert!(bytes.is_empty());
        assert_eq!((bytes.as_ptr(), bytes.capacity()), (place, 64));
        let mut data = Data::behind(2, b"xxdata".to_vec());
        data.erase();
        assert!(data.into_buffer().0.is_empty());
    }

    #[test]
    fn the_bytes_of_payloads_are_erased() {
        let erased = Payload {
            metadata: [("note".to_owned(), vec![])].into(),
            ..Payload::default()
        };
        let mut own = payload().into_payload();
        own.erase();
        assert_eq!(own, erased);
        let mut shared = payload();
        shared.erase();
        assert_eq!(shared, SharedPayload::from(erased));
        let mut metadata = payload().metadata;
        metadata.erase();
        assert!(metadata["note"].is_empty());
    }

    #[test]
    fn metadata_of_others_are_left() {
        let shared = payload();
        let mut other = shared.clone();
        other.erase();
        assert!(other.data.is_empty());
        assert_eq!(shared, payload());
        let mut metadata = other.metadata;
        metadata.erase();
        assert_eq!(shared, payload());
    }

    #[test]
    fn what_is_taken_is_whole() {
        assert_eq!(Plain::new(vec![payload()]).into_inner(), [payload()]);
        let one = Plain::new(Some(payload()));
        assert_eq!(one.into_inner(), Some(payload()));
        let mut all = Plain::new(vec![payload(), payload()].into_iter());
        assert_eq!(all.next(), Some(payload()));
    }

    #[test]
    fn options_and_lists_are_empty_once_they_are_erased() {
        let mut option = Some(payload());
        option.erase();
        assert_eq!(option, None);
        let mut list = vec![payload()];
        list.erase();
        assert!(list.is_empty());
        let mut rest = vec![payload()].into_iter();
        rest.erase();
        assert_eq!(rest.next(), None);
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

    /// Something that several values have, as payloads share their metadata.
    struct Shared(Rc<Secret>);

    impl Erase for Shared {
        fn erase(&mut self) {
            if let Some(secret) = Rc::get_mut(&mut self.0) {
                secret.erase();
            }
        }
    }

    #[test]
    fn what_values_share_is_erased_with_the_last_of_them() {
        let erased = Rc::<Cell<usize>>::default();
        let shared = Shared(Rc::new(Secret(Rc::clone(&erased))));
        let other = || Shared(Rc::clone(&shared.0));
        let one = other();
        drop(Plain::new(vec![other(), other()]));
        assert_eq!(erased.get(), 0, "it has other owners");
        drop(Plain::new(vec![one, other(), shared]));
        assert_eq!(erased.get(), 1);
    }
}
