//! The AWS KMS provider against moto, and against a scripted server for what moto does otherwise than AWS.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod admin;
mod credentials;
mod faults;
mod moto;
mod names;
mod provider;
mod regions;
mod signer;

use std::sync::Arc;

use fake_aws_kms::{Account, Server};
use integration_tests::aws::{HOME, options};
use temporal_kms_codec::{
    Codec, EncryptionContext, KeyUri, Namespace, Payload,
    kms::{
        CallPolicy, KeyProvider, Kms, Signer,
        aws::{AwsKms, AwsOptions},
    },
};

fn uri(arn: &str) -> KeyUri {
    format!("aws-kms://{arn}").parse().expect("a key URI")
}

fn context(namespace: &str) -> EncryptionContext {
    let pairs = [("namespace", namespace), ("env", "test")];
    let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    EncryptionContext::new(owned.into()).expect("a context")
}

fn kms_options(aws: AwsOptions) -> Kms {
    Kms::builder()
        .with_service(AwsKms::new(aws))
        .calls(CallPolicy::once())
        .build()
}

async fn open(arn: &str, aws: AwsOptions) -> Arc<dyn KeyProvider> {
    kms_options(aws).key(&uri(arn)).await.expect("a key")
}

async fn open_signer(arn: &str, aws: AwsOptions) -> Arc<dyn Signer> {
    kms_options(aws)
        .signer(&uri(arn))
        .await
        .expect("a signing key")
}

/// A scripted server of the home region.
async fn scripted() -> (Account, Server) {
    let account = Account::new();
    let server = account.serve(HOME).await.expect("a port");
    (account, server)
}

/// A codec of the namespace `a`.
fn codec(key: Arc<dyn KeyProvider>) -> Codec {
    let builder = Codec::builder(Namespace::new("a").unwrap()).encrypt_with(key);
    builder.build().unwrap()
}

fn payload() -> Payload {
    Payload {
        data: b"x".to_vec(),
        ..Payload::default()
    }
}
