use std::io::{IsTerminal as _, Write as _};

use super::super::exit::{Failure, Status};

/// Asks whoever sits at the terminal before `what` is done.
pub(super) fn confirm(what: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new(
            Status::Usage,
            format_args!("{what}: nobody is at a terminal to be asked; add --yes to do it"),
        ));
    }
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
