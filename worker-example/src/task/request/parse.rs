//! Reading a request from JSON.

use serde_json::{Map, Value};

use super::{
    error::{RequestError, from_serde},
    lenient::normalize,
    limits::MAX_REQUEST_BYTES,
    model::TaskRequest,
    rules::RequestRules,
    validate::{callback, validate},
};

/// Another name of `mcpConfig`, which older callers use. Its value is an object, or JSON in a string.
const OLD_MCP_CONFIG: &str = "mcpConfigJson";
const CALLBACK: &str = "callbackUrl";

impl TaskRequest {
    /// Reads and checks a request.
    ///
    /// # Errors
    /// When it is not a valid request. The error names the field and never holds a value.
    pub fn from_json(json: &[u8]) -> Result<Self, RequestError> {
        Self::from_json_with(json, RequestRules::default())
    }

    /// Reads and checks a request by these rules.
    ///
    /// # Errors
    /// When it is not a valid request. The error names the field and never holds a value.
    pub fn from_json_with(json: &[u8], rules: RequestRules) -> Result<Self, RequestError> {
        if json.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLarge {
                limit: MAX_REQUEST_BYTES,
            });
        }
        let value = serde_json::from_slice(json).map_err(|e| RequestError::Json {
            line: e.line(),
            column: e.column(),
        })?;
        Self::from_value_with(value, rules)
    }

    /// Reads and checks a request that is already parsed as JSON.
    ///
    /// # Errors
    /// When it is not a valid request. The error names the field and never holds a value.
    pub fn from_value(value: Value) -> Result<Self, RequestError> {
        Self::from_value_with(value, RequestRules::default())
    }

    /// Reads and checks a request that is already parsed as JSON, by these rules. Unknown fields have no effect, and
    /// [`warnings`](Self::warnings) names them. An optional field that is `null`, or a text that is empty, counts as left out.
    ///
    /// # Errors
    /// When it is not a valid request. The error names the field and never holds a value.
    pub fn from_value_with(value: Value, rules: RequestRules) -> Result<Self, RequestError> {
        let Value::Object(mut fields) = value else {
            return Err(RequestError::NotAnObject);
        };
        normalize(&mut fields);
        take_old_names(&mut fields)?;
        let mut unknown = Vec::new();
        if rules.callback_is_extra && drop_unusable_callback(&mut fields) {
            unknown.push(CALLBACK.to_owned());
        }
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(Value::Object(fields), &mut track);
        let read: Result<Self, _> = serde_ignored::deserialize(tracked, |path| {
            // An optional field is a step of the path, too.
            unknown.push(path.to_string().replace(".?", ""));
        });
        // serde's message quotes the value, which may be a secret in the wrong place.
        let mut request =
            read.map_err(|e| from_serde(&track.path().to_string(), &e.to_string()))?;
        for name in &unknown {
            request.note_unknown(name);
        }
        request.drop_second_credential();
        validate(&request, rules)?;
        Ok(request)
    }
}

/// Removes a `callbackUrl` that no webhook can be sent to. Returns whether there was one.
fn drop_unusable_callback(fields: &mut Map<String, Value>) -> bool {
    let Some(value) = fields.get(CALLBACK) else {
        return false;
    };
    let is_usable = value.as_str().is_some_and(|url| callback(url).is_ok());
    if !is_usable {
        fields.remove(CALLBACK);
    }
    !is_usable
}

/// Gives fields with old names their new ones. If both are given, the new one counts and the old one is unknown.
fn take_old_names(fields: &mut Map<String, Value>) -> Result<(), RequestError> {
    if fields.contains_key("mcpConfig") {
        return Ok(());
    }
    let Some(old) = fields.remove(OLD_MCP_CONFIG) else {
        return Ok(());
    };
    let config = match old {
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|_| RequestError::invalid(OLD_MCP_CONFIG, "must be a JSON object"))?,
        other => other,
    };
    if !config.is_object() {
        return Err(RequestError::invalid(
            OLD_MCP_CONFIG,
            "must be a JSON object",
        ));
    }
    fields.insert("mcpConfig".to_owned(), config);
    Ok(())
}
