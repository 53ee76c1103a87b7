//! Servers side by side: the same bodies, one server on one core and the load on another.

use std::process::Command;

use anyhow::{Context, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dev_servers::Service;
use serde::Serialize;
use serde_json::{Value, json};
use ureq::Agent;

use super::{
    Arguments,
    figures::{forget_peak_memory, median, peak_memory},
    load::{self, Round, SERVER_CORE, Target},
};
use crate::{step, tools, workspace::Workspace};

/// How long each server gets load before it is measured.
const WARM_UP_SECONDS: u64 = 1;

/// A case: its name, how many payloads a body has, and their size.
pub(super) type Case = (&'static str, usize, usize);

/// The numbers of one server in one case.
#[derive(Serialize)]
pub(super) struct Row {
    operation: &'static str,
    case: &'static str,
    server: &'static str,
    cpu_us: f64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// In this case.
    peak_mib: f64,
    /// The processor time of this server as a multiple of the first server's, in the median of the rounds.
    ratio: f64,
    /// The processor time beyond that of the first server, in the median of the rounds.
    added_us: f64,
    /// The ratio that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_met: Option<bool>,
}

impl Row {
    /// Says whether the first server is as much better as is wanted.
    pub(super) fn set_goal(&mut self, goal: f64) {
        self.goal = Some(goal);
        self.is_met = Some(self.ratio >= goal);
    }

    pub(super) fn server(&self) -> &'static str {
        self.server
    }

    pub(super) fn case(&self) -> &'static str {
        self.case
    }
}

/// A server that is measured. It is started anew for each case, so that it keeps no memory of the case before.
pub(super) struct Server {
    name: &'static str,
    command: Command,
    /// What callers must show.
    token: Option<String>,
}

impl Server {
    pub(super) fn new(name: &'static str, command: Command) -> Self {
        Self {
            name,
            command,
            token: None,
        }
    }

    /// Sends this token with each request.
    pub(super) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Starts it on its core.
    fn start(&self) -> anyhow::Result<Running<'_>> {
        let mut pinned = Command::new("taskset");
        pinned
            .args(["--cpu-list", SERVER_CORE])
            .arg(self.command.get_program());
        pinned.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => pinned.env(name, value),
                None => pinned.env_remove(name),
            };
        }
        Ok(Running {
            server: self,
            service: Service::start(self.name, pinned)?,
        })
    }
}

struct Running<'s> {
    server: &'s Server,
    service: Service,
}

impl Running<'_> {
    fn id(&self) -> u32 {
        self.service.process().id()
    }

    fn url(&self, operation: &str) -> String {
        format!("{}/{operation}", self.service.url())
    }

    fn token(&self) -> Option<&str> {
        self.server.token.as_deref()
    }
}

/// Measures the servers in each case, in rounds that are interleaved.
pub(super) fn compare(
    workspace: &Workspace,
    servers: &[Server],
    cases: &[Case],
    arguments: &Arguments,
) -> anyhow::Result<Vec<Row>> {
    let wrk = tools::provide(workspace, &tools::WRK)?;
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for operation in ["decode", "encode"] {
        for &(case, count, size) in cases {
            step::note(&format!("{operation} {case}"));
            let plain = body(count, size);
            let running: anyhow::Result<Vec<_>> = servers.iter().map(Server::start).collect();
            let running = running?;
            let mut rounds: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
            let measure = |server: &Running<'_>, seconds| {
                let sealed = check(server, &plain)?;
                let body = if operation == "decode" {
                    &sealed
                } else {
                    &plain
                };
                let target = Target {
                    url: &server.url(operation),
                    process: server.id(),
                    token: server.token(),
                };
                load::send(&wrk, folder.path(), target, body, seconds)
            };
            for server in &running {
                // A server that has just started is slower.
                measure(server, WARM_UP_SECONDS)?;
                forget_peak_memory(server.id())?;
            }
            for _ in 0..arguments.rounds {
                for (server, rounds) in running.iter().zip(&mut rounds) {
                    rounds.push(measure(server, arguments.seconds)?);
                }
            }
            rows.extend(summarise(operation, case, &running, &rounds)?);
        }
    }
    Ok(rows)
}

fn summarise(
    operation: &'static str,
    case: &'static str,
    servers: &[Running<'_>],
    rounds: &[Vec<Round>],
) -> anyhow::Result<Vec<Row>> {
    let first = rounds.first().map(Vec::as_slice).unwrap_or_default();
    let rows = servers.iter().zip(rounds).map(|(server, rounds)| {
        Ok(Row {
            operation,
            case,
            server: server.server.name,
            cpu_us: median(rounds.iter().map(|round| round.cpu_us)),
            per_second: median(rounds.iter().map(|round| round.per_second)),
            p50_ms: median(rounds.iter().map(|round| round.p50_ms)),
            p99_ms: median(rounds.iter().map(|round| round.p99_ms)),
            peak_mib: peak_memory(server.id())?,
            ratio: compared(rounds, first, |one, other| one / other),
            added_us: compared(rounds, first, |one, other| one - other),
            goal: None,
            is_met: None,
        })
    });
    rows.collect()
}

/// The processor time of these rounds beside that of `first`. Each round is compared with its neighbour, because a machine that
/// is busy for a while slows both down.
fn compared(rounds: &[Round], first: &[Round], compare: impl Fn(f64, f64) -> f64) -> f64 {
    let pairs = rounds.iter().zip(first);
    median(pairs.map(|(round, first)| compare(round.cpu_us, first.cpu_us)))
}

/// Has the server encode a body and decode it again. Returns the encoded one.
fn check(server: &Running<'_>, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
    let send = |operation, body: &[u8]| post(&server.url(operation), body, server.token());
    let sealed = send("encode", plain)?;
    let opened: Value = serde_json::from_slice(&send("decode", &sealed)?)?;
    let plain: Value = serde_json::from_slice(plain)?;
    let name = server.server.name;
    ensure!(opened == plain, "{name} gives back another body");
    Ok(sealed)
}

fn post(url: &str, body: &[u8], token: Option<&str>) -> anyhow::Result<Vec<u8>> {
    /// An answer is longer than what was sent.
    const LONGEST: u64 = 64 << 20;

    let mut request = Agent::new_with_defaults()
        .post(url)
        .header("Content-Type", "application/json")
        .header("X-Namespace", "default");
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut response = request
        .send(body)
        .with_context(|| format!("{url} does not answer"))?;
    let body = response.body_mut().with_config().limit(LONGEST);
    Ok(body.read_to_vec()?)
}

fn body(count: usize, size: usize) -> Vec<u8> {
    let payload = json!({
        "metadata": { "encoding": STANDARD.encode("json/plain") },
        "data": STANDARD.encode(format!("\"{}\"", "x".repeat(size - 2))),
    });
    json!({ "payloads": vec![payload; count] })
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(cpu_us: [f64; 3]) -> [Round; 3] {
        cpu_us.map(|cpu_us| Round {
            cpu_us,
            per_second: 0.0,
            p50_ms: 0.0,
            p99_ms: 0.0,
        })
    }

    #[test]
    fn a_busy_round_does_not_change_the_ratio() {
        let first = rounds([10.0, 40.0, 20.0]);
        let twice = rounds([20.0, 80.0, 41.0]);
        let ratio = |rounds| compared(rounds, &first, |one, other| one / other);
        assert!((ratio(&twice) - 2.0).abs() < 1e-9);
        assert!((ratio(&first) - 1.0).abs() < 1e-9);
        let added = compared(&twice, &first, |one, other| one - other);
        assert!((added - 21.0).abs() < 1e-9);
    }
}
