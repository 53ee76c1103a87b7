//! Random uses of the cache, checked against a list.

use proptest::{collection::vec, prelude::*};

use super::*;

const MAX_KEYS: usize = 4;
const TTL: i64 = 60;

#[derive(Clone, Debug)]
enum Event {
    Inserts(u16),
    Gets(u16),
    Passes(u64),
    Suspends(u64),
    SetBack(u64),
    Clears,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..8_u16).prop_map(Event::Inserts),
        8 => (0..8_u16).prop_map(Event::Gets),
        4 => (1..40_u64).prop_map(Event::Passes),
        1 => (1..200_u64).prop_map(Event::Suspends),
        1 => (1..200_u64).prop_map(Event::SetBack),
        1 => Just(Event::Clears),
    ]
}

/// A key that was inserted last under its name.
struct Listed {
    name: u16,
    data_key: Arc<ExpandedDek>,
    /// The monotonic time and the wall clock, in seconds.
    born: (i64, i64),
    /// It was too old once. A wall clock that is set back can make it young again.
    has_expired: bool,
}

/// The keys from the least to the most recently used. It is longer than the cache: no key makes room.
#[derive(Default)]
struct List {
    keys: Vec<Listed>,
    clocks: (i64, i64),
}

impl List {
    fn moves(&mut self, monotonic: i64, wall: i64) {
        self.clocks = (self.clocks.0 + monotonic, self.clocks.1 + wall);
        for key in &mut self.keys {
            key.has_expired |= Self::age(key, self.clocks) >= TTL;
        }
    }

    fn age(key: &Listed, now: (i64, i64)) -> i64 {
        (now.0 - key.born.0).max(now.1 - key.born.1)
    }

    fn inserts(&mut self, name: u16, data_key: &Arc<ExpandedDek>) {
        self.keys.retain(|key| key.name != name);
        self.keys.push(Listed {
            name,
            data_key: data_key.clone(),
            born: self.clocks,
            has_expired: false,
        });
    }

    /// Checks what the cache has for a name.
    fn gets(&mut self, name: u16, got: Option<&Arc<ExpandedDek>>) {
        let position = self.keys.iter().position(|key| key.name == name);
        let Some(position) = position else {
            assert!(got.is_none(), "a key that was never inserted");
            return;
        };
        let used_since = self.keys.len() - position - 1;
        let key = self.keys.remove(position);
        match got {
            Some(got) => {
                assert!(Arc::ptr_eq(got, &key.data_key), "the key of another name");
                assert!(Self::age(&key, self.clocks) < TTL, "a key past its time");
            }
            None => assert!(
                key.has_expired || used_since >= MAX_KEYS,
                "a key is gone before its time"
            ),
        }
        // One that has expired may still be there, and was used too.
        if got.is_some() || key.has_expired {
            self.keys.push(key);
        }
    }
}

proptest! {
    #[test]
    fn keys_are_kept_until_they_expire_or_make_room(events in vec(event(), 1..200)) {
        let (cache, clock) = cache(MAX_KEYS);
        let mut list = List::default();
        for event in events {
            match event {
                Event::Inserts(name) => {
                    let data_key = data_key();
                    list.inserts(name, &data_key);
                    cache.insert(key(name), data_key);
                }
                Event::Gets(name) => list.gets(name, cache.get(&key(name)).as_ref()),
                Event::Passes(seconds) => {
                    clock.advance(Duration::from_secs(seconds));
                    list.moves(seconds.cast_signed(), seconds.cast_signed());
                }
                Event::Suspends(seconds) => {
                    clock.suspend(Duration::from_secs(seconds));
                    list.moves(0, seconds.cast_signed());
                }
                Event::SetBack(seconds) => {
                    clock.set_back(Duration::from_secs(seconds));
                    list.moves(0, -seconds.cast_signed());
                }
                Event::Clears => {
                    cache.clear();
                    list.keys.clear();
                }
            }
            assert!(cache.len() <= MAX_KEYS, "{} keys", cache.len());
        }
    }
}
