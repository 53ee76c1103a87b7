//! git's and ssh's error messages, as sentences that say what to do.

/// The longest part of git's own message that an error repeats, in bytes.
const MAX_TEXT: usize = 1024;

/// Why a call of git failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) text: String,
    pub(super) retry: bool,
}

/// A part of git's message, what it means, and whether another attempt can succeed.
const KNOWN: [(&str, &str, bool); 23] = [
    (
        "Host key verification failed",
        "the server's host key is not known. Ask the operator to add it to the file of --git-known-hosts",
        false,
    ),
    (
        "No ED25519 host key is known",
        "the server's host key is not known. Ask the operator to add it to the file of --git-known-hosts",
        false,
    ),
    (
        "Permission denied (publickey",
        "the server refused sshKey. Check that it has no passphrase, and that the repository has it as a deploy key",
        false,
    ),
    (
        "error in libcrypto",
        "sshKey cannot be read as a private key. Send the whole file, with its first and last line",
        false,
    ),
    (
        "invalid format",
        "sshKey cannot be read as a private key. Send the whole file, with its first and last line",
        false,
    ),
    (
        "could not read Username",
        "the repository does not exist or needs a key. Check gitRepo, and give sshKey",
        false,
    ),
    (
        "could not read Password",
        "the repository needs a key. Give sshKey",
        false,
    ),
    (
        "Authentication failed",
        "the server refused the access. Check gitRepo, and give sshKey",
        false,
    ),
    (
        "Remote branch",
        "the branch does not exist. Check gitBranch",
        false,
    ),
    (
        "Repository not found",
        "the repository does not exist, or the key may not read it. Check gitRepo and sshKey",
        false,
    ),
    (
        "does not appear to be a git repository",
        "the repository does not exist. Check gitRepo",
        false,
    ),
    (
        "not found in upstream",
        "the branch does not exist. Check gitBranch",
        false,
    ),
    (
        "transport '",
        "the repository's protocol is not allowed. Use https or ssh",
        false,
    ),
    (
        "returned error: 30",
        "the server redirects to another address, and redirects are not followed. Give that address as gitRepo; it often ends \
         with .git",
        false,
    ),
    ("No space left on device", "the worker's disk is full", true),
    (
        "Disk quota exceeded",
        "the task's disk limit is reached",
        false,
    ),
    (
        "File too large",
        "the task's limit for files is reached",
        false,
    ),
    (
        "Could not resolve host",
        "the server's name cannot be resolved",
        true,
    ),
    (
        "Connection refused",
        "the server refused the connection",
        true,
    ),
    ("Connection timed out", "the server did not answer", true),
    ("Connection reset", "the connection broke", true),
    ("early EOF", "the connection broke", true),
    ("unexpected disconnect", "the connection broke", true),
];

/// Explains an exit code and the text on standard error. The text has no secrets.
pub(super) fn explain(errors: &str, exit_code: i32) -> Reason {
    if exit_code == 127 {
        return Reason {
            text: "git is not installed on the worker; install git and an ssh client".to_owned(),
            retry: false,
        };
    }
    if let Some((_, text, retry)) = KNOWN.iter().find(|(part, _, _)| errors.contains(part)) {
        return Reason {
            text: (*text).to_owned(),
            retry: *retry,
        };
    }
    let told = last_lines(errors);
    let text = if told.is_empty() {
        format!("git ended with exit code {exit_code}")
    } else {
        format!("git ended with exit code {exit_code}: {told}")
    };
    // Lines of other programs that git starts, such as the transport, end with 128.
    let retry = errors.contains("RPC failed") || errors.contains("HTTP 5");
    Reason { text, retry }
}

/// The last lines within the limit, as one line.
fn last_lines(text: &str) -> String {
    let text = text.trim();
    let mut from = text.len().saturating_sub(MAX_TEXT);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let lines = text.get(from..).unwrap_or_default().lines();
    let lines: Vec<_> = lines
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("hint:"))
        .collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_do() {
        for (errors, part, retry) in [
            (
                "Host key verification failed.\r\nfatal: x",
                "--git-known-hosts",
                false,
            ),
            ("git@h: Permission denied (publickey).", "deploy key", false),
            (
                "ssh: connect to host h port 22: Connection refused",
                "refused",
                true,
            ),
            (
                "fatal: Remote branch x not found in upstream origin",
                "gitBranch",
                false,
            ),
            (
                "fatal: a\nhint: b\nfatal: c",
                "code 128: fatal: a; fatal: c",
                false,
            ),
            ("", "exit code 128", false),
        ] {
            let reason = explain(errors, 128);
            assert!(reason.text.contains(part), "{}", reason.text);
            assert_eq!(reason.retry, retry, "{errors}");
        }
        assert!(explain("", 127).text.contains("install git"));
        let long = explain(&"ä".repeat(5000), 1).text;
        assert!(long.len() < MAX_TEXT + 100);
    }
}
