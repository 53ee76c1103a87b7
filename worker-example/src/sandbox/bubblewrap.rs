//! The view that a task has of the machine, as arguments of `bwrap` (bubblewrap).
//!
//! The view is made of what a task needs, and all else is missing: other tasks, the keyring, the homes of users, sockets of
//! other services, and the processes of the machine.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

/// Where this program is in the view.
pub(super) const HELPER: &str = "/run/claude-tasks/confine";

/// Programs and libraries. Links, such as /bin, stay links.
const SYSTEM: [&str; 9] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
];

/// Settings that programs need. Files of a service, such as keys below /etc, are not among them.
const SETTINGS: [&str; 30] = [
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/perl",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/profile",
    "/etc/protocols",
    "/etc/python3",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
];

/// The size of the folders in memory, in bytes.
const MEMORY_FOLDERS: [(&str, u64); 3] = [
    ("/tmp", 512 << 20),
    ("/var/tmp", 64 << 20),
    ("/dev/shm", 64 << 20),
];

/// What a program sees.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Whether it has the machine's network, and not one of its own.
    pub(super) has_host_network: bool,
    /// Whether the program becomes another user inside. Otherwise it stays the worker's user, in a user namespace.
    pub(super) changes_user: bool,
    /// This program's file.
    pub(super) helper: PathBuf,
    /// Files and folders that it may write, at the same paths.
    pub(super) writable: Vec<PathBuf>,
    /// Files and folders that it may read, at the same paths.
    pub(super) readable: Vec<PathBuf>,
    /// Files that it sees at another path.
    pub(super) files: Vec<(PathBuf, PathBuf)>,
}

impl View {
    /// The arguments, before those of the program.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut list = List::default();
        list.flags(&[
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-uts",
            "--unshare-cgroup-try",
            "--die-with-parent",
            "--new-session",
        ]);
        if !self.has_host_network {
            list.flags(&["--unshare-net"]);
        }
        list.flags(&["--hostname", "task", "--cap-drop", "ALL"]);
        if self.changes_user {
            list.flags(&["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]);
        } else {
            list.flags(&["--unshare-user", "--disable-userns"]);
        }
        for path in SYSTEM {
            list.system(Path::new(path));
        }
        for path in SETTINGS {
            list.bind("--ro-bind-try", path, path);
        }
        list.flags(&["--proc", "/proc", "--dev", "/dev"]);
        for (path, size) in MEMORY_FOLDERS {
            list.folders.insert(path.into());
            list.flags(&[
                "--perms",
                "1777",
                "--size",
                &size.to_string(),
                "--tmpfs",
                path,
            ]);
        }
        for path in &self.readable {
            list.bind("--ro-bind", path, path);
        }
        for (path, at) in &self.files {
            list.bind("--ro-bind", path, at);
        }
        for path in &self.writable {
            list.bind("--bind", path, path);
        }
        list.bind("--ro-bind", &self.helper, HELPER);
        list.flags(&["--remount-ro", "/dev", "--remount-ro", "/", "--"]);
        list.arguments
    }
}

/// What must be bound so that a program can run that is not among the system's: its file, or the folder of packages that it
/// belongs to.
pub(super) fn of_program(program: &Path) -> Option<PathBuf> {
    let is_of_system = SYSTEM.iter().any(|folder| program.starts_with(folder));
    if !program.is_absolute() || is_of_system || !program.exists() {
        return None;
    }
    let packages = program
        .ancestors()
        .find(|folder| folder.file_name() == Some(OsStr::new("node_modules")));
    Some(packages.unwrap_or(program).to_owned())
}

#[derive(Default)]
struct List {
    arguments: Vec<OsString>,
    folders: HashSet<PathBuf>,
}

impl List {
    fn flags(&mut self, flags: &[&str]) {
        self.arguments.extend(flags.iter().map(OsString::from));
    }

    /// Shows a path at another one. Folders above it can be entered by all users of the view: bubblewrap itself would give
    /// them the mode of the path.
    fn bind(&mut self, how: &str, from: impl AsRef<OsStr>, to: impl AsRef<Path>) {
        let to = to.as_ref();
        let mut above: Vec<_> = to.ancestors().skip(1).collect();
        above.reverse();
        for folder in above.into_iter().filter(|folder| folder.parent().is_some()) {
            if self.folders.insert(folder.to_owned()) {
                self.flags(&["--perms", "0755", "--dir"]);
                self.arguments.push(folder.into());
            }
        }
        self.arguments.push(how.into());
        self.arguments.push(from.as_ref().to_owned());
        self.arguments.push(to.into());
    }

    fn system(&mut self, path: &Path) {
        match fs::read_link(path) {
            Ok(target) => self.bind("--symlink", target, path),
            Err(_) if path.is_dir() => self.bind("--ro-bind", path, path),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_off_unless_it_is_asked_for() {
        let has = |view: &View, flag: &str| view.arguments().iter().any(|a| a == flag);
        let closed = View::default();
        assert!(has(&closed, "--unshare-net") && has(&closed, "--disable-userns"));
        let open = View {
            has_host_network: true,
            changes_user: true,
            ..View::default()
        };
        assert!(!has(&open, "--unshare-net") && has(&open, "CAP_SETUID"));
    }

    #[test]
    fn folders_above_a_private_one_can_be_entered() {
        let view = View {
            helper: "/opt/x/claude-tasks".into(),
            writable: vec!["/tmp/data/a".into(), "/tmp/data/b".into()],
            ..View::default()
        };
        let arguments = view.arguments();
        let made: Vec<_> = arguments
            .windows(4)
            .filter(|part| part[0] == "--perms" && part[2] == "--dir")
            .map(|part| part[3].to_string_lossy().into_owned())
            .collect();
        assert_eq!(made.iter().filter(|path| *path == "/tmp/data").count(), 1);
        assert!(!made.contains(&"/tmp".to_owned()), "{made:?}");
        assert!(made.contains(&"/etc".to_owned()), "{made:?}");
        assert!(made.contains(&"/run/claude-tasks".to_owned()), "{made:?}");
    }

    #[test]
    fn a_program_outside_the_system_is_bound() {
        assert_eq!(of_program(Path::new("/usr/bin/env")), None);
        assert_eq!(of_program(Path::new("env")), None);
        let folder = tempfile::tempdir().unwrap();
        let single = folder.path().join("claude");
        fs::write(&single, "").unwrap();
        assert_eq!(of_program(&single), Some(single.clone()));
        let package = folder.path().join("node_modules/@a/b");
        fs::create_dir_all(&package).unwrap();
        let packaged = package.join("cli.js");
        fs::write(&packaged, "").unwrap();
        assert_eq!(
            of_program(&packaged),
            Some(folder.path().join("node_modules"))
        );
    }
}
