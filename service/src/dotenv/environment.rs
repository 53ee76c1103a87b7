//! Puts the variables of a `.env` file into the environment of this program.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use temporal_kms_codec::kms::Kms;

use super::{
    file::EnvFile,
    trusted::{Trusted, distrust},
    value::{names, variables},
};
use crate::{
    arguments,
    env_origin::{READ, told},
    exit::{Failure, Status, say},
    terminal,
};

/// The file to read in place of `.env`, or `none`.
const FILE: &str = "TEMPORAL_CODEC_ENV_FILE";
const DEFAULT: &str = ".env";
const NONE: &str = "none";
/// How many names a warning tells.
const TOLD: usize = 10;

/// Starts this program again with the variables of its `.env` file. It returns when there is nothing to add: without a file,
/// when the environment has all of its variables, and in the process that was started again.
///
/// `.env` in the working folder is read, or the file that `TEMPORAL_CODEC_ENV_FILE` names. The value `none` switches it off.
/// A variable that is set already, also to the empty text, keeps its value. A hidden command of `command` reads no file: the
/// program starts it itself, where the folder may be a stranger's.
///
/// Only variables of the programs and of the key services of this build are taken. `own_prefixes` are the beginnings of
/// further ones, for a program whose other libraries read variables.
///
/// # Errors
/// The file cannot be read, a line of it has a mistake, or the program cannot be started again.
pub fn load(
    command: clap::Command,
    arguments: &[OsString],
    own_prefixes: &[&str],
) -> Result<(), Failure> {
    let program = command.get_name().to_owned();
    if env::var_os(READ).is_some() || !arguments::is_for_people(command, arguments) {
        return Ok(());
    }
    let trusted = Trusted::new(&Kms::default(), own_prefixes);
    let Some((path, added)) = wanted(&program, &trusted)? else {
        return Ok(());
    };
    let told = told(&path, added.iter().map(|(name, _)| name.as_str()));
    let mut again = Command::new(own_program());
    if let Some(name) = arguments.first() {
        again.arg0(name);
    }
    again.args(arguments.get(1..).unwrap_or_default());
    again.env(READ, told).envs(added);
    // It returns only after a failure.
    let error = again.exec();
    Err(Failure::new(
        Status::Software,
        format_args!(
            "cannot start the program again with the variables of {}: {error}",
            path.display()
        ),
    ))
}

/// Writes into the log which file was read, and which variables it has set.
pub fn tell() {
    if let Some(told) = arguments::variable(READ) {
        let told = terminal::line(&told);
        tracing::info!("read variables from {told}");
    }
}

/// A file, and the variables that it adds to the environment.
type Added = (PathBuf, Vec<(String, String)>);

/// The file that is read, if there is one.
fn wanted(program: &str, trusted: &Trusted) -> Result<Option<Added>, Failure> {
    let named = env::var_os(FILE).filter(|file| !file.is_empty());
    if named.as_deref() == Some(OsStr::new(NONE)) {
        return Ok(None);
    }
    let path = Path::new(named.as_deref().unwrap_or(OsStr::new(DEFAULT)));
    let Some(file) = EnvFile::read(path)? else {
        return match named {
            None => Ok(None),
            Some(_) => Err(Failure::new(
                Status::NoInput,
                format_args!(
                    "{}: the file does not exist; correct {FILE}",
                    path.display()
                ),
            )),
        };
    };
    if let Some(reason) = distrust(path, &file.metadata) {
        if named.is_some() {
            return Err(Failure::new(
                Status::NoPermission,
                format_args!(
                    "{}: {reason}; let only your user write it (chmod go-w), or correct {FILE}",
                    path.display()
                ),
            ));
        }
        say(
            program,
            format_args!(
                "warning: {DEFAULT} is ignored: {reason}; let only your user write it (chmod go-w), or set {FILE}=none"
            ),
        );
        return Ok(None);
    }
    let added = added(&file, named.is_some(), program, trusted)?;
    Ok((!added.is_empty()).then_some((file.path, added)))
}

/// The variables of the file that the environment does not have.
fn added(
    file: &EnvFile,
    is_named: bool,
    program: &str,
    trusted: &Trusted,
) -> Result<Vec<(String, String)>, Failure> {
    let is_new = |name: &str| env::var_os(name).is_none() && ![FILE, READ].contains(&name);
    let found = variables(&file.text, |name| trusted.is_ours(name) && is_new(name));
    let found = found.map_err(|mistake| {
        Failure::new(
            Status::Configuration,
            format_args!(
                "{}:{}: {}",
                file.path.display(),
                mistake.line,
                mistake.problem
            ),
        )
    })?;
    let (added, refused): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|(name, value)| is_named || trusted.is_for_any_folder(name, value));
    if !refused.is_empty() {
        let names: Vec<_> = refused.into_iter().map(|(name, _)| name).collect();
        say(
            program,
            format_args!(
                "warning: {DEFAULT} may not set {}, because a file of a stranger could; set {FILE}={DEFAULT} if you wrote it",
                names.join(", ")
            ),
        );
    }
    let foreign = names(&file.text);
    let foreign: Vec<_> = foreign
        .into_iter()
        .filter(|name| is_named && is_new(name) && !trusted.is_ours(name))
        .collect();
    if !foreign.is_empty() {
        let shown = foreign.iter().take(TOLD).copied().collect::<Vec<_>>();
        let more = match foreign.len().saturating_sub(TOLD) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        say(
            program,
            format_args!(
                "warning: {}: {}{more}: not a variable of this program or of a key service, so it is not taken; set it in the environment if it is needed",
                file.path.display(),
                shown.join(", ")
            ),
        );
    }
    Ok(added)
}

/// The path of this program. The link itself works, too, but then the process would be called `exe`.
fn own_program() -> PathBuf {
    env::current_exe()
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}
