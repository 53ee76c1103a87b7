//! Environment variables, paths, and texts from outside that may be shown in a command.

use std::path::{self, PathBuf};

/// An environment variable of the process. A variable that is empty or not UTF-8 counts as unset.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A path of a setting as this process uses it. A relative one is below the folder in which the process works. Errors and
/// reports show it to people who may be in another folder.
#[must_use]
pub fn absolute_path(path: impl Into<PathBuf>) -> PathBuf {
    let path = path.into();
    path::absolute(&path).unwrap_or(path)
}

/// Whether a text, such as the name of an account, a project or a role, can be part of a shell command without quotes.
#[must_use]
pub fn is_plain_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:/+=,".contains(&byte);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_below_the_working_folder() {
        let folder = std::env::current_dir().unwrap();
        assert_eq!(absolute_path("keys"), folder.join("keys"));
        assert_eq!(absolute_path(folder.join("keys")), folder.join("keys"));
        // Nothing can be made of an empty one.
        assert_eq!(absolute_path(""), PathBuf::new());
    }
}
