//! The public keys whose signatures a worker accepts.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use temporal_kms_codec::{
    KeyUri,
    kms::{PublicKey, Signature},
};
use thiserror::Error;

use super::{FIELD, RequestSignature, digest::message};
use crate::task::TaskInput;

/// The largest key file.
const MAX_FILE: u64 = 64 << 10;

/// A public key cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestKeyError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}. Check --request-key")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a public key.
    #[error(
        "{path} is not a public key in PEM: {problem}. Write it with: codec-server keys public-key URI"
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

/// The public keys whose signatures a worker accepts. Without any, a worker runs requests without a signature, too.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestKeys(Vec<PublicKey>);

impl RequestKeys {
    /// Reads keys from files in PEM.
    ///
    /// # Errors
    /// When a file cannot be read, or is not a public key.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, RequestKeyError> {
        let read = |path: &PathBuf| {
            let text = read(path).map_err(|source| RequestKeyError::File {
                path: path.clone(),
                source,
            })?;
            PublicKey::from_pem(&text).map_err(|error| RequestKeyError::Form {
                path: path.clone(),
                problem: error.to_string(),
            })
        };
        files.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Checks the signature of a whole request, and removes it.
    ///
    /// # Errors
    /// When keys are named, and none of them has signed this request for this namespace and time.
    pub(crate) fn check(&self, input: &mut TaskInput, namespace: &str) -> Result<(), &'static str> {
        let field = input.take(FIELD);
        if self.0.is_empty() {
            return Ok(());
        }
        let field = field.ok_or(
            "the request is not signed, and this worker runs signed requests only. Submit it with --sign-with",
        )?;
        let foreign = "the signature is not one of this request by a key that this worker accepts. Submit it with \
            --sign-with and a key whose public key the worker has";
        let signed: RequestSignature = serde_json::from_value(field).map_err(|_| foreign)?;
        let bytes = BASE64.decode(&signed.signature).map_err(|_| foreign)?;
        let signature = Signature::new(KeyUri::unnamed_local(), signed.algorithm, bytes);
        let text = message(input.value(), namespace, signed.expires);
        if !self
            .0
            .iter()
            .any(|key| key.verify(text.as_bytes(), &signature))
        {
            return Err(foreign);
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        if now.is_ok_and(|now| now > Duration::from_secs(signed.expires)) {
            return Err("the signature of the request has expired. Submit the task again");
        }
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use temporal_kms_codec::kms::{KeyPurpose, KeySpec, Kms};

    use super::*;
    use crate::{signed::RequestSigner, task::TaskRequest};

    #[test]
    fn every_error_names_its_file_and_what_to_do() {
        // A new variant does not compile until it is here.
        let names = |error: &RequestKeyError| match error {
            RequestKeyError::File { .. } => ["team.pem", "Check --request-key"],
            RequestKeyError::Form { .. } => ["team.pem", "codec-server keys public-key"],
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("team.pem");
        let missing = RequestKeys::read(std::slice::from_ref(&file)).unwrap_err();
        fs::write(&file, "no key").unwrap();
        let no_key = RequestKeys::read(&[file]).unwrap_err();
        assert!(matches!(missing, RequestKeyError::File { .. }));
        assert!(matches!(no_key, RequestKeyError::Form { .. }));
        for error in [missing, no_key] {
            let text = error.to_string();
            for name in names(&error) {
                assert!(text.contains(name), "`{text}` does not name {name}");
            }
        }
    }

    fn input(prompt: &str) -> TaskInput {
        let request = json!({"prompt": prompt, "anthropicApiKey": "k", "metadata": {"x": 0.1}});
        let request = TaskRequest::from_value(request).unwrap();
        TaskInput::new(request, &"t".parse().unwrap())
    }

    async fn key(folder: &std::path::Path, name: &str) -> (RequestSigner, PathBuf) {
        let kms = Kms::builder().local_keyring(folder).build();
        let uri: KeyUri = format!("local://{name}").parse().unwrap();
        let admin = kms.admin(&uri).await.unwrap();
        admin
            .create(&uri, &KeySpec::new(KeyPurpose::SignP256))
            .await
            .unwrap();
        let signer = kms.signer(&uri).await.unwrap();
        let pem = signer.public_key(None).await.unwrap().to_pem().unwrap();
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, pem).unwrap();
        (RequestSigner::new(signer), file)
    }

    #[tokio::test]
    async fn only_what_a_key_signed_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (signer, file) = key(folder.path(), "one").await;
        let (other, _) = key(folder.path(), "other").await;
        let keys = RequestKeys::read(&[file]).unwrap();
        let hour = Duration::from_hours(1);
        let mut good = input("p");
        signer.sign(&mut good, "default", hour).await.unwrap();
        let wire = |input: &TaskInput| serde_json::to_value(input).unwrap();
        let arrived = |value: serde_json::Value| TaskInput::from_stored(value);
        let mut same = arrived(wire(&good));
        assert_eq!(keys.check(&mut same, "default"), Ok(()));
        assert!(same.take(FIELD).is_none());
        assert!(keys.check(&mut arrived(wire(&good)), "another").is_err());
        let mut changed = wire(&good);
        changed["prompt"] = json!("another");
        assert!(keys.check(&mut arrived(changed), "default").is_err());
        let mut later = wire(&good);
        later["signature"]["expires"] = json!(u64::MAX);
        assert!(keys.check(&mut arrived(later), "default").is_err());
        assert!(keys.check(&mut input("p"), "default").is_err());
        let mut foreign = input("p");
        other.sign(&mut foreign, "default", hour).await.unwrap();
        assert!(keys.check(&mut foreign, "default").is_err());
        // Without keys, everything runs.
        assert_eq!(
            RequestKeys::default().check(&mut input("p"), "default"),
            Ok(())
        );
    }
}
