//! The command line and its variables, read the same way by every program.

use std::{
    env,
    ffi::{OsStr, OsString},
};

use clap::{
    Arg, Command, Error, Parser,
    builder::Resettable,
    error::{ContextKind, ContextValue},
};

/// Parses `arguments`, the first of which is the program's name. A variable that is set to nothing counts as unset, and
/// an error about a variable's value names the variable.
///
/// # Errors
/// Wrong usage, or a request for help or the version: [`Error::use_stderr`] tells the two apart.
pub fn parse<P: Parser>(arguments: Vec<OsString>) -> Result<P, Error> {
    let command = without_empty_variables(P::command());
    command
        .clone()
        .try_get_matches_from(&arguments)
        .and_then(|mut matches| P::from_arg_matches_mut(&mut matches))
        .map_err(|error| without_secrets(name_variable(error, &command, &arguments)))
}

/// clap repeats what it refuses.
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

/// What is shown of a URI that may hold a PIN or a password; `None` for a text that can be shown as it is.
fn shown(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    let may_be_secret = rest.contains(['?', '@'])
        || rest.to_ascii_lowercase().contains("pin")
        || scheme.ends_with("pkcs11");
    may_be_secret.then(|| format!("{scheme}:…"))
}

fn without_empty_variables(command: Command) -> Command {
    let empty = |arg: &Arg| {
        arg.get_env()
            .and_then(env::var_os)
            .is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| {
            if empty(&arg) {
                arg.env(Resettable::Reset)
            } else {
                arg
            }
        })
        .mut_subcommands(without_empty_variables)
}

/// clap names the option, even where the value came from a variable and nobody wrote the option.
fn name_variable(mut error: Error, command: &Command, arguments: &[OsString]) -> Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if let Some(variable) = variable_of(command, shown, arguments) {
        let named = ContextValue::String(format!("{variable} (environment variable)"));
        error.insert(ContextKind::InvalidArg, named);
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
    use super::*;

    #[test]
    fn a_uri_that_may_hold_a_secret_is_cut_after_its_scheme() {
        for (text, cut) in [
            ("pkcs11:token=t;object=k;pin-value=1234", "pkcs11:…"),
            ("PKCS11:token=t?PIN-VALUE=1234", "PKCS11:…"),
            ("--key=pkcs11:token=t;1234", "--key=pkcs11:…"),
            ("https://user:1234@host/", "https:…"),
            ("awskms://alias/a?secret=1234", "awskms:…"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(cut), "{text}");
        }
        for text in [
            "local://a",
            "gcp-kms://projects/p",
            "127.0.0.1:80",
            "--pin",
            "me",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
