//! Environment variables, and texts from outside that may be shown in a command.

/// An environment variable of the process. A variable that is empty or not UTF-8 counts as unset.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a text, such as the name of an account, a project or a role, can be part of a shell command without quotes.
#[must_use]
pub fn is_plain_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:/+=,".contains(&byte);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(allowed)
}
