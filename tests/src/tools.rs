use std::{env, path::PathBuf};

/// The variables that `cargo xtask test` sets, each the path of a program.
pub const TOOLS: [&str; 16] = [
    "TKC_TEMPORAL",
    "TKC_TCTL",
    "TKC_CLAUDE",
    "TKC_PYTHON",
    "TKC_CHROMIUM",
    "TKC_PLAYWRIGHT",
    "TKC_MOTO",
    "TKC_SOFTHSM",
    "TKC_SSHD",
    "TKC_PROMETHEUS",
    "TKC_PROMTOOL",
    "TKC_MANIFESTS",
    "TKC_WEB_UI",
    "TKC_WEB_UI_OLDER",
    "TKC_GO_CLIENT",
    "TKC_TYPESCRIPT_CLIENT",
];

/// The program that `variable` names.
///
/// # Panics
/// The variable is not set: the tests were not started by `cargo xtask test`.
#[must_use]
pub fn tool(variable: &str) -> PathBuf {
    assert!(TOOLS.contains(&variable), "there is no tool {variable}");
    let path = env::var_os(variable).map(PathBuf::from);
    let path = path.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`"));
    assert!(
        path.exists(),
        "{variable} names {}, which does not exist",
        path.display()
    );
    path
}
