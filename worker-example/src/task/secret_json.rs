//! JSON that may hold secrets, such as the headers of an MCP server.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

/// A JSON object whose texts are erased when it is dropped. `Debug` does not show it. `Serialize` writes the object itself,
/// so the result must be encrypted.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretJson(Map<String, Value>);

impl SecretJson {
    /// Makes a secret of an object.
    #[must_use]
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// The object. Review every call: the caller must not print it or store it unencrypted.
    #[must_use]
    pub fn expose(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Debug for SecretJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretJson(…)")
    }
}

impl Drop for SecretJson {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// Erases all texts of a value.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret: SecretJson = serde_json::from_str(r#"{"a":{"b":"sk-1"}}"#).unwrap();
        assert_eq!(format!("{secret:?}"), "SecretJson(…)");
        assert_eq!(
            serde_json::to_string(&secret).unwrap(),
            r#"{"a":{"b":"sk-1"}}"#
        );
    }
}
