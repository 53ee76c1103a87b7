//! Which values a file of a stranger may give to a setting.

/// Which values of a setting count when they are in a file `.env` in the folder in which a program starts. The folder can be a
/// stranger's. Such a file must not choose programs, modules, files, servers or credentials, and must not weaken the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnyFolder {
    /// None. A person has to name the file.
    #[default]
    Nothing,
    /// All of them.
    Anything,
    /// Those that can be one part of a server's name (RFC 1123, section 2.1), because a client makes such a name of them. A
    /// list may have several.
    HostLabels,
}

impl AnyFolder {
    /// Whether a file of a stranger may set `items`.
    pub(crate) fn accepts<'v>(self, items: impl IntoIterator<Item = &'v str>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Anything => true,
            Self::HostLabels => items.into_iter().all(is_label),
        }
    }
}

fn is_label(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.len() <= 63 && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_part_of_a_servers_name_is_a_label() {
        assert!(AnyFolder::HostLabels.accepts(["eu-west-1", "here"]));
        for bad in ["evil.example/x", "evil.example", "a@b", &"a".repeat(64)] {
            assert!(!AnyFolder::HostLabels.accepts([bad]), "{bad}");
        }
        assert!(AnyFolder::Anything.accepts(["a@b"]) && !AnyFolder::Nothing.accepts(["a"]));
    }
}
