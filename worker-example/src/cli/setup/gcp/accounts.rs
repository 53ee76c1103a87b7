//! The service accounts: of the API, of the worker, and of clients.

use super::{
    super::{
        gcloud::Gcloud,
        runner::{Look, Planned, Wanted},
    },
    arguments::GcpArgs,
    names::{grant, make},
};

/// It makes ID tokens and nothing else.
const TOKENS: &str = "roles/iam.serviceAccountOpenIdTokenCreator";

pub(super) fn steps(args: &GcpArgs) -> Vec<Planned> {
    let account = |email: String, of: &str| {
        let id = email.split('@').next().unwrap_or_default().to_owned();
        make(
            "account",
            format!("create the service account of {of}"),
            list(args),
            &email,
            vec![
                args.gcloud("iam service-accounts create")
                    .arg(&id)
                    .option("display-name", &format!("claude-tasks: {of}")),
            ],
        )
    };
    let mut steps = vec![
        account(args.api_account(), "the API"),
        account(args.worker_account(), "the worker"),
        account(args.client_account(), "clients"),
    ];
    let client = args.client_account();
    steps.extend(args.client_users.iter().map(|member| {
        grant(
            format!("let {member} make tokens for clients"),
            args.gcloud("iam service-accounts get-iam-policy")
                .arg(&client),
            args.gcloud("iam service-accounts add-iam-policy-binding")
                .arg(&client),
            TOKENS,
            member.clone(),
        )
    }));
    steps.extend(args.client_key.as_ref().map(|file| Planned {
        name: "client-key",
        what: format!(
            "create a key of the clients' service account in {}",
            file.display()
        ),
        look: Look::File(file.clone()),
        wanted: Wanted::There,
        commands: vec![
            args.gcloud("iam service-accounts keys create")
                .arg(&file.to_string_lossy())
                .option("iam-account", &client),
        ],
    }));
    steps
}

/// The addresses of all service accounts.
pub(super) fn list(args: &GcpArgs) -> Gcloud {
    args.gcloud("iam service-accounts list")
        .option("format", "value(email)")
}
