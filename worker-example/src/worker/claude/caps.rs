//! The operator's limits for all tasks of a worker. A caller cannot lift them.

use crate::task::{MAX_TURNS, PermissionMode, TaskRequest};

/// The limits for all tasks of a worker. A task that asks for more runs with the limit, and its result says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caps {
    /// Tools denied to every task.
    pub(crate) denied_tools: Vec<String>,
    /// The most permissive mode of a task.
    pub(crate) permission_mode: Option<PermissionMode>,
    /// The longest time limit of a task, in minutes.
    pub(crate) minutes: Option<u32>,
    /// The most turns of a task.
    pub(crate) turns: Option<u32>,
}

impl Caps {
    /// Lowers the request's values to the limits. Returns a warning for each value that it lowers.
    pub(crate) fn lower(
        &self,
        request: &mut TaskRequest,
        default_mode: Option<PermissionMode>,
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut lowered = |field: &str, from: &str, to: &str| {
            warnings.push(format!(
                "{field} {from} was lowered to {to}, the most that this worker allows"
            ));
        };
        if let Some(most) = self.permission_mode {
            if let Some(asked) = request.permission_mode.filter(|asked| *asked > most) {
                lowered("permissionMode", asked.as_str(), most.as_str());
            }
            let mode = request.permission_mode.or(default_mode);
            request.permission_mode = Some(mode.unwrap_or(PermissionMode::Default).min(most));
        }
        if let Some(most) = self.minutes.filter(|most| request.timeout_minutes > *most) {
            lowered(
                "timeoutMinutes",
                &request.timeout_minutes.to_string(),
                &most.to_string(),
            );
            request.timeout_minutes = most;
        }
        let most = self.turns.unwrap_or(MAX_TURNS).min(MAX_TURNS);
        if request.max_turns > most {
            lowered(
                "maxTurns",
                &request.max_turns.to_string(),
                &most.to_string(),
            );
            request.max_turns = most;
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(extra: &Value) -> TaskRequest {
        let mut value = json!({"prompt": "p", "anthropicApiKey": "k"});
        let fields = extra.as_object().unwrap().clone();
        value.as_object_mut().unwrap().extend(fields);
        TaskRequest::from_value(value).unwrap()
    }

    #[test]
    fn a_caller_gets_less_than_it_asks_for_and_is_told() {
        let caps = Caps {
            permission_mode: Some(PermissionMode::Default),
            minutes: Some(10),
            turns: Some(3),
            ..Caps::default()
        };
        let asked =
            json!({"permissionMode": "bypassPermissions", "timeoutMinutes": 55, "maxTurns": 6});
        let mut request = request(&asked);
        let warnings = caps.lower(&mut request, None);
        assert_eq!(request.permission_mode, Some(PermissionMode::Default));
        assert_eq!((request.timeout_minutes, request.max_turns), (10, 3));
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(
            warnings[0].contains("bypassPermissions was lowered to default"),
            "{warnings:?}"
        );
    }

    #[test]
    fn less_than_a_cap_stays_and_without_caps_nothing_changes() {
        let caps = Caps {
            permission_mode: Some(PermissionMode::AcceptEdits),
            turns: Some(10),
            ..Caps::default()
        };
        let mut own = request(&json!({"permissionMode": "plan", "maxTurns": 9}));
        assert_eq!(caps.lower(&mut own, None), Vec::<String>::new());
        assert_eq!(
            (own.permission_mode, own.max_turns),
            (Some(PermissionMode::Plan), 9)
        );
        // The limit holds for the worker's own default, too.
        let mut none = request(&json!({}));
        let default = Some(PermissionMode::BypassPermissions);
        assert_eq!(caps.lower(&mut none, default), Vec::<String>::new());
        assert_eq!(none.permission_mode, Some(PermissionMode::AcceptEdits));
        let mut many = request(&json!({"maxTurns": 1_000_000}));
        let warnings = Caps::default().lower(&mut many, None);
        assert_eq!(many.max_turns, MAX_TURNS);
        assert!(
            warnings[0].starts_with("maxTurns 1000000 was lowered to 1000"),
            "{warnings:?}"
        );
        let mut free = request(&json!({"permissionMode": "bypassPermissions"}));
        assert_eq!(Caps::default().lower(&mut free, None), Vec::<String>::new());
        assert_eq!(
            free.permission_mode,
            Some(PermissionMode::BypassPermissions)
        );
    }
}
