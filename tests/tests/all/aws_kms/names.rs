//! One key is known by several names.

use temporal_kms_codec::kms::ProviderErrorKind as Kind;

use super::{HOME, codec, context, open, options, payload, scripted, uri};

#[tokio::test]
async fn a_go_cdk_uri_tells_its_region_itself() {
    let (account, server) = scripted().await;
    let arn = account.symmetric_key(HOME);
    let id = arn.rsplit('/').next().unwrap();
    account.alias(HOME, "alias/workflows", &arn);
    let mut without_region = options(server.url());
    without_region.region = None;
    for name in ["alias/workflows", id] {
        let key = open(&format!("{name}?region={HOME}"), without_region.clone()).await;
        let (_, wrapped) = key.generate_dek(&context("a")).await.unwrap();
        key.unwrap(&wrapped, &context("a")).await.unwrap();
        assert!(key.is_alias_of(&uri(&arn)), "an answer has told its ARN");
    }
    let sent = server.calls();
    assert!(sent.iter().all(|call| call.input["KeyId"] != arn.as_str()));
}

#[tokio::test]
async fn a_payload_that_names_the_arn_opens_by_the_alias() {
    let (account, server) = scripted().await;
    let arn = account.symmetric_key(HOME);
    account.alias(HOME, "alias/workflows", &arn);
    let sealed = codec(open(&arn, options(server.url())).await)
        .encode(vec![payload()])
        .await
        .unwrap();

    let reader = codec(open("alias/workflows", options(server.url())).await);
    reader.ready().await.unwrap();
    assert_eq!(reader.decode(sealed).await.unwrap(), [payload()]);

    let other = account.symmetric_key(HOME);
    let key = open("alias/workflows", options(server.url())).await;
    key.check_usable().await.unwrap();
    assert!(key.is_alias_of(&uri(&arn)) && !key.is_alias_of(&uri(&other)));
}

#[tokio::test]
async fn an_alias_that_was_pointed_at_another_key_is_told_from_an_altered_payload() {
    let (account, server) = scripted().await;
    account.alias(HOME, "alias/workflows", &account.symmetric_key(HOME));
    let key = open("alias/workflows", options(server.url())).await;
    let (_, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    account.alias(HOME, "alias/workflows", &account.symmetric_key(HOME));
    let error = key.unwrap(&wrapped, &context("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyVersionGone);
    assert!(error.to_string().contains("another key"), "{error}");

    let (_, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    let mut altered = wrapped.as_bytes().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let altered = temporal_kms_codec::WrappedDek::new(altered);
    let error = key.unwrap(&altered, &context("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidCiphertext);
}
