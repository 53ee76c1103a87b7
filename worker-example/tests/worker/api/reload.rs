//! The configuration of a running API changes.

use std::fs;

use integration_tests::until;
use nix::sys::signal::Signal;

use super::support::{Api, callers};
use crate::support::{Rig, send};

fn status(api: &Api, token: &str) -> u16 {
    api.caller(token).get("/tasks/status").status
}

fn condition(api: &Api) -> (String, String) {
    let ready = api.get("/readyz").json;
    let found = &ready["conditions"]["configuration"];
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_and_limits_change_and_a_bad_file_changes_nothing() {
    let rig = Rig::new().await;
    let never = "[reload]\nwatch_interval = \"0s\"\n";
    let (first, [ann]) = callers(["ann"]);
    let mut api = rig.api_with(&format!("{never}{first}"));
    let (second, [bob]) = callers(["bob"]);
    assert_eq!((status(&api, &ann), status(&api, &bob)), (200, 401));
    assert_eq!(condition(&api).0, "met");

    let reload = |text: &str| {
        fs::write(&api.configuration, text).unwrap();
        send(&api.process, Signal::SIGHUP);
    };
    // The limits are those of the file, too.
    let limits = "[api]\ncaller_rate = 1\ncaller_burst = 5\n";
    reload(&format!("{never}{limits}{second}"));
    until("the change", async || {
        (status(&api, &bob) == 200).then_some(())
    })
    .await;
    assert_eq!(status(&api, &ann), 401);
    let statuses: Vec<u16> = (0..20).map(|_| status(&api, &bob)).collect();
    assert!(statuses.contains(&429), "{statuses:?}");

    for bad in [
        "not TOML",
        "[api]\nlisten = \"x\"",
        // Everybody could call.
        never,
    ] {
        // The condition is met again before each bad file.
        reload(&format!("{never}{first}"));
        until("the good file", async || {
            (status(&api, &ann) == 200 && condition(&api).0 == "met").then_some(())
        })
        .await;
        reload(bad);
        until("the bad file is seen", async || {
            (condition(&api).0 == "degraded").then_some(())
        })
        .await;
        let (_, reason) = condition(&api);
        assert!(reason.contains("cannot be used"), "{reason}");
        assert_eq!(
            (status(&api, &ann), status(&api, &bob)),
            (200, 401),
            "{bad}"
        );
    }

    // The address stays. The log and readiness say so.
    reload(&format!("{never}[audit]\nstdout = true\n{first}"));
    until("the restart is asked for", async || {
        condition(&api).1.contains("after a restart").then_some(())
    })
    .await;
    assert!(api.process.is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_read_without_a_signal() {
    let rig = Rig::new().await;
    let often = "[reload]\nwatch_interval = \"100ms\"\n";
    let (first, _) = callers(["ann"]);
    let api = rig.api_with(&format!("{often}{first}"));
    let (second, [bob]) = callers(["bob"]);
    fs::write(&api.configuration, format!("{often}{second}")).unwrap();
    until("the change", async || {
        (status(&api, &bob) == 200).then_some(())
    })
    .await;
}
