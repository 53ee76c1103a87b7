//! Runs a task at a task service over HTTP, and prints its events as they come.
//!
//! - `SERVICE_URL`: the URL of the service
//! - `ID_TOKEN`: the caller's token, if the service asks for one
//! - `ANTHROPIC_API_KEY`: the credential of the task
//!
//! Usage: `http_client PROMPT`. `claude-tasks submit --server URL` does the same with more comfort.

use std::{
    env,
    error::Error,
    io::{BufRead as _, BufReader},
};

use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let prompt = env::args().nth(1).ok_or("usage: http_client PROMPT")?;
    let (service, credential) = (env::var("SERVICE_URL")?, env::var("ANTHROPIC_API_KEY")?);
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    let mut call = agent.post(format!("{}/run", service.trim_end_matches('/')));
    if let Ok(token) = env::var("ID_TOKEN") {
        call = call.header("authorization", format!("Bearer {token}"));
    }
    let mut answer = call.send_json(json!({"prompt": prompt, "anthropicApiKey": credential}))?;
    if !answer.status().is_success() {
        let refusal: Value = answer.body_mut().read_json()?;
        let reason = refusal.get("error").and_then(Value::as_str);
        return Err(format!("{}: {}", answer.status(), reason.unwrap_or("no reason")).into());
    }
    let mut name = String::new();
    for line in BufReader::new(answer.body_mut().as_reader()).lines() {
        let line = line?;
        match line.split_once(": ") {
            Some(("event", event)) => event.clone_into(&mut name),
            Some(("data", data)) if name.is_empty() => println!("{data}"),
            Some(("data", data)) => return Err(format!("{name}: {data}").into()),
            _ if line.is_empty() => name.clear(),
            _ => {}
        }
    }
    Ok(())
}
