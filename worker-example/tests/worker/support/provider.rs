//! A key service as a user has it: a key, the variables with which programs reach it, and an outage.

use dev_servers::{Service, StackError, sibling_binary};
use fake_cloud_kms::{Emulator, Options};
use integration_tests::{Keyring, moto::Moto, softhsm::SoftHsm};
use serde_json::Value;
use std::{fmt::Write as _, fs, path::Path, process::Command};

const AWS_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// One service with one key.
pub(crate) struct Provider {
    /// The key's URI, in variables and in payloads.
    pub(crate) key: String,
    /// How programs reach the service.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Secrets that no program may print.
    pub(crate) secrets: Vec<&'static str>,
    /// Whether single versions of a key can be disabled.
    pub(crate) has_versions_to_disable: bool,
    service: Option<Box<dyn FnOnce()>>,
}

impl Provider {
    pub(crate) fn local() -> Self {
        let keyring = Keyring::empty();
        let folder = keyring.folder().display().to_string();
        Self {
            key: "local://tasks".to_owned(),
            variables: vec![("TEMPORAL_CODEC_KEYRING", folder)],
            secrets: Vec::new(),
            has_versions_to_disable: true,
            service: Some(Box::new(|| drop(keyring))),
        }
    }

    pub(crate) async fn google_cloud_kms() -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        Self {
            key: "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/tasks".to_owned(),
            variables: vec![("GCP_KMS_ENDPOINT", emulator.url())],
            secrets: Vec::new(),
            has_versions_to_disable: true,
            service: Some(Box::new(|| drop(emulator))),
        }
    }

    pub(crate) fn aws_kms() -> Self {
        let moto = Moto::start();
        Self {
            key: "aws-kms://alias/tasks".to_owned(),
            variables: vec![
                ("AWS_ENDPOINT_URL", moto.url().to_owned()),
                ("AWS_REGION", "eu-west-1".to_owned()),
                ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", AWS_SECRET.to_owned()),
            ],
            secrets: vec![AWS_SECRET],
            // AWS KMS disables keys as a whole.
            has_versions_to_disable: false,
            service: Some(Box::new(|| drop(moto))),
        }
    }

    pub(crate) fn pkcs11(hsm: SoftHsm) -> Self {
        Self {
            key: hsm.key("tasks").to_string(),
            variables: hsm.variables(),
            secrets: vec![SoftHsm::PIN],
            has_versions_to_disable: true,
            service: Some(Box::new(move || hsm.unplug())),
        }
    }

    /// Runs `codec-server keys ARGUMENTS`, which must succeed. Returns its answer.
    pub(crate) fn keys(&self, arguments: &[&str]) -> Value {
        let mut command = codec_server(&[self]);
        command.arg("keys").args(arguments).arg("--json");
        let answer = command.output().unwrap();
        let problem = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "{arguments:?}: {problem}");
        serde_json::from_slice(&answer.stdout).unwrap()
    }

    /// Stops the service for good.
    pub(crate) fn go_away(&mut self) {
        let service = self.service.take().expect("it goes away once");
        service();
    }
}

/// The variables of programs that encrypt with the keys of all `providers`.
pub(crate) fn encrypting(providers: &[&Provider]) -> Vec<(&'static str, String)> {
    let keys: Vec<_> = providers.iter().map(|provider| &*provider.key).collect();
    let mut variables = vec![("TEMPORAL_CODEC_KEY", keys.join(","))];
    variables.extend(reaching(providers));
    variables
}

/// `codec-server serve` for the keys of all `providers`.
pub(crate) struct CodecServer(pub(crate) Service);

impl CodecServer {
    /// Starts it with a configuration in `folder`.
    pub(crate) fn start(providers: &[&Provider], folder: &Path) -> Result<Self, StackError> {
        let mut configuration = "[server]\nlisten = \"127.0.0.1:0\"\n".to_owned();
        let keys: Vec<_> = providers.iter().map(|provider| &*provider.key).collect();
        write!(configuration, "[namespaces.default]\nencrypt = {keys:?}\n").unwrap();
        let path = folder.join("codec.toml");
        fs::write(&path, configuration).unwrap();

        let mut command = codec_server(providers);
        command.args(["serve", "--config"]).arg(path);
        Service::start("the codec server", command).map(Self)
    }

    /// The status and the text of the server's answer.
    pub(crate) fn decode(&self, payloads: &Value) -> (u16, String) {
        let answer = ureq::post(format!("{}/decode", self.0.url()))
            .config()
            .http_status_as_error(false)
            .build()
            .send_json(payloads);
        let mut answer = answer.unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), text)
    }
}

fn codec_server(providers: &[&Provider]) -> Command {
    let program = sibling_binary("codec-server").expect("codec-server is built");
    let mut command = Command::new(program);
    command.env_clear().envs(reaching(providers));
    command
}

fn reaching(providers: &[&Provider]) -> Vec<(&'static str, String)> {
    let variables = providers.iter().map(|provider| provider.variables.clone());
    variables.flatten().collect()
}
