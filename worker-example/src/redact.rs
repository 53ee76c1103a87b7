//! Removes the task's secrets from Claude Code's output. Otherwise a tool that prints its environment would write the
//! credential into the log.

mod forms;

use std::{borrow::Cow, fmt};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde_json::{Map, Value};

use crate::task::{Credential, Secret, TaskRequest};

/// The replacement of a secret.
const MARK: &str = "[redacted]";

/// Finds the secrets of one task in the forms that tools print: unchanged, line by line, escaped as JSON, and in base64,
/// hexadecimal and percent encoding. It cannot find a secret that a task splits or transforms in another way.
pub(crate) struct Redactor {
    /// `None` if the task has no secrets to find.
    forms: Option<AhoCorasick>,
}

impl Redactor {
    /// A redactor for the credential, the key of the repository, `environmentSecrets`, and the headers and variables of the
    /// MCP servers of a request. This takes time if there are many secrets.
    ///
    /// # Errors
    /// When the secrets are too many to search for.
    pub(crate) fn of(request: &TaskRequest) -> Result<Self, TooManySecrets> {
        let credential = request.credential().map(Credential::secret);
        let secrets = credential
            .into_iter()
            .chain(&request.ssh_key)
            .chain(request.environment_secrets.values())
            .map(Secret::expose);
        Self::new(secrets.chain(of_mcp_servers(request)))
    }

    /// A redactor for these secrets. It ignores very short ones.
    ///
    /// # Errors
    /// When the secrets are too many to search for.
    fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, TooManySecrets> {
        let forms = forms::of_all(secrets);
        if forms.is_empty() {
            return Ok(Self { forms: None });
        }
        let search = AhoCorasick::builder()
            // All matches count, also those inside each other, so that nothing stays of forms that overlap.
            .match_kind(MatchKind::Standard)
            // For few patterns the default kind takes about a hundred times the memory of the patterns.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms.iter().map(|form| form.as_bytes()))
            .map_err(|_| TooManySecrets)?;
        Ok(Self {
            forms: Some(search),
        })
    }

    /// The text without the secrets.
    #[must_use]
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(forms) = &self.forms else {
            return Cow::Borrowed(text);
        };
        let mut clean = String::new();
        let mut rest = 0;
        for (start, end) in merged(forms, text) {
            clean.push_str(text.get(rest..start).unwrap_or_default());
            clean.push_str(MARK);
            rest = end;
        }
        if rest == 0 {
            return Cow::Borrowed(text);
        }
        clean.push_str(text.get(rest..).unwrap_or_default());
        Cow::Owned(clean)
    }
}

/// The places of all matches, in order. Those that overlap are one place.
fn merged(forms: &AhoCorasick, text: &str) -> Vec<(usize, usize)> {
    // Matches come in the order of their ends, so a later one can reach back over several places.
    let mut places: Vec<(usize, usize)> = Vec::new();
    for found in forms.find_overlapping_iter(text) {
        let mut start = found.start();
        while let Some(&(last, end)) = places.last() {
            if end <= start {
                break;
            }
            start = start.min(last);
            places.pop();
        }
        places.push((start, found.end()));
    }
    places
}

/// The values of headers and variables in the configuration of MCP servers.
fn of_mcp_servers(request: &TaskRequest) -> impl Iterator<Item = &str> {
    let servers = request
        .mcp_config
        .as_ref()
        .and_then(|configuration| configuration.expose().get("mcpServers"))
        .and_then(Value::as_object);
    servers
        .into_iter()
        .flat_map(Map::values)
        .flat_map(|server| [server.get("headers"), server.get("env")])
        .flatten()
        .filter_map(Value::as_object)
        .flat_map(Map::values)
        .filter_map(Value::as_str)
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms = self.forms.as_ref().map_or(0, AhoCorasick::patterns_len);
        f.debug_struct("Redactor").field("forms", &forms).finish()
    }
}

/// The secrets are too many to search for.
#[derive(Debug, thiserror::Error)]
#[error(
    "the task has too many secrets: the worker cannot search its output for all of them. Send fewer or shorter secrets"
)]
pub(crate) struct TooManySecrets;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };

    use super::*;

    const PEM: &str = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7\n-----END KEY-----\n";

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().copied()).unwrap()
    }

    #[test]
    fn replaces_plain_and_escaped_forms() {
        let redactor = redactor(&["sk-ant-12345", "two\nlines \"quoted\""]);
        assert_eq!(
            redactor.redact("a sk-ant-12345sk-ant-12345 b"),
            "a [redacted][redacted] b"
        );
        assert_eq!(
            redactor.redact(r#"{"t":"two\nlines \"quoted\""}"#),
            r#"{"t":"[redacted]"}"#
        );
        assert_eq!(
            redactor.redact(r#"{"t":"{\"u\":\"two\\nlines \\\"quoted\\\"\"}"}"#),
            r#"{"t":"{\"u\":\"[redacted]\"}"}"#
        );
        assert_eq!(redactor.redact("two\nlines \"quoted\"!"), "[redacted]!");
        assert!(matches!(redactor.redact("nothing"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_longer_secret_goes_first_and_short_ones_stay() {
        let redactor = redactor(&["abcdefgh", "abcdefgh-ijkl", "abc"]);
        assert_eq!(redactor.redact("abcdefgh-ijkl abc"), "[redacted] abc");
        assert!(!format!("{redactor:?}").contains("abc"));
    }

    #[test]
    fn finds_each_line_of_a_key_behind_line_numbers() {
        let redactor = redactor(&[PEM]);
        let mut numbered = String::new();
        for (number, line) in PEM.lines().enumerate() {
            let _ = write!(numbered, "{:6}\\u2192{line}\\n", number + 1);
        }
        let shown = redactor.redact(&numbered).into_owned();
        assert!(
            !shown.contains("MIIEvQ") && !shown.contains("AASCBK"),
            "{shown}"
        );
        assert!(shown.contains("     2\\u2192[redacted]"), "{shown}");
    }

    #[test]
    fn finds_json_of_other_languages() {
        let redactor = redactor(&["p<a>ss&word/ä-🔑"]);
        let go = r"p\u003ca\u003ess\u0026word/ä-🔑";
        let php = r"p<a>ss&word\/\u00e4-\ud83d\udd11";
        let python = r"p<a>ss&word/\u00e4-\ud83d\udd11";
        for shown in [go, php, python] {
            let twice = serde_json::to_string(shown).unwrap();
            for text in [shown, twice.trim_matches('"')] {
                assert_eq!(redactor.redact(text), "[redacted]", "{text}");
            }
        }
    }

    #[test]
    fn the_search_for_the_largest_secrets_stays_small() {
        // The most that a request may hold, in lines that must all be found.
        let secrets: Vec<String> = (0..10)
            .map(|secret| {
                let line = |number| format!("{secret}/{number:06}+{}\n", "x/+".repeat(16));
                (0..1_500).map(line).collect()
            })
            .collect();
        let total: usize = secrets.iter().map(String::len).sum();
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let redactor = redactor(&secrets);
        assert_eq!(redactor.redact(secrets[9]), "[redacted]");
        let used = redactor.forms.unwrap().memory_usage();
        assert!(used < 80 * total, "{used} bytes for {total}");
    }

    #[test]
    fn finds_the_secrets_of_every_field() {
        let request = TaskRequest::from_value(serde_json::json!({
            "prompt": "p", "anthropicApiKey": "sk-ant-key-1",
            "sshKey": PEM.replace("KEY", "PRIVATE KEY"),
            "environmentSecrets": {"A": "environment-secret"},
            "mcpConfig": {"mcpServers": {"s": {
                "command": "a-plain-command", "headers": {"Authorization": "Bearer header-secret"},
                "env": {"T": "variable-secret"},
            }}},
        }));
        let redactor = Redactor::of(&request.unwrap()).unwrap();
        for secret in [
            "sk-ant-key-1",
            "MIIEvQIBADANBgkqhkiG9w0BAQEF",
            "environment-secret",
            "Bearer header-secret",
            "variable-secret",
        ] {
            assert_eq!(redactor.redact(secret), "[redacted]", "{secret}");
        }
        assert_eq!(redactor.redact("a-plain-command"), "a-plain-command");
    }

    #[test]
    fn finds_base64_in_rows_at_every_offset() {
        let secret = "sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let redactor = redactor(&[secret]);
        for before in 0..60 {
            let text = format!("{}{secret} and more text", "x".repeat(before));
            let encoded = STANDARD.encode(text);
            for width in [64, 76] {
                let rows: Vec<_> = encoded.as_bytes().chunks(width).collect();
                let shown: String = rows
                    .iter()
                    .map(|row| {
                        redactor
                            .redact(std::str::from_utf8(row).unwrap())
                            .into_owned()
                    })
                    .map(|row| row.replace("[redacted]", ""))
                    .collect();
                // What stays: the text around the secret, and less than 12 characters at the end of a row.
                let around = encoded.len() - secret.len() / 3 * 4;
                assert!(shown.len() < around + 12 + 12, "{before} {width}: {shown}");
            }
        }
    }

    #[test]
    fn the_time_grows_with_the_text_and_not_with_its_repetition() {
        // Each position of this text ends many matches of the same secret.
        let redactor = redactor(&[&"a".repeat(2000), &"ab".repeat(1000)]);
        let text = "a".repeat(1 << 20);
        assert_eq!(redactor.redact(&text), "[redacted]");
        let text = "ab".repeat(1 << 19);
        assert_eq!(redactor.redact(&text), "[redacted]");
    }

    proptest::proptest! {
        #[test]
        fn no_form_of_a_secret_stays(
            secret in "[!-~]{16,80}",
            before in "[ -~]{0,40}",
            after in "[ -~]{0,40}",
        ) {
            let redactor = redactor(&[&secret]);
            let text = format!("{before}{secret}{after}");
            let once = serde_json::to_string(&text).unwrap();
            let twice = serde_json::to_string(&once).unwrap();
            let forms = [
                text.clone(),
                once,
                twice,
                hex::encode(&text),
                STANDARD.encode(&text),
                URL_SAFE_NO_PAD.encode(&text),
            ];
            for form in forms {
                let shown = redactor.redact(&form);
                proptest::prop_assert!(shown.contains(MARK), "{form}");
                proptest::prop_assert!(!shown.contains(&secret), "{form}: {shown}");
                proptest::prop_assert!(!shown.contains(&hex::encode(&secret)), "{form}: {shown}");
            }
            let short = before.get(..before.len().min(8)).unwrap_or_default();
            proptest::prop_assert_eq!(redactor.redact(short), short);
        }
    }

    #[test]
    fn finds_encodings_that_tools_make() {
        let secret = "sk-ant-a secret/with+signs";
        let redactor = redactor(&[secret, PEM]);
        for before in ["", "x", "xy", "xyz", "TOKEN="] {
            let encoded = STANDARD.encode(format!("{before}{secret} and more"));
            let shown = redactor.redact(&encoded).into_owned();
            assert!(shown.contains("[redacted]"), "{before}: {shown}");
            let left = shown.replace("[redacted]", "").len();
            assert!(left <= (before.len() + 9) * 4 / 3 + 8, "{before}: {shown}");
        }
        for encoded in [
            hex::encode(secret),
            hex::encode_upper(secret),
            "sk-ant-a%20secret%2Fwith%2Bsigns".to_owned(),
            "sk-ant-a+secret%2fwith%2bsigns".to_owned(),
            STANDARD.encode(secret).replace('+', "-").replace('/', "_"),
        ] {
            let shown = redactor.redact(&encoded).into_owned();
            assert!(
                shown.starts_with("[redacted]") && shown.len() < 15,
                "{encoded}: {shown}"
            );
        }
        // As `base64` prints it, in rows.
        let encoded = STANDARD.encode(PEM);
        let (first, second) = encoded.split_at(76);
        for row in [first, second] {
            assert!(redactor.redact(row).len() < 15, "{row}");
        }
    }
}
