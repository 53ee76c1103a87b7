//! Reading a request from JSON.

use serde_json::Value;

use super::{
    error::{RequestError, from_serde},
    limits::MAX_REQUEST_BYTES,
    model::TaskRequest,
    validate::validate,
};

/// Fields of the task API that this version does not implement. If it ignored one, another task would run than the caller
/// asked for.
const NOT_SUPPORTED: [&str; 11] = [
    "callbackUrl",
    "cwdRelative",
    "gitBranch",
    "gitDepth",
    "gitRepo",
    "mcpConfig",
    "postExecutionActions",
    "preExecutionCommands",
    "slashCommands",
    "sshKey",
    "subagents",
];

impl TaskRequest {
    /// Reads and checks a request.
    ///
    /// # Errors
    /// When it is not a valid request. The error names the field and never holds a value.
    pub fn from_json(json: &[u8]) -> Result<Self, RequestError> {
        if json.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLarge {
                limit: MAX_REQUEST_BYTES,
            });
        }
        let value = serde_json::from_slice(json).map_err(|e| RequestError::Json {
            line: e.line(),
            column: e.column(),
        })?;
        Self::from_value(value)
    }

    /// Reads and checks a request that is already parsed as JSON.
    ///
    /// # Errors
    /// When it is not a valid request. The error names the field and never holds a value.
    pub fn from_value(value: Value) -> Result<Self, RequestError> {
        let Value::Object(fields) = &value else {
            return Err(RequestError::NotAnObject);
        };
        if let Some(field) = NOT_SUPPORTED
            .iter()
            .find(|name| fields.contains_key(**name))
        {
            return Err(RequestError::NotSupported { field });
        }
        // serde's message quotes the value, which may be a secret in the wrong place.
        let request: Self = serde_path_to_error::deserialize(value)
            .map_err(|e| from_serde(&e.path().to_string(), &e.inner().to_string()))?;
        validate(&request)?;
        Ok(request)
    }
}
