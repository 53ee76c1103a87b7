//! Keys at the emulator of Cloud KMS.

use fake_cloud_kms::Canned;
use serde_json::{Value, json};

use crate::doctor::bench::{Bench, GCP_KEY, closed_port, said};

#[test]
fn a_key_at_cloud_kms_is_used_for_real_and_nothing_is_changed() {
    let bench = Bench::with_key();
    let before = bench.emulator.calls().len();
    let answer = bench.gcp(&["--tasks-per-month", "10000"]);
    answer.healthy();
    assert_eq!(answer.with_status("warning"), Vec::<&Value>::new());
    said(answer.one("credentials"), &["emulator"]);
    assert_eq!(answer.one("endpoint")["url"], bench.emulator.url().as_str());
    assert_eq!(answer.one("clock")["status"], "ok");
    said(answer.one("versions"), &["version 1 is primary"]);
    assert_eq!(answer.one("rotation")["age_days"], 0);
    let cost = answer.one("cost");
    // One version, and the two calls of each task.
    assert_eq!(cost["dollars_per_month_without_cache"], 0.12);
    assert_eq!(cost["calls_per_month_without_cache"], 20_000);
    said(
        cost,
        &[
            "estimate",
            "assumed",
            "https://cloud.google.com/kms/pricing",
        ],
    );
    assert_eq!(cost["prices"]["dollars_per_unit"], 0.06);
    let harmless = [
        "",
        "Encrypt",
        "Decrypt",
        "GetCryptoKey",
        "ListCryptoKeyVersions",
    ];
    for call in bench.emulator.calls().iter().skip(before) {
        assert!(harmless.contains(&call.rpc.as_str()), "{call:?}");
    }
}

#[test]
fn a_wrong_project_is_told_with_the_right_one() {
    let bench = Bench::with_key();
    let url = bench.emulator.url();
    let wrong = GCP_KEY.replace("projects/p/", "projects/q/");
    let environment = [
        ("GCP_KMS_ENDPOINT", url.as_str()),
        ("GOOGLE_CLOUD_PROJECT", "p"),
    ];
    let answer = bench.doctor(&["--key", &wrong], &environment);
    answer.stopped_at(
        "key",
        78,
        &[
            "wrong project",
            "GOOGLE_CLOUD_PROJECT",
            &format!("name the key {GCP_KEY}"),
        ],
    );

    bench.faults(&["service-disabled"]);
    let answer = bench.doctor(&["--key", &wrong], &environment);
    answer.stopped_at(
        "key",
        78,
        &[
            "project q has not enabled Cloud KMS",
            "wrong project? GOOGLE_CLOUD_PROJECT names p",
            "gcloud services enable cloudkms.googleapis.com --project=q",
        ],
    );

    bench.faults(&["deny"]);
    let answer = bench.doctor(&["--key", &wrong], &environment);
    assert_eq!(answer.status, 77);
    said(
        answer.one("key"),
        &["GOOGLE_CLOUD_PROJECT names p", GCP_KEY],
    );
}

#[test]
fn a_missing_permission_is_told_with_the_role_and_its_command() {
    let bench = Bench::with_key();
    bench.faults(&["deny@Decrypt"]);
    let answer = bench.gcp(&[]);
    answer.stopped_at_permission(
        "unwrap",
        &[
            "gcloud kms keys add-iam-policy-binding orders --keyring=r --location=global --project=p",
            "--role=roles/cloudkms.cryptoKeyDecrypter",
        ],
    );
    assert_eq!(answer.permission("wrap")["status"], "ok");

    bench.faults(&["deny@Encrypt"]);
    let answer = bench.gcp(&[]);
    answer.stopped_at_permission("wrap", &["--role=roles/cloudkms.cryptoKeyEncrypter"]);
    assert_eq!(
        answer.permission("unwrap")["status"],
        "ok",
        "it was tried all the same"
    );
}

#[test]
fn what_only_administrators_may_do_is_not_needed() {
    let bench = Bench::with_key();
    bench.faults(&["deny@GetCryptoKey,ListCryptoKeyVersions"]);
    let answer = bench.gcp(&[]);
    answer.healthy();
    for finding in [
        answer.one("versions"),
        answer.one("rotation"),
        answer.permission("describe"),
    ] {
        assert_eq!(finding["status"], "skipped");
        said(finding, &["need"]);
    }
    assert_eq!(answer.one("round-trip")["status"], "ok");
}

#[test]
fn a_key_is_not_called_found_when_every_call_is_denied() {
    let bench = Bench::with_key();
    bench.faults(&["deny"]);
    let answer = bench.gcp(&[]);
    assert_eq!(answer.status, 77);
    let key = answer.one("key");
    assert_eq!(key["status"], "skipped");
    said(key, &["not known", "does not tell whether the key exists"]);
    for operation in ["wrap", "unwrap"] {
        assert_eq!(answer.permission(operation)["status"], "failed");
    }
    // One call that is permitted shows that it is there.
    bench.faults(&["deny@Encrypt,GetCryptoKey,ListCryptoKeyVersions"]);
    let answer = bench.gcp(&[]);
    assert_eq!(answer.one("key")["status"], "ok");
    said(answer.one("key"), &["found: the service uses it"]);
}

#[test]
fn an_endpoint_that_serve_refuses_is_refused_before_anything_is_called() {
    let bench = Bench::new();
    for url in [
        "https://kms.example.com",
        "http://10.0.0.1:80",
        "nonsense",
        "http://user@127.0.0.1:1",
    ] {
        let answer = bench.doctor(&["--key", GCP_KEY], &[("GCP_KMS_ENDPOINT", url)]);
        answer.stopped_at(
            "endpoint",
            78,
            &["emulator on this machine", "GCP_KMS_ENDPOINT"],
        );
        assert_eq!(answer.one("credentials")["status"], "skipped");

        let mut serve = bench.command();
        serve
            .env("TEMPORAL_CODEC_KEY", GCP_KEY)
            .env("GCP_KMS_ENDPOINT", url);
        let output = serve.arg("serve").output().unwrap();
        assert_eq!(output.status.code(), Some(78), "serve refuses {url}");
    }
}

#[test]
fn the_project_that_pays_is_named_and_not_the_keys() {
    let bench = Bench::with_key();
    for (body, project) in [
        (
            include_str!(
                "../../../../kms/gcp/tests/data/403-service-disabled-in-other-project.json"
            ),
            "999999",
        ),
        (
            include_str!("../../../../kms/gcp/tests/data/403-user-project-denied.json"),
            "other-billing-project",
        ),
    ] {
        bench
            .emulator
            .answer_everything_with(Canned::json(403, body));
        let answer = bench.gcp(&[]);
        answer.stopped_at("key", 78, &[project, "charged to", "set-quota-project"]);
        let text = format!("{:?}", answer.one("key"));
        for wrong in [
            "--project=p\\n",
            "--project=p\"",
            "wrong project",
            "grant roles/cloudkms",
        ] {
            assert!(!text.contains(wrong), "{text}");
        }
    }
}

#[test]
fn a_perimeter_is_told_from_a_missing_role() {
    let bench = Bench::with_key();
    bench.emulator.answer_everything_with(Canned::json(
        403,
        include_str!("../../../../kms/gcp/tests/data/403-vpc-service-controls.json"),
    ));
    let answer = bench.gcp(&[]);
    answer.stopped_at("key", 77, &["VPC Service Controls", "gcloud logging read"]);
    let text = format!("{:?}", answer.findings);
    assert!(!text.contains("grant roles/cloudkms"), "{text}");
}

#[test]
fn a_proxys_page_tells_nothing_of_the_key_or_of_permissions() {
    let bench = Bench::with_key();
    let page = include_str!("../../../../kms/gcp/tests/data/404.html");
    for status in [403, 404, 407, 502] {
        bench
            .emulator
            .answer_everything_with(Canned::html(status, page));
        let answer = bench.gcp(&[]);
        answer.stopped_at("endpoint", 69, &["is not Google's", "HTTPS_PROXY"]);
        assert_eq!(answer.one("credentials")["status"], "skipped");
        said(answer.one("credentials"), &["not tried"]);
        let text = format!("{:?}", answer.findings);
        for wrong in ["grant", "no such key", "keys create"] {
            assert!(!text.contains(wrong), "{status}: {text}");
        }
    }
}

#[test]
fn a_key_that_only_decrypts_need_not_encrypt() {
    let bench = Bench::with_key();
    bench.local_key("a");
    let file = bench.file(
        "codec.toml",
        &format!(
            "[keys]\nlocal_keyring = \"keys\"\ngcp_endpoint = \"{}\"\n\
             [namespaces.a]\nencrypt = [\"local://a\"]\ndecrypt = [\"{GCP_KEY}\"]\n",
            bench.emulator.url()
        ),
    );
    bench.faults(&["deny@Encrypt,GetCryptoKey,ListCryptoKeyVersions"]);
    let answer = bench.doctor(&["--config", &file], &[]);
    answer.healthy();
    let of_key: Vec<_> = answer
        .all("permission")
        .into_iter()
        .filter(|f| f["key"] == GCP_KEY)
        .collect();
    let statuses: Vec<_> = of_key.iter().map(|finding| &finding["status"]).collect();
    assert_eq!(
        statuses,
        ["skipped", "ok", "skipped"],
        "wrap, unwrap, describe"
    );

    bench.faults(&["deny@Encrypt,Decrypt"]);
    let answer = bench.doctor(&["--config", &file], &[]);
    assert_eq!(answer.status, 77);
    assert_eq!(
        answer.one("round-trip")["status"],
        "ok",
        "the encrypting key is well"
    );
}

#[test]
fn a_disabled_version_is_told_with_the_command_that_enables_it() {
    let bench = Bench::with_key();
    bench.keys(&["disable", GCP_KEY, "--version", "1", "--yes"]);
    let answer = bench.gcp(&[]);
    let remedy = format!("codec-server keys enable {GCP_KEY} --version 1");
    answer.stopped_at("versions", 78, &["version 1", "disabled", &remedy]);

    // A user who may not see versions is sent to an administrator who may.
    bench.faults(&["deny@GetCryptoKey,ListCryptoKeyVersions"]);
    let answer = bench.gcp(&[]);
    answer.stopped_at(
        "versions",
        78,
        &[
            "disabled",
            "codec-server keys versions",
            "codec-server keys enable",
        ],
    );
    bench.faults(&[]);

    // The remedy is a command that works.
    let command: Vec<_> = remedy.split(' ').skip(2).collect();
    bench.keys(&command);
    bench.gcp(&[]).healthy();

    bench.keys(&["rotate", GCP_KEY]);
    bench.keys(&["disable", GCP_KEY, "--version", "1", "--yes"]);
    let answer = bench.gcp(&[]);
    answer.healthy();
    assert_eq!(answer.one("versions")["status"], "warning");
    said(
        answer.one("versions"),
        &["version 1 disabled", "cannot be decrypted", &remedy],
    );
}

#[test]
fn missing_credentials_are_told_before_anything_is_called() {
    let bench = Bench::new();
    let nobody = closed_port();
    let environment = [("GCE_METADATA_HOST", nobody.as_str())];
    let answer = bench.doctor(&["--key", GCP_KEY], &environment);
    answer.stopped_at(
        "credentials",
        77,
        &[
            "no Google Cloud credentials were found",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "gcloud auth application-default login",
        ],
    );
    let environment = [("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/gcp.json")];
    let answer = bench.doctor(&["--key", GCP_KEY], &environment);
    answer.stopped_at("credentials", 77, &["/nonexistent/gcp.json cannot be read"]);

    let file = bench.file("gcp.json", r#"{"private_key":"sk-secret"}"#);
    let answer = bench.gcp(&["--gcp-credentials", &file]);
    answer.stopped_at("credentials", 77, &["is not a credentials file"]);
    assert!(!format!("{:?}", answer.findings).contains("sk-secret"));
}

#[test]
fn refused_credentials_are_told_from_missing_ones() {
    let bench = Bench::with_key();
    bench.faults(&["status=401"]);
    bench
        .gcp(&[])
        .stopped_at("credentials", 77, &["does not accept the credentials"]);
    bench.faults(&[]);

    // The program that should give a token is not a token service.
    let user = json!({
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "sk-secret",
        "refresh_token": "sk-secret",
        "token_uri": format!("{}/token", bench.emulator.url()),
    });
    let file = bench.file("gcp.json", &user.to_string());
    let answer = bench.gcp(&["--gcp-credentials", &file]);
    answer.stopped_at(
        "credentials",
        77,
        &[
            "gcp.json",
            "gives no token",
            "gcloud auth application-default login",
        ],
    );
    assert!(!format!("{:?}", answer.findings).contains("sk-secret"));
}

#[test]
fn an_unreachable_endpoint_is_told_from_a_service_that_fails() {
    let bench = Bench::with_key();
    let url = format!("http://{}", closed_port());
    let answer = bench.doctor(&["--key", GCP_KEY], &[("GCP_KMS_ENDPOINT", &url)]);
    answer.stopped_at(
        "endpoint",
        69,
        &[
            &format!("{url} is unreachable: the connection is refused"),
            "GCP_KMS_ENDPOINT",
        ],
    );
    let arguments = [
        "--key",
        "aws-kms://alias/a",
        "--aws-region",
        "eu-west-1",
        "--aws-endpoint",
        "https://kms.invalid",
    ];
    let answer = bench.doctor(&arguments, &[]);
    answer.stopped_at(
        "endpoint",
        69,
        &["its name cannot be resolved", "AWS_ENDPOINT_URL_KMS"],
    );

    bench.faults(&["status=503"]);
    bench
        .gcp(&[])
        .stopped_at("endpoint", 69, &["calls fail", "try again"]);
    bench.faults(&["status=429"]);
    bench.gcp(&[]).stopped_at("endpoint", 69, &["quota"]);
}

#[test]
fn a_skewed_clock_is_told_by_the_services_date() {
    let bench = Bench::with_key();
    for (skew, side) in [("skew=600s", "behind"), ("skew=-600s", "ahead")] {
        bench.faults(&[skew]);
        let answer = bench.gcp(&[]);
        assert_eq!(answer.status, 78);
        let clock = answer.one("clock");
        assert_eq!(clock["status"], "failed");
        assert!(
            clock["skew_seconds"].as_i64().unwrap().abs() >= 590,
            "{clock}"
        );
        said(clock, &[side, "timedatectl set-ntp true"]);
    }
    // Credentials that are refused meanwhile are not to blame.
    bench.faults(&["skew=600s", "status=401"]);
    bench.gcp(&[]).stopped_at("clock", 78, &["behind"]);

    bench.faults(&["skew=120s"]);
    let answer = bench.gcp(&[]);
    answer.healthy();
    assert_eq!(answer.one("clock")["status"], "warning");
}

#[test]
fn slow_calls_are_worth_a_warning() {
    let bench = Bench::with_key();
    bench.faults(&["latency=450ms@Encrypt"]);
    let answer = bench.gcp(&[]);
    answer.healthy();
    let latency = answer.all("latency");
    assert_eq!(latency[0]["operation"], "wrap");
    assert_eq!(latency[0]["status"], "warning");
    assert!(latency[0]["p50_milliseconds"].as_f64().unwrap() >= 450.0);
}
