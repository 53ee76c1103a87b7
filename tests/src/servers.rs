use std::{
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use dev_servers::{Service, TemporalOptions, TemporalServer, sibling_binary};

use crate::{Keyring, tool};

static SHARED: Mutex<Weak<TemporalServer>> = Mutex::new(Weak::new());
const POLL: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_mins(1);

/// A Temporal server with the namespaces `default` and `other`, shared by the tests of one program
/// that run at the same time. It ends with the last of them.
///
/// # Panics
/// It does not start.
#[must_use]
pub fn temporal() -> Arc<TemporalServer> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let options = TemporalOptions {
        namespaces: vec!["other".to_owned()],
        ..TemporalOptions::default()
    };
    let server = TemporalServer::start(&tool("TKC_TEMPORAL"), &options);
    let server = Arc::new(server.expect("a Temporal server"));
    *shared = Arc::downgrade(&server);
    server
}

/// A codec server in development mode on `keyring`.
///
/// # Panics
/// It does not start.
#[must_use]
pub fn codec_server(keyring: &Keyring) -> Service {
    let program = sibling_binary("codec-server").expect("codec-server is built");
    Service::codec_server(&program, keyring.folder(), 0).expect("a codec server")
}

/// A codec server in development mode that treats payloads it cannot decode as `on_undecodable` says.
///
/// # Panics
/// It does not start.
#[must_use]
pub fn codec_server_that(keyring: &Keyring, on_undecodable: &str) -> Service {
    let mut command = Command::new(sibling_binary("codec-server").expect("codec-server is built"));
    command.args(["dev", "--listen", "127.0.0.1:0", "--on-undecodable"]);
    command
        .arg(on_undecodable)
        .arg("--keyring")
        .arg(keyring.folder());
    Service::start("the codec server", command).expect("a codec server")
}

/// Asks `look` again and again until it finds something.
///
/// # Panics
/// It finds nothing within a minute.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        tokio::time::sleep(POLL).await;
    }
}
