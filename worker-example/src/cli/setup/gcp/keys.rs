//! Two keys: one for payloads, and one for the secrets of requests, which the API cannot read back.

use super::{
    super::{gcloud::Gcloud, runner::Planned},
    arguments::GcpArgs,
    names::{account_member, grant, make},
};

const ENCRYPT: &str = "roles/cloudkms.cryptoKeyEncrypter";
const DECRYPT: &str = "roles/cloudkms.cryptoKeyDecrypter";
const BOTH: &str = "roles/cloudkms.cryptoKeyEncrypterDecrypter";

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
    let key = |name: &str, of: &str| {
        let create = with_location(args.gcloud("kms keys create").arg(name), args)
            .option("keyring", &args.key_ring)
            .option("purpose", "encryption")
            .option("rotation-period", "90d")
            .option("next-rotation-time", "+p90d");
        make(
            "key",
            format!("create the key {name} of {of}, with a new version every 90 days"),
            located(args, "kms keys list")
                .option("keyring", &args.key_ring)
                .option("format", "value(name.basename())"),
            name,
            vec![create],
        )
    };
    vec![
        ring,
        key(&args.key, "payloads"),
        key(&args.secrets_key, "secrets"),
    ]
}

/// The permissions on the keys. The API decrypts payloads, too: it shows the events of tasks to their callers.
pub(super) fn grants(args: &GcpArgs) -> Vec<Planned> {
    let (api, worker) = (args.api_account(), args.worker_account());
    [
        (
            &args.key,
            &api,
            BOTH,
            "let the API encrypt and decrypt payloads",
        ),
        (
            &args.key,
            &worker,
            BOTH,
            "let the worker encrypt and decrypt payloads",
        ),
        (
            &args.secrets_key,
            &api,
            ENCRYPT,
            "let the API encrypt the secrets of requests",
        ),
        (
            &args.secrets_key,
            &worker,
            DECRYPT,
            "let the worker decrypt the secrets of requests",
        ),
    ]
    .into_iter()
    .map(|(key, account, role, what)| {
        let of_key = |words: &str| {
            with_location(args.gcloud(words).arg(key), args).option("keyring", &args.key_ring)
        };
        grant(
            what.to_owned(),
            of_key("kms keys get-iam-policy"),
            of_key("kms keys add-iam-policy-binding"),
            role,
            account_member(account),
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
