//! Checks the values of a request.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

use super::{
    actions::{PostExecutionActions, PromptFile},
    environment,
    error::RequestError,
    git_url::GitUrl,
    limits::{
        MAX_COMMAND, MAX_COMMANDS, MAX_COMMIT_MESSAGE, MAX_CREDENTIAL, MAX_DEFINITION,
        MAX_DEFINITION_NAME, MAX_DEFINITIONS, MAX_DEPTH, MAX_DEPTH_OF_JSON, MAX_ENVIRONMENT,
        MAX_MCP_CONFIG, MAX_METADATA, MAX_MINUTES, MAX_MODEL, MAX_PATTERNS, MAX_SSH_KEY, MAX_TOOL,
        MAX_TOOLS, MAX_URL, MAX_VARIABLE, MAX_VARIABLES,
    },
    model::TaskRequest,
    paths::{is_branch, is_definition_name, is_inside, is_prefix},
    rules::RequestRules,
};
use crate::task::{json_size, secret::Secret};

/// # Errors
/// When a value is not allowed.
pub(super) fn validate(request: &TaskRequest, rules: RequestRules) -> Result<(), RequestError> {
    if request.prompt.expose().trim().is_empty() {
        return Err(RequestError::Required {
            field: "prompt".into(),
        });
    }
    if rules.callback_required
        && request
            .callback_url
            .as_deref()
            .unwrap_or_default()
            .is_empty()
    {
        return Err(RequestError::NoCallback);
    }
    validate_credential(request)?;
    validate_callback(request)?;
    if request.max_turns == 0 {
        return Err(RequestError::invalid("maxTurns", "must be at least 1"));
    }
    bounded("timeoutMinutes", request.timeout_minutes, MAX_MINUTES)?;
    tools("allowedTools", request.allowed_tools.as_deref())?;
    tools("disallowedTools", request.disallowed_tools.as_deref())?;
    model("model", request.model.as_deref())?;
    model("fallbackModel", request.fallback_model.as_deref())?;
    validate_environment(request)?;
    validate_repository(request, rules)?;
    validate_workspace(request)?;
    if let Some(actions) = &request.post_execution_actions {
        validate_actions(actions)?;
    }
    request
        .metadata
        .as_ref()
        .map_or(Ok(()), |m| json("metadata", m, MAX_METADATA))
}

fn validate_callback(request: &TaskRequest) -> Result<(), RequestError> {
    request.callback_url.as_deref().map_or(Ok(()), callback)
}

/// Checks the address of a webhook.
///
/// # Errors
/// When it cannot be one.
pub(super) fn callback(text: &str) -> Result<(), RequestError> {
    let invalid = |problem: &str| Err(RequestError::invalid("callbackUrl", problem));
    if text.len() > MAX_URL {
        return invalid(&format!("is longer than {MAX_URL} characters"));
    }
    let Ok(url) = text.parse::<Url>() else {
        return invalid("must be a valid URL that begins with http:// or https://");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return invalid("must use http or https protocol");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("must not have a user name or a password; the webhook is signed instead");
    }
    Ok(())
}

fn validate_repository(request: &TaskRequest, rules: RequestRules) -> Result<(), RequestError> {
    if let Some(repository) = &request.git_repo {
        GitUrl::parse(repository, rules.file_repositories)
            .map_err(|problem| RequestError::invalid("gitRepo", problem))?;
    }
    branch("gitBranch", request.git_branch.as_deref())?;
    if let Some(depth) = request.git_depth {
        bounded("gitDepth", depth, MAX_DEPTH)?;
    }
    if let Some(key) = &request.ssh_key {
        let text = key.expose();
        let is_key = text.trim_start().starts_with("-----BEGIN ")
            && text.contains("PRIVATE KEY-----")
            && !text.contains('\0');
        if text.len() > MAX_SSH_KEY || !is_key {
            let problem =
                "must be a private key in PEM or OpenSSH form: -----BEGIN … PRIVATE KEY-----";
            return Err(RequestError::invalid("sshKey", problem));
        }
    }
    Ok(())
}

fn validate_workspace(request: &TaskRequest) -> Result<(), RequestError> {
    if let Some(folder) = request.cwd_relative.as_deref()
        && !folder.is_empty()
        && !is_inside(folder)
    {
        let problem = "must be a relative path inside the workspace, without `..`";
        return Err(RequestError::invalid("cwdRelative", problem));
    }
    let commands = &request.pre_execution_commands;
    let runs = |command: &Secret| {
        let text = command.expose();
        !text.trim().is_empty() && text.len() <= MAX_COMMAND && !text.contains('\0')
    };
    if commands.len() > MAX_COMMANDS || !commands.iter().all(runs) {
        let problem = format!(
            "must be at most {MAX_COMMANDS} commands of 1 to {MAX_COMMAND} bytes without NUL"
        );
        return Err(RequestError::invalid("preExecutionCommands", problem));
    }
    if let Some(config) = &request.mcp_config {
        json("mcpConfig", config.expose(), MAX_MCP_CONFIG)?;
    }
    definitions("slashCommands", &request.slash_commands)?;
    definitions("subagents", &request.subagents)
}

fn definitions(field: &str, files: &BTreeMap<String, PromptFile>) -> Result<(), RequestError> {
    if files.len() > MAX_DEFINITIONS {
        let problem = format!("has more than {MAX_DEFINITIONS} entries");
        return Err(RequestError::invalid(field, problem));
    }
    for (name, file) in files {
        if !is_definition_name(name) {
            let problem = format!(
                "has a name that is not a file name ([A-Za-z0-9_-]+, at most {MAX_DEFINITION_NAME})"
            );
            return Err(RequestError::invalid(field, problem));
        }
        let field = format!("{field}.{name}");
        if file.content.expose().len() > MAX_DEFINITION {
            return Err(RequestError::invalid(
                field,
                format!("has a content above {MAX_DEFINITION} bytes"),
            ));
        }
        json(&field, &file.frontmatter, MAX_DEFINITION)?;
    }
    Ok(())
}

fn validate_actions(actions: &PostExecutionActions) -> Result<(), RequestError> {
    if let Some(git) = &actions.git {
        branch("postExecutionActions.git.branch", git.branch.as_deref())?;
        patterns(
            "postExecutionActions.git.files",
            git.files.as_deref().unwrap_or_default(),
        )?;
        let message = git.commit_message.as_deref().unwrap_or("-");
        if message.trim().is_empty() || message.len() > MAX_COMMIT_MESSAGE || message.contains('\0')
        {
            return Err(RequestError::invalid(
                "postExecutionActions.git.commitMessage",
                format!("must have 1 to {MAX_COMMIT_MESSAGE} bytes without NUL"),
            ));
        }
    }
    if let Some(upload) = &actions.upload_files {
        patterns(
            "postExecutionActions.uploadFiles.globPatterns",
            &upload.glob_patterns,
        )?;
        if !upload.gcs_prefix.as_deref().is_none_or(is_prefix) {
            return Err(RequestError::invalid(
                "postExecutionActions.uploadFiles.gcsPrefix",
                "must be folders of letters, digits, `.`, `_`, `=` and `-`, without `..`",
            ));
        }
    }
    Ok(())
}

fn patterns(field: &str, patterns: &[String]) -> Result<(), RequestError> {
    if patterns.len() <= MAX_PATTERNS && patterns.iter().all(|pattern| is_inside(pattern)) {
        return Ok(());
    }
    let problem = format!(
        "must be at most {MAX_PATTERNS} relative paths or globs inside the workspace, without `..`"
    );
    Err(RequestError::invalid(field, problem))
}

fn branch(field: &str, name: Option<&str>) -> Result<(), RequestError> {
    if name.is_none_or(is_branch) {
        return Ok(());
    }
    Err(RequestError::invalid(field, "is not the name of a branch"))
}

fn json(field: &str, value: &Map<String, Value>, most: usize) -> Result<(), RequestError> {
    if json_size::of_value(value) > most {
        return Err(RequestError::invalid(
            field,
            format!("is above {most} bytes"),
        ));
    }
    let depth = value.values().map(json_size::depth_of).max();
    if depth.is_some_and(|depth| depth >= MAX_DEPTH_OF_JSON) {
        let problem = format!("is nested more than {MAX_DEPTH_OF_JSON} levels deep");
        return Err(RequestError::invalid(field, problem));
    }
    Ok(())
}

fn validate_credential(request: &TaskRequest) -> Result<(), RequestError> {
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
        environment::check(name)?;
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
