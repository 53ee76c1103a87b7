//! Every environment variable: from the programs' help, from the example files, and from the tables in the documentation of
//! the code that reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::ensure;

use super::{
    cell,
    commands::Help,
    head,
    settings::Settings,
    source::{self, Source},
};
use crate::workspace::Workspace;

/// The folders whose variables the library reads, too.
const LIBRARY: [&str; 2] = ["codec/", "kms/"];

/// Variables that a program sets for another one, and does not read.
const SET_FOR_OTHERS: [&str; 2] = [
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_MAX_RETRIES",
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
    page.push_str("`Codec::from_env`, `codec-server` and `claude-tasks` read these.\n\n");
    let (of_library, of_programs): (Vec<_>, Vec<_>) = sources
        .iter()
        .partition(|source| LIBRARY.iter().any(|folder| source.path.starts_with(folder)));
    let (of_library, of_programs) = (rows(&of_library), rows(&of_programs));
    ensure!(
        of_library.len() > 10 && of_programs.len() > 10,
        "the documentation of the code has hardly any variable"
    );
    page.push_str(&table(&of_library));
    page.push_str("\n## Further variables\n\nOne of the programs reads these, or both.\n\n");
    page.push_str(&table(&of_programs));
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

    let prefixes = prefixes(&page);
    let missing: Vec<String> = sources
        .iter()
        .flat_map(|source| {
            names(&source.text, &prefixes)
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

/// The rows of all tables in these sources, in the order of their names.
fn rows(sources: &[&Source]) -> BTreeSet<String> {
    sources
        .iter()
        .flat_map(|source| documented(&source.text))
        .collect()
}

fn table(rows: &BTreeSet<String>) -> String {
    let head = "| variable | meaning | default |\n|---|---|---|";
    let rows = rows.iter().map(String::as_str);
    let lines: Vec<_> = std::iter::once(head).chain(rows).collect();
    format!("{}\n", lines.join("\n"))
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
        is_name(first).then_some(row)
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

/// What the names of variables begin with: the first words that several names on the page share.
fn prefixes(page: &str) -> BTreeSet<String> {
    let names: BTreeSet<&str> = page
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|name| is_variable(name))
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (word, _) in names.iter().filter_map(|name| name.split_once('_')) {
        *counts.entry(word).or_default() += 1;
    }
    let shared = counts.into_iter().filter(|(_, count)| *count > 1);
    shared.map(|(word, _)| format!("{word}_")).collect()
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

/// The variables that a source names in a literal: those that a setting has, and those that begin as documented ones do.
fn names(text: &str, prefixes: &BTreeSet<String>) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let of_settings = code.split(".variables(&[").skip(1);
    let of_settings = of_settings.filter_map(|rest| rest.split(']').next());
    let of_settings = of_settings.flat_map(literals);
    let alike = literals(&code)
        .filter(|literal| is_variable(literal) && !literal.ends_with('_'))
        .filter(|literal| prefixes.iter().any(|prefix| literal.starts_with(prefix)));
    of_settings
        .chain(alike)
        .filter(|name| !SET_FOR_OTHERS.contains(name))
        .map(str::to_owned)
        .collect()
}

/// The texts between quotes, line by line.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.lines()
        .flat_map(|line| line.split('"').skip(1).step_by(2))
}

/// A name of several words, as no other literal is written.
fn is_variable(text: &str) -> bool {
    is_name(text) && text.contains('_')
}

fn is_name(text: &str) -> bool {
    text.len() > 3
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
        let page =
            "| `KMS_PROVIDER`, `KMS_LOCATION` | one of `a` | |\n| `OTHER_KIND`, `PORT` | | |\n";
        let documented = prefixes(page);
        assert_eq!(documented, BTreeSet::from(["KMS_".to_owned()]));
        let found = names(text, &documented);
        assert_eq!(found, BTreeSet::from(["KMS_ROLE_ARN".to_owned()]));
    }

    #[test]
    fn the_variables_of_settings_count_however_they_begin() {
        let text = "Setting::new(\"vault_address\", KIND, \"Words.\")\n    .variables(&[\n        \"VAULT_ADDR\",\n        \"BAO_ADDR\",\n    ])\n    .flag(\"vault\", \"URL\")";
        let found = names(text, &BTreeSet::new());
        let expected = ["BAO_ADDR", "VAULT_ADDR"].map(str::to_owned);
        assert_eq!(found, BTreeSet::from(expected));
    }
}
