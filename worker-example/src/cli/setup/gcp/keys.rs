//! The key of payloads, and who may use it.

use super::{
    super::{gcloud::Gcloud, runner::Planned},
    arguments::GcpArgs,
    names::{account_member, grant, make},
};

const USE: &str = "roles/cloudkms.cryptoKeyEncrypterDecrypter";

pub(super) fn steps(args: &GcpArgs) -> Vec<Planned> {
    let ring = make(
        "key-ring",
        format!(
            "create the key ring {} in {}",
            args.key_ring, args.key_location
        ),
        located(args, "kms keyrings list").option("format", "value(name.basename())"),
        &args.key_ring,
        vec![with_location(
            args.gcloud("kms keyrings create").arg(&args.key_ring),
            args,
        )],
    );
    let create = with_location(args.gcloud("kms keys create").arg(&args.key), args)
        .option("keyring", &args.key_ring)
        .option("purpose", "encryption")
        .option("rotation-period", "90d")
        .option("next-rotation-time", "+p90d");
    let key = make(
        "key",
        format!(
            "create the key {}, with a new version every 90 days",
            args.key
        ),
        located(args, "kms keys list")
            .option("keyring", &args.key_ring)
            .option("format", "value(name.basename())"),
        &args.key,
        vec![create],
    );
    vec![ring, key]
}

/// The permissions on the key. The API decrypts, too: it shows the events of tasks to their callers.
pub(super) fn grants(args: &GcpArgs) -> Vec<Planned> {
    [
        (args.api_account(), "the API"),
        (args.worker_account(), "the worker"),
    ]
    .into_iter()
    .map(|(account, who)| {
        let of_key = |words: &str| {
            with_location(args.gcloud(words).arg(&args.key), args).option("keyring", &args.key_ring)
        };
        grant(
            format!("let {who} encrypt and decrypt payloads"),
            of_key("kms keys get-iam-policy"),
            of_key("kms keys add-iam-policy-binding"),
            USE,
            account_member(&account),
        )
    })
    .collect()
}

fn located(args: &GcpArgs, words: &str) -> Gcloud {
    with_location(args.gcloud(words), args)
}

fn with_location(command: Gcloud, args: &GcpArgs) -> Gcloud {
    command.option("location", &args.key_location)
}
