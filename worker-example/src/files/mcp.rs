//! The configuration of MCP servers, with variables replaced by the task's secrets.

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use crate::task::{Secret, SecretJson, wipe};

/// The text of `.mcp.json`. `${NAME}` and `${NAME:-default}` become the value of the secret of this name. Claude Code replaces
/// the names that are not secrets of the task.
pub(super) fn text(
    configuration: &SecretJson,
    secrets: &BTreeMap<String, Secret>,
) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let mut value = Value::Object(configuration.expose().clone());
    expand_all(&mut value, secrets);
    let text = serde_json::to_vec_pretty(&value).map(Zeroizing::new);
    wipe(&mut value);
    let mut text = text?;
    text.push(b'\n');
    Ok(text)
}

fn expand_all(value: &mut Value, secrets: &BTreeMap<String, Secret>) {
    match value {
        Value::String(text) => {
            let mut before = std::mem::replace(text, expand(text, secrets));
            before.zeroize();
        }
        Value::Array(values) => values.iter_mut().for_each(|v| expand_all(v, secrets)),
        Value::Object(fields) => fields.values_mut().for_each(|v| expand_all(v, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces variables once: a secret that contains `${…}` stays as it is.
fn expand(text: &str, secrets: &BTreeMap<String, Secret>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        expanded.push_str(before);
        let found = after.split_once('}').and_then(|(inside, next)| {
            let name = inside.split_once(":-").map_or(inside, |(name, _)| name);
            Some((secrets.get(name)?, next))
        });
        if let Some((secret, next)) = found {
            expanded.push_str(secret.expose());
            rest = next;
        } else {
            expanded.push_str("${");
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_secrets_of_the_task_only() {
        let secrets = [("TOKEN", "t\"${OTHER}"), ("OTHER", "o")]
            .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
            .into();
        for (text, expected) in [
            ("Bearer ${TOKEN}!", "Bearer t\"${OTHER}!"),
            ("${OTHER}${OTHER:-x}", "oo"),
            (
                "${HOME} ${HOME:-x} $TOKEN ${TOKEN",
                "${HOME} ${HOME:-x} $TOKEN ${TOKEN",
            ),
            ("${${OTHER}}", "${o}"),
        ] {
            assert_eq!(expand(text, &secrets), expected, "{text}");
        }
        let configuration =
            r#"{"mcpServers":{"a":{"headers":{"Authorization":"${TOKEN}"},"n":1}}}"#;
        let configuration: SecretJson = serde_json::from_str(configuration).unwrap();
        let written: Value =
            serde_json::from_slice(&text(&configuration, &secrets).unwrap()).unwrap();
        assert_eq!(
            written["mcpServers"]["a"]["headers"]["Authorization"],
            "t\"${OTHER}"
        );
    }
}
