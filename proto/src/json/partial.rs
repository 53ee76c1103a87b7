//! What a reader has read so far. It can be plaintext, so it is erased when reading ends early.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use zeroize::Zeroize;

use crate::{Data, Metadata, Payload, PayloadParts as _, SharedPayload, parts::erase_unshared};

/// A value that is erased when it is dropped before it is whole.
#[derive(Default)]
pub(super) struct Partial<T: Erase>(T);

impl<T: Erase> Partial<T> {
    /// The value. Its reader is at the end.
    pub(super) fn whole(mut self) -> T {
        mem::take(&mut self.0)
    }
}

impl<T: Erase> From<T> for Partial<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Erase> Deref for Partial<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Erase> DerefMut for Partial<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Erase> Drop for Partial<T> {
    fn drop(&mut self) {
        self.0.erase();
    }
}

/// Values that can be plaintext.
pub(super) trait Erase: Default {
    fn erase(&mut self);
}

impl Erase for Vec<u8> {
    fn erase(&mut self) {
        self.zeroize();
    }
}

impl Erase for Data {
    fn erase(&mut self) {
        self.buffer_mut().zeroize();
    }
}

impl Erase for Metadata {
    /// The names are left.
    fn erase(&mut self) {
        self.values_mut().for_each(Erase::erase);
    }
}

impl Erase for Arc<Metadata> {
    /// Metadata that others have too are left.
    fn erase(&mut self) {
        erase_unshared(self, Zeroize::zeroize);
    }
}

impl Erase for Payload {
    fn erase(&mut self) {
        self.erase_with(Zeroize::zeroize);
    }
}

impl Erase for SharedPayload {
    fn erase(&mut self) {
        self.erase_with(Zeroize::zeroize);
    }
}

impl<T: Erase> Erase for Option<T> {
    fn erase(&mut self) {
        self.iter_mut().for_each(Erase::erase);
    }
}

impl<T: Erase> Erase for Vec<T> {
    fn erase(&mut self) {
        // Each is dropped before the next one: the last one that has some metadata erases them.
        self.drain(..).for_each(|mut value| value.erase());
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    #[derive(Default)]
    struct Secret(Rc<Cell<bool>>);

    impl Erase for Secret {
        fn erase(&mut self) {
            self.0.set(true);
        }
    }

    #[test]
    fn what_is_not_whole_is_erased() {
        let is_erased = Rc::default();
        let partial = Partial(Secret(Rc::clone(&is_erased)));
        drop(partial.whole());
        assert!(!is_erased.get());
        drop(Partial(Secret(Rc::clone(&is_erased))));
        assert!(is_erased.get());
    }

    /// Something that several values have, as payloads share their metadata.
    #[derive(Default)]
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
        let is_erased = Rc::default();
        let shared = Shared(Rc::new(Secret(Rc::clone(&is_erased))));
        let others = || Shared(Rc::clone(&shared.0));
        let one = others();
        drop(Partial(vec![others(), others()]));
        assert!(!is_erased.get(), "it has other owners");
        drop(Partial(vec![one, others(), shared]));
        assert!(is_erased.get());
    }

    #[test]
    fn the_bytes_of_payloads_are_erased() {
        let metadata = Metadata::from([("note".to_owned(), b"secret".to_vec())]);
        let payload = Payload {
            metadata: metadata.clone(),
            data: b"secret".to_vec(),
            external_payloads: vec![],
        };
        let erased = Payload {
            metadata: [("note".to_owned(), vec![])].into(),
            ..Payload::default()
        };
        let mut own = payload.clone();
        own.erase();
        assert_eq!(own, erased);
        let mut shared = Some(SharedPayload::from(payload));
        shared.erase();
        assert_eq!(shared, Some(SharedPayload::from(erased)));
        let known = Arc::new(metadata.clone());
        let mut sharing = SharedPayload::new(Arc::clone(&known), b"secret".to_vec());
        sharing.erase();
        assert!(sharing.data.is_empty());
        assert_eq!(*known, metadata, "they have another owner");
        let mut last = known;
        drop(sharing);
        last.erase();
        assert!(last["note"].is_empty());
    }
}
