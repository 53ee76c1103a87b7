//! Splits a request in two: what everybody may see who can decode the history, and the secrets.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{error::RequestError, input::TaskInput};

/// The fields with secrets, or with texts that may hold secrets.
const SECRET_FIELDS: [&str; 11] = [
    "prompt",
    "anthropicApiKey",
    "anthropicOAuthToken",
    "systemPrompt",
    "appendSystemPrompt",
    "sshKey",
    "preExecutionCommands",
    "environmentSecrets",
    "mcpConfig",
    "slashCommands",
    "subagents",
];
/// The field that the input has instead.
const SEALED: &str = "sealedSecrets";

/// What the input of a workflow has instead of the secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SealedSecrets {
    /// The object with the secrets.
    pub(crate) object: String,
    /// The SHA-256 of the sealed object, in hexadecimal digits.
    pub(crate) sha256: String,
}

impl TaskInput {
    /// Takes the secrets out of the request, as JSON.
    pub(crate) fn take_secrets(&mut self) -> Zeroizing<Vec<u8>> {
        let Some(fields) = self.0.as_object_mut() else {
            return Zeroizing::default();
        };
        let secrets = SECRET_FIELDS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), fields.remove(*name)?)));
        let mut secrets = Value::Object(secrets.collect());
        // This cannot fail: every key is a string. The capacity keeps copies of the secrets from staying in memory.
        let mut json = Zeroizing::new(Vec::with_capacity(
            crate::task::json_size::of_value(&secrets) + 1,
        ));
        let _ = serde_json::to_writer(&mut *json, &secrets);
        crate::task::secret_json::wipe(&mut secrets);
        json
    }

    /// Names the object with the secrets.
    pub(crate) fn set_sealed(&mut self, sealed: &SealedSecrets) {
        self.set(SEALED, sealed);
    }

    /// Whether the secrets are elsewhere.
    pub(crate) fn has_sealed(&self) -> bool {
        self.0.get(SEALED).is_some()
    }

    /// Takes the name of the object with the secrets. `None` if the secrets are in the request.
    ///
    /// # Errors
    /// When the name has another form.
    pub(crate) fn take_sealed(&mut self) -> Result<Option<SealedSecrets>, RequestError> {
        let field = self.take(SEALED);
        let wrong = |_| RequestError::invalid(SEALED, "has another form than this program writes");
        field.map(serde_json::from_value).transpose().map_err(wrong)
    }

    /// Puts the secrets back. They replace no field of the request.
    ///
    /// # Errors
    /// When they are not what [`take_secrets`](Self::take_secrets) returned, or the request has secrets of its own.
    pub(crate) fn put_secrets(&mut self, json: &[u8]) -> Result<(), RequestError> {
        let wrong = || RequestError::invalid(SEALED, "does not hold the secrets of a request");
        let secrets: Map<String, Value> = serde_json::from_slice(json).map_err(|_| wrong())?;
        let fields = self.0.as_object_mut().ok_or_else(wrong)?;
        for (name, value) in secrets {
            if !SECRET_FIELDS.contains(&name.as_str()) || fields.contains_key(&name) {
                return Err(wrong());
            }
            fields.insert(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::task::{RequestRules, TaskRequest};

    fn input() -> TaskInput {
        let request = json!({"prompt": "the prompt", "anthropicApiKey": "sk-1", "model": "opus",
            "environmentSecrets": {"A": "secret-a"}, "systemPrompt": "the system", "metadata": {"m": 1}});
        let request = TaskRequest::from_value(request).unwrap();
        TaskInput::new(request, &"t".parse().unwrap())
    }

    #[test]
    fn what_is_left_has_no_secret_and_both_parts_make_the_request() {
        let whole = serde_json::to_value(input()).unwrap();
        let mut rest = input();
        let secrets = rest.take_secrets();
        let sealed = SealedSecrets {
            object: "encrypted-payloads/t".into(),
            sha256: "00".into(),
        };
        rest.set_sealed(&sealed);
        let shown = serde_json::to_string(&rest).unwrap();
        for secret in ["the prompt", "sk-1", "secret-a", "the system"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("opus") && rest.has_sealed(), "{shown}");
        assert_eq!(rest.take_sealed().unwrap(), Some(sealed));
        rest.put_secrets(&secrets).unwrap();
        assert_eq!(serde_json::to_value(&rest).unwrap(), whole);
        assert!(
            rest.put_secrets(&secrets).is_err(),
            "they are there already"
        );
        assert!(rest.into_request(RequestRules::default()).is_ok());
    }

    #[test]
    fn secrets_replace_nothing_else() {
        let mut rest = input();
        let _ = rest.take_secrets();
        for forged in [&br#"{"model": "x"}"#[..], br#"{"taskId": "x"}"#, b"[]", b""] {
            assert!(rest.put_secrets(forged).is_err());
        }
        rest.0["sealedSecrets"] = json!({"object": 1});
        assert!(rest.take_sealed().is_err());
    }
}
