use std::{sync::Arc, time::Duration};

use fake_aws_kms::{Account, Fault, Server};
use temporal_kms_codec::kms::{
    CallPolicy, KeyProvider, KmsMetrics, ProviderErrorKind as Kind,
    aws::{AwsOptions, AwsReplica},
};

use super::{HOME, codec, context, open, options, payload, uri};

const AWAY: &str = "us-west-2";

struct Regions {
    account: Account,
    home: Server,
    away: Server,
    arn: String,
}

impl Regions {
    async fn start() -> Self {
        let account = Account::new();
        Self {
            home: account.serve(HOME).await.expect("a port"),
            away: account.serve(AWAY).await.expect("a port"),
            arn: account.multi_region_key(&[HOME, AWAY]),
            account,
        }
    }

    fn options(&self) -> AwsOptions {
        options(self.home.url())
            .with_replicas(vec![AwsReplica::new(AWAY).with_endpoint(self.away.url())])
    }

    async fn key(&self) -> Arc<dyn KeyProvider> {
        open(&self.arn, self.options()).await
    }
}

#[tokio::test]
async fn a_replica_serves_while_the_home_region_is_gone() {
    let regions = Regions::start().await;
    let before = codec(regions.key().await)
        .encode(vec![payload()])
        .await
        .unwrap();
    let Regions {
        account,
        home,
        away,
        arn,
    } = regions;
    let gone = home.url().to_owned();
    drop(home);

    let replicas = vec![AwsReplica::new(AWAY).with_endpoint(away.url())];
    let key = open(&arn, options(&gone).with_replicas(replicas)).await;
    let writer = codec(key);
    assert_eq!(writer.decode(before).await.unwrap(), [payload()]);
    let during = writer.encode(vec![payload()]).await.unwrap();
    assert_eq!(
        during[0].metadata["kms-key"],
        format!("aws-kms://{arn}").as_bytes()
    );
    let replica_arn = arn.replace(HOME, AWAY);
    assert!(
        away.calls()
            .iter()
            .all(|call| call.input["KeyId"] == replica_arn.as_str())
    );

    // What was written meanwhile opens at home, without any replica.
    let home = account.serve(HOME).await.unwrap();
    let reader = super::codec(open(&arn, options(home.url())).await);
    assert_eq!(reader.decode(during).await.unwrap(), [payload()]);
}

#[tokio::test]
async fn after_an_outage_the_replica_is_called_first() {
    let regions = Regions::start().await;
    let key = regions.key().await;
    for fault in [
        Fault::Status(503),
        Fault::Error("ThrottlingException"),
        Fault::Error("KMSInternalException"),
    ] {
        let key = regions.key().await;
        let before = (
            regions.home.count("GenerateDataKey"),
            regions.away.count("GenerateDataKey"),
        );
        regions.home.fail("GenerateDataKey", fault, 1);
        for _ in 0..3 {
            key.generate_dek(&context("a")).await.unwrap();
        }
        let after = (
            regions.home.count("GenerateDataKey"),
            regions.away.count("GenerateDataKey"),
        );
        assert_eq!(after, (before.0 + 1, before.1 + 3), "{fault:?}");
    }
    let away = regions.away.count("GenerateDataKey");
    key.generate_dek(&context("a")).await.unwrap();
    assert_eq!(
        regions.away.count("GenerateDataKey"),
        away,
        "a key without trouble stays at home"
    );
}

#[tokio::test]
async fn what_home_refuses_is_refused_and_a_replica_decides_nothing() {
    let regions = Regions::start().await;
    let key = regions.key().await;
    for fault in [
        Fault::Error("AccessDeniedException"),
        Fault::Error("DisabledException"),
        Fault::Garbage,
    ] {
        regions.home.fail("GenerateDataKey", fault, 1);
        key.generate_dek(&context("a")).await.unwrap_err();
    }
    assert_eq!(regions.away.calls().len(), 0);

    regions.home.fail("GenerateDataKey", Fault::Status(503), 1);
    regions
        .away
        .fail("GenerateDataKey", Fault::Error("AccessDeniedException"), 2);
    let error = key.generate_dek(&context("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    // The replica is tried first now; since it refuses, home is asked after all.
    key.generate_dek(&context("a")).await.unwrap();
}

#[tokio::test]
async fn a_payload_that_cannot_be_opened_costs_no_more_during_an_outage() {
    let regions = Regions::start().await;
    let metrics = Arc::new(KmsMetrics::default());
    let policy = CallPolicy {
        breaker_failures: 2,
        base_delay: Duration::from_millis(1),
        ..CallPolicy::default()
    };
    let key = policy.decorate(regions.key().await, &metrics).unwrap();
    let writer = codec(key);
    let honest = writer.encode(vec![payload()]).await.unwrap();
    regions.home.fail("*", Fault::Status(503), usize::MAX);
    let bogus: Vec<_> = (0..100_u8)
        .map(|n| {
            let mut bogus = honest[0].clone();
            let wrapped = bogus.metadata.get_mut("encrypted-dek").unwrap();
            *wrapped.last_mut().unwrap() ^= n + 1;
            bogus
        })
        .collect();

    for result in writer.decode_each(bogus.clone()).await {
        let error = result.unwrap_err();
        assert!(!error.is_transient(), "{error}");
    }
    let calls = regions.away.count("Decrypt");
    assert!(calls <= 16, "{calls} calls for one request");
    // The verdicts are remembered, and no breaker is open.
    writer.decode(vec![bogus[0].clone()]).await.unwrap_err();
    assert_eq!(regions.away.count("Decrypt"), calls);
    let reader = super::codec(policy.decorate(regions.key().await, &metrics).unwrap());
    assert_eq!(reader.decode(honest).await.unwrap(), [payload()]);
}

#[tokio::test]
async fn a_call_that_hangs_at_home_is_repeated_at_the_replica() {
    let regions = Regions::start().await;
    let key = regions.key().await;
    let policy = CallPolicy {
        attempt_timeout: Duration::from_millis(1100),
        ..CallPolicy::default()
    };
    let key = policy
        .decorate(key, &Arc::new(KmsMetrics::default()))
        .unwrap();
    regions.home.fail("*", Fault::Hang, usize::MAX);
    key.generate_dek(&context("a")).await.unwrap();
    assert_eq!(regions.away.count("GenerateDataKey"), 1);
}

#[tokio::test]
async fn a_key_opens_what_its_sibling_of_another_region_sealed() {
    let regions = Regions::start().await;
    let replica_arn = regions.arn.replace(HOME, AWAY);
    let writer = codec(open(&replica_arn, options(regions.away.url())).await);
    let sealed = writer.encode(vec![payload()]).await.unwrap();
    assert_eq!(
        sealed[0].metadata["kms-key"],
        format!("aws-kms://{replica_arn}").as_bytes()
    );

    let reader = super::codec(open(&regions.arn, options(regions.home.url())).await);
    let before = regions.away.calls().len();
    assert_eq!(reader.decode(sealed).await.unwrap(), [payload()]);
    assert_eq!(regions.home.count("Decrypt"), 1);
    assert_eq!(
        regions.away.calls().len(),
        before,
        "only configured regions are called"
    );

    let key = regions.key().await;
    for sibling in [
        regions.arn.clone(),
        replica_arn.clone(),
        regions.arn.replace(HOME, "us-east-1"),
    ] {
        assert!(key.is_alias_of(&uri(&sibling)), "{sibling}");
    }
    for stranger in [
        replica_arn.replace("mrk-", "mrk-0"),
        replica_arn.replace("1111", "2222"),
        replica_arn.replace("arn:aws:", "arn:aws-cn:"),
    ] {
        assert!(!key.is_alias_of(&uri(&stranger)), "{stranger}");
    }
}

#[tokio::test]
async fn a_key_that_is_named_by_an_alias_has_its_replicas_from_the_first_answer_on() {
    let regions = Regions::start().await;
    regions.account.alias(HOME, "alias/workflows", &regions.arn);
    let unknown = open("alias/workflows", regions.options()).await;
    let key = open("alias/workflows", regions.options()).await;
    let sealed = key.generate_dek(&context("a")).await.unwrap().1;

    regions.home.fail("*", Fault::Status(503), usize::MAX);
    key.generate_dek(&context("a")).await.unwrap();
    key.unwrap(&sealed, &context("a")).await.unwrap();
    assert!(
        regions
            .away
            .calls()
            .iter()
            .all(|call| call.input["KeyId"] == regions.arn.replace(HOME, AWAY).as_str())
    );
    let error = unknown.generate_dek(&context("a")).await.unwrap_err();
    assert_eq!(
        error.kind(),
        Kind::Unavailable,
        "no answer has told its ARN"
    );
}

#[tokio::test]
async fn keys_of_one_region_have_no_replicas() {
    let regions = Regions::start().await;
    let arn = regions.account.symmetric_key(HOME);
    let key = open(&arn, regions.options()).await;
    assert!(!key.is_alias_of(&uri(&arn.replace(HOME, AWAY))));
    regions.home.fail("*", Fault::Status(503), usize::MAX);
    let error = key.generate_dek(&context("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(regions.away.calls().len(), 0);
}
