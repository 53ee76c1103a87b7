//! Names, paths and patterns of a request. All of them stay inside the workspace or the task's folder in the store.

use super::limits::{MAX_BRANCH, MAX_DEFINITION_NAME, MAX_PATH};

/// Whether a path or a glob is relative and never leaves its folder.
pub(super) fn is_inside(path: &str) -> bool {
    let plain = |c: char| !c.is_control() && c != '\\';
    !path.is_empty()
        && path.len() <= MAX_PATH
        && !path.starts_with(['/', '~', '-', ':'])
        && path.chars().all(plain)
        && path.split('/').all(|part| part != "..")
}

/// Whether a prefix names a folder below `uploads/` in the store.
pub(super) fn is_prefix(prefix: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-=".contains(&b);
    let parts = prefix.trim_matches('/');
    parts.is_empty()
        || (prefix.len() <= MAX_PATH
            && parts.split('/').all(|part| {
                !part.is_empty() && part != "." && part != ".." && part.bytes().all(good)
            }))
}

/// Whether a text is the name of a slash command or a subagent. It becomes the name of a file.
pub(super) fn is_definition_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !name.is_empty()
        && name.len() <= MAX_DEFINITION_NAME
        && !name.starts_with('-')
        && name.bytes().all(good)
}

/// Whether a text is the name of a branch, by the rules of `git check-ref-format`.
pub(super) fn is_branch(name: &str) -> bool {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let part_is_good = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none()
    };
    name.len() <= MAX_BRANCH
        && !name.starts_with('-')
        && !name.ends_with('.')
        && name != "@"
        && name != "HEAD"
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(bad)
        && name.split('/').all(part_is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for good in ["a", "a/b.txt", "**/*.rs", "./a", "a..b", "ä ö"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in [
            "", "/", "/a", "..", "a/../b", "../a", "~/a", "-a", ":(top)a", "a\0", "a\\b",
        ] {
            assert!(!is_inside(bad), "{bad:?}");
        }
        for good in ["", "a", "a/b/", "/results", "day=1/x"] {
            assert!(is_prefix(good), "{good}");
        }
        for bad in ["..", "a/../b", "a//b", "a b", "a?b", "a/./b"] {
            assert!(!is_prefix(bad), "{bad}");
        }
    }

    #[test]
    fn names_are_those_of_git_and_files() {
        for good in ["main", "feature/x-1", "release.1", "ä"] {
            assert!(is_branch(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a~1",
            "a:b",
            "x.lock",
            "/a",
            "a/",
            "a//b",
            ".a",
            "@",
            "a@{1}",
            "a.",
            "HEAD",
            "a\n",
        ] {
            assert!(!is_branch(bad), "{bad:?}");
        }
        assert!(is_definition_name("fix-bug_2"));
        for bad in ["", "a/b", "..", "a.md", "-a", "a b"] {
            assert!(!is_definition_name(bad), "{bad}");
        }
    }
}
