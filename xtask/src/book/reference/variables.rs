//! Every environment variable: from the programs' help, from the example file, and from the tables in the library's
//! documentation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::ensure;

use super::{cell, commands::Help, head, settings::Settings, source};
use crate::workspace::Workspace;

/// What the names of our variables and of those that we read begin with.
const PREFIXES: [&str; 12] = [
    "ANTHROPIC_",
    "AWS_",
    "CLAUDE_CODE_OAUTH_",
    "CLAUDE_TASKS_",
    "CODEC_",
    "GCP_",
    "GOOGLE_",
    "KMS_",
    "OIDC_",
    "PKCS11_",
    "PROJECT_ID",
    "TEMPORAL_",
];

/// Variables that no table of the library's documentation has.
const OTHERS: [(&str, &str); 31] = [
    (
        "KMS_PROVIDER",
        "the service of the key, where `TEMPORAL_CODEC_KEY` is not set: `gcp`, `aws` or `local`",
    ),
    (
        "GCP_PROJECT, GCP_KMS_LOCATION, GCP_KMS_KEY_RING, GCP_KMS_KEY",
        "the key at Cloud KMS, in place of `TEMPORAL_CODEC_KEY`. The default location is `global`",
    ),
    (
        "PROJECT_ID, KMS_LOCATION, KMS_KEY_RING, KMS_KEY_NAME",
        "the same, as `keys setup` writes them",
    ),
    (
        "KMS_KEY_ALIAS",
        "the key at AWS KMS, in place of `TEMPORAL_CODEC_KEY`: `alias/NAME` or an ARN",
    ),
    (
        "GCP_KMS_ENDPOINT",
        "another endpoint of Cloud KMS: a private one of Google, or an emulator on this machine",
    ),
    (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "a credentials file of Google Cloud",
    ),
    (
        "GOOGLE_CLOUD_PROJECT",
        "where `codec-server doctor` looks for a project of the credentials",
    ),
    (
        "GOOGLE_CLOUD_QUOTA_PROJECT",
        "the project that calls to Google Cloud are charged to",
    ),
    (
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
        "an access key of AWS",
    ),
    ("AWS_PROFILE", "a profile of AWS's configuration files"),
    (
        "AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE",
        "where AWS's configuration files are",
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "where a container gets its role's credentials; AWS sets them",
    ),
    (
        "AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "`true` keeps the programs from asking the machine for its role; where they ask",
    ),
    (
        "ANTHROPIC_API_KEY, CLAUDE_CODE_OAUTH_TOKEN",
        "the caller's credential, for `claude-tasks submit`",
    ),
    (
        "CLAUDE_TASKS_TOKEN",
        "the caller's token, for commands with `--server`",
    ),
    (
        "CLAUDE_TASKS_KEYRING",
        "refused: it is called `TEMPORAL_CODEC_KEYRING` now",
    ),
    (
        "TEMPORAL_API_KEY",
        "an API key of Temporal Cloud, for `claude-tasks`",
    ),
    (
        "CLAUDE_TASKS_STORE, CLAUDE_TASKS_SECRETS_KEY",
        "where the task service stores sealed secrets and logs, and the key of these secrets",
    ),
    (
        "GCS_LOGS_BUCKET",
        "a bucket of Google Cloud Storage, where `CLAUDE_TASKS_STORE` is not set",
    ),
    (
        "CLOUDRUN_CALLBACK_SECRET, CLOUDRUN_CALLBACK_SECRET_PREVIOUS",
        "the secret that signs webhooks, and the one before it",
    ),
    (
        "PERMISSION_MODE",
        "as `CLAUDE_TASKS_PERMISSION_MODE`, which wins",
    ),
    (
        "CLAUDE_TASKS_GIT_FILES",
        "for tests: `true` lets tasks clone `file://` repositories",
    ),
    (
        "AWS_ENDPOINT, AWS_ENDPOINT_URL_S3, AZURE_ENDPOINT, GOOGLE_BASE_URL",
        "the server of the store, in place of the one of AWS, Azure or Google Cloud",
    ),
    (
        "ANTHROPIC_UNIX_SOCKET",
        "the socket of the credential proxy. The worker sets it for Claude Code",
    ),
    ("PORT", "the port of `claude-tasks api`"),
    (
        "TEMPORAL_CODEC_ENV_FILE",
        "the file with variables that both programs read, in place of `.env` in the folder in which they start; `none` reads none",
    ),
    (
        "TEMPORAL_CODEC_ENV_READ",
        "what was read from that file. The programs set it themselves",
    ),
    ("RUST_LOG", "the level of the log, such as `debug`"),
    (
        "LOG_LEVEL",
        "the level of the log of `claude-tasks`, where `RUST_LOG` is not set",
    ),
    (
        "XDG_DATA_HOME",
        "where `codec-server dev` keeps its keyring unless `--keyring` names one",
    ),
    (
        "HTTPS_PROXY, HTTP_PROXY, NO_PROXY",
        "the proxy on the way to a key service, or to an issuer of `[auth]`",
    ),
];

/// The page.
pub(super) fn page(
    workspace: &Workspace,
    trees: &[&[Help]],
    settings: &Settings,
) -> anyhow::Result<String> {
    let sources = source::all(workspace)?;
    let mut page = head("Environment variables");
    page.push_str("An empty variable counts as unset.\n\n## Codec and keys\n\n");
    page.push_str("`Codec::from_env`, `codec-server` and `claude-tasks` read these.\n\n| variable | meaning | default |\n|---|---|---|\n");
    let documented: BTreeSet<String> = sources
        .iter()
        .flat_map(|source| documented(&source.text))
        .collect();
    ensure!(
        documented.len() > 10,
        "the library's documentation has hardly any variable"
    );
    for row in &documented {
        let _ = writeln!(page, "{row}");
    }
    page.push_str("\n## Further variables\n\n| variable | meaning |\n|---|---|\n");
    for (names, meaning) in OTHERS {
        let names: Vec<_> = names.split(", ").map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "| {} | {meaning} |", names.join(", "));
    }
    page.push_str("\n## Options of the programs\n\nAn option on the command line wins over its variable.\n\n| variable | option | commands |\n|---|---|---|\n");
    for ((variable, option), commands) in options(trees) {
        let commands: Vec<_> = commands
            .iter()
            .map(|command| format!("`{command}`"))
            .collect();
        let _ = writeln!(
            page,
            "| `{variable}` | `{option}` | {} |",
            cell(&commands.join(", "))
        );
    }
    page.push_str("\n## Settings of the codec server\n\nA variable wins over the [configuration file](configuration.md).\n\n| variable | setting |\n|---|---|\n");
    for (section, name) in &settings.with_variables {
        let variable = format!("CODEC_{section}_{name}").to_uppercase();
        let _ = writeln!(page, "| `{variable}` | `{name}` in `[{section}]` |");
    }
    page.push_str("\n## Settings of the API of claude-tasks\n\nA variable wins over the file of `--config`. The sections `[auth]`, `[tls]` and `[telemetry]` are those of the codec server.\n\n| variable | setting |\n|---|---|\n");
    for name in &settings.of_api {
        let variable = format!("CODEC_API_{name}").to_uppercase();
        let _ = writeln!(page, "| `{variable}` | `{name}` in `[api]` |");
    }

    let missing: Vec<String> = sources
        .iter()
        .flat_map(|source| {
            names(&source.text)
                .into_iter()
                .map(|name| (name, &source.path))
        })
        .filter(|(name, _)| !page.contains(&format!("`{name}`")))
        .map(|(name, path)| format!("{name} of {path}"))
        .collect();
    ensure!(
        missing.is_empty(),
        "no table and no help documents these variables: {}. Add a row to the table in the documentation of the code that reads it",
        missing.join(", ")
    );
    Ok(page)
}

/// The rows of tables in doc comments whose first cell is a variable.
fn documented(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| {
        let row = line
            .trim()
            .trim_start_matches("///")
            .trim_start_matches("//!")
            .trim();
        let first = row.strip_prefix("| `")?.split('`').next()?;
        is_variable(first).then_some(row)
    });
    rows.map(|row| {
        // Links of rustdoc lead nowhere in a book.
        let row = row.replace("[`", "`").replace("`]", "`");
        let cells = row.trim_matches('|').split(" | ").count();
        if cells < 3 {
            format!("{} |  |", row.trim_end_matches(" |"))
        } else {
            row
        }
    })
    .collect()
}

/// Variables and options in the programs' help, with the commands that have them.
fn options(trees: &[&[Help]]) -> BTreeMap<(String, String), Vec<String>> {
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for help in trees.iter().copied().flatten() {
        let mut option = "";
        for line in help.text.lines().map(str::trim) {
            // A value of an option is listed as `- value: …`.
            if line.starts_with('-') && !line.starts_with("- ") {
                option = line
                    .split_whitespace()
                    .find(|word| word.starts_with("--"))
                    .unwrap_or(line);
            }
            let variable = line
                .strip_prefix("[env: ")
                .and_then(|rest| rest.split(['=', ']']).next());
            if let Some(variable) = variable {
                let key = (variable.to_owned(), option.to_owned());
                found.entry(key).or_default().push(help.command.clone());
            }
        }
    }
    for commands in found.values_mut() {
        // An option of a command and of all commands below it.
        let above = commands.clone();
        commands.retain(|command| {
            !above
                .iter()
                .any(|other| command.starts_with(&format!("{other} ")))
        });
    }
    found
}

/// The variables that a source names in a literal.
fn names(text: &str) -> BTreeSet<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|literal| is_variable(literal) && !literal.ends_with('_'))
        .filter(|literal| PREFIXES.iter().any(|prefix| literal.starts_with(prefix)))
        .map(str::to_owned)
        .collect()
}

fn is_variable(text: &str) -> bool {
    text.len() > 3
        && text.contains('_')
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_tables_in_comments_are_found() {
        let text = "/// | variable | meaning | default |\n/// |---|---|---|\n/// | `KMS_ROLE_ARN` | the [`KeyUri`] | |\n\
                    /// | `x` | no variable | |\n    /// | `PKCS11_PIN` | the PIN |\n";
        assert_eq!(
            documented(text),
            [
                "| `KMS_ROLE_ARN` | the `KeyUri` | |",
                "| `PKCS11_PIN` | the PIN |  |"
            ]
        );
    }

    #[test]
    fn an_option_has_its_variable_and_its_topmost_command() {
        let help = |command: &str| {
            Help {
            command: command.to_owned(),
            text: "  -o, --output <FILE>\n  Where\n      --keyring <DIR>\n          Folder\n          \n          [env: X_KEYRING=]\n".to_owned(),
        }
        };
        let tree = [help("c keys"), help("c keys create"), help("c seal")];
        let found = options(&[&tree]);
        let key = ("X_KEYRING".to_owned(), "--keyring".to_owned());
        assert_eq!(found[&key], ["c keys", "c seal"]);
    }

    #[test]
    fn names_in_literals_count_and_those_in_comments_do_not() {
        let text = "// \"KMS_OLD_NAME\"\nlet a = \"KMS_ROLE_ARN\"; let b = \"KMS_\"; let c = \"OTHER_NAME\";\n";
        assert_eq!(names(text), BTreeSet::from(["KMS_ROLE_ARN".to_owned()]));
    }
}
