//! Keys at a scripted AWS KMS.

use fake_aws_kms::{Account, Fault as AwsFault, Server};
use serde_json::Value;

use crate::doctor::bench::{Answer, Bench, closed_port, said};

/// A scripted AWS KMS with one key.
struct Aws {
    bench: Bench,
    server: Server,
    key: String,
}

impl Aws {
    fn new() -> Self {
        let bench = Bench::new();
        let account = Account::new();
        let server = bench.runtime.block_on(account.serve("eu-west-1")).unwrap();
        let key = format!("aws-kms://{}", account.symmetric_key("eu-west-1"));
        Self { bench, server, key }
    }

    #[track_caller]
    fn doctor(&self, variables: &[(&str, &str)]) -> Answer {
        let arguments = ["--key", &self.key, "--aws-endpoint", self.server.url()];
        self.bench.doctor(&arguments, variables)
    }

    #[track_caller]
    fn as_somebody(&self) -> Answer {
        self.doctor(&[
            ("AWS_ACCESS_KEY_ID", "AKIASOMEBODY"),
            ("AWS_SECRET_ACCESS_KEY", "sk-secret"),
        ])
    }
}

#[test]
fn a_key_at_aws_is_found_healthy() {
    let aws = Aws::new();
    let answer = aws.as_somebody();
    answer.healthy();
    said(answer.one("credentials"), &["AWS_ACCESS_KEY_ID"]);
    assert_eq!(answer.one("clock")["status"], "ok");
    assert_eq!(answer.one("cost")["dollars_per_month_without_cache"], 1.06);
    said(answer.one("cost"), &["https://aws.amazon.com/kms/pricing/"]);
    assert!(!format!("{:?}", answer.findings).contains("sk-secret"));
}

#[test]
fn a_missing_permission_at_aws_is_told_with_its_grant() {
    let aws = Aws::new();
    for (operation, tried) in [("Decrypt", "unwrap"), ("GenerateDataKey", "wrap")] {
        aws.server.heal();
        aws.server
            .fail(operation, AwsFault::Error("AccessDeniedException"), 100);
        aws.as_somebody().stopped_at_permission(
            tried,
            &[
                &format!("kms:{operation}"),
                "aws kms create-grant --key-id arn:aws:kms:eu-west-1:",
                &format!("--operations {operation}"),
            ],
        );
    }
}

#[test]
fn aws_says_that_the_clock_is_wrong() {
    let aws = Aws::new();
    let expired = "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z";
    aws.server.fail(
        "*",
        AwsFault::Message("InvalidSignatureException", expired),
        100,
    );
    let answer = aws.as_somebody();
    answer.stopped_at("clock", 78, &["clock is wrong", "timedatectl set-ntp true"]);
    assert!(!format!("{:?}", answer.findings).contains("Signature expired"));
}

#[test]
fn credentials_that_are_missing_at_aws_are_told_from_refused_ones() {
    let aws = Aws::new();
    let answer = aws.doctor(&[("AWS_EC2_METADATA_DISABLED", "true")]);
    answer.stopped_at(
        "credentials",
        77,
        &["no AWS credentials were found", "AWS_PROFILE"],
    );
    let nobody = format!("http://{}", closed_port());
    let answer = aws.doctor(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &nobody)]);
    answer.stopped_at("credentials", 77, &["no metadata server of AWS answers"]);
    // A profile that holds none is left to AWS's own chain.
    let empty = aws.bench.file("credentials", "[default]\n");
    let answer = aws.doctor(&[
        ("AWS_SHARED_CREDENTIALS_FILE", &empty),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    answer.stopped_at("credentials", 77, &[&empty, "AWS_PROFILE"]);
    aws.server
        .fail("*", AwsFault::Error("UnrecognizedClientException"), 100);
    let answer = aws.as_somebody();
    answer.stopped_at(
        "credentials",
        77,
        &[
            "AWS_ACCESS_KEY_ID",
            "does not accept",
            "aws sts get-caller-identity",
        ],
    );
}

#[test]
fn a_proxys_page_tells_nothing_of_the_key_or_of_permissions() {
    let aws = Aws::new();
    let page = "<!DOCTYPE html><html><body>Blocked</body></html>";
    for status in [403, 404, 407, 502] {
        aws.server.heal();
        aws.server.fail("*", AwsFault::Html(status, page), 100);
        let answer = aws.as_somebody();
        assert_eq!(answer.one("endpoint")["status"], "failed");
        assert_eq!(answer.one("credentials")["status"], "skipped");
        said(answer.one("endpoint"), &["HTTPS_PROXY"]);
        let text = format!("{:?}", answer.findings);
        for wrong in ["kms:Decrypt", "create-grant", "no such key", "keys create"] {
            assert!(!text.contains(wrong), "{status}: {text}");
        }
    }
}

#[test]
fn a_service_that_failed_is_told_with_its_status() {
    let aws = Aws::new();
    aws.server
        .fail("*", AwsFault::Error("KMSInternalException"), 100);
    aws.as_somebody()
        .stopped_at("endpoint", 69, &["the service failed with HTTP 500"]);
}

#[test]
fn replica_regions_of_a_key_without_replicas_are_told_to_have_no_effect() {
    let aws = Aws::new();
    let credentials = [
        ("AWS_ACCESS_KEY_ID", "AKIASOMEBODY"),
        ("AWS_SECRET_ACCESS_KEY", "sk-secret"),
        ("KMS_REPLICA_REGIONS", "us-west-2"),
    ];
    // The key is old as well.
    let told = |answer: &Answer| {
        answer.healthy();
        let warned = answer.with_status("warning").into_iter();
        let of_configuration = warned.filter(|finding| finding["check"] == "configuration");
        of_configuration.cloned().collect::<Vec<_>>()
    };
    let warned = told(&aws.doctor(&credentials));
    assert_eq!(warned.len(), 1, "{warned:#?}");
    said(&warned[0], &["us-west-2 have no effect", "--multi-region"]);
    assert_eq!(told(&aws.as_somebody()), Vec::<Value>::new());

    let account = Account::new();
    let server = aws.bench.runtime.block_on(account.serve("eu-west-1"));
    let key = account.multi_region_key(&["eu-west-1", "us-west-2"]);
    let aws = Aws {
        key: format!("aws-kms://{key}"),
        server: server.unwrap(),
        bench: aws.bench,
    };
    assert_eq!(told(&aws.doctor(&credentials)), Vec::<Value>::new());
}

#[test]
fn a_disabled_key_at_aws_is_enabled_as_a_whole() {
    let aws = Aws::new();
    aws.server
        .fail("GenerateDataKey", AwsFault::Error("DisabledException"), 100);
    let answer = aws.as_somebody();
    let remedy = format!("codec-server keys enable {}", aws.key);
    answer.stopped_at("versions", 78, &["disabled", &remedy]);
    assert!(!format!("{:?}", answer.findings).contains("--version"));
}
