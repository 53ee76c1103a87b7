//! Two keys: one for requests, which the API cannot read, and one for answers.

use super::{
    super::{gcloud::Gcloud, runner::Planned},
    arguments::GcpArgs,
    names::{account_member, grant, make},
};

const ENCRYPT: &str = "roles/cloudkms.cryptoKeyEncrypter";
const DECRYPT: &str = "roles/cloudkms.cryptoKeyDecrypter";

/// Who may do what with a key.
struct Grant<'g> {
    key: &'g str,
    account: String,
    role: &'static str,
    what: &'static str,
}

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
    let key = |name: &str, what: &str| {
        let create = with_location(args.gcloud("kms keys create").arg(name), args)
            .option("keyring", &args.key_ring)
            .option("purpose", "encryption")
            .option("rotation-period", "90d")
            .option("next-rotation-time", "+p90d");
        make(
            "key",
            format!("create the key {name} of {what}, with a new version every 90 days"),
            located(args, "kms keys list")
                .option("keyring", &args.key_ring)
                .option("format", "value(name.basename())"),
            name,
            vec![create],
        )
    };
    vec![
        ring,
        key(&args.key, "requests"),
        key(&args.answer_key, "answers"),
    ]
}

/// The permissions on the keys. The worker reads its own answers, because Temporal replays them.
pub(super) fn grants(args: &GcpArgs) -> Vec<Planned> {
    let (api, worker) = (args.api_account(), args.worker_account());
    let on = |key, account: &String, role, what| Grant {
        key,
        account: account.clone(),
        role,
        what,
    };
    [
        on(&*args.key, &api, ENCRYPT, "let the API encrypt requests"),
        on(
            &args.key,
            &worker,
            DECRYPT,
            "let the worker decrypt requests",
        ),
        on(
            &args.answer_key,
            &worker,
            ENCRYPT,
            "let the worker encrypt answers",
        ),
        on(
            &args.answer_key,
            &worker,
            DECRYPT,
            "let the worker decrypt its answers",
        ),
        on(
            &args.answer_key,
            &api,
            DECRYPT,
            "let the API decrypt answers",
        ),
    ]
    .into_iter()
    .map(|wanted| {
        let of_key = |words: &str| {
            with_location(args.gcloud(words).arg(wanted.key), args)
                .option("keyring", &args.key_ring)
        };
        grant(
            wanted.what.to_owned(),
            of_key("kms keys get-iam-policy"),
            of_key("kms keys add-iam-policy-binding"),
            wanted.role,
            account_member(&wanted.account),
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
