//! What `/readyz` says while the key service is unreachable, and afterwards.

use nix::sys::signal::Signal;
use tokio::runtime::Runtime;

use super::key_service::ready;
use crate::support::{CLOUD_KEY, Cloud, CodecServer, plain, until};

/// The server says that it is ready, and that its key fails.
#[track_caller]
fn is_degraded(server: &CodecServer) {
    let answer = server.admin("/readyz");
    let reason = "ready\ndegraded: keys: 1 of 1 encrypting keys cannot be used (unavailable)";
    assert!(answer.body.starts_with(reason), "{}", answer.body);
    assert_eq!(answer.status, 200);
}

/// Waits until nothing is degraded. No request is sent, so the server has to find out itself.
#[track_caller]
fn recovers(cloud: &Cloud, server: &CodecServer) {
    cloud.fault(&[]);
    until(|| {
        let answer = server.admin("/readyz");
        assert_eq!(answer.status, 200);
        (answer.body == "ready\n").then_some(()).ok_or(answer.body)
    });
    server.serves();
}

#[test]
fn an_outage_and_its_end_are_shown_without_a_reload() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let (cloud, server) = ready(&runtime);
    let unknown = cloud.sealed_elsewhere(&plain(&["a"]));
    cloud.fault(&["dead"]);
    let answer = server.call("/decode", "default", &unknown);
    assert_eq!(answer.status, 503);
    is_degraded(&server);
    recovers(&cloud, &server);
}

#[test]
fn a_server_that_worked_stays_ready_when_it_reloads_during_an_outage() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let (cloud, mut server) = ready(&runtime);
    server.serves();
    for signal in [Signal::SIGHUP, Signal::SIGUSR1] {
        cloud.fault(&["dead"]);
        server.signal(signal);
        server.wait_for_log("degraded: this key cannot be used");
        is_degraded(&server);
        if signal == Signal::SIGHUP {
            // Its data keys are still in memory.
            server.serves();
        }
        recovers(&cloud, &server);
    }
}

#[test]
fn a_key_that_a_reload_adds_does_not_make_a_server_unready() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let (_cloud, mut server) = ready(&runtime);
    let calls = "[keys.calls]";
    let missing = CLOUD_KEY.replace("cryptoKeys/k", "cryptoKeys/missing");
    let added = format!("[namespaces.added]\nencrypt = [\"{missing}\"]\n{calls}");
    server.rewrite(calls, &added);
    server.signal(Signal::SIGHUP);
    server.wait_for_log("this key cannot be used; other keys are served");
    let answer = server.admin("/readyz");
    let reason = "ready\ndegraded: keys: 1 of 2 encrypting keys cannot be used (key_not_found)";
    assert!(answer.body.starts_with(reason), "{}", answer.body);
    assert_eq!(answer.status, 200);
    server.serves();
}

#[test]
fn a_server_that_starts_during_an_outage_is_ready_after_it() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let cloud = runtime.block_on(Cloud::start());
    cloud.fault(&["dead"]);
    let mut server = cloud.server();
    server.wait_for_log("not ready: this key cannot be used");
    let answer = server.admin("/readyz");
    assert!(
        answer.body.starts_with("not ready: keys: 1 of 1"),
        "{}",
        answer.body
    );
    assert_eq!(answer.status, 503);
    cloud.fault(&[]);
    server.wait_for_log("ready: every encrypting key answers");
    recovers(&cloud, &server);
}
