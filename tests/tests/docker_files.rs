//! The images and the compose file, as far as they can be checked without a container engine:
//! every path, program, argument, port and variable in them exists.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use integration_tests::{output, tool};
use local_stack::sibling_binary;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn compose() -> Value {
    serde_saphyr::from_str(&file("docker-compose.yml")).expect("the compose file is YAML")
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(object) => object.keys().map(String::as_str).collect(),
        list => strings(list),
    }
}

fn help(program: &str, subcommand: &str) -> String {
    let mut command = Command::new(sibling_binary(program).expect("it is built"));
    command.args([subcommand, "--help"]);
    output(command)
}

/// A stage's name with its instructions, one a line.
fn stages() -> BTreeMap<String, Vec<String>> {
    let mut stages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = String::new();
    let text = file("Dockerfile").replace("\\\n", " ");
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "FROM" {
            assert_eq!(words[2], "AS", "every stage has a name: {line}");
            words[3].clone_into(&mut current);
        }
        stages
            .entry(current.clone())
            .or_default()
            .push(words.join(" "));
    }
    stages
}

#[test]
fn everything_that_the_compose_file_names_is_declared() {
    let compose = compose();
    let declared = |kind: &str| -> BTreeSet<String> {
        names(&compose[kind])
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    let (services, volumes) = (declared("services"), declared("volumes"));
    let (networks, configs) = (declared("networks"), declared("configs"));
    let stages = stages();
    for (name, service) in compose["services"].as_object().expect("services") {
        for other in names(&service["depends_on"]) {
            assert!(services.contains(other), "{name} depends on {other}");
        }
        for mount in strings(&service["volumes"]) {
            let (volume, path) = mount.split_once(':').expect("VOLUME:PATH");
            assert!(
                volumes.contains(volume) && path.starts_with('/'),
                "{name} mounts {mount}"
            );
        }
        for network in names(&service["networks"]) {
            assert!(networks.contains(network), "{name} is in {network}");
        }
        for config in service["configs"].as_array().into_iter().flatten() {
            let source = config["source"].as_str().expect("a source");
            assert!(configs.contains(source), "{name} reads {source}");
        }
        if let Some(other) = service["network_mode"].as_str() {
            let other = other
                .strip_prefix("service:")
                .expect("another service's network");
            assert!(
                services.contains(other),
                "{name} shares the network of {other}"
            );
        }
        match (
            service["image"].as_str(),
            service["build"]["target"].as_str(),
        ) {
            (Some(image), None) => {
                let tag = image.split_once(':').map_or("latest", |(_, tag)| tag);
                assert!(
                    tag.chars().any(|c| c.is_ascii_digit()),
                    "{image} is not pinned"
                );
            }
            (None, Some(target)) => assert!(stages.contains_key(target), "no stage {target}"),
            other => panic!("{name} has {other:?}"),
        }
        for port in strings(&service["ports"]) {
            assert!(
                port.starts_with("127.0.0.1:"),
                "{name} is open to the network: {port}"
            );
        }
    }
}

#[test]
fn the_browser_reaches_the_codec_server_through_its_proxy_only() {
    let compose = compose();
    let codec = &compose["services"]["codec-server"];
    let arguments = strings(&codec["command"]);
    let position = arguments
        .iter()
        .position(|word| *word == "--listen")
        .expect("--listen");
    let listen = arguments[position + 1];
    let (_, codec_port) = listen.split_once(':').expect("ADDRESS:PORT");
    assert_eq!(listen, format!("127.0.0.1:{codec_port}"));

    let proxy = compose["configs"]["codec-proxy"]["content"]
        .as_str()
        .expect("a configuration");
    assert!(
        proxy.contains(&format!("proxy_pass http://{listen};")),
        "{proxy}"
    );
    let published = strings(&codec["ports"])[0];
    let (outside, inside) = published.rsplit_once(':').expect("OUTSIDE:INSIDE");
    assert!(proxy.contains(&format!("listen {inside};")), "{proxy}");
    assert_ne!(
        inside, codec_port,
        "the proxy and the codec server share one loopback"
    );

    let port = outside.rsplit(':').next().expect("a port");
    let endpoint = &compose["services"]["ui"]["environment"]["TEMPORAL_CODEC_ENDPOINT"];
    assert_eq!(endpoint, &format!("http://localhost:{port}"));

    // No other container is on its network.
    let alone = names(&codec["networks"]);
    for (name, service) in compose["services"].as_object().expect("services") {
        let shared = names(&service["networks"])
            .iter()
            .any(|network| alone.contains(network));
        assert!(
            name == "codec-server" || !shared,
            "{name} reaches the codec server"
        );
    }
}

#[test]
fn our_programs_know_every_argument_and_variable_that_they_are_given() {
    let compose = compose();
    let codec = &compose["services"]["codec-server"];
    check_arguments("codec-server", &strings(&codec["command"]));
    for (stage, program) in [("codec-server", "codec-server"), ("worker", "claude-tasks")] {
        let stages = stages();
        let command = instruction(&stages[stage], "CMD ");
        let arguments: Vec<String> = serde_json::from_str(command).expect("a list");
        check_arguments(
            program,
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        assert_eq!(
            instruction(&stages[stage], "ENTRYPOINT "),
            format!("[\"{program}\"]")
        );
    }

    let known = help("claude-tasks", "worker") + &file("codec/src/env.rs");
    for variable in names(&compose["services"]["worker"]["environment"]) {
        assert!(known.contains(variable), "the worker knows no {variable}");
    }
    let keyring = &compose["services"]["worker"]["environment"]["TEMPORAL_CODEC_KEYRING"];
    for service in ["worker", "codec-server"] {
        let mount = format!("keyring:{}", keyring.as_str().expect("a folder"));
        let mounts = strings(&compose["services"][service]["volumes"]);
        assert!(mounts.contains(&mount.as_str()), "{service} shares no keys");
    }
    assert!(file("Dockerfile").contains(keyring.as_str().expect("a folder")));
}

#[test]
fn the_images_are_built_from_what_is_there_and_run_as_somebody() {
    let stages = stages();
    for stage in ["codec-server", "worker"] {
        assert_ne!(instruction(&stages[stage], "USER "), "root");
    }
    let build = stages["build"].join("\n");
    for package in build.split("--package ").skip(1) {
        let package = package.split_whitespace().next().expect("a name");
        let manifest =
            ["codec-server", "worker-example"].map(|path| file(&format!("{path}/Cargo.toml")));
        let named = format!("name = \"{package}\"");
        assert!(
            manifest.iter().any(|text| text.contains(&named)),
            "no package {package}"
        );
    }
    // What later stages copy is what the earlier ones install into /out.
    for copy in stages
        .values()
        .flatten()
        .filter(|line| line.starts_with("COPY --from="))
    {
        let words: Vec<&str> = copy.split_whitespace().collect();
        let from = words[1].trim_start_matches("--from=");
        let program = words[2].strip_prefix("/out/").expect("from /out");
        let made = stages[from].join("\n");
        let installed =
            made.contains("--target-directory=/out") && made.contains(&format!("/{program}"));
        assert!(installed, "{from} makes no {program}");
    }
    // The builder sees every member of the workspace, and neither results nor secrets.
    let ignored = file(".dockerignore");
    let seen: Vec<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    for path in &seen {
        assert!(root().join(path).exists(), "{path} does not exist");
    }
    let manifest = file("Cargo.toml");
    let members = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'));
    for member in members.expect("members").0.split('"').skip(1).step_by(2) {
        assert!(
            seen.iter().any(|path| Path::new(member).starts_with(path)),
            "no {member}"
        );
    }
    assert!(
        !seen
            .iter()
            .any(|path| ["target", ".git", ".env"].contains(path))
    );
}

#[test]
fn versions_are_those_of_the_tests() {
    let mut temporal = Command::new(tool("TKC_TEMPORAL"));
    temporal.arg("--version");
    let versions = output(temporal);
    let compose = compose();
    for (service, label) in [("temporal", "Server "), ("ui", "UI ")] {
        let image = compose["services"][service]["image"]
            .as_str()
            .expect("an image");
        let tag = image.rsplit(':').next().expect("a tag");
        assert!(
            versions.contains(&format!("{label}{tag}")),
            "{image}, but {versions}"
        );
    }
    let mut claude = Command::new(tool("TKC_CLAUDE"));
    claude.arg("--version");
    let version = output(claude);
    let version = version.split_whitespace().next().expect("a version");
    assert!(
        file("Dockerfile").contains(&format!("claude-code@{version} ")),
        "{version}"
    );
    let toolchain = file("rust-toolchain.toml");
    let image = stages()["build"][0].clone();
    let rust = image
        .split([':', '-'])
        .nth(1)
        .expect("a version")
        .to_owned();
    assert!(
        toolchain.contains(&format!("channel = \"{rust}.")),
        "{image}"
    );
}

fn check_arguments(program: &str, arguments: &[&str]) {
    let help = help(program, arguments[0]);
    for argument in arguments
        .iter()
        .filter(|argument| argument.starts_with("--"))
    {
        assert!(
            help.contains(argument),
            "{program} {} knows no {argument}",
            arguments[0]
        );
    }
}

fn instruction<'a>(stage: &'a [String], name: &str) -> &'a str {
    let line = stage.iter().rev().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name}in {stage:?}"))
}
