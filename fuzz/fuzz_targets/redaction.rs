//! Redaction: no secret of a task stays in any form that tools print, and other text does not change.

#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use claude_tasks::{TaskRequest, fuzzing::redact};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

/// Shorter secrets are in other texts by chance.
const SHORT: usize = 16;

fuzz_target!(|input: (&str, &str, &str)| {
    let (secret, before, after) = input;
    // A secret with brackets can be made of the mark and the text around it.
    let secret: String = secret
        .chars()
        .filter(|c| c.is_ascii_graphic() && !"[]".contains(*c))
        .collect();
    let request = TaskRequest::from_value(json!({
        "prompt": "p", "anthropicApiKey": "sk-ant-api03-another", "environmentSecrets": {"A": secret},
    }));
    let Ok(request) = request else { return };
    let Some(same) = redact(&request, before) else {
        return;
    };
    assert!(same == before || same.contains("[redacted]"));
    if secret.len() < SHORT {
        return;
    }
    let text = format!("{before}{secret}{after}");
    let escaped = |text: &str| {
        let quoted = json!(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let hexadecimal = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let forms: [(String, String); 4] = [
        (text.clone(), secret.clone()),
        (escaped(&text), escaped(&secret)),
        (hexadecimal(&text), hexadecimal(&secret)),
        (
            STANDARD.encode(&text),
            STANDARD.encode(&secret[..SHORT / 4 * 3]),
        ),
    ];
    for (form, secret) in forms {
        let shown = redact(&request, &form).expect("it has as many secrets as before");
        assert!(shown.contains("[redacted]"), "{form} {shown}");
        assert!(!shown.contains(&secret), "{form} {shown}");
    }
});
