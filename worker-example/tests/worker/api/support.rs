//! The API as a process, and a small client.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use dev_servers::Process;
use serde_json::Value;
use temporal_kms_codec_service::auth::NewToken;
use temporalio_common::protos::temporal::api::enums::v1::EventType;
use ureq::http::HeaderMap;

use crate::support::{LIMIT, Rig};

/// The API, and how to call it.
pub(crate) struct Api {
    pub(crate) process: Process,
    pub(crate) url: String,
    /// The file of its configuration.
    pub(crate) configuration: PathBuf,
    token: Option<String>,
}

/// An answer: its status, its text, and the JSON in it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) json: Value,
    headers: HeaderMap,
}

impl Answer {
    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

impl Rig {
    /// The API on a free port, for everybody on this machine.
    pub(crate) fn api(&self) -> Api {
        self.api_with("")
    }

    /// The API with this configuration.
    pub(crate) fn api_with(&self, configuration: &str) -> Api {
        self.api_of(self.command_for_api("api"), configuration)
    }

    /// The API, which reaches Temporal at this address.
    pub(crate) fn api_behind(&self, address: &str, configuration: &str) -> Api {
        let usual = self.command_for_api("api");
        let own = self.server.address();
        let arguments = usual.get_args().map(|argument| {
            if argument == own.as_str() {
                address.as_ref()
            } else {
                argument
            }
        });
        let mut command = Command::new(usual.get_program());
        command.args(arguments).env_clear().envs(
            usual
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        self.api_of(command, configuration)
    }

    /// How many signals the workflow of a task has got.
    pub(crate) async fn signals(&self, task: &str) -> usize {
        let history = self.history(task).await;
        let kind = EventType::WorkflowExecutionSignaled;
        let events = history.events.iter();
        events.filter(|event| event.event_type() == kind).count()
    }

    pub(crate) fn api_of(&self, mut command: Command, configuration: &str) -> Api {
        let file = self.folder.path().join(crate::support::fresh("api.toml"));
        std::fs::write(&file, configuration).unwrap();
        command
            .arg("--config")
            .arg(&file)
            .env("CODEC_API_LISTEN", "127.0.0.1:0");
        let mut process = Process::spawn("the API", command).unwrap();
        let url = process
            .wait_for_line(LIMIT, |line| {
                line.strip_prefix("listening on ").map(str::to_owned)
            })
            .unwrap();
        Api {
            process,
            url,
            configuration: file,
            token: None,
        }
    }
}

impl Api {
    /// The same API, for a caller with this token.
    pub(crate) fn caller<'a>(&'a self, token: &'a str) -> Caller<'a> {
        Caller {
            url: &self.url,
            token: Some(token),
        }
    }

    fn me(&self) -> Caller<'_> {
        Caller {
            url: &self.url,
            token: self.token.as_deref(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.me().get(path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.me().post(path, body)
    }

    /// Where the API listens.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Begins a request of HTTP/1.1, and leaves its answer to the caller.
    pub(crate) fn open(&self, head: &str, body: &str) -> BufReader<TcpStream> {
        let address = self.address();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(
            stream,
            "{head}\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        BufReader::new(stream)
    }
}

/// One caller of the API.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    url: &'a str,
    token: Option<&'a str>,
}

impl Caller<'_> {
    pub(crate) fn get(self, path: &str) -> Answer {
        let mut call = agent().get(format!("{}{path}", self.url));
        if let Some(token) = self.token {
            call = call.header("authorization", format!("Bearer {token}"));
        }
        answer(call.call())
    }

    pub(crate) fn post(self, path: &str, body: &Value) -> Answer {
        let mut call = agent().post(format!("{}{path}", self.url));
        if let Some(token) = self.token {
            call = call.header("authorization", format!("Bearer {token}"));
        }
        // As compact as clients send it.
        let call = call.header("content-type", "application/json");
        answer(call.send(body.to_string()))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_mins(2)))
        .build()
        .new_agent()
}

fn answer(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut answer = answer.unwrap();
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let mut text = String::new();
    answer
        .body_mut()
        .as_reader()
        .read_to_string(&mut text)
        .unwrap();
    let json = serde_json::from_str(&text).unwrap_or_default();
    Answer {
        status,
        text,
        json,
        headers,
    }
}

/// The next line of a stream that begins so.
pub(crate) fn next_line(stream: &mut BufReader<TcpStream>, beginning: &str) -> Option<String> {
    let mut line = String::new();
    while stream.read_line(&mut line).unwrap() > 0 {
        if let Some(rest) = line.trim_end().strip_prefix(beginning) {
            return Some(rest.to_owned());
        }
        line.clear();
    }
    None
}

/// A configuration with these callers, and their tokens.
pub(crate) fn callers<const N: usize>(names: [&str; N]) -> (String, [String; N]) {
    let mut configuration = String::new();
    let tokens = names.map(|name| {
        let token = NewToken::generate().unwrap();
        write!(
            configuration,
            "[auth.tokens.{name}]\nsha256 = [\"{}\"]\npermissions = [\"default:write\"]\n",
            token.sha256
        )
        .unwrap();
        token.token.to_string()
    });
    (configuration, tokens)
}
