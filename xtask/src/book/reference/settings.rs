//! The settings of the codec server, from the example file that the server's own tests read.

use std::fs;

use anyhow::{Context, ensure};

use super::head;
use crate::workspace::Workspace;

const FILE: &str = "codec-server/codec.example.toml";

/// The example file and the settings in it.
pub(super) struct Settings {
    text: String,
    /// The settings that have a variable: section and name.
    pub(super) with_variables: Vec<(String, String)>,
}

/// Reads the example file.
pub(super) fn read(workspace: &Workspace) -> anyhow::Result<Settings> {
    let text = fs::read_to_string(workspace.root().join(FILE))
        .with_context(|| format!("cannot read {FILE}"))?;
    let with_variables = with_variables(&text);
    ensure!(with_variables.len() > 10, "{FILE} has hardly any setting");
    Ok(Settings {
        text,
        with_variables,
    })
}

/// The page with the whole example file.
pub(super) fn page(settings: &Settings) -> String {
    let mut page = head("Configuration file");
    page.push_str(
        "This is `codec-server/codec.example.toml`: every setting of `codec-server serve --config codec.toml`, with its default where there is one.\n\n```toml\n",
    );
    page.push_str(settings.text.trim_end());
    page.push_str("\n```\n");
    page
}

/// Settings of the sections whose settings have variables: those without a dot in their name, other than `namespaces`. A
/// setting may be commented out.
fn with_variables(text: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let section_name = line.strip_prefix("# ").unwrap_or(line);
        let section_name = section_name.strip_prefix('[');
        if let Some(name) = section_name.and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        let setting = line.strip_prefix("# ").unwrap_or(line);
        let Some((name, _)) = setting.split_once(" = ") else {
            continue;
        };
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if is_name && !section.is_empty() && !section.contains('.') {
            found.push((section.clone(), name.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_sections_without_a_dot_have_variables() {
        let text = "# Words = none\n[server]\nlisten = \"x\"\n# More words\n[keys]\n# gcp_endpoint = \"y\"  # why\n\
                    [keys.calls]\nmax_attempts = 4\n[namespaces.default]\nformat = \"envelope\"\n# [tls]\n# key = \"k\"\n";
        let found = with_variables(text);
        let found: Vec<_> = found.iter().map(|(s, n)| format!("{s}.{n}")).collect();
        assert_eq!(found, ["server.listen", "keys.gcp_endpoint", "tls.key"]);
    }
}
