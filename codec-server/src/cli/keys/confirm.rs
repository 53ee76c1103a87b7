//! The question before something that cannot be used any more, or not be had back.

use std::io::{IsTerminal as _, Write as _};

use super::super::exit::{Failure, Status};

/// Refuses to go on where `--yes` is missing and nobody can be asked.
pub(super) fn can_ask(what: &str) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    Err(Failure::new(
        Status::Usage,
        format_args!("{what}: there is no terminal to ask at; add --yes to do it"),
    ))
}

/// Asks the person at the terminal before `what` is done.
pub(super) fn ask(what: &str) -> Result<(), Failure> {
    let _ = write!(std::io::stderr(), "{what}. Type `yes` to go on: ");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::io("stdin", &error))?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::new(Status::Usage, "nothing was changed"))
}
