//! The bounds of a request's values.

use super::{RequestError, TaskRequest, environment};
use crate::secret::Secret;

pub(crate) const MAX_TURNS: u32 = 1000;
/// A day. The workflow depends on it: never lower it.
pub(crate) const MAX_MINUTES: u32 = 1440;
const MAX_CREDENTIAL: usize = 8192;
const MAX_TOOLS: usize = 256;
const MAX_TOOL: usize = 1024;
const MAX_MODEL: usize = 200;
const MAX_VARIABLES: usize = 256;
/// The kernel takes at most 128 KiB for one variable, its name included.
const MAX_VARIABLE: usize = 96 * 1024;
/// And a quarter of the stack limit (8 MiB as a rule) for all of them.
const MAX_ENVIRONMENT: usize = 1024 * 1024;
const MAX_METADATA: usize = 64 * 1024;

impl TaskRequest {
    pub(super) fn validate(&self) -> Result<(), RequestError> {
        if self.prompt.expose().trim().is_empty() {
            return Err(RequestError::Required {
                field: "prompt".into(),
            });
        }
        self.validate_credential()?;
        bounded("maxTurns", self.max_turns, MAX_TURNS)?;
        bounded("timeoutMinutes", self.timeout_minutes, MAX_MINUTES)?;
        tools("allowedTools", self.allowed_tools.as_deref())?;
        tools("disallowedTools", self.disallowed_tools.as_deref())?;
        model("model", self.model.as_deref())?;
        model("fallbackModel", self.fallback_model.as_deref())?;
        self.validate_environment()?;
        let metadata = self
            .metadata
            .as_ref()
            .and_then(|m| serde_json::to_vec(m).ok());
        if metadata.is_some_and(|json| json.len() > MAX_METADATA) {
            return Err(RequestError::invalid(
                "metadata",
                format!("is above {MAX_METADATA} bytes"),
            ));
        }
        Ok(())
    }

    fn validate_credential(&self) -> Result<(), RequestError> {
        if self.anthropic_api_key.is_some() && self.anthropic_oauth_token.is_some() {
            return Err(RequestError::TwoCredentials);
        }
        let credential = self.credential().ok_or(RequestError::NoCredential)?;
        let text = credential.secret().expose();
        if text.is_empty() {
            return Err(RequestError::NoCredential);
        }
        // It becomes the value of an HTTP header and of an environment variable.
        if text.len() > MAX_CREDENTIAL || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(RequestError::invalid(
                "the credential",
                "must be printable ASCII without spaces; check for a line break at its end",
            ));
        }
        Ok(())
    }

    fn validate_environment(&self) -> Result<(), RequestError> {
        let field = "environmentSecrets";
        if self.environment_secrets.len() > MAX_VARIABLES {
            return Err(RequestError::invalid(
                field,
                format!("has more than {MAX_VARIABLES} entries"),
            ));
        }
        let mut total = 0_usize;
        for (name, value) in &self.environment_secrets {
            if let Some(problem) = environment::problem(name) {
                return Err(RequestError::invalid(field, problem));
            }
            let value: &Secret = value;
            if value.expose().len() > MAX_VARIABLE || value.expose().contains('\0') {
                let problem = format!("must be at most {MAX_VARIABLE} bytes without NUL");
                return Err(RequestError::invalid(format!("{field}.{name}"), problem));
            }
            total = total
                .saturating_add(name.len())
                .saturating_add(value.expose().len());
        }
        if total > MAX_ENVIRONMENT {
            return Err(RequestError::invalid(
                field,
                format!("is above {MAX_ENVIRONMENT} bytes"),
            ));
        }
        Ok(())
    }
}

fn bounded(field: &str, value: u32, most: u32) -> Result<(), RequestError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(RequestError::invalid(field, format!("must be 1 to {most}")))
}

fn tools(field: &str, tools: Option<&[String]>) -> Result<(), RequestError> {
    let tools = tools.unwrap_or_default();
    let good = |t: &String| {
        !t.trim().is_empty() && t.len() <= MAX_TOOL && !t.chars().any(char::is_control)
    };
    if tools.len() > MAX_TOOLS || !tools.iter().all(good) {
        let problem = format!("must be at most {MAX_TOOLS} names of 1 to {MAX_TOOL} characters");
        return Err(RequestError::invalid(field, problem));
    }
    Ok(())
}

fn model(field: &str, model: Option<&str>) -> Result<(), RequestError> {
    let Some(model) = model else { return Ok(()) };
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._:@/[],-".contains(&b);
    if model.is_empty()
        || model.len() > MAX_MODEL
        || model.starts_with('-')
        || !model.bytes().all(good)
    {
        return Err(RequestError::invalid(field, "is not a model name"));
    }
    Ok(())
}
