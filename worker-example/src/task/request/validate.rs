//! Checks the values of a request.

use super::{
    environment,
    error::RequestError,
    limits::{
        MAX_CREDENTIAL, MAX_ENVIRONMENT, MAX_METADATA, MAX_MINUTES, MAX_MODEL, MAX_TOOL, MAX_TOOLS,
        MAX_TURNS, MAX_VARIABLE, MAX_VARIABLES,
    },
    model::TaskRequest,
};

/// # Errors
/// When a value is not allowed.
pub(super) fn validate(request: &TaskRequest) -> Result<(), RequestError> {
    if request.prompt.expose().trim().is_empty() {
        return Err(RequestError::Required {
            field: "prompt".into(),
        });
    }
    validate_credential(request)?;
    bounded("maxTurns", request.max_turns, MAX_TURNS)?;
    bounded("timeoutMinutes", request.timeout_minutes, MAX_MINUTES)?;
    tools("allowedTools", request.allowed_tools.as_deref())?;
    tools("disallowedTools", request.disallowed_tools.as_deref())?;
    model("model", request.model.as_deref())?;
    model("fallbackModel", request.fallback_model.as_deref())?;
    validate_environment(request)?;
    let metadata = request
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

fn validate_credential(request: &TaskRequest) -> Result<(), RequestError> {
    if request.anthropic_api_key.is_some() && request.anthropic_oauth_token.is_some() {
        return Err(RequestError::TwoCredentials);
    }
    let credential = request.credential().ok_or(RequestError::NoCredential)?;
    let text = credential.secret().expose();
    if text.is_empty() {
        return Err(RequestError::NoCredential);
    }
    // Claude Code sends it in an HTTP header.
    if text.len() > MAX_CREDENTIAL || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(RequestError::invalid(
            credential.field(),
            "must be printable ASCII without spaces; remove a line break at its end",
        ));
    }
    Ok(())
}

fn validate_environment(request: &TaskRequest) -> Result<(), RequestError> {
    let field = "environmentSecrets";
    if request.environment_secrets.len() > MAX_VARIABLES {
        return Err(RequestError::invalid(
            field,
            format!("has more than {MAX_VARIABLES} entries"),
        ));
    }
    let mut total = 0_usize;
    for (name, value) in &request.environment_secrets {
        if let Some(problem) = environment::problem(name) {
            return Err(RequestError::invalid(field, problem));
        }
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
