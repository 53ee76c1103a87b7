//! Which names `environmentSecrets` may set.

use super::limits::MAX_VARIABLE_NAME;

/// Names that decide which program runs, what it loads, or which server it talks to. Only the worker sets them. The manuals
/// of the shells, git, Node and the compilers list them.
const RESERVED: [&str; 46] = [
    "BASHOPTS",
    "BASH_ENV",
    "BROWSER",
    "CDPATH",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GLOBIGNORE",
    "GREP_OPTIONS",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "IS_SANDBOX",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCPATH",
    "LOGNAME",
    "MAKEFLAGS",
    "MALLOC_TRACE",
    "MANPAGER",
    "NLSPATH",
    "NO_PROXY",
    "PAGER",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PS4",
    "REQUESTS_CA_BUNDLE",
    "RIPGREP_CONFIG_PATH",
    "RUBYLIB",
    "RUBYOPT",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "SHELL",
    "SHELLOPTS",
    "TERMINFO",
    "USER",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// Beginnings of such names.
const RESERVED_PREFIXES: [&str; 28] = [
    "ALL_PROXY",
    "ANTHROPIC_",
    "BASH_FUNC_",
    "BUN_",
    "CLAUDE",
    "CURL_",
    "DENO_",
    "DISABLE_",
    "DYLD_",
    "GCC_",
    "GIT_",
    "GLIBC_",
    "LD_",
    "MALLOC_",
    "MCP_",
    "NODE_",
    "NPM_CONFIG_",
    "OPENSSL_",
    "OTEL_",
    "PYTHON",
    "SSH_",
    "SSL_CERT_",
    "SUDO_",
    "TEMPORAL_",
    "TMP",
    "TEMP",
    "UV_",
    "XDG_",
];

/// Why a name is not allowed. `None` if it is.
pub(super) fn problem(name: &str) -> Option<&'static str> {
    let mut characters = name.bytes();
    let starts_well = characters
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !starts_well
        || name.len() > MAX_VARIABLE_NAME
        || !characters.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return Some(
            "has a name that is not a variable name ([A-Za-z_][A-Za-z0-9_]*, at most 128)",
        );
    }
    // Programs read the variables of proxies in lower case, too.
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
            "GIT_DIR",
            "GIT_TEMPLATE_DIR",
            "RIPGREP_CONFIG_PATH",
            "EDITOR",
            "PAGER",
            "RUSTC_WRAPPER",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "BUN_INSTALL",
            "npm_config_registry",
            "no_proxy",
            "OPENSSL_CONF",
            "OPENSSL_MODULES",
            "PYTHONPATH",
            "PYTHONBREAKPOINT",
            "GCC_EXEC_PREFIX",
            "ZDOTDIR",
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
