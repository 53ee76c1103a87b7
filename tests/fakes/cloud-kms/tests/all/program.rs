//! The emulator as a program, and its own paths.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use fake_cloud_kms::Call;
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fake-cloud-kms");
const LOCATION: &str = "v1/projects/p/locations/global";

/// A running program, killed when dropped.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let url = line
            .trim_end()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self { child, url }
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn body<T: DeserializeOwned>(request: RequestBuilder) -> T {
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn faults_clock_and_journal_are_reached_over_http() {
    let program = Program::start(&["--fault", "status=503*1@ListKeyRings"]);
    let http = reqwest::Client::new();
    let rings = program.path(&format!("{LOCATION}/keyRings"));
    assert_eq!(status(http.get(&rings)).await, 503);
    assert_eq!(status(http.get(&rings)).await, 200);

    let faults = program.path("_emulator/faults");
    let wanted = json!(["latency=1ms", "deny@GetKeyRing"]);
    assert_eq!(status(http.put(&faults).json(&wanted)).await, 204);
    assert_eq!(body::<Value>(http.get(&faults)).await, wanted);
    let bad = json!(["explode"]);
    assert_eq!(status(http.put(&faults).json(&bad)).await, 400);
    assert_eq!(
        status(http.get(program.path(&format!("{LOCATION}/keyRings/r")))).await,
        403
    );

    let clock = program.path("_emulator/clock");
    assert_eq!(
        status(http.post(&clock).json(&json!({"advanceSeconds": 86400}))).await,
        204
    );
    let made = http.post(format!("{rings}?keyRingId=r")).json(&json!({}));
    let made: Value = body(made).await;
    assert_eq!(made["name"], "projects/p/locations/global/keyRings/r");

    let calls: Vec<Call> = body(http.get(program.path("_emulator/calls"))).await;
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.rpc.as_str(), call.status))
        .collect();
    assert_eq!(
        seen,
        [
            ("ListKeyRings", 503),
            ("ListKeyRings", 200),
            ("GetKeyRing", 403),
            ("CreateKeyRing", 200)
        ]
    );
}

#[tokio::test]
async fn answers_in_the_services_shape() {
    let program = Program::start(&[]);
    let http = reqwest::Client::new();
    let get = async |path: &str| -> (u16, Value) {
        let answer = http.get(program.path(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    };
    assert_eq!(get(&format!("{LOCATION}/keyRings")).await, (200, json!({})));
    let (status, error) = get(&format!("{LOCATION}/keyRings/none")).await;
    assert_eq!((status, &error["error"]["code"]), (404, &json!(404)));
    assert_eq!(error["error"]["status"], "NOT_FOUND");
    assert_eq!(get("v1/projects/p/unknown").await.0, 404);
    assert_eq!(get(&format!("{LOCATION}/keyRings?what=1")).await.0, 400);

    let ring = program.path(&format!("{LOCATION}/keyRings"));
    http.post(format!("{ring}?keyRingId=r"))
        .send()
        .await
        .unwrap();
    let keys = format!("{ring}/r/cryptoKeys?cryptoKeyId=k");
    let unknown = http
        .post(&keys)
        .json(&json!({"purpose": 1, "colour": "red"}));
    assert_eq!(
        unknown.send().await.unwrap().status(),
        400,
        "an unknown field"
    );
    let made = http
        .post(&keys)
        .json(&json!({"purpose": "ENCRYPT_DECRYPT"}));
    let made: Value = body(made).await;
    assert_eq!(made["purpose"], "ENCRYPT_DECRYPT");
    let path = format!("{LOCATION}/keyRings/r/cryptoKeys/k?$alt=json;enum-encoding=int");
    assert_eq!(get(&path).await.1["primary"]["state"], 1);
}

#[test]
fn listens_to_this_machine_only() {
    let output = Command::new(PROGRAM)
        .args(["--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let output = Command::new(PROGRAM)
        .args(["--fault", "explode"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no such fault"));
}
