//! Which names `environmentSecrets` may set.

/// Names that decide which program runs or whom Claude Code talks to. They are the worker's.
const RESERVED: [&str; 34] = [
    "BASHOPTS",
    "BASH_ENV",
    "BUN_OPTIONS",
    "CDPATH",
    "ENV",
    "GCONV_PATH",
    "GIT_ASKPASS",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GLOBIGNORE",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "IS_SANDBOX",
    "JAVA_TOOL_OPTIONS",
    "LOCPATH",
    "LOGNAME",
    "MALLOC_TRACE",
    "NLSPATH",
    "NO_PROXY",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYOPT",
    "SHELL",
    "SHELLOPTS",
    "USER",
];

/// Whole families of such names.
const RESERVED_PREFIXES: [&str; 15] = [
    "ALL_PROXY",
    "ANTHROPIC_",
    "BASH_FUNC_",
    "CLAUDE",
    "DISABLE_",
    "DYLD_",
    "GIT_CONFIG",
    "LD_",
    "NODE_",
    "SSL_CERT_",
    "TEMPORAL_",
    "TMP",
    "TEMP",
    "UV_",
    "XDG_",
];

const MAX_NAME: usize = 128;

/// What is wrong with a name, if anything.
pub(super) fn problem(name: &str) -> Option<&'static str> {
    let mut characters = name.bytes();
    let starts_well = characters
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !starts_well
        || name.len() > MAX_NAME
        || !characters.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return Some("has a name that is no variable name ([A-Za-z_][A-Za-z0-9_]*, at most 128)");
    }
    // Proxies are read in lower case, too.
    let upper = name.to_ascii_uppercase();
    let reserved = RESERVED.contains(&upper.as_str())
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| upper.starts_with(prefix));
    reserved.then_some("has a name that is reserved for the worker; choose another")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_steer_programs() {
        for name in [
            "PATH",
            "LD_PRELOAD",
            "ANTHROPIC_BASE_URL",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "NODE_OPTIONS",
            "https_proxy",
            "all_proxy",
            "BASH_ENV",
            "HOME",
            "TMPDIR",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG_COUNT",
        ] {
            assert!(problem(name).is_some(), "{name}");
        }
        for name in ["", "1A", "A B", "A=B", "A\n", "Ä", &"A".repeat(129)] {
            assert!(problem(name).is_some(), "{name:?}");
        }
        for name in ["DATABASE_URL", "_x", "GITHUB_TOKEN", "a1"] {
            assert_eq!(problem(name), None, "{name}");
        }
    }
}
