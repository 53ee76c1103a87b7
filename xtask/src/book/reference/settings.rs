//! The settings of the codec server and of the API of `claude-tasks`, from the example files that the programs' own tests
//! read.

use std::fs;

use anyhow::{Context, ensure};

use super::head;
use crate::workspace::Workspace;

const FILE: &str = "codec-server/codec.example.toml";
const API_FILE: &str = "worker-example/claude-tasks.example.toml";

/// The example files, and the settings in them.
pub(super) struct Settings {
    /// Of the codec server.
    text: String,
    /// Of the API of `claude-tasks`.
    api_text: String,
    /// The settings that have a variable: section and name.
    pub(super) with_variables: Vec<(String, String)>,
    /// The settings of the section `[api]`.
    pub(super) of_api: Vec<String>,
}

/// Reads the example files.
pub(super) fn read(workspace: &Workspace) -> anyhow::Result<Settings> {
    let example = |file: &str| {
        fs::read_to_string(workspace.root().join(file))
            .with_context(|| format!("cannot read {file}"))
    };
    let text = example(FILE)?;
    let server = with_variables(&text);
    ensure!(server.len() > 10, "{FILE} has hardly any setting");
    let api_text = example(API_FILE)?;
    let of_api = of_section("api", &api_text);
    ensure!(of_api.len() > 3, "{API_FILE} has hardly any setting");
    Ok(Settings {
        text,
        api_text,
        with_variables: server,
        of_api,
    })
}

/// The page with both example files.
pub(super) fn page(settings: &Settings) -> String {
    let head = head("Configuration files");
    let (server, api) = (settings.text.trim_end(), settings.api_text.trim_end());
    format!(
        "{head}## codec-server\n\n\
         This is `{FILE}`: every setting of `codec-server serve --config codec.toml`, with its default where there is one.\n\n\
         ```toml\n{server}\n```\n\n\
         ## claude-tasks\n\n\
         This is `{API_FILE}`: every setting of the section `[api]` of `claude-tasks api --config claude-tasks.toml`, with its default \
         where there is one. `[audit]`, `[reload]`, `[auth]`, `[tls]` and `[telemetry]` have the settings of the codec server.\n\n\
         ```toml\n{api}\n```\n"
    )
}

/// Settings of the sections whose settings have variables: those without a dot in their name, other than `namespaces`. A
/// setting may be commented out.
fn with_variables(text: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let section_name = line.strip_prefix("# ").unwrap_or(line);
        let section_name = section_name.strip_prefix('[');
        let section_name = section_name.and_then(|rest| rest.strip_suffix(']'));
        // Words in brackets are a part of a comment.
        if let Some(name) = section_name.filter(|name| !name.contains([' ', ':'])) {
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

/// The names of the settings of one section.
fn of_section(wanted: &str, text: &str) -> Vec<String> {
    let all = with_variables(text).into_iter();
    all.filter_map(|(section, name)| (section == wanted).then_some(name))
        .collect()
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
        assert_eq!(of_section("keys", text), ["gcp_endpoint"]);
    }
}
