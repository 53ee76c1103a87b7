//! Which variables a `.env` file may set, and whose file is believed.

use std::{
    fs::{self, Metadata},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use nix::unistd::geteuid;

/// What a `.env` file in the working folder may set: the name of the key and of its place, and the settings of a
/// deployment. A program may be started in a folder of a stranger. Its file must not choose programs, modules,
/// proxies, accounts or the servers and stores that get credentials or files, and must not weaken the policy.
const IN_ANY_FOLDER: [&str; 30] = [
    "ANTHROPIC_API_KEY",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_REGION",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_TASKS_TASK_QUEUE",
    "CODEC_LOG_FORMAT",
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
    "LOG_LEVEL",
    "PORT",
    "PROJECT_ID",
    "REGION",
    "TEMPORAL_CODEC_KEY",
    "TEMPORAL_CODEC_KEYRING",
    "TEMPORAL_NAMESPACE",
];

/// The beginnings of what a file may set that a person named.
const OURS: [&str; 14] = [
    "ANTHROPIC_",
    "AWS_",
    "CLAUDE_TASKS_",
    "CLOUDRUN_",
    "CODEC_",
    "GCP_",
    "GCS_",
    "GOOGLE_",
    "KMS_",
    "OIDC_",
    "OTEL_",
    "PKCS11_",
    "TEMPORAL_",
    "CLAUDE_CODE_OAUTH_",
];

/// Whether `.env` in the working folder may set the variable to this value.
pub(super) fn is_for_any_folder(name: &str, value: &str) -> bool {
    IN_ANY_FOLDER.contains(&name)
        && match name {
            // The URI of a key in a token can name the module, which is a program, and a file with the PIN.
            "TEMPORAL_CODEC_KEY" => !value.to_ascii_lowercase().contains("pkcs11:"),
            // Clients make a server's name of it.
            "AWS_DEFAULT_REGION" | "AWS_REGION" | "REGION" => is_label(value),
            "KMS_REPLICA_REGIONS" => value.split(',').all(|region| is_label(region.trim())),
            _ => true,
        }
}

/// Whether the text can be one part of a server's name (RFC 1123, section 2.1).
fn is_label(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.len() <= 63 && text.bytes().all(is_allowed)
}

/// Whether a file that a person named may set the variable. Variables of other programs stay out: `PATH` and `LD_PRELOAD`
/// would choose what runs.
pub(super) fn is_ours(name: &str) -> bool {
    IN_ANY_FOLDER.contains(&name)
        || matches!(name, "PERMISSION_MODE" | "RUST_LOG")
        || OURS.iter().any(|prefix| name.starts_with(prefix))
}

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

    #[test]
    fn no_file_chooses_what_runs_and_a_foreign_folder_chooses_no_server() {
        assert!(IN_ANY_FOLDER.is_sorted());
        for name in ["LD_PRELOAD", "PATH", "HOME", "HTTPS_PROXY", "NODE_OPTIONS"] {
            assert!(!is_ours(name), "{name}");
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
            "CLOUDRUN_CALLBACK_SECRET",
        ] {
            assert!(is_ours(name) && !is_for_any_folder(name, "a"), "{name}");
        }
    }

    #[test]
    fn no_value_of_a_foreign_folder_names_a_module_or_a_server() {
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
            assert!(!is_for_any_folder(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("TEMPORAL_CODEC_KEY", "local://default"),
            ("AWS_REGION", "eu-west-1"),
            ("KMS_REPLICA_REGIONS", "us-west-2, eu-west-1"),
            ("REGION", "europe-west1"),
        ] {
            assert!(is_for_any_folder(name, value), "{name}={value}");
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
