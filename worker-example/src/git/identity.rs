//! Who commits: the user of the repository's `.gitconfig`, or Claude Code.

use super::{call::Call, place::GitPlace};
use crate::task::StepError;

const NAME: &str = "Claude Code";
const EMAIL: &str = "noreply@anthropic.com";
/// A longer name or address is not used.
const LONGEST: usize = 256;

/// An author and committer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    name: String,
    email: String,
}

impl Identity {
    /// The identity in the file `.gitconfig` of the commit. The file is read as data: it configures nothing.
    pub(super) async fn of_commit(place: &GitPlace<'_>, commit: &str) -> Result<Self, StepError> {
        let name = value(place, commit, "user.name").await?;
        let email = value(place, commit, "user.email").await?;
        Ok(Self {
            name: name.unwrap_or_else(|| NAME.to_owned()),
            email: email.unwrap_or_else(|| EMAIL.to_owned()),
        })
    }

    /// The identity for a call that makes commits.
    pub(super) fn sign<'a>(&self, call: Call<'a>) -> Call<'a> {
        call.with("GIT_AUTHOR_NAME", &self.name)
            .with("GIT_AUTHOR_EMAIL", &self.email)
            .with("GIT_COMMITTER_NAME", &self.name)
            .with("GIT_COMMITTER_EMAIL", &self.email)
    }
}

async fn value(
    place: &GitPlace<'_>,
    commit: &str,
    name: &str,
) -> Result<Option<String>, StepError> {
    let blob = format!("{commit}:.gitconfig");
    let arguments = ["config", "--no-includes", "--blob", &blob, "--get", name];
    let read = Call::new(place, arguments).in_repository().run().await?;
    // A missing file, a file that is not a configuration, and a missing value are the same.
    if read.exit_code != 0 {
        return Ok(None);
    }
    Ok(plain(&String::from_utf8_lossy(&read.stdout)))
}

fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    let good = |c: char| !c.is_control() && !matches!(c, '<' | '>' | '\u{fffd}');
    let has_content = text.chars().any(char::is_alphanumeric);
    (has_content && text.len() <= LONGEST && text.chars().all(good)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_name_is_not_used() {
        assert_eq!(plain(" Ana Ä \n"), Some("Ana Ä".to_owned()));
        for bad in ["", "  ", "a\nb", "a <b>", "...", &"x".repeat(300)] {
            assert_eq!(plain(bad), None, "{bad:?}");
        }
    }
}
