//! Sees that files have changed, also behind symbolic links that are exchanged, as Kubernetes does it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// A file as the system describes it. A file that was replaced or written to has another fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Option<Described>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Described {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// The file at `path` now. What is not a regular file has no fingerprint, so that folders may change.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).ok();
        Self(
            metadata
                .filter(fs::Metadata::is_file)
                .map(|file| Described {
                    device: file.dev(),
                    inode: file.ino(),
                    size: file.size(),
                    modified: (file.mtime(), file.mtime_nsec()),
                    changed: (file.ctime(), file.ctime_nsec()),
                }),
        )
    }
}

/// Files, and how they looked when they were read.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    read: BTreeMap<PathBuf, Fingerprint>,
    /// How they looked last, where they differ from what was read.
    unsettled: Option<BTreeMap<PathBuf, Fingerprint>>,
}

impl Watch {
    /// Remembers how a file looks. Call it before the file is read, so that no change is missed.
    pub fn add(&mut self, path: &Path) {
        let entry = self.read.entry(path.to_owned());
        entry.or_insert_with(|| Fingerprint::of(path));
    }

    /// Whether a file differs from what was read. It has to look the same twice, so that a file which is being written is
    /// not read. A change is reported once.
    pub fn has_changed(&mut self) -> bool {
        let now: BTreeMap<_, _> = self
            .read
            .keys()
            .map(|path| (path.clone(), Fingerprint::of(path)))
            .collect();
        if now == self.read {
            self.unsettled = None;
            return false;
        }
        if self.unsettled.as_ref() != Some(&now) {
            self.unsettled = Some(now);
            return false;
        }
        self.unsettled = None;
        self.read = now;
        true
    }
}

impl<P: AsRef<Path>> Extend<P> for Watch {
    fn extend<I: IntoIterator<Item = P>>(&mut self, paths: I) {
        paths.into_iter().for_each(|path| self.add(path.as_ref()));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn watch(path: &Path) -> Watch {
        let mut watch = Watch::default();
        watch.add(path);
        watch
    }

    #[test]
    fn a_change_is_reported_once_and_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("codec.toml");
        fs::write(&file, "a").unwrap();
        let mut watch = watch(&file);
        assert!(!watch.has_changed());
        fs::write(&file, "half").unwrap();
        assert!(!watch.has_changed(), "it may still be written");
        fs::write(&file, "complete").unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
        assert!(!watch.has_changed());
    }

    #[test]
    fn a_file_that_comes_and_goes_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pin");
        let mut watch = watch(&file);
        fs::write(&file, "1234").unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
        fs::remove_file(&file).unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
    }

    #[test]
    fn an_exchanged_link_to_the_folder_of_a_file_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "a"), ("..2", "b")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("codec.toml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/codec.toml", at("codec.toml")).unwrap();
        let mut watch = watch(&at("codec.toml"));
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
    }

    #[test]
    fn a_folder_may_change() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = watch(folder.path());
        fs::write(folder.path().join("new.json"), "{}").unwrap();
        assert!(!watch.has_changed() && !watch.has_changed());
    }
}
