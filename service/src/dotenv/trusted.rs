//! Which variables a `.env` file may set, and whose file is believed.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use nix::unistd::geteuid;
use temporal_kms_codec::kms::{AnyFolder, Kms, Setting, SettingKind};

/// Variables of the programs that a `.env` file in the working folder may set, beside those that the key services permit:
/// the name of the key and of its place, and the settings of a deployment. A program may be started in a folder of a
/// stranger. Its file must not choose programs, modules, proxies, accounts or the servers and stores that get credentials or
/// files, and must not weaken the policy.
const IN_ANY_FOLDER: [&str; 11] = [
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_TASKS_TASK_QUEUE",
    "CODEC_LOG_FORMAT",
    "KMS_PROVIDER",
    "LOG_LEVEL",
    "PORT",
    "PROJECT_ID",
    "REGION",
    KEY,
    "TEMPORAL_NAMESPACE",
];
const KEY: &str = "TEMPORAL_CODEC_KEY";

/// Further variables of the programs that a file may set that a person named.
const IN_A_NAMED_FILE: [&str; 2] = ["PERMISSION_MODE", "RUST_LOG"];

/// The beginnings of further ones.
const PREFIXES: [&str; 8] = [
    "ANTHROPIC_",
    "CLAUDE_CODE_OAUTH_",
    "CLAUDE_TASKS_",
    "CLOUDRUN_",
    "CODEC_",
    "GCS_",
    "OTEL_",
    "TEMPORAL_",
];

/// The variables that a `.env` file may set: those of the programs, and those of the key services.
pub(super) struct Trusted {
    /// Of the key services.
    settings: Vec<&'static Setting>,
    prefixes: BTreeSet<String>,
    /// The beginnings of keys whose URIs can say how to reach them.
    keys_with_settings: Vec<String>,
}

impl Trusted {
    /// For a program with these key services. Names of its own variables begin with `own_prefixes`, too.
    pub(super) fn new(kms: &Kms, own_prefixes: &[&str]) -> Self {
        let mut settings = kms.settings();
        for service in kms.services() {
            settings.extend(service.library_settings());
            settings.extend(service.key_settings());
        }
        let names = settings.iter().flat_map(|setting| setting.variable_names());
        // Services and their libraries have more variables than the settings here, such as AWS_MAX_ATTEMPTS.
        let words = names.filter_map(|name| Some(format!("{}_", name.split_once('_')?.0)));
        let own = PREFIXES.iter().chain(own_prefixes);
        let prefixes = words.chain(own.map(|prefix| (*prefix).to_owned()));
        let prefixes = prefixes.collect();
        let services = kms
            .services()
            .filter(|service| service.has_settings_in_uris());
        let keys_with_settings = services.map(|service| format!("{}:", service.scheme()));
        Self {
            prefixes,
            keys_with_settings: keys_with_settings.collect(),
            settings,
        }
    }

    /// Whether `.env` in the working folder may set the variable to this value.
    pub(super) fn is_for_any_folder(&self, name: &str, value: &str) -> bool {
        match name {
            // Such a URI can name a module, which is a program, and a file with a PIN.
            KEY => {
                let value = value.to_ascii_lowercase();
                let mut prefixes = self.keys_with_settings.iter();
                !prefixes.any(|scheme| value.contains(scheme))
            }
            // A client makes a server's name of it.
            "REGION" => REGION.is_for_any_folder(value),
            name if IN_ANY_FOLDER.contains(&name) => true,
            name => {
                let mut settings = self.settings.iter();
                settings.any(|setting| {
                    setting.variable_names().contains(&name) && setting.is_for_any_folder(value)
                })
            }
        }
    }

    /// Whether a file that a person named may set the variable. Variables of other programs stay out: `PATH` and
    /// `LD_PRELOAD` would choose what runs.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        IN_ANY_FOLDER.contains(&name)
            || IN_A_NAMED_FILE.contains(&name)
            || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
}

const REGION: Setting = Setting::new("region", SettingKind::Text, "Where a deployment runs.")
    .any_folder(AnyFolder::HostLabels);

/// Why the file is not believed: another user could have written it. `path` is its name before links are followed.
pub(super) fn distrust(path: &Path, metadata: &Metadata) -> Option<&'static str> {
    let own = geteuid().as_raw();
    let is_own = |metadata: &Metadata| [own, 0].contains(&metadata.uid());
    if !is_own(metadata) || !fs::symlink_metadata(path).is_ok_and(|link| is_own(&link)) {
        return Some("it belongs to another user");
    }
    let mode = metadata.permissions().mode();
    // A group of users may share one group.
    (mode & 0o022 != 0).then_some("other users may change it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> Trusted {
        Trusted::new(&Kms::default(), &["AZURE_"])
    }

    #[test]
    fn no_file_chooses_what_runs_and_a_foreign_folder_chooses_no_server() {
        let trusted = trusted();
        for name in [
            "LD_PRELOAD",
            "PATH",
            "HOME",
            "HTTPS_PROXY",
            "NODE_OPTIONS",
            "CLOUDSDK_PYTHON",
        ] {
            assert!(!trusted.is_ours(name), "{name}");
        }
        for name in [
            "PKCS11_MODULE",
            "AWS_CONFIG_FILE",
            // Such a file can name another file, and the server that gets it.
            "GOOGLE_APPLICATION_CREDENTIALS",
            "AWS_ENDPOINT_URL",
            "CLAUDE_TASKS_CLAUDE",
            "ANTHROPIC_BASE_URL",
            "TEMPORAL_ADDRESS",
            "TEMPORAL_CODEC_PLAINTEXT",
            "CODEC_CONFIG",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            // With a store and a key of a stranger, secrets would reach that stranger.
            "CLAUDE_TASKS_STORE",
            "CLAUDE_TASKS_SECRETS_KEY",
            "GCS_LOGS_BUCKET",
            "AWS_ACCESS_KEY_ID",
            "AZURE_STORAGE_ACCOUNT_KEY",
            "CLOUDRUN_CALLBACK_SECRET",
            // No setting of ours, but of a service's library.
            "AWS_MAX_ATTEMPTS",
            "PERMISSION_MODE",
            "RUST_LOG",
        ] {
            assert!(
                trusted.is_ours(name) && !trusted.is_for_any_folder(name, "a"),
                "{name}"
            );
        }
    }

    #[test]
    fn a_file_of_any_folder_names_the_key_and_the_deployment() {
        let trusted = trusted();
        for name in [
            "AWS_DEFAULT_REGION",
            "AWS_PROFILE",
            "AWS_REGION",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "GCP_KMS_KEY",
            "GCP_KMS_KEY_RING",
            "GCP_KMS_LOCATION",
            "GCP_PROJECT",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_CLOUD_QUOTA_PROJECT",
            "KMS_AUTH_MODE",
            "KMS_KEY_ALIAS",
            "KMS_KEY_NAME",
            "KMS_KEY_RING",
            "KMS_LOCATION",
            "KMS_PROVIDER",
            "KMS_REPLICA_REGIONS",
            "KMS_ROLE_ARN",
            "KMS_ROLE_EXTERNAL_ID",
            "KMS_ROLE_SESSION_NAME",
            "PORT",
            "PROJECT_ID",
            "REGION",
            "TEMPORAL_CODEC_KEY",
            "TEMPORAL_CODEC_KEYRING",
        ] {
            assert!(
                trusted.is_ours(name) && trusted.is_for_any_folder(name, "a"),
                "{name}"
            );
        }
    }

    #[test]
    fn no_value_of_a_foreign_folder_names_a_module_or_a_server() {
        let trusted = trusted();
        for (name, value) in [
            (
                "TEMPORAL_CODEC_KEY",
                "pkcs11:object=o?module-path=/proc/self/cwd/x.so",
            ),
            ("TEMPORAL_CODEC_KEY", "local://a, PKCS11:object=o"),
            ("AWS_REGION", "evil.example/x"),
            ("AWS_DEFAULT_REGION", "evil.example"),
            ("REGION", "a@b"),
            ("KMS_REPLICA_REGIONS", "eu-west-1,evil.example"),
        ] {
            assert!(!trusted.is_for_any_folder(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("TEMPORAL_CODEC_KEY", "local://default"),
            ("AWS_REGION", "eu-west-1"),
            ("KMS_REPLICA_REGIONS", "us-west-2, eu-west-1"),
            ("REGION", "europe-west1"),
        ] {
            assert!(trusted.is_for_any_folder(name, value), "{name}={value}");
        }
    }

    #[test]
    fn a_file_that_others_may_change_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, "").unwrap();
        let with = |mode: u32| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            distrust(&path, &fs::metadata(&path).unwrap())
        };
        assert_eq!(with(0o600), None);
        assert!(with(0o664).is_some());
        assert!(with(0o666).is_some());
        if geteuid().is_root() {
            let other = Some(nix::unistd::Uid::from_raw(4321));
            nix::unistd::chown(&path, other, None).unwrap();
            assert!(with(0o600).is_some());
            // A link of another user to a file of one's own.
            nix::unistd::chown(&path, Some(geteuid()), None).unwrap();
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert_eq!(distrust(&link, &fs::metadata(&link).unwrap()), None);
            std::os::unix::fs::lchown(&link, Some(4321), None).unwrap();
            assert!(distrust(&link, &fs::metadata(&link).unwrap()).is_some());
        }
    }
}
