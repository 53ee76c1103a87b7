//! Clients of the original service, and the example clients, with the real Claude Code.

use std::process::Command;

use dev_servers::{Process, sibling_binary};
use fake_oidc::{Options, Server, claims};
use integration_tests::tool;
use serde_json::json;

use super::support::callers;
use crate::support::{Rig, end, fresh};

/// What the original's own test script does.
#[tokio::test(flavor = "multi_thread")]
async fn the_test_script_of_the_original_service_passes() {
    let mut rig = Rig::new().await;
    rig.enable_webhooks();
    // One process, with the store that it has by default.
    let api = rig.api_of(rig.command_for_all(&tool("TKC_CLAUDE"), &[]), "");
    let health = api.get("/health");
    assert_eq!(health.status, 200);
    assert!(health.json.is_object(), "{}", health.text);

    for body in [
        json!({"prompt": "hello"}),
        json!({"prompt": "hello", "anthropicApiKey": ""}),
    ] {
        let refused = api.post("/run", &body);
        assert_eq!(refused.status, 400);
        for word in ["anthropicApiKey", "required"] {
            assert!(refused.text.contains(word), "{}", refused.text);
        }
    }

    // Heartbeats carry no event of this size.
    let large = "x".repeat(100_000);
    let good = json!({"prompt": format!("Say hello {large}"), "anthropicApiKey": "sk-ant-test", "maxTurns": 1,
        "unknownField": true});
    let stream = api.post("/run", &good);
    assert_eq!(stream.status, 200);
    let events: Vec<&str> = stream
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    let has = |part: &str| events.iter().any(|event| event.contains(part));
    for part in [
        r#""type":"system""#,
        r#""type":"assistant""#,
        r#""type":"result""#,
        "unknown field `unknownField` has no effect",
        &format!("You asked: Say hello {large}"),
    ] {
        assert!(has(part), "{part:.80} in {:.4000}", stream.text);
    }
    for missing in ["event: ", "event_left_out", "events_missed"] {
        assert!(!stream.text.contains(missing), "{:.4000}", stream.text);
    }
    let log = api.get(&format!("/tasks/{}/logs", stream.header("x-task-id")));
    assert_eq!(log.status, 200, "{}", log.text);
    assert!(log.text.lines().eq(events), "{:.4000}", log.text);

    let mut background = good;
    background["callbackUrl"] = json!("http://127.0.0.1:9/hook");
    let accepted = api.post("/run-async", &background);
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    for part in [
        "\"taskId\":\"",
        "\"logsPath\":\"",
        "\"status\":\"pending\"",
        "\"createdAt\":\"",
    ] {
        assert!(accepted.text.contains(part), "{part} in {}", accepted.text);
    }

    let (configuration, _) = callers(["someone"]);
    let authenticated = rig.api_with(&configuration);
    for answer in [
        authenticated.post("/run", &background),
        authenticated.get("/tasks/status"),
    ] {
        assert_eq!(answer.status, 401, "{}", answer.text);
        assert!(answer.json["error"].is_string());
    }
    assert_eq!(authenticated.get("/health").status, 200);
}

/// A token shaped like Google's identity tokens, whose audience is the service.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_clients_run_tasks() {
    const AUDIENCE: &str = "https://tasks.example.com";
    let rig = Rig::new().await;
    let _worker = rig.worker(&[]);
    let issuer = Server::start("127.0.0.1:0".parse().unwrap(), Options::default())
        .await
        .unwrap();
    let email = "client@project.iam.gserviceaccount.com";
    let api = rig.api_with(&format!(
        "[auth.issuers.google]\nprofile = \"google\"\nissuer = \"{}\"\naudience = [\"{AUDIENCE}\"]\nemails = {{ \"{email}\" = [\"default:write\"] }}\n",
        issuer.issuer()
    ));
    let token = |audience: &str, email: &str| {
        let mut claims = claims(issuer.issuer(), "109876543210987654321", audience);
        claims["email"] = json!(email);
        claims["email_verified"] = json!(true);
        claims["azp"] = claims["sub"].clone();
        issuer.token("RS256", &json!({}), &claims)
    };
    let good = token(AUDIENCE, email);
    let request = json!({"prompt": "hello", "anthropicApiKey": "k"});
    for (bad, status) in [
        (token("https://other.example.com", email), 401),
        (token(AUDIENCE, "other@example.com"), 403),
        (format!("{good}x"), 401),
    ] {
        let refused = api.caller(&bad).post("/run", &request);
        assert_eq!(refused.status, status, "{}", refused.text);
    }
    let missing = api.post("/run", &request);
    assert_eq!(missing.status, 401, "{}", missing.text);
    let advice = "Get a token of an issuer in the service's configuration";
    assert!(missing.text.contains(advice), "{}", missing.text);

    let clients = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clients");
    for mut command in [
        Command::new(format!("{clients}/client.sh")),
        with_script(&tool("TKC_PYTHON"), &format!("{clients}/client.py")),
        with_script("node".as_ref(), &format!("{clients}/client.mjs")),
        Command::new(sibling_binary("examples/http_client").unwrap()),
    ] {
        let name = format!("{command:?}");
        let word = fresh("grault");
        command
            .arg(format!("Tell me about {word}"))
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("SERVICE_URL", &api.url)
            .env("ID_TOKEN", &good)
            .env("ANTHROPIC_API_KEY", "sk-ant-client");
        let (code, output) = end(&mut Process::spawn("a client", command).unwrap());
        assert_eq!(code, 0, "{name}: {output}");
        assert!(
            output.contains(&format!("You asked: Tell me about {word}")),
            "{name}: {output}"
        );
    }

    // The commands for people use the same API.
    let submit = |arguments: &[&str], token: &str| {
        let mut command = rig.command_for_api("submit");
        command
            .args(["--server", &api.url])
            .args(arguments)
            .env("CLAUDE_TASKS_TOKEN", token)
            .env("ANTHROPIC_API_KEY", "sk-ant-people");
        Process::spawn("a submission", command).unwrap()
    };
    let (code, output) = end(&mut submit(&["--prompt", "plugh"], &good));
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("You asked: plugh"), "{output}");
    let (code, output) = end(&mut submit(&["--prompt", "plugh"], "wrong"));
    assert_eq!(code, 77, "{output}");
}

fn with_script(program: &std::path::Path, script: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(script);
    command
}
