//! Buckets and their objects.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Bound,
    time::SystemTime,
};

use axum::body::Bytes;
use parking_lot::Mutex;

use crate::{object::Object, refusal::Refusal};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    /// The most objects of one page of a listing.
    pub(crate) page: usize,
}

/// All buckets. Objects are sorted by their names, as both APIs list them.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    buckets: BTreeMap<String, BTreeMap<String, Object>>,
    generation: u64,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<(String, Object)>,
    /// The last name, if more objects follow.
    pub(crate) next: Option<String>,
}

impl Store {
    pub(crate) fn create_bucket(&self, name: &str) -> Result<(), Refusal> {
        match self.0.lock().buckets.entry(name.to_owned()) {
            Entry::Occupied(_) => Err(Refusal::Conflict),
            Entry::Vacant(place) => {
                place.insert(BTreeMap::new());
                Ok(())
            }
        }
    }

    pub(crate) fn has_bucket(&self, name: &str) -> bool {
        self.0.lock().buckets.contains_key(name)
    }

    /// Stores an object. `expected` is the generation that it must replace, and 0 for an object that must not exist.
    pub(crate) fn put(
        &self,
        bucket: &str,
        name: &str,
        bytes: Bytes,
        content_type: Option<&str>,
        expected: Option<u64>,
    ) -> Result<Object, Refusal> {
        let mut state = self.0.lock();
        state.generation += 1;
        let object = Object {
            bytes,
            generation: state.generation,
            updated: SystemTime::now(),
            content_type: content_type
                .unwrap_or("application/octet-stream")
                .to_owned(),
        };
        let objects = state.buckets.get_mut(bucket).ok_or(Refusal::NoBucket)?;
        let found = objects.get(name).map_or(0, |object| object.generation);
        if expected.is_some_and(|expected| expected != found) {
            return Err(Refusal::Precondition);
        }
        objects.insert(name.to_owned(), object.clone());
        Ok(object)
    }

    pub(crate) fn get(&self, bucket: &str, name: &str) -> Result<Object, Refusal> {
        let state = self.0.lock();
        let objects = state.buckets.get(bucket).ok_or(Refusal::NoBucket)?;
        objects.get(name).cloned().ok_or(Refusal::NoObject)
    }

    pub(crate) fn delete(&self, bucket: &str, name: &str) -> Result<(), Refusal> {
        let mut state = self.0.lock();
        let objects = state.buckets.get_mut(bucket).ok_or(Refusal::NoBucket)?;
        objects.remove(name).map(drop).ok_or(Refusal::NoObject)
    }

    /// The objects whose names begin with `prefix` and follow `after`.
    pub(crate) fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<Page, Refusal> {
        let state = self.0.lock();
        let objects = state.buckets.get(bucket).ok_or(Refusal::NoBucket)?;
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut found = objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix));
        let mut page = Page::default();
        page.objects.extend(
            found
                .by_ref()
                .take(most)
                .map(|(name, object)| (name.clone(), object.clone())),
        );
        if found.next().is_some() {
            page.next = page.objects.last().map(|(name, _)| name.clone());
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, name: &str, expected: Option<u64>) -> Result<u64, Refusal> {
        let stored = store.put("b", name, Bytes::from_static(b"x"), None, expected);
        stored.map(|object| object.generation)
    }

    #[test]
    fn conditions_are_those_of_generations() {
        let store = Store::default();
        assert_eq!(put(&store, "a", None), Err(Refusal::NoBucket));
        store.create_bucket("b").unwrap();
        assert_eq!(store.create_bucket("b"), Err(Refusal::Conflict));
        let first = put(&store, "a", Some(0)).unwrap();
        assert_eq!(put(&store, "a", Some(0)), Err(Refusal::Precondition));
        let second = put(&store, "a", Some(first)).unwrap();
        assert!(second > first);
        assert_eq!(put(&store, "a", Some(first)), Err(Refusal::Precondition));
        store.delete("b", "a").unwrap();
        assert_eq!(store.delete("b", "a"), Err(Refusal::NoObject));
        assert!(put(&store, "a", Some(0)).unwrap() > second);
    }

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let store = Store::default();
        store.create_bucket("b").unwrap();
        for name in ["a", "p/1", "p/2", "p/3", "q"] {
            put(&store, name, None).unwrap();
        }
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = store.list("b", "p/", after.as_deref(), 2).unwrap();
            assert!(page.objects.len() <= 2);
            names.extend(page.objects.into_iter().map(|(name, _)| name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(names, ["p/1", "p/2", "p/3"]);
    }
}
