//! The globs of an upload.

use globset::{Glob, GlobBuilder, GlobMatcher};

use crate::task::StepError;

/// Patterns of files, as shells and npm's `glob` read them: `*` matches no slash and no dot at the beginning of a name, `**`
/// matches folders, and the name of a folder means all files in it.
#[derive(Debug)]
pub(super) struct Patterns {
    files: Vec<GlobMatcher>,
    /// The parts of patterns that begin with a dot.
    hidden: Vec<GlobMatcher>,
}

impl Patterns {
    /// # Errors
    /// When a pattern is not a glob, or leaves the workspace.
    pub(super) fn new(patterns: &[String]) -> Result<Self, StepError> {
        let (mut files, mut hidden) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let wrong = |why: &str| {
                StepError::final_one(format!("the pattern {pattern:?} in globPatterns {why}"))
            };
            let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
            let leaves = pattern.starts_with('/') || pattern.split('/').any(|part| part == "..");
            if leaves || pattern.is_empty() {
                return Err(wrong("must name files in the workspace"));
            }
            for text in [pattern.to_owned(), format!("{pattern}/**")] {
                files.push(glob(&text).map_err(|_| wrong("is not a glob"))?);
            }
            for part in pattern.split('/').filter(|part| part.starts_with('.')) {
                hidden.push(glob(part).map_err(|_| wrong("is not a glob"))?);
            }
        }
        Ok(Self { files, hidden })
    }

    /// Whether a folder or file with this name can be part of a match: hidden names only if a pattern names them.
    pub(super) fn sees(&self, name: &str) -> bool {
        !name.starts_with('.') || self.hidden.iter().any(|glob| glob.is_match(name))
    }

    /// Whether the path of a file matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.files.iter().any(|glob| glob.is_match(path))
    }
}

fn glob(text: &str) -> Result<GlobMatcher, globset::Error> {
    let glob: Glob = GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()?;
    Ok(glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_shells_do() {
        let owned = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(|p| (*p).to_owned()).collect();
            Patterns::new(&patterns)
        };
        let patterns =
            owned(&["*.txt", "./dist/", "**/*.log", ".cache/*.bin", "{a,b}.md"]).unwrap();
        for good in [
            "a.txt",
            "dist/x/y.js",
            "x.log",
            "a/b/x.log",
            ".cache/x.bin",
            "b.md",
        ] {
            assert!(patterns.matches(good), "{good}");
        }
        for bad in ["a/b.txt", "dist2/x", "c.md", ".cache/a/x.bin"] {
            assert!(!patterns.matches(bad), "{bad}");
        }
        assert!(patterns.sees(".cache") && patterns.sees("a"));
        assert!(!patterns.sees(".git") && !patterns.sees(".env"));
        for bad in ["", "/etc/*", "../x", "a/../b", "[", "./"] {
            assert!(owned(&[bad]).is_err(), "{bad}");
        }
    }
}
