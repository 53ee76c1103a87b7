//! The files of the SDK's own chain of credentials, and whether the SDK can use them.

use std::{fs, path::PathBuf};

use zeroize::Zeroizing;

use crate::{AwsCredentials, AwsOptions};
use temporal_kms::{ConfigurationError, Variables, support::absolute_path};

/// The files of the SDK's own chain: the variable that names each, and where it is in the home folder otherwise.
pub(crate) const CONFIG_FILE: (&str, &str) = ("AWS_CONFIG_FILE", ".aws/config");
pub(crate) const CREDENTIALS_FILE: (&str, &str) =
    ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
const FILES: [(&str, &str); 2] = [CONFIG_FILE, CREDENTIALS_FILE];

/// The files that the SDK's own chain reads where no variable names others
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html>). It reads them once.
pub(crate) fn default_files(options: &AwsOptions, variable: Variables<'_>) -> Vec<PathBuf> {
    let Some(home) = variable("HOME").map(PathBuf::from) else {
        return Vec::new();
    };
    if options.credentials != AwsCredentials::Chain {
        return Vec::new();
    }
    FILES
        .into_iter()
        .filter(|(name, _)| variable(name).is_none())
        .map(|(_, file)| home.join(file))
        .collect()
}

/// The files of the SDK's own chain that it cannot use: those that cannot be read, are not text, or do not consist of
/// sections with settings. The SDK reads further files, and calls services, only when credentials are needed.
pub(crate) fn damaged_files(
    options: &AwsOptions,
    variable: Variables<'_>,
) -> Vec<ConfigurationError> {
    let is_key_set = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
        .iter()
        .all(|name| variable(name).is_some());
    if options.credentials != AwsCredentials::Chain || is_key_set {
        return Vec::new();
    }
    let faults = FILES.into_iter().filter_map(|(name, default)| {
        let file = profile_file(variable, (name, default))?;
        // The chain goes on without a file that does not exist, or that is in a folder of somebody else.
        if !file.is_file() {
            return None;
        }
        let reason = match fs::read(&file).map(Zeroizing::new) {
            Ok(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => check_profiles(text),
                Err(_) => Err("it is not text; restore it"),
            },
            Err(_) => Err("it cannot be read; correct its permissions"),
        };
        let reason = format!("{}: {}", file.display(), reason.err()?);
        Some(ConfigurationError::invalid(name, reason))
    });
    faults.collect()
}

/// Where one of AWS's files is. The SDK, too, replaces `~` by the home folder.
pub(crate) fn profile_file(
    variable: Variables<'_>,
    (name, default): (&str, &str),
) -> Option<PathBuf> {
    let home = || variable("HOME").map(PathBuf::from);
    match variable(name) {
        None => Some(home()?.join(default)),
        Some(path) => match path.strip_prefix("~/") {
            Some(rest) => Some(home()?.join(rest)),
            None => Some(absolute_path(path)),
        },
    }
}

/// Refuses only what the SDK refuses. The SDK refuses more, such as a wrong line within a setting of several lines.
fn check_profiles(text: &str) -> Result<(), &'static str> {
    const BLANK: [char; 2] = [' ', '\t'];
    let mut is_in_section = false;
    for line in text.lines() {
        if line.trim_matches(BLANK).is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            is_in_section = true;
            if !line.contains(']') {
                return Err("a line with the name of a section does not end in `]`; correct it");
            }
        } else if !is_in_section {
            return Err("it does not begin with a section such as [default]; correct it");
        } else if !line.starts_with(BLANK) && !line.contains('=') {
            return Err("a line is not a setting with `=`; correct it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AwsRole, WebIdentityToken};

    #[test]
    fn the_files_that_no_variable_names_are_known() {
        let files = |options: &AwsOptions, set: &[&str]| {
            default_files(options, &|name| {
                set.contains(&name).then(|| "/home/user".to_owned())
            })
        };
        let chain = AwsOptions::default();
        let both =
            ["config", "credentials"].map(|name| PathBuf::from("/home/user/.aws").join(name));
        assert_eq!(files(&chain, &["HOME"]), both);
        assert_eq!(files(&chain, &["HOME", "AWS_CONFIG_FILE"]), both[1..]);
        assert!(files(&chain, &[]).is_empty());
        let token = AwsCredentials::WebIdentity {
            role: AwsRole::new("arn:aws:iam::111122223333:role/r"),
            token: WebIdentityToken::File("/run/token".into()),
        };
        assert!(files(&chain.with_credentials(token), &["HOME"]).is_empty());
    }

    #[test]
    fn a_file_of_the_chain_is_told_with_its_whole_path() {
        let file = |named: &str| {
            let variable = |name: &str| match name {
                "HOME" => Some("/home/user".to_owned()),
                "AWS_CONFIG_FILE" => Some(named.to_owned()),
                _ => None,
            };
            profile_file(&variable, CONFIG_FILE).unwrap()
        };
        assert_eq!(file("/etc/aws"), PathBuf::from("/etc/aws"));
        assert_eq!(file("~/aws"), PathBuf::from("/home/user/aws"));
        assert_eq!(file("aws"), std::env::current_dir().unwrap().join("aws"));
    }

    #[test]
    fn a_damaged_file_of_the_chain_is_told_before_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let named = folder.path().join("named");
        let chain = AwsOptions::default();
        let faults = |set: &[(&str, &str)]| {
            damaged_files(&chain, &|name| {
                let (_, value) = set.iter().find(|(set, _)| *set == name)?;
                Some((*value).to_owned())
            })
        };
        let only_home = [("HOME", home)];
        assert!(faults(&only_home).is_empty(), "there are no files");

        fs::create_dir(folder.path().join(".aws")).unwrap();
        let default = folder.path().join(".aws/credentials");
        let good = "# mine\n[default] ; too\naws_access_key_id = a\ns3 =\n  a = b\n\n[b]\n";
        let bad: [&[u8]; 6] = [
            b"sk-secret",
            b"{\"sk-secret\": 1}",
            b"[default\nsk-secret = 1",
            b"[default]\nsk-secret",
            b"aws_secret_access_key = sk-secret",
            b"[default]\nsk-secret = \xff",
        ];
        let by_name = [("HOME", home), ("AWS_SHARED_CREDENTIALS_FILE", "~/named")];
        for (file, set) in [(&default, &only_home[..]), (&named, &by_name[..])] {
            fs::write(file, good).unwrap();
            assert!(faults(set).is_empty());
            for bad in bad {
                fs::write(file, bad).unwrap();
                let found = faults(set);
                assert_eq!(found.len(), 1, "{found:?}");
                assert_eq!(found[0].setting(), "AWS_SHARED_CREDENTIALS_FILE");
                let reason = found[0].reason();
                assert!(reason.starts_with(file.to_str().unwrap()), "{reason}");
                assert_eq!(reason.matches("; ").count(), 1, "{reason}");
                assert!(!reason.contains("sk-secret"), "{reason}");
            }
        }
        // The chain ends at the variables with an access key.
        let key = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "a"));
        assert!(faults(&[only_home[0], key[0], key[1]]).is_empty());
        let options = AwsOptions::default().with_credentials(AwsCredentials::Key {
            id: "a".to_owned(),
            secret: Zeroizing::new("b".to_owned()),
            session_token: None,
        });
        let found = damaged_files(&options, &|name| (name == "HOME").then(|| home.to_owned()));
        assert!(found.is_empty());
    }
}
