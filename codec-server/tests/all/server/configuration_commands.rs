//! `config show`, `config schema` and `config explain`, and what the documentation says of the file.

use std::{fs, path::Path};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{keyring, run, run_with_input, text};

const EXAMPLE: &str = include_str!("../../../codec.example.toml");

fn schema() -> Value {
    let output = run(&["config", "schema"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).unwrap()
}

#[track_caller]
fn is_valid(validator: &Validator, file: &str) {
    let value: toml::Table = toml::from_str(file).unwrap();
    let value = serde_json::to_value(value).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{file}");
}

/// Every setting of the example file, also those that are commented out.
fn with_every_setting() -> String {
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        (line.contains(" = ") && !name.is_empty() && is_name)
            || (line.starts_with('[') && line.ends_with(']'))
    };
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if is_setting(rest) => rest,
        _ => line,
    });
    let lines: Vec<&str> = lines.collect();
    lines.join("\n") + "\n"
}

#[test]
fn the_example_file_is_valid_with_every_setting() {
    let validator = validator();
    is_valid(&validator, EXAMPLE);
    let all = with_every_setting();
    for setting in [
        "\nclient_ca = ",
        "\n[auth.issuers.corp]\n",
        "\npkcs11_sessions = 8\n",
    ] {
        assert!(all.contains(setting), "{setting}");
    }
    is_valid(&validator, &all);
}

#[test]
fn every_configuration_in_the_documentation_is_valid() {
    let (schema, validator) = (schema(), validator());
    let mut checked = 0;
    for file in markdown(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))) {
        let page = fs::read_to_string(&file).unwrap();
        for snippet in page.split("```toml\n").skip(1) {
            let snippet = snippet.split("```").next().unwrap();
            let Ok(table) = toml::from_str::<toml::Table>(snippet) else {
                panic!("{}: not TOML:\n{snippet}", file.display());
            };
            let mut sections = table.keys();
            // Others are of Cargo, and those with `[api]` of the task service.
            let is_ours = !table.contains_key("api")
                && sections.any(|name| schema["properties"].get(name).is_some());
            if is_ours {
                is_valid(&validator, snippet);
                checked += 1;
            }
        }
    }
    assert!(checked > 5, "{checked}");
}

/// The pages of the book, and the README files.
fn markdown(root: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![
        root.join("docs"),
        root.join("codec-server"),
        root.join("deploy"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_schema_refuses_what_the_server_refuses() {
    let validator = validator();
    for bad in [
        json!({"nonsense": {}}),
        json!({"server": {"max_bdy": 1}}),
        json!({"server": {"body_timeout": 5}}),
        json!({"server": {"body_timeout": "soon"}}),
        json!({"server": {"max_payloads": "many"}}),
        json!({"cors": {"allow_credentials": "maybe"}}),
        json!({"cors": {"allowed_origins": "https://a.example"}}),
        json!({"namespaces": {"default": {"plaintext": "no"}}}),
        json!({"namespaces": {"default": {"context": {"env": 1}}}}),
        json!({"namespaces": {"default": {"encrypt": [1]}}}),
        json!({"namespaces": {"team-*": {"dek": {"max_age": 1}}}}),
        json!({"keys": {"calls": {"max_attempts": "x"}}}),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}

fn configuration(folder: &Path) -> String {
    let file = folder.join("codec.toml");
    let text = format!(
        "[server]\nmax_payloads = 7\n\
         [keys]\nlocal_keyring = '{}'\n\
         [namespaces.\"prod.a1b2c\"]\nencrypt = [\"local://default\", \"pkcs11:token=t;object=k?pin-value=4711-0815\"]\n\
         require_context = [\"env\"]\ncontext = {{ env = \"prod\" }}\n\
         [namespaces.\"team-*\"]\ndecrypt = [\"local://default\"]\nencrypt = [\"local://default\"]\ndek = {{ max_age = \"2h\" }}\n",
        folder.display()
    );
    let text = text.replace(", \"pkcs11:token=t;object=k?pin-value=4711-0815\"", "");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn show_tells_every_value_and_where_it_comes_from() {
    let folder = keyring();
    let file = configuration(folder.path());
    let variables = [(
        "CODEC_CORS_ALLOWED_ORIGINS",
        "https://a.example, https://b.example",
    )];
    let output = run_with_input(&["config", "show", &file, "--json"], &variables, b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |setting: &str| {
        let settings = shown["settings"].as_array().unwrap();
        let found = settings.iter().find(|one| one["setting"] == setting);
        found
            .unwrap_or_else(|| panic!("no {setting} in {shown:#}"))
            .clone()
    };
    assert_eq!(
        of("server.max_payloads"),
        json!({"setting": "server.max_payloads", "value": 7, "source": "file", "line": 2})
    );
    assert_eq!(
        of("server.max_body"),
        json!({"setting": "server.max_body", "value": "8MiB", "source": "default"})
    );
    assert_eq!(
        of("cors.allowed_origins"),
        json!({
            "setting": "cors.allowed_origins",
            "value": ["https://a.example", "https://b.example"],
            "source": "variable",
            "variable": "CODEC_CORS_ALLOWED_ORIGINS",
        })
    );
    assert_eq!(of("server.admin_listen")["source"], "unset");
    assert_eq!(
        of("namespaces.\"prod.a1b2c\".context")["value"],
        json!({"env": "prod"})
    );
    assert_eq!(
        of("namespaces.\"prod.a1b2c\".require_context")["value"],
        json!(["env"])
    );
    assert_eq!(of("namespaces.\"team-*\".dek.max_age")["value"], "2h");
    assert_eq!(of("namespaces.\"prod.a1b2c\".dek.max_age")["value"], "1h");

    let output = run(&["config", "show", &file, "--set"]);
    let table = text(&output.stdout);
    assert!(
        table.contains("server.max_payloads") && table.contains("line 2"),
        "{table}"
    );
    assert!(!table.contains("server.max_body"), "{table}");

    // What it prints as a file means the same.
    let output = run(&["config", "show", &file, "--toml"]);
    let again = folder.path().join("again.toml");
    fs::write(&again, &output.stdout).unwrap();
    is_valid(&validator(), &text(&output.stdout));
    let check = run(&["config", "check", again.to_str().unwrap()]);
    assert_eq!(check.status.code(), Some(0), "{}", text(&check.stderr));
    let values = |file: &str| {
        let shown = run(&["config", "show", file, "--json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let settings = shown["settings"].as_array().unwrap().clone();
        let values = settings.into_iter();
        let values = values.map(|one| (one["setting"].to_string(), one["value"].clone()));
        values.collect::<Vec<_>>()
    };
    assert_eq!(values(&file), values(again.to_str().unwrap()));
}

#[test]
fn show_hides_what_is_secret() {
    const PIN: &str = "4711-0815";
    let folder = keyring();
    let file = folder.path().join("codec.toml");
    let key = format!("pkcs11:token=t;object=k?module-path=/nonexistent.so&pin-value={PIN}");
    let text_of = format!("[namespaces.default]\nencrypt = [{key:?}]\n");
    fs::write(&file, text_of).unwrap();
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["config", "show", "--toml"],
    ] {
        let all = [arguments, &[file.to_str().unwrap()]].concat();
        let output = run(&all);
        let said = [output.stdout, output.stderr].concat();
        let said = text(&said);
        assert!(!said.contains(PIN), "{said}");
        assert!(said.contains("pkcs11:token=t"), "{said}");
    }
}

#[test]
fn show_without_a_file_tells_of_the_variables() {
    let folder = keyring();
    let variables = [
        ("TEMPORAL_CODEC_KEY", "local://default"),
        ("TEMPORAL_CODEC_KEYRING", folder.path().to_str().unwrap()),
        ("TEMPORAL_NAMESPACE", "prod.a1b2c"),
        ("TEMPORAL_CODEC_CACHE_TTL", "5m"),
    ];
    let output = run_with_input(&["config", "show", "--set"], &variables, b"");
    let table = text(&output.stdout);
    for (setting, value, variable) in [
        (
            "namespaces.\"prod.a1b2c\".encrypt",
            "[\"local://default\"]",
            "TEMPORAL_CODEC_KEY",
        ),
        ("cache.ttl", "\"5m\"", "TEMPORAL_CODEC_CACHE_TTL"),
        (
            "keys.local_keyring",
            folder.path().to_str().unwrap(),
            "TEMPORAL_CODEC_KEYRING",
        ),
    ] {
        let line = table.lines().find(|line| line.starts_with(setting));
        let line = line.unwrap_or_else(|| panic!("no {setting} in {table}"));
        assert!(line.contains(value) && line.ends_with(variable), "{line}");
    }
}

#[test]
fn a_mistake_ends_show_and_explain_as_it_ends_check() {
    let folder = keyring();
    let file = folder.path().join("codec.toml");
    fs::write(&file, "[server]\nmax_body = \"lots\"\n").unwrap();
    let path = file.to_str().unwrap();
    for arguments in [
        &["config", "show", path][..],
        &["config", "explain", "max_body", "--config", path],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        assert!(text(&output.stderr).contains("codec.toml:2: server.max_body"));
    }
}

#[test]
fn explain_tells_everything_about_a_setting() {
    let folder = keyring();
    let file = configuration(folder.path());
    let output = run(&[
        "config",
        "explain",
        "server.max_payloads",
        "--config",
        &file,
    ]);
    let said = text(&output.stdout);
    for words in [
        "server.max_payloads\n",
        "a whole number",
        "default:  1000",
        "CODEC_SERVER_MAX_PAYLOADS",
        "7 (line 2)",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let said = text(&run(&["config", "explain", "local_keyring"]).stdout);
    let relative = "relative to the folder in which the program starts";
    assert!(said.contains(relative), "{said}");
    let said = text(&run(&["config", "explain", "on_undecodable"]).stdout);
    assert!(said.contains("fail | placeholder"), "{said}");
    let output = run(&["config", "explain", "max_paylods"]);
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(
        said.contains("did you mean ") && said.contains("max_payloads?"),
        "{said}"
    );
    // Every setting of the schema can be explained.
    let output = run(&["config", "explain", "keys", "--json"]);
    let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(explained["settings"].as_array().unwrap().len() > 10);
}

#[test]
fn a_configuration_can_be_named_as_for_other_commands() {
    let folder = keyring();
    let file = configuration(folder.path());
    for command in ["check", "show"] {
        let named = run(&["config", command, "--config", &file]);
        let words = text(&named.stderr);
        assert_eq!(named.status.code(), Some(0), "{command}: {words}");
        let plain = run(&["config", command, &file]);
        assert_eq!(text(&named.stdout), text(&plain.stdout), "{command}");
    }
    for arguments in [
        &["config", "check"][..],
        &["config", "check", &file, "--config", &file],
        &["config", "show", &file, "--config", &file],
    ] {
        assert_eq!(run(arguments).status.code(), Some(64), "{arguments:?}");
    }
}
