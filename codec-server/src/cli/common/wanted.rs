//! What a payload needs in order to be decoded, for errors of the command line: it is stored beside the ciphertext in the
//! clear.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;
use serde::Deserialize;
use temporal_kms_codec::{Error, KeyUri, Namespace, Payload, PayloadError};
use temporal_kms_codec_proto::json::{Part, parse_payload};
use temporal_kms_codec_service::missing_key;

use super::{
    exit::{Failure, Status},
    output::is_standard,
    payload_file::PayloadFile,
};

/// More keys than a payload has.
const MOST_KEYS: usize = 10;
/// How much of long files is read to find keys.
const MOST_READ: usize = 16 << 20;

/// `error` in words for the person who decodes `payload` as one of `namespace`.
pub(crate) fn explain(error: &Error, payload: &Payload, namespace: &Namespace) -> String {
    let reason = match error {
        Error::Payload(reason) => reason,
        Error::Provider(reason) => {
            let remedy = "check its name, and the folder that it belongs to";
            return missing_key::with_remedy(reason.clone(), remedy).to_string();
        }
        other => return other.to_string(),
    };
    match reason {
        PayloadError::ForeignNamespace {
            found: Some(other), ..
        } => format!("it belongs to namespace {other}, not {namespace}; try --namespace {other}"),
        PayloadError::KeyNotAllowed { key } => format!(
            "it is encrypted with {key}, which is not configured; name it with --key, or add it under `decrypt`"
        ),
        PayloadError::FormatNotAllowed { format } => {
            format!("{error}; try --decrypt-format {format}")
        }
        PayloadError::NotAuthentic => match Wanted::of(payload) {
            Some(wanted) => format!("{error}; it names {wanted}"),
            None => error.to_string(),
        },
        PayloadError::UnknownStaticKey { id } => format!(
            "it is encrypted with the static key `{id}`, which is not configured; name it with --static-key '{id}=FILE', or add it under `static_keys`"
        ),
        _ => error.to_string(),
    }
}

/// The keys that payloads name, each once. Nothing of it is authentic, and all of it is safe to print.
pub(crate) fn keys_of(payloads: &[Payload]) -> Vec<KeyUri> {
    let mut found = Vec::new();
    for payload in payloads {
        add_keys(payload, &mut found);
    }
    found
}

/// As [`keys_of`], of the payloads in the first parts of `files`. Nothing is read of a file that is not [regular](is_regular)
/// or cannot be read.
pub(crate) fn keys_in(files: &[PathBuf]) -> Vec<KeyUri> {
    let mut found = Vec::new();
    let mut left = MOST_READ;
    for file in files.iter().filter(|file| is_regular(file)) {
        if left == 0 || found.len() == MOST_KEYS {
            break;
        }
        let Ok(file) = PayloadFile::open(file) else {
            continue;
        };
        // What makes the file unreadable is told by the command that decodes it.
        let _ = file.read(&ProgressBar::hidden(), |parts| {
            for part in parts {
                let read = match &part {
                    Part::Text(text) => text.len(),
                    Part::Payload { json, .. } => {
                        if let Ok(payload) = parse_payload(json) {
                            add_keys(&payload, &mut found);
                        }
                        json.len()
                    }
                    _ => 0,
                };
                left = left.saturating_sub(read);
            }
            if left == 0 || found.len() == MOST_KEYS {
                // Ends the reading.
                return Err(Failure::said(Status::Data));
            }
            Ok(())
        });
    }
    found
}

/// Whether everything that the file holds is there already. Nobody should have to wait for input to learn that a key is
/// missing.
pub(crate) fn is_regular(file: &Path) -> bool {
    let file = if is_standard(file) {
        Path::new("/dev/stdin")
    } else {
        file
    };
    std::fs::metadata(file).is_ok_and(|file| file.is_file())
}

/// Adds the keys that a payload names and that are not known yet, up to the most that are shown.
fn add_keys(payload: &Payload, found: &mut Vec<KeyUri>) {
    let wanted = Wanted::of(payload).map(|wanted| wanted.keys);
    for key in wanted.unwrap_or_default() {
        if found.len() < MOST_KEYS && !found.contains(&key) {
            found.push(key);
        }
    }
}

/// The keys, at least one, and the namespace that a payload names.
struct Wanted {
    keys: Vec<KeyUri>,
    namespace: Option<Namespace>,
}

#[derive(Deserialize)]
struct Context {
    namespace: String,
}

impl Wanted {
    /// Nothing of it is authentic; only what has the form of a key or a namespace is kept, and safe to print.
    fn of(payload: &Payload) -> Option<Self> {
        let text = |name: &str| {
            let value = payload.metadata.get(name)?;
            std::str::from_utf8(value).ok()
        };
        let further = (1..MOST_KEYS).map(|number| format!("kms-key.{number}"));
        let keys: Vec<KeyUri> = ["kms-key".to_owned()]
            .into_iter()
            .chain(further)
            .filter_map(|name| text(&name)?.parse().ok())
            .collect();
        let namespace = text("encryption-context")
            .and_then(|context| serde_json::from_str::<Context>(context).ok())
            .and_then(|context| Namespace::new(&context.namespace).ok());
        (!keys.is_empty()).then_some(Self { keys, namespace })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        write!(f, "the key {}", keys.join(" and "))?;
        match &self.namespace {
            Some(namespace) => write!(f, " and the namespace {namespace}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::kms::{ProviderError, ProviderErrorKind};
    use temporal_kms_codec_proto::json::write_payload;

    use super::*;

    /// The JSON of a payload that names `key`.
    fn written(key: &str) -> String {
        let mut payload = Payload::default();
        for (name, value) in [("encoding", "binary/envelope-kms"), ("kms-key", key)] {
            payload
                .metadata
                .insert(name.to_owned(), value.as_bytes().to_vec());
        }
        String::from_utf8(write_payload(&payload)).unwrap()
    }

    #[test]
    fn names_the_key_and_the_namespace_that_a_payload_wants() {
        let mut payload = Payload::default();
        for (name, value) in [
            ("kms-key", "local://other"),
            ("kms-key.1", "not a key \u{1b}[2J"),
            ("encryption-context", r#"{"namespace":"prod","tenant":"a"}"#),
        ] {
            payload
                .metadata
                .insert(name.to_owned(), value.as_bytes().to_vec());
        }
        let here = Namespace::new("default").unwrap();
        let foreign = Error::from(PayloadError::ForeignNamespace {
            found: Some("prod".to_owned()),
            expected: "default".to_owned(),
        });
        assert_eq!(
            explain(&foreign, &payload, &here),
            "it belongs to namespace prod, not default; try --namespace prod"
        );
        let altered = explain(&PayloadError::NotAuthentic.into(), &payload, &here);
        assert!(
            altered.ends_with("it names the key local://other and the namespace prod"),
            "{altered}"
        );
        let altered = Error::from(PayloadError::NotAuthentic);
        assert_eq!(
            explain(&altered, &Payload::default(), &here),
            altered.to_string()
        );
        let named = keys_of(&[payload.clone(), Payload::default(), payload]);
        assert_eq!(named, ["local://other".parse::<KeyUri>().unwrap()]);
    }

    #[test]
    fn a_key_that_does_not_exist_is_not_to_be_created() {
        let key = "aws-kms://alias/a".parse().unwrap();
        let error = ProviderError::new(ProviderErrorKind::KeyNotFound, &key);
        let here = Namespace::new("default").unwrap();
        assert_eq!(
            explain(&error.into(), &Payload::default(), &here),
            "aws-kms://alias/a: key not found; check the key's name, its project or account, and its region"
        );
    }

    #[test]
    fn the_keys_of_files_are_found_without_waiting() {
        use nix::{sys::stat::Mode, unistd::mkfifo};

        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (a, b) = (written("local://a"), written("local://b"));
        std::fs::write(path("history"), format!(r#"{{"events":[{a},{b},{a}]}}"#)).unwrap();
        std::fs::write(path("other"), format!("[{b}]")).unwrap();
        mkfifo(&path("pipe"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let files = ["pipe", "none", "other", "history"].map(path);
        let keys = ["local://b", "local://a"].map(|key| key.parse::<KeyUri>().unwrap());
        assert_eq!(keys_in(&files), keys);
    }

    #[test]
    fn no_file_is_read_beyond_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("long"), format!("\"{}\"", "x".repeat(MOST_READ))).unwrap();
        std::fs::write(path("keys"), written("local://a")).unwrap();
        assert!(keys_in(&["long", "keys"].map(path)).is_empty());
        let keys = keys_in(&["keys", "long"].map(path));
        assert_eq!(keys, ["local://a".parse::<KeyUri>().unwrap()]);
    }
}
