//! Claude Code's arguments and environment, from the operator's settings and the request.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use thiserror::Error;
use zeroize::Zeroizing;

use super::caps::Caps;
use crate::{
    proxy::Proxy,
    sandbox::{Programs, Workspace},
    task::{PermissionMode, TaskRequest},
};

const VERSION_TIMEOUT: Duration = Duration::from_mins(1);

/// The operator's settings for Claude Code.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub(crate) struct ClaudeConfig {
    /// The program, which exists and is executable.
    pub(crate) program: PathBuf,
    /// More variables of the worker that tasks get.
    pub(crate) pass_env: Vec<String>,
    /// How often Claude Code repeats a failed API call. Without it, Claude Code's default applies.
    pub(crate) api_retries: Option<u32>,
    /// The mode of tasks that name none.
    pub(crate) permission_mode: Option<PermissionMode>,
    /// The allowed tools of tasks that name none.
    pub(crate) allowed_tools: Vec<String>,
    /// The denied tools of tasks that name none.
    pub(crate) disallowed_tools: Vec<String>,
    /// The limits for all tasks.
    pub(crate) caps: Caps,
}

/// Claude Code cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ConfigError {
    /// The program does not exist.
    #[error(
        "cannot find the program `{program}` on the PATH. Install Claude Code, or name its program with --claude"
    )]
    Missing {
        /// The program's name.
        program: String,
    },
    /// The program is not Claude Code.
    #[error(
        "`{program}` is not Claude Code: the output of `{program} --version` does not contain \"Claude Code\". Name Claude \
         Code's program with --claude"
    )]
    OtherProgram {
        /// The program.
        program: String,
    },
    /// The program cannot be run.
    #[error("`{path}` cannot be run: {source}. Name Claude Code's program with --claude")]
    CannotRun {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ClaudeConfig {
    /// Finds the program. `program` is a path, or a name on the `PATH`.
    ///
    /// # Errors
    /// When the program does not exist or cannot be executed.
    pub(crate) fn find(program: &Path) -> Result<Self, ConfigError> {
        let program = if program.components().count() > 1 {
            executable(program).map_err(|source| ConfigError::CannotRun {
                path: program.to_owned(),
                source,
            })?
        } else {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path)
                .find_map(|folder| executable(&folder.join(program)).ok())
                .ok_or_else(|| ConfigError::Missing {
                    program: program.display().to_string(),
                })?
        };
        Ok(Self {
            program,
            pass_env: Vec::new(),
            api_retries: None,
            permission_mode: None,
            allowed_tools: Vec::new(),
            disallowed_tools: Vec::new(),
            caps: Caps::default(),
        })
    }

    /// Runs `--version` to check that the program is Claude Code.
    ///
    /// # Errors
    /// When it does not answer as Claude Code within a minute.
    pub(crate) async fn check(&self) -> Result<(), ConfigError> {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .arg("--version")
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", "/nonexistent")
            .env("DISABLE_AUTOUPDATER", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let answer = tokio::time::timeout(VERSION_TIMEOUT, command.output()).await;
        let is_claude = matches!(answer, Ok(Ok(output)) if output.status.success()
            && String::from_utf8_lossy(&output.stdout).contains("Claude Code"));
        if is_claude {
            return Ok(());
        }
        Err(ConfigError::OtherProgram {
            program: self.program.display().to_string(),
        })
    }

    /// The arguments. They hold no prompt, because all users of the machine can read them. Each value follows its own
    /// `--flag=`, so that Claude Code cannot mistake it for a flag.
    pub(crate) fn arguments(&self, request: &TaskRequest, workspace: &Workspace) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["--print", "--output-format=stream-json", "--verbose"]
            .map(OsString::from)
            .to_vec();
        let mut add = |flag: &str, value: &str| arguments.push(format!("--{flag}={value}").into());
        add("max-turns", &request.max_turns.to_string());
        if let Some(mode) = request.permission_mode.or(self.permission_mode) {
            add("permission-mode", mode.as_str());
        }
        for tool in request
            .allowed_tools
            .as_ref()
            .unwrap_or(&self.allowed_tools)
        {
            add("allowed-tools", tool);
        }
        for tool in request
            .disallowed_tools
            .as_ref()
            .unwrap_or(&self.disallowed_tools)
            .iter()
            .chain(&self.caps.denied_tools)
        {
            add("disallowed-tools", tool);
        }
        if let Some(model) = &request.model {
            add("model", model);
        }
        if let Some(model) = &request.fallback_model {
            add("fallback-model", model);
        }
        let mut add_file = |flag: &str, path: &Path| {
            let mut argument = OsString::from(format!("--{flag}="));
            argument.push(path);
            arguments.push(argument);
        };
        if request.system_prompt.is_some() {
            add_file("system-prompt-file", &workspace.system_prompt());
        }
        if request.append_system_prompt.is_some() {
            add_file(
                "append-system-prompt-file",
                &workspace.append_system_prompt(),
            );
        }
        arguments
    }

    /// The complete environment. The worker's variables override those of the task. The caller's credential is not in it:
    /// Claude Code has the address of the task's proxy and a token for it.
    pub(crate) fn environment(
        &self,
        request: &TaskRequest,
        programs: &Programs,
        proxy: &Proxy,
    ) -> Vec<(String, Zeroizing<String>)> {
        let mut environment = Vec::new();
        let mut set = |name: &str, value: &str| {
            environment.retain(|(other, _): &(String, _)| other != name);
            environment.push((name.to_owned(), Zeroizing::new(value.to_owned())));
        };
        for (name, value) in &request.environment_secrets {
            set(name, value.expose());
        }
        for name in &self.pass_env {
            if let Ok(value) = std::env::var(name) {
                set(name, &value);
            }
        }
        for (name, value) in programs.environment() {
            set(&name, &value);
        }
        set("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        set("DISABLE_AUTOUPDATER", "1");
        if let Some(retries) = self.api_retries {
            set("CLAUDE_CODE_MAX_RETRIES", &retries.to_string());
        }
        for (name, value) in proxy.environment() {
            set(name, &value);
        }
        environment
    }
}

fn executable(path: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = path.canonicalize()?;
    let metadata = path.metadata()?;
    if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        return Ok(path);
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it is not an executable file",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        proxy::{ProxyLimits, Upstream},
        sandbox::{Launcher, Sandbox, SandboxMode, SandboxSettings},
    };

    fn config() -> ClaudeConfig {
        ClaudeConfig::find(Path::new("sh")).unwrap()
    }

    fn request(extra: &Value) -> TaskRequest {
        let mut value = json!({"prompt": "the prompt", "anthropicApiKey": "sk-credential"});
        value
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        TaskRequest::from_value(value).unwrap()
    }

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(folder.path(), &"t".parse().unwrap()).unwrap();
        (folder, workspace)
    }

    fn arguments(config: &ClaudeConfig, request: &TaskRequest) -> Vec<String> {
        let (_folder, workspace) = workspace();
        let arguments = config.arguments(request, &workspace);
        arguments
            .into_iter()
            .map(|a| a.into_string().unwrap())
            .collect()
    }

    #[test]
    fn every_value_stands_behind_its_flag_and_no_prompt_among_them() {
        let request = request(&json!({
            "systemPrompt": "system text", "appendSystemPrompt": "more text",
            "allowedTools": ["Bash(git *)", "--dangerously-skip-permissions"], "permissionMode": "plan",
            "model": "opus", "fallbackModel": "sonnet", "maxTurns": 2,
        }));
        let arguments = arguments(&config(), &request);
        assert!(
            arguments.iter().all(|a| a.starts_with("--")),
            "{arguments:?}"
        );
        assert!(!arguments.contains(&"--dangerously-skip-permissions".to_owned()));
        for wanted in [
            "--allowed-tools=Bash(git *)",
            "--allowed-tools=--dangerously-skip-permissions",
            "--permission-mode=plan",
            "--model=opus",
            "--fallback-model=sonnet",
            "--max-turns=2",
        ] {
            assert!(
                arguments.contains(&wanted.to_owned()),
                "{wanted} in {arguments:?}"
            );
        }
        let all = arguments.join(" ");
        for hidden in ["the prompt", "system text", "more text", "sk-credential"] {
            assert!(!all.contains(hidden), "{hidden}");
        }
        assert!(all.contains("--system-prompt-file=/"), "{all}");
    }

    #[test]
    fn the_operators_defaults_give_way_to_the_task() {
        let mut config = config();
        config.permission_mode = Some(PermissionMode::AcceptEdits);
        config.allowed_tools = vec!["Read".into()];
        let plain = arguments(&config, &request(&json!({})));
        assert!(plain.contains(&"--permission-mode=acceptEdits".to_owned()));
        assert!(plain.contains(&"--allowed-tools=Read".to_owned()));
        let own = request(&json!({"permissionMode": "plan", "allowedTools": []}));
        let own = arguments(&config, &own);
        assert!(own.contains(&"--permission-mode=plan".to_owned()));
        assert!(!own.iter().any(|a| a.starts_with("--allowed-tools")));
    }

    #[test]
    fn a_caller_cannot_lift_the_operators_denials() {
        let mut config = config();
        config.disallowed_tools = vec!["WebFetch".into()];
        config.caps.denied_tools = vec!["Bash".into()];
        for own in [
            json!({}),
            json!({"disallowedTools": [], "allowedTools": ["Bash"]}),
        ] {
            let arguments = arguments(&config, &request(&own));
            assert!(
                arguments.contains(&"--disallowed-tools=Bash".to_owned()),
                "{arguments:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_environment_is_a_short_list_without_the_credential() {
        let request = request(&json!({"environmentSecrets": {"TERM": "mine", "TOKEN": "t"}}));
        let (folder, workspace) = workspace();
        let sandbox = Sandbox::find(
            SandboxSettings {
                mode: SandboxMode::Off,
                ..SandboxSettings::default()
            },
            Launcher::this_program(),
            folder.path(),
            Duration::from_secs(1),
        );
        let programs = Programs::new(&sandbox.await.unwrap(), &workspace).unwrap();
        let proxy = Proxy::start(
            &Upstream::new(None).unwrap(),
            &ProxyLimits::default(),
            request.credential().unwrap(),
            folder.path(),
            None,
        )
        .unwrap();
        let environment = config().environment(&request, &programs, &proxy);
        let value = |name: &str| {
            let mut found = environment.iter().filter(|(n, _)| n == name);
            let value = found.next().map(|(_, v)| v.as_str());
            assert!(found.next().is_none(), "{name} twice");
            value
        };
        assert!(
            environment
                .iter()
                .all(|(_, v)| !v.contains("sk-credential"))
        );
        assert!(value("ANTHROPIC_API_KEY").unwrap().starts_with("task-"));
        assert_eq!(
            value("ANTHROPIC_UNIX_SOCKET"),
            Some(proxy.socket().to_str().unwrap())
        );
        assert_eq!(value("ANTHROPIC_BASE_URL"), Some("http://localhost"));
        assert_eq!(value("TOKEN"), Some("t"));
        assert_eq!(value("HOME"), workspace.home().to_str());
        // cargo sets this variable for every test. A task must not see it.
        assert_eq!(value("CARGO_MANIFEST_DIR"), None);
        assert_eq!(value("CLAUDE_CODE_OAUTH_TOKEN"), None);
    }

    #[test]
    fn says_when_there_is_no_program() {
        let missing = ClaudeConfig::find(Path::new("no-such-program-here")).unwrap_err();
        assert!(missing.to_string().contains("--claude"), "{missing}");
        let folder = ClaudeConfig::find(Path::new("/etc/")).unwrap_err();
        assert!(folder.to_string().contains("cannot be run"), "{folder}");
    }
}
