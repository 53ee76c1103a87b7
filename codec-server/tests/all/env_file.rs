//! The file `.env` in the folder in which the program starts.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use dev_servers::Process;
use fake_cloud_kms::{Emulator, Options};
use temporal_kms_codec::kms::local::LocalKeyring;
use tokio::runtime::Runtime;

use crate::support::program;

const LIMIT: Duration = Duration::from_mins(1);
const PAYLOADS: &str =
    r#"{"payloads":[{"metadata":{"encoding":"anNvbi9wbGFpbg=="},"data":"Mg=="}]}"#;

fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    program()
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn encode(folder: &Path, variables: &[(&str, &str)]) -> Output {
    run(folder, &["encode", "payloads.json"], variables)
}

/// A folder with payloads, a local key, and this `.env`.
fn folder(env: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
    LocalKeyring::open(&keys).key_or_create("mine").unwrap();
    fs::write(folder.path().join("payloads.json"), PAYLOADS).unwrap();
    fs::write(folder.path().join(".env"), env).unwrap();
    folder
}

fn problem(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const LOCAL: &str =
    "# mine\nexport TEMPORAL_CODEC_KEY='local://mine'\nTEMPORAL_CODEC_KEYRING=keys # here\n";

#[test]
fn what_setup_wrote_is_read_by_the_next_command() {
    let runtime = Runtime::new().unwrap();
    let emulator = runtime
        .block_on(Emulator::start(Options::default()))
        .unwrap();
    let endpoint = emulator.url();
    let variables = [("GCP_KMS_ENDPOINT", &*endpoint)];
    let folder = folder("");
    fs::remove_file(folder.path().join(".env")).unwrap();
    let without = encode(folder.path(), &variables);
    assert!(!without.status.success(), "{without:?}");
    let setup = run(
        folder.path(),
        &["keys", "setup", "--project", "p"],
        &variables,
    );
    assert!(setup.status.success(), "{setup:?}");
    let encoded = encode(folder.path(), &variables);
    assert!(encoded.status.success(), "{}", problem(&encoded));
    fs::write(folder.path().join("encoded.json"), &encoded.stdout).unwrap();
    let inspected = run(folder.path(), &["inspect", "encoded.json"], &variables);
    let told = String::from_utf8_lossy(&inspected.stdout).into_owned();
    assert!(
        told.contains("keyRings/claude-code/cryptoKeys/payload-encryption"),
        "{told}"
    );
    // The emulator's task ends in its runtime.
    let _runtime = runtime.enter();
    drop(emulator);
}

#[test]
fn the_environment_wins_and_none_switches_the_file_off() {
    let folder = folder(LOCAL);
    assert!(encode(folder.path(), &[]).status.success());
    let other = encode(folder.path(), &[("TEMPORAL_CODEC_KEY", "local://other")]);
    assert!(problem(&other).contains("local://other"), "{other:?}");
    // Empty counts as unset, and the file does not fill it.
    for variables in [
        ("TEMPORAL_CODEC_KEY", ""),
        ("TEMPORAL_CODEC_ENV_FILE", "none"),
    ] {
        let output = encode(folder.path(), &[variables]);
        assert!(!output.status.success(), "{variables:?}");
    }
}

#[test]
fn a_server_tells_at_its_start_which_variables_it_has_read() {
    let folder = folder(&format!("{LOCAL}CODEC_LOG_FORMAT=json\n"));
    let mut command = program();
    command
        .arg("serve")
        .env("CODEC_SERVER_LISTEN", "127.0.0.1:0")
        .env("CODEC_CORS_ALLOW_LOCAL_ORIGINS", "true")
        .current_dir(folder.path());
    let mut server = Process::spawn("codec-server", command).unwrap();
    let told = server
        .wait_for_line(LIMIT, |line| {
            line.contains("read variables from")
                .then(|| line.to_owned())
        })
        .unwrap();
    assert!(told.starts_with('{'), "it is a line of the log: {told}");
    let names = "/.env: TEMPORAL_CODEC_KEY, TEMPORAL_CODEC_KEYRING, CODEC_LOG_FORMAT";
    assert!(told.contains(names), "{told}");
    server
        .wait_for_line(LIMIT, |line| {
            line.contains("listening on http").then_some(())
        })
        .unwrap();
}

#[test]
fn a_file_of_another_user_and_one_that_others_may_change_are_ignored() {
    let folder = folder(LOCAL);
    let path = folder.path().join(".env");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let output = encode(folder.path(), &[]);
    assert!(!output.status.success());
    assert!(
        problem(&output).contains(".env is ignored: other users may change it"),
        "{output:?}"
    );
    let named = encode(folder.path(), &[("TEMPORAL_CODEC_ENV_FILE", ".env")]);
    assert_eq!(named.status.code(), Some(77), "{named:?}");
    assert!(problem(&named).contains("chmod go-w"), "{named:?}");
}

#[test]
fn a_stranger_s_folder_chooses_no_program_and_no_server() {
    let folder = folder(&format!(
        "{LOCAL}PATH=/nowhere\nLD_PRELOAD=/nowhere.so\nPKCS11_MODULE=/nowhere.so\nTEMPORAL_CODEC_PLAINTEXT=allow\n"
    ));
    let output = encode(folder.path(), &[]);
    assert!(output.status.success(), "{}", problem(&output));
    let told = problem(&output);
    assert!(
        told.contains(".env may not set PKCS11_MODULE, TEMPORAL_CODEC_PLAINTEXT"),
        "{told}"
    );
    assert!(!told.contains("LD_PRELOAD"), "{told}");
    // A person who names the file means it, but it still starts no other programs.
    let named = encode(folder.path(), &[("TEMPORAL_CODEC_ENV_FILE", ".env")]);
    assert!(!problem(&named).contains("may not set"), "{named:?}");
    assert!(
        problem(&named).contains(".env: LD_PRELOAD: not a variable of this program"),
        "{named:?}"
    );
}

#[test]
fn a_mistake_has_its_line_and_a_named_file_must_exist() {
    let folder = folder("A=1\nTEMPORAL_CODEC_KEY=local://a b\n");
    let output = encode(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let told = problem(&output);
    assert!(told.contains("/.env:2: text follows the value"), "{told}");
    assert!(!told.contains("local://a"), "a value may be secret: {told}");
    let missing = encode(folder.path(), &[("TEMPORAL_CODEC_ENV_FILE", "missing.env")]);
    assert_eq!(missing.status.code(), Some(66), "{missing:?}");
    nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = encode(folder.path(), &[("TEMPORAL_CODEC_ENV_FILE", "pipe")]);
    assert_eq!(pipe.status.code(), Some(65), "{pipe:?}");
    // Help needs no file.
    assert!(run(folder.path(), &["--help"], &[]).status.success());
}

#[test]
fn an_error_about_what_the_file_has_set_names_the_file() {
    let folder = folder(&LOCAL.replace("mine'", "typo'"));
    let file = folder.path().join(".env").canonicalize().unwrap();
    let says = |names: &str| format!("{} sets {names}; ", file.display());
    let output = encode(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let told = problem(&output);
    let expected = says("TEMPORAL_CODEC_KEY, TEMPORAL_CODEC_KEYRING");
    assert!(told.contains("no key local://typo"), "{told}");
    assert!(told.contains(&expected), "{told}");
    let doctor = run(folder.path(), &["doctor"], &[]);
    let told = String::from_utf8(doctor.stdout).unwrap();
    // A line of its own: what is above it may be a command.
    let is_origin = |line: &str| line.trim_start().starts_with(&expected);
    assert!(told.lines().any(is_origin), "{told}");

    // What the environment has set is not from the file.
    let output = encode(folder.path(), &[("TEMPORAL_CODEC_KEY", "local://other")]);
    let told = problem(&output);
    assert!(told.contains(&says("TEMPORAL_CODEC_KEYRING")), "{told}");

    // An option that the file has set, and an error without such a value.
    fs::write(&file, format!("{LOCAL}CODEC_LOG_FORMAT=xml\n")).unwrap();
    let told = problem(&encode(folder.path(), &[]));
    let expected = format!("CODEC_LOG_FORMAT (set in {})", file.display());
    assert!(told.contains(&expected), "{told}");
    fs::write(&file, LOCAL).unwrap();
    let missing = run(folder.path(), &["decode", "/nonexistent/history.json"], &[]);
    assert!(!problem(&missing).contains(".env"), "{missing:?}");
}
