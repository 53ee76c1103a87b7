//! The network of tasks: `off`, `on` and `host`, with real network namespaces, curl and git.

use crate::support::{
    RESULT, Rig, end, fresh,
    repository::{bare, git},
    send,
};
use dev_servers::{Process, certificates::Authority};
use integration_tests::tool;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SANDBOX: [&str; 2] = ["--sandbox", "required"];
/// Tasks reach it by their proxy: `NO_PROXY` names 127.0.0.1.
const ALLOWED: &str = "127.0.0.2";

/// Serves a folder by HTTP and by HTTPS.
const SERVER: &str = r#"
import functools, http.server, os, ssl, threading

class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

def serve(context):
    handler = functools.partial(Files, directory=os.environ["FOLDER"])
    server = http.server.ThreadingHTTPServer((os.environ["ADDRESS"], 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
    return server.server_address[1]

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.environ["CERTIFICATE"], os.environ["KEY"])
print("ports", serve(None), serve(context), flush=True)
"#;

/// A web server with a repository.
struct WebServer {
    _process: Process,
    http: u16,
    https: u16,
    /// The folder with the certificate of its authority.
    public: PathBuf,
}

impl WebServer {
    fn start(folder: &Path) -> Self {
        let (served, public) = (folder.join("served"), folder.join("public"));
        for path in [&served, &public] {
            fs::create_dir(path).unwrap();
        }
        let repository = bare(&served);
        // What clients of a server without git's own protocol read.
        git(&repository, &["update-server-info"]);
        fs::write(served.join("hello"), "hello from the server\n").unwrap();
        let authority = Authority::new("web").unwrap();
        let certified = authority.server(&[ALLOWED]).unwrap();
        fs::write(public.join("ca.pem"), authority.certificate()).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let mut command = Command::new(tool("TKC_PYTHON"));
        command
            .args(["-c", SERVER])
            .env("ADDRESS", ALLOWED)
            .env("FOLDER", &served)
            .env("CERTIFICATE", file("web.pem", &certified.certificate))
            .env("KEY", file("web.key", &certified.key));
        let mut process = Process::spawn("the web server", command).unwrap();
        let ports = process.wait_for_line(crate::support::LIMIT, |line| {
            let (http, https) = line.strip_prefix("ports ")?.split_once(' ')?;
            Some((http.parse().ok()?, https.trim().parse().ok()?))
        });
        let (http, https) = ports.unwrap();
        Self {
            _process: process,
            http,
            https,
            public,
        }
    }
}

/// The port of an address.
fn port(address: &str) -> String {
    address.rsplit(':').next().unwrap().to_owned()
}

/// Runs a script with these options of the network. Returns the text lines of the task, and the worker's output.
fn run(rig: &Rig, script: &str, options: &[&str], extra: &Value) -> (Vec<String>, String) {
    let script = format!("cat > /dev/null\n{script}\necho '{RESULT}'");
    let worker = [&SANDBOX[..], options].concat();
    let mut worker = rig.worker_with(&rig.claude(&script), &worker);
    let mut request = json!({"prompt": "p", "anthropicApiKey": "sk-ant-network"});
    let more = extra.as_object().cloned().unwrap_or_default();
    request.as_object_mut().unwrap().extend(more);
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request, &["--json"]));
    let log = rig.log(&task);
    assert_eq!(code, 0, "{output}\n{log}\n{}", worker.output());
    let left = fs::read_dir(rig.workdir().join("run")).unwrap().count();
    assert_eq!(left, 0, "sockets of a task that has ended");
    send(&worker, Signal::SIGTERM);
    worker.wait(crate::support::LIMIT).unwrap();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|event| Some(event["content"].as_str()?.to_owned()))
        .collect();
    (lines, worker.output())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_network_of_the_machine_reaches_its_services() {
    let rig = Rig::new().await;
    let (temporal, api) = (port(&rig.server.address()), port(&rig.api.url()));
    let script = format!(
        "for place in 127.0.0.1/{temporal} 127.0.0.1/{api}; do
           bash -c \": < /dev/tcp/$place\" 2>/dev/null && echo reached=$place
         done
         timeout 5 bash -c ': < /dev/tcp/169.254.169.254/80' 2>&1 | grep -o 'Network is unreachable'
         [ -S $ANTHROPIC_UNIX_SOCKET ] && echo the proxy is there
         echo variable=$HTTPS_PROXY
         bash -c ': < /dev/tcp/127.0.0.1/3128' 2>/dev/null && echo a way out"
    );
    for (network, reached, has_proxy) in [("off", 0, false), ("on", 0, true), ("host", 2, false)] {
        let (lines, output) = run(&rig, &script, &["--task-network", network], &json!({}));
        let has = |line: &str| lines.iter().any(|one| one == line);
        let count = lines.iter().filter(|l| l.starts_with("reached=")).count();
        assert_eq!(count, reached, "{network}: {lines:?}");
        assert!(has("the proxy is there"), "{lines:?}");
        assert!(
            network == "host" || has("Network is unreachable"),
            "{lines:?}"
        );
        assert_eq!(has("a way out"), has_proxy, "{network}: {lines:?}");
        assert_eq!(has("variable="), !has_proxy, "{network}: {lines:?}");
        let warned = output.contains("tasks have the network of this machine");
        assert_eq!(warned, network == "host", "{output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_reach_permitted_servers_through_the_proxy() {
    let rig = Rig::new().await;
    let server = WebServer::start(rig.folder.path());
    let (http, https) = (server.http.to_string(), server.https.to_string());
    let public = server.public.display().to_string();
    let script = format!(
        "echo before=$(cat before)
         echo plain=$(curl -sS http://{ALLOWED}:{http}/hello 2>&1)
         echo tunnel=$(curl -sS --cacert {public}/ca.pem https://{ALLOWED}:{https}/hello 2>&1)
         git clone -q http://{ALLOWED}:{http}/bare.git one 2>&1 && echo git=$(cat one/src/README)
         export GIT_SSL_CAINFO={public}/ca.pem
         git clone -q https://{ALLOWED}:{https}/bare.git two 2>&1 && echo git over tls=$(cat two/src/README)
         bash -c ': < /dev/tcp/{ALLOWED}/{http}' 2>/dev/null && echo reached without the proxy"
    );
    let options = [
        "--task-network",
        "on",
        "--task-network-allow",
        ALLOWED,
        "--task-network-port",
        &http,
        "--task-network-port",
        &https,
        "--task-readable",
        &public,
    ];
    let before = format!("curl -fsS http://{ALLOWED}:{http}/hello > before");
    let request = json!({"preExecutionCommands": [before]});
    let (lines, output) = run(&rig, &script, &options, &request);
    let hello = "hello from the server";
    assert_eq!(
        lines,
        [
            &format!("before={hello}"),
            &format!("plain={hello}"),
            &format!("tunnel={hello}"),
            "git=first",
            "git over tls=first",
        ],
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_private_addresses_are_refused() {
    let rig = Rig::new().await;
    let server = WebServer::start(rig.folder.path());
    let (temporal, api) = (port(&rig.server.address()), port(&rig.api.url()));
    let web = server.http.to_string();
    let places = [
        // The address is permitted, and the service is not.
        format!("{ALLOWED}:{temporal}"),
        format!("{ALLOWED}:{api}"),
        format!("127.0.0.1:{temporal}"),
        format!("127.0.0.1:{api}"),
        format!("localhost:{temporal}"),
        format!("[::1]:{temporal}"),
        format!("[::ffff:127.0.0.1]:{temporal}"),
        format!("0.0.0.0:{temporal}"),
        format!("2130706433:{temporal}"),
        format!("0177.0.0.1:{temporal}"),
        format!("0x7f.1:{temporal}"),
        "169.254.169.254:80".to_owned(),
        "[fd00:ec2::254]:80".to_owned(),
        "10.0.0.1:443".to_owned(),
        format!("{ALLOWED}:22"),
        format!("127.0.0.3:{web}"),
    ];
    let script = format!(
        "for place in {}; do
           bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128
             printf \"CONNECT %s HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n\" \"$0\" >&3
             read -r _ status _ <&3; echo \"$0 $status\"' \"$place\"
         done
         echo curl=$(curl -sS --noproxy '' http://127.0.0.1:{temporal}/ 2>&1)
         echo permitted=$(curl -sS http://{ALLOWED}:{web}/hello 2>&1)",
        places.each_ref().map(|place| format!("'{place}'")).join(" ")
    );
    let mut options = vec!["--task-network", "on", "--task-network-allow", ALLOWED];
    for port in [&temporal, &api, &web] {
        options.extend(["--task-network-port", port]);
    }
    let (lines, output) = run(&rig, &script, &options, &json!({}));
    for place in &places {
        assert!(
            lines.contains(&format!("{place} 403")),
            "{place}: {lines:?}"
        );
    }
    let says = |start: &str, text: &str| {
        let mut lines = lines.iter().filter(|line| line.starts_with(start));
        lines.any(|line| line.contains(text))
    };
    assert!(says("curl=", "its address is not public"), "{lines:?}");
    assert!(says("permitted=", "hello from the server"), "{lines:?}");
    assert!(
        output.contains("a connection of a task was refused"),
        "{output}"
    );
    assert!(!output.contains("2130706433"), "{output}");
}

/// The real Claude Code calls the API by its socket, and not by the proxy of its environment. Its tools use that.
#[tokio::test(flavor = "multi_thread")]
async fn claude_code_and_its_tools_work_behind_the_proxy() {
    let rig = Rig::new().await;
    let server = WebServer::start(rig.folder.path());
    let web = server.http.to_string();
    let worker = rig.worker(&[
        "--sandbox",
        "required",
        "--task-network",
        "on",
        "--task-network-allow",
        ALLOWED,
        "--task-network-port",
        &web,
    ]);
    let command = format!("curl -sS http://{ALLOWED}:{web}/hello");
    let prompt = format!("Look there [[tool:Bash {}]]", json!({"command": command}));
    let request =
        json!({"prompt": prompt, "anthropicApiKey": "sk-ant-behind", "allowedTools": ["Bash"]});
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request, &["--json"]));
    assert_eq!(code, 0, "{output}\n{}", worker.output());
    assert!(rig.log(&task).contains("hello from the server"), "{output}");
    assert!(!rig.api.requests().is_empty());
}
