//! What the commands of a document find: programs, ports, and a key service.

use std::{env, path::Path};

use dev_servers::{free_port, sibling_binary};
use integration_tests::tool;

use super::{
    blocks::blocks,
    documents::document,
    shell::{Shell, Step, steps},
};

/// Runs the commands of the document at `path` that are not marked, in one empty folder. `variables` are set, and each
/// text of `replaced` is replaced by the other.
pub(crate) fn run(path: &str, variables: &[(&str, String)], replaced: &[(&str, String)]) {
    run_then(path, variables, replaced, || {});
}

/// As [`run`]. `then` looks at what the commands have started, which ends afterwards.
pub(crate) fn run_then(
    path: &str,
    variables: &[(&str, String)],
    replaced: &[(&str, String)],
    then: impl FnOnce(),
) {
    let folder = tempfile::tempdir().expect("a folder");
    let outputs = tempfile::tempdir().expect("a folder");
    let mut all = vec![
        ("PATH".to_owned(), programs()),
        ("HOME".to_owned(), folder.path().display().to_string()),
        ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
    ];
    all.extend(
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    let replace = |text: &str| {
        replaced
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };

    let document = document(path);
    let mut shell = Shell::start(folder.path(), outputs.path(), &all);
    let mut ran = 0;
    for block in blocks(&document.text) {
        if !block.has_commands() || block.not_run.is_some() {
            continue;
        }
        let steps: Vec<Step> = steps(&block)
            .into_iter()
            .map(|step| Step {
                text: replace(&step.text),
                shown: step.shown.iter().map(|line| replace(line)).collect(),
            })
            .collect();
        for (position, step) in steps.iter().enumerate() {
            // A document that shows the exit code shows a failure.
            let fails = steps
                .get(position + 1)
                .is_some_and(|next| next.text == "echo $?");
            if let Err(error) = shell.run(step, fails) {
                panic!("{path}, block at line {}: {error}", block.line);
            }
            ran += 1;
        }
    }
    assert!(ran > 0, "{path} has no command that a test can run");
    then();
}

/// The ports and addresses that documents name, and those that are free now.
pub(crate) fn ports() -> Vec<(&'static str, String)> {
    let port = || free_port().expect("a free port").to_string();
    let (temporal, ui, tls, own_ui) = (port(), port(), port(), port());
    vec![
        (
            "temporal server start-dev",
            format!("temporal server start-dev --port {temporal} --ui-port {ui} --log-level error"),
        ),
        ("localhost:7233", format!("localhost:{temporal}")),
        ("localhost:8233", format!("localhost:{ui}")),
        ("127.0.0.1:8443", format!("127.0.0.1:{tls}")),
        ("localhost:8443", format!("localhost:{tls}")),
        ("localhost:8080", format!("localhost:{own_ui}")),
        ("127.0.0.1:8080", format!("127.0.0.1:{own_ui}")),
        ("port: 8080", format!("port: {own_ui}")),
        ("127.0.0.1:8081", format!("127.0.0.1:{}", port())),
        ("127.0.0.1:8082", format!("127.0.0.1:{}", port())),
        ("127.0.0.1:9000", format!("127.0.0.1:{}", port())),
    ]
}

/// The folders of this workspace's programs, of `temporal`, of the Web UI, and of the system.
fn programs() -> String {
    let own = sibling_binary("codec-server").expect("codec-server is built");
    let (temporal, web_ui) = (tool("TKC_TEMPORAL"), tool("TKC_WEB_UI"));
    let folders = [own.as_path(), &temporal, &web_ui]
        .map(|program| program.parent().unwrap_or(Path::new("/")).to_owned());
    let system = env::var_os("PATH").unwrap_or_default();
    let all = folders.into_iter().chain(env::split_paths(&system));
    env::join_paths(all)
        .expect("folders without colons")
        .into_string()
        .expect("folders in UTF-8")
}
