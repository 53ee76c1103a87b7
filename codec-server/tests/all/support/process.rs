//! `codec-server` as a process: started on free ports, its log kept, killed at the end.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
};

use dev_servers::Service;
use nix::{
    sys::signal::Signal,
    unistd::{Pid, Uid},
};
use serde_json::Value;
use tempfile::TempDir;
use temporal_kms_codec::kms::local::LocalKeyring;

use super::{
    PATIENCE,
    client::{Answer, Connection, body_of, post},
    decode64, until,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_codec-server");
/// One namespace `default` with a key of its own.
pub(crate) const DEFAULT: &str = "[namespaces.default]\nencrypt = [\"local://default\"]";

pub(crate) struct CodecServer {
    service: Service,
    admin: String,
    folder: TempDir,
    keyring: PathBuf,
}

impl CodecServer {
    pub(crate) fn dev() -> Self {
        Self::dev_with(&[])
    }

    pub(crate) fn dev_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program();
        command.args([
            "dev",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ]);
        command
            .args(arguments)
            .arg("--keyring")
            .arg(folder.path().join("keys"));
        Self::start(command, folder)
    }

    /// With `server` in section `[server]`, `namespaces` at the end of the file.
    pub(crate) fn serve(server: &str, namespaces: &str) -> Self {
        Self::serve_with(server, namespaces, &[])
    }

    /// As [`serve`](Self::serve), with these variables.
    pub(crate) fn serve_with(server: &str, namespaces: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("codec.toml");
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n{server}\n\
             [cors]\nallowed_origins = [\"https://ui.example.com\"]\n\
             [keys]\nlocal_keyring = '{}'\n{namespaces}\n",
            folder.path().join("keys").display()
        );
        create_keys(&folder.path().join("keys"), namespaces);
        std::fs::write(&file, text).unwrap();
        let mut command = program();
        command.args(["serve", "--config"]).arg(file);
        command.envs(variables.iter().copied());
        Self::start(command, folder)
    }

    /// With the whole configuration but for the listeners' ports and the local keys. `write` puts files into a folder, and
    /// names them in the text that it returns. What begins with `listen =` comes first.
    pub(crate) fn configured(write: impl FnOnce(&Path) -> String) -> Self {
        Self::configured_with(&[], write)
    }

    /// As [`configured`](Self::configured), with variables.
    pub(crate) fn configured_with(
        environment: &[(&str, &str)],
        write: impl FnOnce(&Path) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let more = write(folder.path());
        let listen = if more.starts_with("listen =") {
            ""
        } else {
            "listen = \"127.0.0.1:0\"\n"
        };
        let text = format!(
            "[server]\nadmin_listen = \"127.0.0.1:0\"\n{listen}{more}\n[keys]\nlocal_keyring = '{}'\n",
            folder.path().join("keys").display()
        );
        create_keys(&folder.path().join("keys"), &text);
        let file = folder.path().join("codec.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = program();
        command.args(["serve", "--config"]).arg(file);
        command.envs(environment.iter().copied());
        Self::start(command, folder)
    }

    /// As [`configured`](Self::configured), where no file can grow beyond so many blocks of 512 bytes.
    pub(crate) fn configured_in_a_small_space(more: &str, blocks: u32) -> Self {
        // A write over the limit then fails instead of ending the process.
        Self::configured_in_a_shell(&format!("trap '' XFSZ; ulimit -f {blocks}"), more)
    }

    /// As [`configured`](Self::configured), where a shell runs `commands` first.
    pub(crate) fn configured_in_a_shell(commands: &str, more: &str) -> Self {
        Self::configured_after(program_of("sh"), commands, more)
    }

    /// As [`configured_in_a_shell`](Self::configured_in_a_shell), where `commands` may mount file systems that only the
    /// server sees.
    pub(crate) fn configured_in_mounts_of_its_own(commands: &str, more: &str) -> Self {
        let mut shell = program_of("unshare");
        shell.args(["--map-root-user", "--mount", "sh"]);
        Self::configured_after(shell, commands, more)
    }

    /// As [`configured_in_mounts_of_its_own`](Self::configured_in_mounts_of_its_own), where `commands` may mount disks. Only
    /// root can do that.
    pub(crate) fn configured_with_a_disk_of_its_own(commands: &str, more: &str) -> Self {
        assert!(
            Uid::effective().is_root(),
            "this test mounts a disk: run it as root"
        );
        let mut shell = program_of("unshare");
        shell.args(["--mount", "sh"]);
        Self::configured_after(shell, commands, more)
    }

    fn configured_after(mut shell: Command, commands: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = folder.path().join("keys");
        let text = format!(
            "[server]\nadmin_listen = \"127.0.0.1:0\"\nlisten = \"127.0.0.1:0\"\n{more}\n[keys]\nlocal_keyring = '{}'\n",
            keyring.display()
        );
        create_keys(&keyring, &text);
        let file = folder.path().join("codec.toml");
        std::fs::write(&file, text).unwrap();
        let serve = program();
        shell
            .arg("-c")
            .arg(format!("{commands}\nexec \"$0\" \"$@\""))
            .arg(serve.get_program())
            .args(["serve", "--config"])
            .arg(file);
        Self::start(shell, folder)
    }

    /// With a file of the test's own.
    pub(crate) fn serve_file(file: &Path) -> Self {
        let mut command = program();
        command.args(["serve", "--config"]).arg(file);
        Self::start(command, tempfile::tempdir().unwrap())
    }

    /// With variables in place of a file.
    pub(crate) fn serve_with_variables(variables: &[(&str, &str)]) -> Self {
        let mut command = program();
        let listen = [
            ("CODEC_SERVER_LISTEN", "127.0.0.1:0"),
            ("CODEC_SERVER_ADMIN_LISTEN", "127.0.0.1:0"),
        ];
        command.arg("serve").envs(listen);
        command.envs(variables.iter().copied());
        Self::start(command, tempfile::tempdir().unwrap())
    }

    /// One namespace `default` with a key of its own.
    pub(crate) fn serve_default(server: &str) -> Self {
        Self::serve(server, DEFAULT)
    }

    fn start(mut command: Command, folder: TempDir) -> Self {
        // Unless the test sets it.
        if command.get_envs().all(|(name, _)| name != "RUST_LOG") {
            command.env("RUST_LOG", "trace");
        }
        let mut service = Service::start("the codec server", command).unwrap();
        let admin = |line: &str| {
            line.strip_prefix("admin listening on http://")
                .map(str::to_owned)
        };
        let admin = service.process_mut().wait_for_line(PATIENCE, admin);
        Self {
            service,
            admin: admin.unwrap(),
            keyring: folder.path().join("keys"),
            folder,
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    pub(crate) fn id(&self) -> u32 {
        self.service.process().id()
    }

    pub(crate) fn is_reachable(&self) -> bool {
        std::net::TcpStream::connect(self.address()).is_ok()
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> &str {
        self.service.url().trim_start_matches("http://")
    }

    /// Where it listens, such as `https://127.0.0.1:8081`.
    pub(crate) fn url(&self) -> &str {
        self.service.url()
    }

    /// The folder of its files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn keyring(&self) -> &Path {
        &self.keyring
    }

    /// The bytes of the key `local://NAME`.
    pub(crate) fn key_bytes(&self, name: &str) -> Vec<u8> {
        let keyset = fs::read(self.keyring.join(format!("{name}.json"))).unwrap();
        let keyset: Value = serde_json::from_slice(&keyset).unwrap();
        // A message of protobuf whose last field is the key.
        let message = decode64(&keyset["key"][0]["keyData"]["value"]);
        message[message.len() - 32..].to_vec()
    }

    /// The file of its configuration.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder().join("codec.toml")
    }

    /// Replaces a text in its configuration, which must be there.
    #[track_caller]
    pub(crate) fn rewrite(&self, from: &str, to: &str) {
        let file = self.configuration();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from:?} is not in {text}");
        fs::write(file, text.replace(from, to)).unwrap();
    }

    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.send(request);
        connection.answer()
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.raw(&post(path, headers, body))
    }

    pub(crate) fn call(&self, path: &str, namespace: &str, body: &Value) -> Answer {
        self.post(path, &[("X-Namespace", namespace)], &body_of(body))
    }

    pub(crate) fn encode(&self, namespace: &str, body: &Value) -> Value {
        self.call("/encode", namespace, body).json()
    }

    /// The server does its work: encodes, and decodes what it encoded.
    #[track_caller]
    pub(crate) fn serves(&self) {
        let plain = super::plain(&["still here"]);
        let sealed = self.encode("default", &plain);
        assert_ne!(sealed, plain);
        assert_eq!(self.call("/decode", "default", &sealed).json(), plain);
    }

    pub(crate) fn admin(&self, path: &str) -> Answer {
        self.admin_with(path, "Host: localhost\r\n")
    }

    /// With these lines of headers.
    pub(crate) fn admin_with(&self, path: &str, headers: &str) -> Answer {
        let mut connection = Connection::open(&self.admin);
        connection
            .send(format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").as_bytes());
        connection.answer()
    }

    /// Waits until `/metrics` shows a series that begins so.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, series: &str) {
        until(|| {
            let shown = self.admin("/metrics").body;
            let is_shown = shown.lines().any(|line| line.starts_with(series));
            is_shown.then_some(()).ok_or(series)
        });
    }

    /// Waits for a line of the log that holds `words`.
    #[track_caller]
    pub(crate) fn wait_for_log(&mut self, words: &str) {
        let process = self.service.process_mut();
        let has = |line: &str| line.contains(words).then_some(());
        if let Err(error) = process.wait_for_next_line(PATIENCE, has) {
            panic!("no {words:?} in the log: {error}");
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id().try_into().unwrap());
        nix::sys::signal::kill(id, signal).unwrap();
    }

    /// The most memory that the process has had so far, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.unwrap().trim().strip_suffix(" kB").unwrap();
        kilobytes.parse::<usize>().unwrap() << 10
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.service.process_mut().wait(PATIENCE).unwrap()
    }

    /// Stops the server and returns everything that it logged.
    pub(crate) fn stop_and_log(mut self) -> String {
        self.signal(Signal::SIGTERM);
        self.wait();
        self.service.process().output()
    }
}

/// Without the variables of the person who runs the tests.
pub(crate) fn program() -> Command {
    program_of(PROGRAM)
}

fn program_of(path: &str) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

/// Creates every local key that a configuration names.
fn create_keys(keyring: &Path, configuration: &str) {
    let mut names: Vec<&str> = configuration
        .split("local://")
        .skip(1)
        .filter_map(|rest| rest.split(['"', '\'']).next())
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        // A test may have created one for another purpose.
        if !keyring.join(format!("{name}.json")).exists() {
            create_key(keyring, name);
        }
    }
}

/// Creates the key `local://NAME`.
#[track_caller]
pub(crate) fn create_key(keyring: &Path, name: &str) {
    LocalKeyring::open(keyring).key_or_create(name).unwrap();
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    run_with_input(arguments, &[], b"")
}

pub(crate) fn run_with_input(
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &[u8],
) -> Output {
    let mut command = program();
    command.args(arguments).envs(environment.iter().copied());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let (mut stdin, input) = (process.stdin.take().unwrap(), input.to_vec());
    // A program that refuses early does not read it all.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Lets this process and the servers that it starts open as many files as the system allows.
pub(crate) fn allow_many_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}
