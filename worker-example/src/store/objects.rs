//! Objects by their names, with limits of size, count and time.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, path::Path};
use tokio::time::timeout;

use super::{
    error::StoreError,
    location::{LocationError, StoreLocation},
};

/// How long one call may take, with the client's own repetitions.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// The most objects of a folder that is read as a whole.
const MAX_LISTED: usize = 100_000;

/// The objects of a store.
#[derive(Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    shown: String,
}

/// An object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Its name, without the prefix of the store.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// When it was written.
    pub(crate) modified: DateTime<Utc>,
    location: Path,
}

impl Objects {
    /// Opens a store. Nothing is sent.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(crate) fn open(location: &StoreLocation) -> Result<Self, LocationError> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.is_empty());
        Self::open_with(location, variables)
    }

    /// As [`open`](Self::open), with these variables instead of the process's.
    ///
    /// # Errors
    /// When the store cannot be used.
    fn open_with(
        location: &StoreLocation,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, LocationError> {
        let (store, prefix) = location.open(variables.into_iter())?;
        Ok(Self {
            store,
            prefix,
            shown: location.to_string(),
        })
    }

    /// Writes an object, over an older one with this name.
    ///
    /// # Errors
    /// When the store does not take it.
    pub(crate) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.put_with(name, bytes, PutMode::Overwrite).await
    }

    /// Writes an object that must not exist.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when it exists, and other errors when the store does not take it.
    pub(crate) async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.put_with(name, bytes, PutMode::Create).await
    }

    async fn put_with(&self, name: &str, bytes: Vec<u8>, mode: PutMode) -> Result<(), StoreError> {
        let (path, payload) = (self.path(name), PutPayload::from(Bytes::from(bytes)));
        let options = PutOptions::from(mode);
        let put = self.store.put_opts(&path, payload, options);
        in_time("write", name, put).await.map(drop)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when it does not exist, [`StoreError::TooLarge`] when it is above the limit, and other errors
    /// when the store does not answer.
    pub(crate) async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        let too_large = || StoreError::TooLarge {
            object: name.to_owned(),
            limit,
        };
        let read = async {
            let found = self.store.get(&self.path(name)).await?;
            let mut bytes = Vec::new();
            let mut chunks = found.into_stream();
            while let Some(chunk) = chunks.try_next().await? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() as u64 > limit {
                    return Ok(None);
                }
            }
            Ok(Some(bytes))
        };
        in_time("read", name, read).await?.ok_or_else(too_large)
    }

    /// Deletes an object. One that does not exist counts as deleted.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match in_time("delete", name, self.store.delete(&path)).await {
            Err(StoreError::Missing { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// Deletes an object of a listing.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub(crate) async fn remove(&self, listed: &Listed) -> Result<(), StoreError> {
        let deleted = self.store.delete(&listed.location);
        match in_time("delete", &listed.name, deleted).await {
            Err(StoreError::Missing { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// When an object was written. `None` if it does not exist.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn modified(&self, name: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let path = self.path(name);
        match in_time("read", name, self.store.head(&path)).await {
            Ok(found) => Ok(Some(found.last_modified)),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Visits each object in a folder, in any order and however many there are.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn each(
        &self,
        folder: &str,
        mut visit: impl FnMut(Listed) + Send,
    ) -> Result<(), StoreError> {
        let path = self.path(folder);
        let mut listing = self.store.list(Some(&path));
        // The time limit is one of each page.
        while let Some(found) = in_time("list", folder, listing.try_next()).await? {
            if let Some(name) = self.name(&found.location) {
                visit(Listed {
                    name,
                    size: found.size,
                    modified: found.last_modified,
                    location: found.location,
                });
            }
        }
        Ok(())
    }

    /// The objects in a folder, sorted by name.
    ///
    /// # Errors
    /// When the store does not answer, or the folder has more objects than a task makes.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError> {
        let (mut listed, mut is_whole) = (Vec::new(), true);
        self.each(folder, |object| {
            is_whole = listed.len() < MAX_LISTED;
            if is_whole {
                listed.push(object);
            }
        })
        .await?;
        if !is_whole {
            return Err(StoreError::Store {
                operation: "list",
                object: folder.to_owned(),
                problem: format!("it has more than {MAX_LISTED} objects"),
            });
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Whether a folder has an object.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn has_any(&self, folder: &str) -> Result<bool, StoreError> {
        let path = self.path(folder);
        let mut listing = self.store.list(Some(&path));
        let first = in_time("list", folder, listing.try_next()).await?;
        Ok(first.is_some())
    }

    fn path(&self, name: &str) -> Path {
        let parts = name.split('/').filter(|part| !part.is_empty());
        parts.fold(self.prefix.clone(), Path::join)
    }

    fn name(&self, path: &Path) -> Option<String> {
        let parts: Vec<_> = path.prefix_match(&self.prefix)?.collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        Some(parts.join("/"))
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.shown)
    }
}

async fn in_time<T>(
    operation: &'static str,
    object: &str,
    call: impl Future<Output = object_store::Result<T>>,
) -> Result<T, StoreError> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| StoreError::of(operation, object, &error)),
        Err(_) => Err(StoreError::Store {
            operation,
            object: object.to_owned(),
            problem: format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every store does.
    async fn keeps_objects(objects: &Objects) {
        objects.create("a/b", b"1".to_vec()).await.unwrap();
        let again = objects.create("a/b", b"2".to_vec()).await.unwrap_err();
        assert!(matches!(again, StoreError::Exists { .. }), "{again}");
        objects.put("a/c", b"22".to_vec()).await.unwrap();
        objects.put("a/c", b"333".to_vec()).await.unwrap();
        assert_eq!(objects.get("a/b", 1).await.unwrap(), b"1");
        let large = objects.get("a/c", 2).await.unwrap_err();
        assert!(matches!(large, StoreError::TooLarge { .. }), "{large}");
        for (folder, has_any) in [("a", true), ("b", false)] {
            assert_eq!(objects.has_any(folder).await.unwrap(), has_any, "{folder}");
        }
        // Names of uploads can be anything. They come in several pages.
        for name in ["a/d/ü %2F&<x>~1", "a/d/2", "a/e", "ab"] {
            objects.put(name, name.as_bytes().to_vec()).await.unwrap();
            assert_eq!(objects.get(name, 100).await.unwrap(), name.as_bytes());
        }
        let names: Vec<_> = objects.list("a").await.unwrap();
        let names: Vec<_> = names.iter().map(|l| (l.name.as_str(), l.size)).collect();
        assert_eq!(names.len(), 5, "{names:?}");
        assert_eq!(names.first(), Some(&("a/b", 1)));
        assert!(names.contains(&("a/c", 3)), "{names:?}");
        let written = objects.modified("a/b").await.unwrap().unwrap();
        let age = Utc::now().signed_duration_since(written);
        assert!(age.num_minutes().abs() < 5, "{written}");
        assert_eq!(objects.modified("a/x").await.unwrap(), None);
        for listed in objects.list("").await.unwrap() {
            objects.remove(&listed).await.unwrap();
            objects.remove(&listed).await.unwrap();
        }
        objects.delete("a/b").await.unwrap();
        let missing = objects.get("a/b", 1).await.unwrap_err();
        assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
        assert!(!objects.has_any("").await.unwrap());
    }

    #[tokio::test]
    async fn objects_in_a_folder_are_private_and_leave_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let location: StoreLocation = root.to_str().unwrap().parse().unwrap();
        let objects = Objects::open(&location).unwrap();
        keeps_objects(&objects).await;
        let mode = std::fs::metadata(&root).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn objects_in_a_bucket_at_google_are_those_of_a_folder() {
        let options = fake_cloud_storage::Options::default().with_page(2);
        let server = fake_cloud_storage::Server::start(options).await.unwrap();
        server.create_bucket("logs");
        let variables = [
            ("GOOGLE_SERVICE_ACCOUNT_KEY", server.service_account()),
            ("GOOGLE_ALLOW_HTTP", "true".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        for bucket in ["gs://logs/tasks", "gs://logs"] {
            let location: StoreLocation = bucket.parse().unwrap();
            let objects = Objects::open_with(&location, variables.clone()).unwrap();
            keeps_objects(&objects).await;
        }
        assert_eq!(server.names("logs"), [""; 0]);
        let location: StoreLocation = "gs://absent".parse().unwrap();
        let objects = Objects::open_with(&location, variables).unwrap();
        let missing = objects.put("a", vec![1]).await.unwrap_err();
        assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    }

    #[tokio::test]
    async fn a_name_cannot_leave_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let location: StoreLocation = root.to_str().unwrap().parse().unwrap();
        let objects = Objects::open(&location).unwrap();
        objects.put("../../x", b"1".to_vec()).await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
