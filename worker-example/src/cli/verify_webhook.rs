//! `claude-tasks verify-webhook`: checks a webhook for its receiver.

use serde_json::{Value, json};
use temporal_kms_codec_service::terminal;

use super::{
    exit::{CommandEnd, CommandError},
    webhook_input::{VerifyWebhookArgs, check},
};
use crate::print;

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-tasks verify-webhook --timestamp 1700000000 \\
    --signature sha256=49f24e53... < body.json
  claude-tasks verify-webhook --json --max-age 1h \\
    --header 'X-Webhook-Timestamp: 1700000000' \\
    --header 'X-Webhook-Signature: sha256=49f24e53...' < body.json

The body comes from standard input, with its bytes unchanged. The secret is in
CLOUDRUN_CALLBACK_SECRET. During a rotation, CLOUDRUN_CALLBACK_SECRET_PREVIOUS
has the secret of before, and either may have signed.";

/// Checks a webhook, and prints which task it tells about.
///
/// # Errors
/// When it is not genuine, or cannot be checked.
pub(super) fn run(args: &VerifyWebhookArgs) -> Result<CommandEnd, CommandError> {
    let checked = check(args);
    if let (true, Err(error)) = (args.json, &checked) {
        print::line(&json!({"valid": false, "error": error.to_string()}).to_string());
    }
    let (sent, body) = checked?;
    let webhook: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |field: &str| webhook.get(field).and_then(Value::as_str);
    let (task, status) = (text("taskId"), text("status"));
    if args.json {
        let line = json!({"valid": true, "taskId": task, "status": status, "timestamp": sent});
        print::line(&line.to_string());
    } else {
        let told = format!(
            "genuine: task {} {}",
            task.unwrap_or("(without id)"),
            status.unwrap_or("(without status)")
        );
        print::line(&terminal::lines(&told));
    }
    Ok(CommandEnd::Done)
}
