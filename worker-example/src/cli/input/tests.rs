use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    input: InputArgs,
}

fn request(arguments: &[&str], environment: &[(&str, &str)]) -> Result<TaskRequest, InputError> {
    let cli = Cli::parse_from(std::iter::once(&"submit").chain(arguments));
    cli.input.with(|name| {
        environment
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

const KEY: (&str, &str) = ("ANTHROPIC_API_KEY", "key");
const TOKEN: (&str, &str) = ("CLAUDE_CODE_OAUTH_TOKEN", "token");

#[test]
fn takes_the_credential_from_the_environment() {
    let made = request(&["--prompt", "do", "--max-turns", "2"], &[TOKEN]).unwrap();
    assert_eq!(
        made.credential().unwrap().variable(),
        "CLAUDE_CODE_OAUTH_TOKEN"
    );
    assert_eq!((made.prompt.expose(), made.max_turns), ("do", 2));
    let problem = |arguments: &[&str], environment: &[(&str, &str)]| {
        let error = request(arguments, environment).unwrap_err();
        assert_eq!(error.status(), Status::Usage);
        error.to_string()
    };
    let prompt = ["--prompt", "do"];
    assert_eq!(
        problem(&prompt, &[]),
        "set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN"
    );
    assert_eq!(
        problem(&[], &[KEY]),
        "give --prompt, --prompt-file or --request"
    );
}

#[test]
fn of_two_variables_the_api_key_counts() {
    let made = request(&["--prompt", "do"], &[KEY, TOKEN]).unwrap();
    assert_eq!(made.credential().unwrap().variable(), KEY.0);
    let json = serde_json::to_value(&made).unwrap();
    assert_eq!(json["anthropicApiKey"], KEY.1);
    assert_eq!(json.get("anthropicOAuthToken"), None, "{json}");
}

#[test]
fn a_credential_of_the_request_file_counts_unless_it_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("request.json");
    for (own, expected) in [("\"own\"", "own"), ("null", KEY.1), ("\"\"", KEY.1)] {
        let json = format!(r#"{{"prompt": "do", "anthropicApiKey": {own}}}"#);
        std::fs::write(&path, json).unwrap();
        let made = request(&["--request", path.to_str().unwrap()], &[KEY]).unwrap();
        assert_eq!(made.credential().unwrap().secret().expose(), expected);
    }
}

#[test]
fn the_size_of_the_json_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompt");
    std::fs::write(&path, "\n\"".repeat(600_000)).unwrap();
    let error = request(&["--prompt-file", path.to_str().unwrap()], &[KEY]).unwrap_err();
    assert!(matches!(error, InputError::Large { bytes } if bytes > 2_400_000));
    assert_eq!(error.status(), Status::Usage);
    std::fs::write(&path, "x".repeat(1_900_000)).unwrap();
    assert!(request(&["--prompt-file", path.to_str().unwrap()], &[KEY]).is_ok());
}

#[test]
fn a_bad_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("request.json");
    for (json, expected, status) in [
        ("{", "the request is not JSON", Status::Data),
        (
            r#"{"prompt": "x", "maxTurns": 0}"#,
            "maxTurns must be",
            Status::Usage,
        ),
    ] {
        std::fs::write(&path, json).unwrap();
        let path = path.to_str().unwrap();
        let error = request(&["--request", path], &[KEY]).unwrap_err();
        assert_eq!(error.status(), status);
        let text = error.to_string();
        assert!(text.starts_with(path) && text.contains(expected), "{text}");
    }
}

#[test]
fn an_empty_prompt_is_told_with_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompt");
    std::fs::write(&path, " \n").unwrap();
    let path = path.to_str().unwrap();
    for (arguments, source) in [
        (&["--prompt", ""][..], "--prompt"),
        (&["--prompt", " "], "--prompt"),
        (&["--prompt-file", path], path),
    ] {
        let error = request(arguments, &[KEY]).unwrap_err();
        let expected = format!("{source} is empty; it must say what Claude should do");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.status(), Status::Usage);
    }
}

#[test]
fn an_error_names_the_option_or_the_variable() {
    let problem = |arguments: &[&str], credential| {
        let arguments = [&["--prompt", "do"], arguments].concat();
        let error = request(&arguments, &[credential]).unwrap_err();
        assert_eq!(error.status(), Status::Usage);
        error.to_string()
    };
    assert!(problem(&["--model", "a b"], KEY).starts_with("--model "));
    assert!(problem(&["--allowed-tool", ""], KEY).starts_with("--allowed-tool "));
    let credential = ("CLAUDE_CODE_OAUTH_TOKEN", "a b");
    assert!(problem(&[], credential).starts_with("CLAUDE_CODE_OAUTH_TOKEN must be "));
}

#[test]
fn options_override_the_request_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("request.json");
    let json = r#"{"prompt": "file", "anthropicApiKey": "own", "maxTurns": 9, "model": "opus"}"#;
    std::fs::write(&path, json).unwrap();
    let path = path.to_str().unwrap();
    let made = request(&["--request", path, "--max-turns", "3"], &[TOKEN]).unwrap();
    assert_eq!(made.credential().unwrap().secret().expose(), "own");
    assert_eq!((made.prompt.expose(), made.max_turns), ("file", 3));
    let made = request(&["--request", path, "--prompt-file", path], &[]).unwrap();
    assert_eq!(made.prompt.expose(), json);
    assert!(matches!(
        request(&["--request", "-", "--prompt-file", "-"], &[KEY]),
        Err(InputError::TwiceStdin)
    ));
    let missing = request(&["--prompt-file", "/no/such/file"], &[KEY]).unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("cannot read /no/such/file: "),
        "{missing}"
    );
}
