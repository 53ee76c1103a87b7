//! The command `confine`: it gives up rights, sets limits, and becomes the program of a task.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitCode},
};

use clap::Args;
use nix::{
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
    },
    unistd::{Gid, Uid, getgid, getuid, setgroups, setresgid, setresuid},
};

use super::{
    egress,
    supervisor::{FAILED, NOT_FOUND, NOT_RUNNABLE},
};
use crate::print;

/// The most open files of a process. The worker looks at the open files of all processes of a task.
const OPEN_FILES: u64 = 16_384;

/// What `confine` does before it becomes the program. Only the supervisor starts it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Confine {
    /// The control group to enter.
    #[arg(long)]
    pub(super) cgroup: Option<PathBuf>,
    /// The most memory of a process, in bytes.
    #[arg(long)]
    pub(super) memory: Option<u64>,
    /// The most processes of the user.
    #[arg(long)]
    pub(super) processes: Option<u64>,
    /// The largest file, in bytes.
    #[arg(long)]
    pub(super) file_size: Option<u64>,
    /// The user and the group to become, without any other group.
    #[arg(long)]
    pub(super) user: Option<u32>,
    /// The working folder.
    #[arg(long)]
    pub(super) folder: Option<PathBuf>,
    /// The socket of the egress proxy. The program reaches it by a port of its network.
    #[arg(long)]
    pub(super) egress: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub(super) command: Vec<OsString>,
}

impl Confine {
    /// The arguments of this program that make it do this.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["confine".into()];
        let mut add = |name: &str, value: Option<OsString>| {
            if let Some(value) = value {
                let mut argument = OsString::from(format!("--{name}="));
                argument.push(value);
                arguments.push(argument);
            }
        };
        let number = |value: Option<u64>| value.map(|value| value.to_string().into());
        add("cgroup", self.cgroup.clone().map(Into::into));
        add("memory", number(self.memory));
        add("processes", number(self.processes));
        add("file-size", number(self.file_size));
        add("user", number(self.user.map(u64::from)));
        add("folder", self.folder.clone().map(Into::into));
        add("egress", self.egress.clone().map(Into::into));
        arguments.push("--".into());
        arguments.extend(self.command.iter().cloned());
        arguments
    }
}

/// The command `confine`. It returns only if the program cannot be started.
#[must_use]
pub(crate) fn confine(settings: &Confine) -> ExitCode {
    let Some((program, arguments)) = settings.command.split_first() else {
        return FAILED.into();
    };
    let program_name = program.to_string_lossy();
    if let Err(error) = apply(settings) {
        print::note(&format!(
            "claude-tasks confine: cannot confine {program_name}: {error}"
        ));
        return FAILED.into();
    }
    let error = Command::new(program).args(arguments).exec();
    print::note(&format!(
        "claude-tasks confine: cannot start {program_name}: {error}"
    ));
    match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND.into(),
        _ => NOT_RUNNABLE.into(),
    }
}

fn apply(settings: &Confine) -> io::Result<()> {
    if let Some(cgroup) = &settings.cgroup {
        // 0 is the writing process (cgroups(7)).
        fs::write(cgroup.join("cgroup.procs"), "0")?;
    }
    for (resource, most) in [
        (Resource::RLIMIT_CORE, Some(0)),
        (Resource::RLIMIT_DATA, settings.memory),
        (Resource::RLIMIT_NPROC, settings.processes),
        (Resource::RLIMIT_FSIZE, settings.file_size),
    ] {
        if let Some(most) = most {
            setrlimit(resource, most, most)?;
        }
    }
    // Only lower, because a raised limit breaks programs that use select(2), and not every worker may raise one.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let (soft, hard) = (soft.min(OPEN_FILES), hard.min(OPEN_FILES));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    if let Some(id) = settings.user {
        let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
        setgroups(&[])?;
        setresgid(group, group, group)?;
        setresuid(user, user, user)?;
        if getuid() != user || getgid() != group {
            return Err(io::Error::other("the user did not change"));
        }
    }
    prctl::set_no_new_privs()?;
    if let Some(folder) = &settings.folder {
        std::env::set_current_dir(folder)?;
    }
    if let Some(socket) = &settings.egress {
        // The process that this starts has the rights and the limits of the program.
        egress::start(socket)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    enum Cli {
        Confine(Confine),
    }

    #[test]
    fn the_arguments_are_read_as_they_were_written() {
        let settings = Confine {
            cgroup: Some("/sys/fs/cgroup/a b".into()),
            memory: Some(1),
            processes: Some(2),
            file_size: Some(3),
            user: Some(4),
            folder: Some("/-x".into()),
            egress: Some("/run/a b/socket".into()),
            command: vec!["--user=0".into(), "--".into(), "-x".into()],
        };
        let written = [vec!["p".into()], settings.to_arguments()].concat();
        let Cli::Confine(read) = Cli::parse_from(written);
        assert_eq!(format!("{read:?}"), format!("{settings:?}"));
    }
}
