//! The images and the compose file, as far as they can be checked without a container engine:
//! every path, program, argument, port and variable in them exists.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use dev_servers::sibling_binary;
use integration_tests::{output, tool};
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
    let secrets = declared("secrets");
    let (mut networks, configs) = (declared("networks"), declared("configs"));
    networks.insert("default".to_owned());
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
        for secret in strings(&service["secrets"]) {
            assert!(secrets.contains(secret), "{name} reads {secret}");
        }
        for config in service["configs"].as_array().into_iter().flatten() {
            let source = config["source"].as_str().expect("a source");
            assert!(configs.contains(source), "{name} reads {source}");
        }
        if let Some(other) = service["network_mode"]
            .as_str()
            .filter(|mode| *mode != "none")
        {
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
            (Some(image), None) => assert_is_exact(image),
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

/// It serves without authentication, so nothing but this machine may reach it.
#[test]
fn no_other_container_reaches_the_codec_server() {
    let compose = compose();
    let codec = &compose["services"]["codec-server"];
    let listen = codec["environment"]["CODEC_SERVER_LISTEN"]
        .as_str()
        .expect("an address");
    let port = listen.strip_prefix("0.0.0.0:").expect("every address");
    assert_eq!(
        codec["environment"]["CODEC_SERVER_INSECURE_WITHOUT_AUTHENTICATION"],
        "true"
    );
    assert_eq!(
        strings(&codec["ports"]),
        [format!("127.0.0.1:{port}:{port}")]
    );
    let endpoint = &compose["services"]["ui"]["environment"]["TEMPORAL_CODEC_ENDPOINT"];
    assert_eq!(endpoint, &format!("http://localhost:{port}"));
    let admin = codec["environment"]["CODEC_SERVER_ADMIN_LISTEN"].as_str();
    assert!(admin.is_some_and(|admin| admin.starts_with("127.0.0.1:")));

    // No other container is in its network, and no container shares its addresses.
    let alone = names(&codec["networks"]);
    assert_eq!(alone, ["codec"]);
    for (name, service) in compose["services"].as_object().expect("services") {
        let shared = names(&service["networks"])
            .iter()
            .any(|network| alone.contains(network));
        let reaches = shared || service["network_mode"] == "service:codec-server";
        assert!(
            name == "codec-server" || !reaches,
            "{name} reaches the codec server"
        );
    }
}

/// It serves without authentication, too: a task could start tasks with it.
#[test]
fn no_task_reaches_the_api() {
    let compose = compose();
    let api = &compose["services"]["api"];
    let listen = api["environment"]["CODEC_API_LISTEN"].as_str();
    let port = listen.and_then(|listen| listen.strip_prefix("0.0.0.0:"));
    let port = port.expect("every address");
    let published = strings(&api["ports"]);
    assert_eq!(published.len(), 1);
    assert!(published[0].starts_with("127.0.0.1:") && published[0].ends_with(&format!(":{port}")));
    let alone = names(&api["networks"]);
    assert_eq!(alone, ["api"]);
    for (name, service) in compose["services"].as_object().expect("services") {
        let shared = names(&service["networks"]).contains(&"api");
        assert_eq!(shared, ["api", "temporal"].contains(&&**name), "{name}");
        assert_ne!(service["network_mode"], "service:api", "{name}");
    }
}

/// Every variable of the example file reaches the containers, and every variable that a person may set is in it.
#[test]
fn the_example_file_has_the_variables_of_the_compose_file() {
    let compose = file("docker-compose.yml");
    let example = file(".env.example");
    let written: BTreeSet<&str> = example
        .lines()
        .filter_map(|line| line.strip_prefix('#').unwrap_or(line).split_once('='))
        .map(|(name, _)| name)
        .filter(|name| {
            name.bytes()
                .all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
        })
        .collect();
    let read: BTreeSet<&str> = compose
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split([':', '}']).next())
        .collect();
    assert_eq!(written, read);
    for line in example.lines() {
        assert!(
            line.is_empty() || line.starts_with('#'),
            "the example sets something: {line}"
        );
    }
    // `keys setup` writes into the file that Docker Compose reads.
    assert!(file(".gitignore").lines().any(|line| line == ".env"));
}

#[test]
fn our_programs_know_every_argument_and_variable_that_they_are_given() {
    let compose = compose();
    let codec = &compose["services"]["codec-server"];
    check_arguments("codec-server", &strings(&codec["command"]));
    for (stage, program) in [
        ("codec-server", "codec-server"),
        ("api", "claude-tasks"),
        ("worker", "claude-tasks"),
    ] {
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

    let of_keys = file("docs/reference/variables.md");
    for (service, known) in [
        (
            "worker",
            help("claude-tasks", "worker") + &file("docs/claude-tasks/deployment.md"),
        ),
        (
            "api",
            help("claude-tasks", "api") + &file("docs/claude-tasks/deployment.md"),
        ),
        ("codec-server", file("codec-server/codec.example.toml")),
        ("keys", String::new()),
    ] {
        for variable in names(&compose["services"][service]["environment"]) {
            // The codec server's variables are its settings in capitals.
            let setting = variable.to_lowercase();
            let setting = setting.splitn(3, '_').nth(2).unwrap_or_default();
            let known = known.contains(variable)
                || of_keys.contains(variable)
                || variable.starts_with("CODEC_") && known.contains(&format!("{setting} = "));
            assert!(known, "{service} knows no {variable}");
        }
    }
}

/// A file of this machine that a variable names is mounted where the variable in the container says.
#[test]
fn every_service_that_uses_the_key_has_the_files_of_its_key_service() {
    let compose = compose();
    for service in ["codec-server", "api", "worker"] {
        let service = &compose["services"][service];
        let mounted = strings(&service["secrets"]);
        for (variable, secret) in [
            ("GOOGLE_APPLICATION_CREDENTIALS", "google-credentials"),
            ("PKCS11_MODULE", "pkcs11-module"),
            ("PKCS11_PIN_FILE", "pkcs11-pin"),
        ] {
            let expected = format!("${{{variable}:+/run/secrets/{secret}}}");
            assert_eq!(service["environment"][variable], expected);
            assert!(mounted.contains(&secret), "{secret}");
            let source = format!("${{{variable}:-/dev/null}}");
            assert_eq!(compose["secrets"][secret]["file"], source);
        }
    }
}

#[test]
fn one_service_makes_the_key_and_the_others_only_read_it() {
    let compose = compose();
    let services = &compose["services"];
    let folder = services["keys"]["environment"]["TEMPORAL_CODEC_KEYRING"]
        .as_str()
        .expect("a folder");
    for (service, mode) in [
        ("keys", ""),
        ("api", ":ro"),
        ("worker", ":ro"),
        ("codec-server", ":ro"),
    ] {
        let mount = format!("keyring:{folder}{mode}");
        let mounts = strings(&services[service]["volumes"]);
        assert!(mounts.contains(&&*mount), "{service} mounts {mounts:?}");
        let own = &services[service]["environment"]["TEMPORAL_CODEC_KEYRING"];
        assert_eq!(own, folder, "{service}");
    }
    assert!(file("Dockerfile").contains(folder));
    let script = strings(&services["keys"]["command"])[0].replace("$$", "$");
    assert!(
        script.contains("codec-server keys create local://default --keyring"),
        "{script}"
    );
    for service in ["api", "worker", "codec-server"] {
        let condition = &services[service]["depends_on"]["keys"]["condition"];
        assert_eq!(condition, "service_completed_successfully", "{service}");
    }

    // The script makes the key once, and no key where another one is named.
    let program = sibling_binary("codec-server").expect("it is built");
    let programs = program.parent().expect("a folder");
    let path = format!("{}:/usr/bin:/bin", programs.display());
    for (key, provider, makes) in [
        ("", "local", true),
        ("", "gcp", false),
        ("local://x", "local", false),
    ] {
        let keyring = tempfile::tempdir().expect("a folder");
        let keyset = keyring.path().join("default.json");
        let mut made = None;
        for _ in 0..2 {
            let ran = Command::new("/bin/sh")
                .args(["-ec", &script])
                .env_clear()
                .env("PATH", &path)
                .env("TEMPORAL_CODEC_KEYRING", keyring.path())
                .env("TEMPORAL_CODEC_KEY", key)
                .env("KMS_PROVIDER", provider)
                .output()
                .expect("a shell");
            assert!(ran.status.success(), "{ran:?}");
            assert_eq!(keyset.exists(), makes, "{key} {provider}");
            let now = fs::read(&keyset).ok();
            assert!(made.is_none() || made == Some(now.clone()), "made again");
            made = Some(now);
        }
    }
}

/// Webhooks are delivered without any setting: the worker makes the secret that signs them once, and all workers have the same.
#[test]
fn the_worker_makes_the_secret_of_webhooks_once() {
    let compose = compose();
    let worker = &compose["services"]["worker"];
    assert_eq!(strings(&worker["entrypoint"]), ["/bin/sh", "-ec"]);
    let script = strings(&worker["command"])[0].replace("$$", "$");
    let command = stages();
    let command: Vec<String> =
        serde_json::from_str(instruction(&command["worker"], "CMD ")).expect("a list");
    let usual = format!("exec claude-tasks {}", command.join(" "));
    assert!(script.trim_end().ends_with(&usual), "{script}");

    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("claude-tasks");
    fs::write(&program, "#!/bin/sh\necho \"$CLOUDRUN_CALLBACK_SECRET\"\n").expect("a program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).expect("an executable");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    let place = data.to_str().expect("a path");
    let script = script.replace("/var/lib/claude-tasks", place);
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let start = |secret: &str| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-ec", &script]).env_clear().env("PATH", &path);
        shell.env("CLOUDRUN_CALLBACK_SECRET", secret);
        shell.stdout(std::process::Stdio::piped());
        shell.spawn().expect("a shell")
    };
    let secret = |shell: std::process::Child| {
        let ended = shell.wait_with_output().expect("a shell");
        assert!(ended.status.success(), "{ended:?}");
        String::from_utf8(ended.stdout).expect("text")
    };
    assert_eq!(secret(start("given")), "given\n");
    assert_eq!(fs::read_dir(&data).expect("a folder").count(), 0);
    let shells: Vec<_> = (0..4).map(|_| start("")).collect();
    let results: BTreeSet<String> = shells.into_iter().map(secret).collect();
    let results: Vec<&String> = results.iter().collect();
    assert_eq!(results.len(), 1, "{results:?}");
    let digits = results[0].trim_end();
    assert!(
        digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        "{results:?}"
    );
    assert_eq!(&secret(start("")), results[0]);
    let files: Vec<_> = fs::read_dir(&data).expect("a folder").collect();
    assert_eq!(files.len(), 1, "{files:?}");
}

#[test]
fn no_container_has_more_rights_or_resources_than_it_needs() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().expect("services") {
        assert_eq!(strings(&service["cap_drop"]), ["ALL"], "{name}");
        assert!(service["cap_add"].is_null(), "{name}");
        assert!(service["privileged"].is_null(), "{name}");
        let options = strings(&service["security_opt"]);
        assert!(options.contains(&"no-new-privileges:true"), "{name}");
        assert!(service["pids_limit"].is_u64(), "{name} has no pids_limit");
        assert!(service["mem_limit"].is_string(), "{name} has no mem_limit");
        let ours = service["image"].is_null();
        if ours || name == "postgresql" {
            assert_eq!(service["read_only"], true, "{name}");
        }
    }
}

#[test]
fn the_codec_server_has_memory_and_time_for_what_it_accepts() {
    let compose = compose();
    let codec = &compose["services"]["codec-server"];
    let size = |value: &Value| -> u64 {
        let text = value.as_str().expect("a size");
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let number: u64 = digits.parse().expect("a number");
        match &text[digits.len()..] {
            "m" | "MiB" => number << 20,
            "g" | "GiB" => number << 30,
            unit => panic!("unknown unit {unit}"),
        }
    };
    let requests = size(&codec["environment"]["CODEC_SERVER_MAX_MEMORY"]);
    assert!(size(&codec["mem_limit"]) >= 2 * requests);

    let seconds = |text: &str| -> u64 {
        let number = text.strip_suffix('s').expect("seconds");
        number.parse().expect("a number")
    };
    let example = file("codec-server/codec.example.toml");
    let setting = |name: &str| {
        let (_, rest) = example.split_once(&format!("\n{name} = \"")).expect(name);
        seconds(rest.split('"').next().expect("a value"))
    };
    let granted = seconds(codec["stop_grace_period"].as_str().expect("a time"));
    assert!(granted > setting("shutdown_delay") + setting("shutdown_grace"));
}

/// The health checks of the codec server and of the API, against a listener of ours.
#[test]
fn the_health_checks_believe_only_a_good_answer() {
    let compose = compose();
    for (service, variable) in [
        ("codec-server", "CODEC_SERVER_ADMIN_LISTEN"),
        ("api", "CODEC_API_LISTEN"),
    ] {
        let service = &compose["services"][service];
        let address = service["environment"][variable]
            .as_str()
            .expect("an address");
        believes_only_a_good_answer(&service["healthcheck"]["test"], address);
    }
}

fn believes_only_a_good_answer(test: &Value, address: &str) {
    let words = strings(test);
    assert_eq!(words[..3], ["CMD", "bash", "-c"]);
    let port = address.rsplit(':').next().expect("a port");
    let place = format!("/dev/tcp/127.0.0.1/{port}");
    assert!(words[3].contains(&place), "{}", words[3]);
    for (answer, healthy) in [
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nready\n", true),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
        ("", false),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let answering = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let mut head = BufReader::new(&client).lines().map_while(Result::ok);
            let request = head.next().expect("a request");
            assert_eq!(request, "GET /readyz HTTP/1.1");
            assert!(head.any(|line| line.is_empty()), "the head has an end");
            client.write_all(answer.as_bytes()).expect("an answer");
        });
        let script = words[3]
            .replace("$$", "$")
            .replace(&place, &format!("/dev/tcp/127.0.0.1/{port}"));
        let checked = Command::new("bash").args(["-c", &script]).status();
        assert_eq!(checked.expect("bash").success(), healthy, "{answer}");
        answering.join().expect("it answered");
    }
}

#[test]
fn the_images_are_built_from_what_is_there_and_run_as_somebody() {
    let stages = stages();
    for stage in ["codec-server", "api", "worker"] {
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
    let (compose, stages) = (compose(), stages());
    for image in stages.values().map(|stage| stage[0].split_whitespace()) {
        let image = image.clone().nth(1).expect("an image");
        if !stages.contains_key(image) {
            assert_is_exact(image);
        }
    }
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
    let image = &stages["build"][0];
    let rust = image.split([':', '-']).nth(1).expect("a version");
    assert!(
        toolchain.contains(&format!("channel = \"{rust}\"")),
        "{image}"
    );
    // Node.js 20 has been without security fixes since April 2026.
    let node = stages["claude"][0].split([':', '.']).nth(1);
    let node: u32 = node.and_then(|n| n.parse().ok()).expect("a version");
    assert!(node >= 22, "Node.js {node}");
}

/// A version with at least two numbers: `16.10`, not `16`, and no `latest`.
fn assert_is_exact(image: &str) {
    let tag = image.split_once(':').map_or("latest", |(_, tag)| tag);
    let version = tag.split('-').next().unwrap_or_default();
    let numbers = version.split('.').filter(|n| n.parse::<u32>().is_ok());
    assert!(numbers.count() >= 2, "{image} is not pinned");
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

/// The build of the images at Google Cloud makes those that `claude-tasks setup gcp` deploys.
#[test]
fn cloud_build_builds_the_stages_of_the_dockerfile() {
    let build: Value =
        serde_saphyr::from_str(&file("deploy/cloud-run/cloudbuild.yaml")).expect("YAML");
    let stages = stages();
    let images = strings(&build["images"]);
    let steps = build["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), images.len());
    for step in steps {
        let arguments = strings(&step["args"]);
        let value = |option: &str| {
            let found = arguments.iter().find_map(|word| word.strip_prefix(option));
            found.unwrap_or_else(|| panic!("no {option} in {arguments:?}"))
        };
        let stage = value("--target=");
        assert!(stages.contains_key(stage), "{stage}");
        assert!(images.contains(&value("--tag=")), "{arguments:?}");
        assert_eq!(value("--tag="), format!("${{_IMAGES}}/{stage}:${{_TAG}}"));
    }
    // The sandbox of tasks and the fetching of repositories need these programs.
    let worker = stages["worker"].join("\n");
    for package in ["bubblewrap", "git", "openssh-client"] {
        assert!(worker.contains(&format!(" {package} ")), "{package}");
    }
}
