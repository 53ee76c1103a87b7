//! The command line and its variables, read the same way by every program.

use std::{
    env,
    ffi::{OsStr, OsString},
};

use clap::{
    Arg, Command, Error, Parser,
    builder::{Resettable, StyledStr},
    error::{ContextKind, ContextValue, ErrorKind},
};
use temporal_kms_codec::KeyUri;

use crate::env_origin;

/// A variable of the process. One that is empty, or not UTF-8, counts as unset.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Parses `arguments`, the first of which is the program's name. An empty variable counts as unset, and an error about
/// a variable's value names the variable.
///
/// # Errors
/// Wrong usage, or a request for help or the version: [`Error::use_stderr`] tells the two apart.
pub fn parse<P: Parser>(arguments: &[OsString]) -> Result<P, Error> {
    let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    let mut command = without_variables(P::command(), &is_empty);
    // Arguments can be shown only after this.
    command.build();
    command
        .clone()
        .try_get_matches_from(arguments)
        .and_then(|mut matches| P::from_arg_matches_mut(&mut matches))
        .map_err(|error| name_config(error, &command, arguments))
        .map_err(|error| without_secrets(name_variable(error, &command, arguments)))
}

/// Says how a configuration is named when it is placed where the command takes no arguments.
fn name_config(mut error: Error, command: &Command, arguments: &[OsString]) -> Error {
    let is_name = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => !argument.starts_with('-'),
        _ => false,
    };
    if error.kind() != ErrorKind::UnknownArgument || !is_name {
        return error;
    }
    let mut used = command;
    for argument in arguments.iter().skip(1) {
        used = used.find_subcommand(argument).unwrap_or(used);
    }
    let takes_config = used
        .get_arguments()
        .any(|arg| arg.get_long() == Some("config") && !arg.is_hide_set());
    if takes_config && used.get_positionals().next().is_none() {
        let tip = StyledStr::from("name the file with '--config FILE'");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// Whether the arguments name a command that people use. A program starts its hidden commands itself.
pub(crate) fn is_for_people(command: Command, arguments: &[OsString]) -> bool {
    let command = without_variables(command, &|_| true).ignore_errors(true);
    let hidden: Vec<String> = command
        .get_subcommands()
        .filter(|command| command.is_hide_set())
        .map(|command| command.get_name().to_owned())
        .collect();
    let Ok(matches) = command.try_get_matches_from(arguments) else {
        // Help, the version, or a command line that is refused.
        return false;
    };
    matches
        .subcommand_name()
        .is_some_and(|name| !hidden.iter().any(|hidden| hidden == name))
}

/// clap repeats the refused argument, which may be secret.
fn without_secrets(mut error: Error) -> Error {
    for kind in [
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidValue,
        ContextKind::TrailingArg,
    ] {
        let shown = match error.get(kind) {
            Some(ContextValue::String(text)) => shown(text),
            _ => None,
        };
        if let Some(shown) = shown {
            error.insert(kind, ContextValue::String(shown));
        }
    }
    error
}

/// `text` without what may be secret in it: a URI is cut where a PIN or a password can be.
#[must_use]
pub fn without_secret(text: &str) -> String {
    shown(text).unwrap_or_else(|| text.to_owned())
}

/// The part of a URI that may be shown, since it may hold a PIN or a password; `None` for other texts.
fn shown(text: &str) -> Option<String> {
    let (option, value) = match text.split_once('=') {
        Some((option, value)) if option.starts_with("--") => (format!("{option}="), value),
        _ => (String::new(), text),
    };
    let lower = value.to_ascii_lowercase();
    let may_be_secret = lower.contains("://")
        || lower.contains("pin-")
        || (lower.contains(':') && lower.contains(['?', '@', ';']));
    may_be_secret.then(|| format!("{option}{}", KeyUri::redact(value)))
}

fn without_variables(command: Command, unset: &dyn Fn(&OsStr) -> bool) -> Command {
    command
        // Help would show the values, and a key's URI or a token can be secret.
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_args(|arg| {
            if arg.get_env().is_some_and(unset) {
                arg.env(Resettable::Reset)
            } else {
                arg
            }
        })
        .mut_subcommands(|command| without_variables(command, unset))
}

/// clap names the option even when the value came from a variable.
fn name_variable(mut error: Error, command: &Command, arguments: &[OsString]) -> Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    // Arguments can be shown only when they are built.
    let mut command = command.clone();
    command.build();
    if let Some(variable) = variable_of(&command, shown, arguments) {
        let named = match env_origin::file_of(&variable) {
            Some(file) => format!("{variable} (set in {file})"),
            None => format!("{variable} (environment variable)"),
        };
        error.insert(ContextKind::InvalidArg, ContextValue::String(named));
    }
    error
}

fn variable_of(command: &Command, shown: &str, arguments: &[OsString]) -> Option<String> {
    let own = command.get_arguments().find_map(|arg| {
        let variable = arg.get_env().filter(|_| arg.to_string() == shown)?;
        (env::var_os(variable).is_some() && !is_given(arg, arguments))
            .then(|| variable.to_string_lossy().into_owned())
    });
    own.or_else(|| {
        command
            .get_subcommands()
            .find_map(|command| variable_of(command, shown, arguments))
    })
}

fn is_given(arg: &Arg, arguments: &[OsString]) -> bool {
    let Some(long) = arg.get_long().map(|name| format!("--{name}")) else {
        return false;
    };
    arguments
        .iter()
        .filter_map(|given| OsStr::to_str(given))
        .any(|given| {
            given
                .strip_prefix(&long)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[arg(long, env = "TKC_TEST_UNSET_ONE", global = true)]
        one: Option<String>,
        #[command(subcommand)]
        command: Inner,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Inner {
        Run {
            #[arg(long, env = "TKC_TEST_UNSET_TWO")]
            two: Option<u8>,
            // Every process that runs tests has it.
            #[arg(long, env = "PATH")]
            path: Option<u8>,
        },
    }

    #[test]
    fn a_hidden_command_is_not_for_people() {
        let command = || Program::command().mut_subcommand("run", |run| run.hide(true));
        for (arguments, public, hidden) in [
            (&["program", "run", "--two", "x"][..], true, false),
            (&["program", "--one", "run", "run"], true, false),
            (&["program"], false, false),
            (&["program", "--help"], false, false),
            (&["program", "walk"], false, false),
        ] {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            assert_eq!(is_for_people(Program::command(), &arguments), public);
            assert_eq!(is_for_people(command(), &arguments), hidden);
        }
    }

    fn variables(command: &Command) -> Vec<String> {
        let own = command.get_arguments().filter_map(Arg::get_env);
        own.map(|name| name.to_string_lossy().into_owned())
            .chain(command.get_subcommands().flat_map(variables))
            .collect()
    }

    fn parsed(arguments: &[&str]) -> Result<Program, Error> {
        let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
        parse(&arguments)
    }

    #[test]
    fn an_empty_variable_is_read_in_no_command() {
        let all = variables(&Program::command());
        assert_eq!(all.len(), 3);
        let command = without_variables(Program::command(), &|name| name != "PATH");
        assert_eq!(variables(&command), ["PATH"]);
    }

    #[test]
    fn an_error_names_what_the_value_came_from() {
        let error = parsed(&["program", "run"]).unwrap_err().to_string();
        assert!(error.contains("PATH (environment variable)"), "{error}");
        let error = parsed(&["program", "run", "--path", "x"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("'--path <PATH>'"), "{error}");
        assert!(parsed(&["program", "run", "--path=1"]).is_ok());
    }

    #[test]
    fn a_uri_is_shown_without_what_may_be_secret() {
        for (text, cut) in [
            (
                "pkcs11:token=t;object=k;pin-value=1234",
                "pkcs11:token=t;object=k;pin-value=…",
            ),
            ("PKCS11:token=t?PIN-VALUE=1234", "…"),
            ("token=t;pin-value=1234", "…"),
            ("--key=pkcs11:token=t;1234", "--key=pkcs11:token=t;…"),
            ("https://user:1234@host/", "https://…@host/"),
            ("awskms://alias/a?secret=1234", "awskms://alias/a?secret=…"),
            ("postgres://user:1234@host/", "…"),
            ("user:1234@host", "…"),
            ("local://a", "local://a"),
            ("gcp-kms://projects/p", "gcp-kms://projects/p"),
            ("http://10.0.0.1:8233", "http://10.0.0.1:8233"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(cut), "{text}");
        }
        for text in ["127.0.0.1:80", "--pin", "--name=value", "me"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
