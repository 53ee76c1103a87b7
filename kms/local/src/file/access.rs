//! Checks who may access a file. Only Unix has these checks.

#[cfg(not(unix))]
pub(super) use self::other::{
    check_file, check_folder, is_link, options, private_folder, sync_folder,
};
#[cfg(unix)]
pub(super) use self::unix::{
    check_file, check_folder, is_link, options, private_folder, sync_folder,
};

#[cfg(unix)]
mod unix {
    use std::{
        fs::{DirBuilder, File, Metadata, OpenOptions},
        io,
        os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
        path::Path,
    };

    use nix::{errno::Errno, fcntl::OFlag, unistd::geteuid};

    use super::super::FileError;

    /// Follows no links, never waits, and creates private files.
    pub(in super::super) fn options() -> OpenOptions {
        // A link could lead out of the keyring. Opening a pipe would wait for its other end.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut options = File::options();
        options.mode(0o600).custom_flags(flags.bits());
        options
    }

    /// Whether opening failed because the file is a symbolic link.
    pub(in super::super) fn is_link(error: &io::Error) -> bool {
        error.raw_os_error() == Some(Errno::ELOOP as i32)
    }

    pub(in super::super) fn private_folder() -> DirBuilder {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder
    }

    pub(in super::super) fn sync_folder(folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    /// Refuses a file that another user may read or owns.
    pub(in super::super) fn check_file(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
        check_owner(path, metadata.uid(), geteuid().as_raw())?;
        match metadata.mode() & 0o7777 {
            // The six lowest bits are the permissions of the group and of others.
            mode if mode.trailing_zeros() >= 6 => Ok(()),
            mode => Err(FileError::NotPrivate {
                path: path.to_owned(),
                mode,
            }),
        }
    }

    /// Refuses a folder that another user may change or owns.
    pub(in super::super) fn check_folder(
        path: &Path,
        metadata: &Metadata,
    ) -> Result<(), FileError> {
        check_owner(path, metadata.uid(), geteuid().as_raw())?;
        match metadata.mode() & 0o7777 {
            mode if mode & 0o022 == 0 => Ok(()),
            mode => Err(FileError::FolderNotPrivate {
                path: path.to_owned(),
                mode,
            }),
        }
    }

    /// Root can read and change every file anyway.
    fn check_owner(path: &Path, owner: u32, us: u32) -> Result<(), FileError> {
        if owner == us || owner == 0 {
            Ok(())
        } else {
            Err(FileError::Owner {
                path: path.to_owned(),
                owner,
            })
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_file_of_another_user_is_refused() {
            let path = Path::new("keys/default.json");
            assert!(check_owner(path, 1000, 1000).is_ok());
            assert!(check_owner(path, 0, 1000).is_ok());
            // Root must not trust a file that a user can replace.
            for (owner, us) in [(1001, 1000), (1000, 0)] {
                let error = check_owner(path, owner, us).unwrap_err().to_string();
                assert!(error.contains("keys/default.json"), "{error}");
                assert!(error.contains(&format!("uid {owner}")), "{error}");
            }
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::{
        fs::{DirBuilder, File, Metadata, OpenOptions},
        io,
        path::Path,
    };

    use super::super::FileError;

    pub(in super::super) fn options() -> OpenOptions {
        File::options()
    }

    pub(in super::super) fn is_link(_: &io::Error) -> bool {
        false
    }

    pub(in super::super) fn private_folder() -> DirBuilder {
        DirBuilder::new()
    }

    pub(in super::super) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) fn check_file(_: &Path, _: &Metadata) -> Result<(), FileError> {
        Ok(())
    }

    pub(in super::super) fn check_folder(_: &Path, _: &Metadata) -> Result<(), FileError> {
        Ok(())
    }
}
