//! The credential of the demo's task.

use std::{env, fmt, process::Command};

use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

const VARIABLES: [&str; 2] = ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"];

/// The task's credential for Anthropic, or for the local fake.
pub(super) struct Credential {
    variable: &'static str,
    secret: Zeroizing<String>,
    own: bool,
}

impl Credential {
    /// The user's own credential if it is set, otherwise one that is not valid anywhere.
    pub(super) fn choose() -> Self {
        let own = VARIABLES.into_iter().find_map(|variable| {
            let secret = env::var(variable).ok().map(Zeroizing::new)?;
            (secret.len() >= 16).then_some((variable, secret))
        });
        if let Some((variable, secret)) = own {
            return Self {
                variable,
                secret,
                own: true,
            };
        }
        let [variable, _] = VARIABLES;
        Self {
            variable,
            secret: Zeroizing::new(format!("sk-ant-demo-{}", Uuid::new_v4().simple())),
            own: false,
        }
    }

    /// Whether it is the user's, and the task talks to Anthropic.
    pub(super) fn is_own(&self) -> bool {
        self.own
    }

    pub(super) fn variable(&self) -> &'static str {
        self.variable
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// Gives it to `command`, through the environment.
    pub(super) fn give_to(&self, command: &mut Command) {
        keep_from(command);
        command.env(self.variable, self.secret.as_str());
    }

    /// Adds it to a request of the task API.
    pub(super) fn add_to(&self, request: &mut Map<String, Value>) {
        let field = match self.variable {
            "CLAUDE_CODE_OAUTH_TOKEN" => "anthropicOAuthToken",
            _ => "anthropicApiKey",
        };
        request.insert(field.to_owned(), self.secret.as_str().into());
    }

    /// `text` without it, fit to be printed.
    pub(super) fn mask(&self, text: &str) -> String {
        text.replace(self.secret.as_str(), "(the credential)")
    }
}

/// Makes sure that `command` inherits no credential of the user's.
pub(super) fn keep_from(command: &mut Command) {
    for variable in VARIABLES {
        command.env_remove(variable);
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("variable", &self.variable)
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}
