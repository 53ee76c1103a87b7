//! Which names `environmentSecrets` may set.
//!
//! The caller's variables reach the programs of the task: the commands before Claude Code, Claude Code, and its tools. The
//! programs that confine the task get them, too: the supervisor starts `claude-tasks confine` and bubblewrap with them, outside
//! of the sandbox and as the worker's user. The service's own git gets none of them (`git::call` has a list of its own).
//!
//! A whole family is reserved only where each of its names steers a program. Most families also have ordinary names, such as
//! `NODE_ENV`, `GIT_TOKEN` and `SSH_HOST`, so their dangerous names are listed one by one. The manuals of glibc, the shells, git,
//! OpenSSH, Node, Bun, Python, OpenSSL and the compilers list them.

use super::{
    error::{RequestError, quoted},
    limits::MAX_VARIABLE_NAME,
};

/// Names that decide which program runs, what it loads or writes, or which server it talks to.
const RESERVED: &[&str] = &[
    // Which program runs: shells, pagers, editors and helpers.
    "BASHOPTS",
    "BASH_ENV",
    "BROWSER",
    "CDPATH",
    "EDITOR",
    "ENV",
    "GLOBIGNORE",
    "GREP_OPTIONS",
    "IFS",
    "LESSCLOSE",
    "LESSOPEN",
    "MAKEFLAGS",
    "MANPAGER",
    "PAGER",
    "PATH",
    "PROMPT_COMMAND",
    "PS4",
    "RIPGREP_CONFIG_PATH",
    "SHELL",
    "SHELLOPTS",
    "SUDO_ASKPASS",
    "SUDO_EDITOR",
    "VISUAL",
    "ZDOTDIR",
    // Who the task is, and where its folders are. The worker sets them.
    "HOME",
    "LOGNAME",
    "TEMP",
    "TEMPDIR",
    "TMP",
    "TMPDIR",
    "TMPPREFIX",
    "USER",
    // What glibc loads into every program, also into those that confine the task.
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "LOCPATH",
    "NLSPATH",
    "TERMINFO",
    // Which server programs talk to, and whom they trust.
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "CURL_HOME",
    "CURL_SSL_BACKEND",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "OPENSSL_CONF",
    "OPENSSL_CONF_INCLUDE",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    // Claude Code: its marks, and what its worker switches off.
    "CLAUDECODE",
    "DISABLE_AUTOUPDATER",
    "IS_SANDBOX",
    // Node and Deno.
    "DENO_CERT",
    "DENO_DIR",
    "DENO_INSTALL_ROOT",
    "DENO_TLS_CA_STORE",
    "DENO_V8_FLAGS",
    "NODE_CHANNEL_FD",
    "NODE_COMPILE_CACHE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_ICU_DATA",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REDIRECT_WARNINGS",
    "NODE_REPL_EXTERNAL_MODULE",
    "NODE_REPL_HISTORY",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "NODE_USE_ENV_PROXY",
    "NODE_USE_SYSTEM_CA",
    "NODE_V8_COVERAGE",
    // Python and uv.
    "PYTHONBREAKPOINT",
    "PYTHONEXECUTABLE",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONPLATLIBDIR",
    "PYTHONPYCACHEPREFIX",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "PYTHON_HISTORY",
    "PYTHON_PRESITE",
    "UV_CONFIG_FILE",
    "UV_ENV_FILE",
    "UV_PYTHON",
    // Java, Perl, Ruby and compilers.
    "GCC_EXEC_PREFIX",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYLIB",
    "RUBYOPT",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "_JAVA_OPTIONS",
    // git: which programs it runs, and which repository, configuration and server it uses.
    "GIT_ALLOW_PROTOCOL",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ASKPASS",
    "GIT_ATTR_SOURCE",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PAGER",
    "GIT_PROTOCOL_FROM_USER",
    "GIT_PROXY_COMMAND",
    "GIT_REPLACE_REF_BASE",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SHALLOW_FILE",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE",
    // OpenSSH: which programs it runs, which libraries it loads, and which agent has the keys.
    "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE",
    "SSH_AUTH_SOCK",
    "SSH_PKCS11_HELPER",
    "SSH_SK_HELPER",
    "SSH_SK_PROVIDER",
];

/// Families of which each name is dangerous, with the reason.
const RESERVED_FAMILIES: &[(&str, &str)] = &[
    (
        "ANTHROPIC_",
        "the API, the credential and the models of Claude Code",
    ),
    ("BASH_FUNC_", "functions that bash imports"),
    ("BUN_", "the runtime that Claude Code is built on"),
    ("CLAUDE_", "settings of Claude Code and of the worker"),
    ("DYLD_", "the dynamic loader of macOS"),
    ("GIT_CONFIG_", "settings of git, which name programs"),
    ("GIT_PROXY_SSL_", "the certificates of git's proxies"),
    ("GIT_SSL_", "the certificates that git trusts"),
    ("GIT_TRACE", "files that git writes"),
    ("LD_", "the dynamic loader"),
    (
        "MALLOC_",
        "the allocator of glibc, also files that it writes",
    ),
    (
        "NPM_CONFIG_",
        "settings of npm, which name programs, folders and servers",
    ),
    ("OTEL_", "where Claude Code sends what it does"),
    ("TEMPORAL_CODEC_", "settings of this service"),
    ("XDG_", "folders from which programs load their settings"),
];

/// # Errors
/// When a variable may not have this name.
pub(super) fn check(name: &str) -> Result<(), RequestError> {
    let refused = |why: &str| {
        let problem = format!("cannot set {}: {why}. Choose another name", quoted(name));
        Err(RequestError::invalid("environmentSecrets", problem))
    };
    let mut characters = name.bytes();
    let starts_well = characters
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !starts_well
        || name.len() > MAX_VARIABLE_NAME
        || !characters.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return refused(&format!(
            "it is not the name of a variable ([A-Za-z_][A-Za-z0-9_]*, at most {MAX_VARIABLE_NAME} characters)"
        ));
    }
    // Programs read the variables of proxies in lower case, too.
    let upper = name.to_ascii_uppercase();
    if RESERVED.contains(&upper.as_str()) {
        return refused("the name is reserved, because it steers programs");
    }
    let mut families = RESERVED_FAMILIES.iter();
    match families.find(|(prefix, _)| upper.starts_with(prefix)) {
        Some((prefix, what)) => refused(&format!(
            "names that begin with {prefix} are reserved ({what})"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_steer_programs() {
        for name in [
            "PATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "GLIBC_TUNABLES",
            "MALLOC_TRACE",
            "GCONV_PATH",
            "LOCPATH",
            "ANTHROPIC_BASE_URL",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CONFIG_DIR",
            "CLAUDECODE",
            "CLAUDE_TASKS_LOG_FORMAT",
            "DISABLE_AUTOUPDATER",
            "NODE_OPTIONS",
            "NODE_PATH",
            "NODE_EXTRA_CA_CERTS",
            "NODE_TLS_REJECT_UNAUTHORIZED",
            "https_proxy",
            "all_proxy",
            "no_proxy",
            "BASH_ENV",
            "BASH_FUNC_ls",
            "HOME",
            "TMPDIR",
            "TEMP",
            "XDG_CONFIG_HOME",
            "GIT_SSH",
            "GIT_SSH_COMMAND",
            "GIT_SSH_VARIANT",
            "GIT_ASKPASS",
            "GIT_CONFIG",
            "GIT_CONFIG_COUNT",
            "GIT_CONFIG_GLOBAL",
            "GIT_CONFIG_PARAMETERS",
            "GIT_DIR",
            "GIT_EXEC_PATH",
            "GIT_EXTERNAL_DIFF",
            "GIT_PROXY_COMMAND",
            "GIT_SSL_NO_VERIFY",
            "GIT_TEMPLATE_DIR",
            "GIT_TRACE2_EVENT",
            "SSH_ASKPASS",
            "SSH_AUTH_SOCK",
            "SSH_SK_PROVIDER",
            "RIPGREP_CONFIG_PATH",
            "EDITOR",
            "PAGER",
            "RUSTC_WRAPPER",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "BUN_INSTALL",
            "BUN_OPTIONS",
            "BUN_BE_BUN",
            "npm_config_registry",
            "CURL_HOME",
            "OPENSSL_CONF",
            "OPENSSL_MODULES",
            "SSL_CERT_FILE",
            "PYTHONPATH",
            "PYTHONHOME",
            "PYTHONSTARTUP",
            "PYTHONBREAKPOINT",
            "PYTHONWARNINGS",
            "GCC_EXEC_PREFIX",
            "ZDOTDIR",
            "TEMPORAL_CODEC_KEY",
        ] {
            let error = check(name).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
            assert!(error.contains("Choose another name"), "{error}");
        }
        for name in ["", "1A", "A B", "A=B", "A\n", "Ä", &"A".repeat(129)] {
            let error = check(name).unwrap_err().to_string();
            assert!(error.contains("not the name of a variable"), "{error}");
        }
    }

    #[test]
    fn takes_ordinary_names() {
        for name in [
            "DATABASE_URL",
            "_x",
            "a1",
            "BUNDLE_TOKEN",
            "CURL_TIMEOUT",
            "DENO_AUTH_TOKENS",
            "DISABLE_ANALYTICS",
            "GCC_VERSION",
            "GITHUB_TOKEN",
            "GIT_AUTHOR_EMAIL",
            "GIT_PASSWORD",
            "GIT_SSH_KEY",
            "GIT_TOKEN",
            "MCP_TIMEOUT",
            "MCP_TOKEN",
            "NODE_AUTH_TOKEN",
            "NODE_ENV",
            "NPM_TOKEN",
            "OPENSSL_PASSPHRASE",
            "PIP_INDEX_URL",
            "PYTHONUNBUFFERED",
            "PYTHON_VERSION",
            "SSH_HOST",
            "SSH_PRIVATE_KEY",
            "SSL_CERT_PASSWORD",
            "SUDO_PASSWORD",
            "TEMPERATURE",
            "TEMPLATE_ID",
            "TEMPORAL_ADDRESS",
            "TMPL",
            "UV_PUBLISH_TOKEN",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }
}
