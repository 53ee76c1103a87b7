//! Names of what the set-up makes, and commands that several groups of steps use.

use sha2::{Digest as _, Sha256};

use super::{
    super::{
        gcloud::Gcloud,
        runner::{Binding, Look, Planned, Wanted},
    },
    arguments::GcpArgs,
};

/// The label with the fingerprint of the command that made or changed a thing.
pub(super) const LABEL: &str = "claude_tasks_setup";

impl GcpArgs {
    /// `gcloud` for this project.
    pub(super) fn gcloud(&self, words: &str) -> Gcloud {
        Gcloud::new(words).option("project", &self.project)
    }

    pub(super) fn api_account(&self) -> String {
        self.account("api")
    }

    pub(super) fn worker_account(&self) -> String {
        self.account("worker")
    }

    pub(super) fn client_account(&self) -> String {
        self.account("client")
    }

    fn account(&self, who: &str) -> String {
        // Projects with a domain turn it around: example.com:p is p.example.com.
        let domain = match self.project.split_once(':') {
            Some((domain, id)) => format!("{id}.{domain}"),
            None => self.project.clone(),
        };
        format!("claude-tasks-{who}@{domain}.iam.gserviceaccount.com")
    }

    pub(super) fn image(&self, program: &str) -> String {
        format!("{}/{program}:{}", self.images(), self.tag)
    }

    /// The place of all images.
    pub(super) fn images(&self) -> String {
        format!(
            "{}-docker.pkg.dev/{}/{}",
            self.region,
            self.project.replace(':', "/"),
            self.repository
        )
    }

    pub(super) fn bucket_url(&self) -> String {
        format!("gs://{}", self.bucket())
    }

    pub(super) fn key_uri(&self, key: &str) -> String {
        format!(
            "gcp-kms://projects/{}/locations/{}/keyRings/{}/cryptoKeys/{key}",
            self.project, self.key_location, self.key_ring
        )
    }
}

/// The member of a service account.
pub(super) fn account_member(email: &str) -> String {
    format!("serviceAccount:{email}")
}

/// A step that makes something that a list then has.
pub(super) fn make(
    name: &'static str,
    what: String,
    list: Gcloud,
    line: &str,
    commands: Vec<Gcloud>,
) -> Planned {
    Planned {
        name,
        what,
        look: Look::Lines(list, vec![line.to_owned()]),
        wanted: Wanted::There,
        commands,
    }
}

/// A step that gives a member a role. `policy` and `add` are the commands before their options for member and role.
pub(super) fn grant(
    what: String,
    policy: Gcloud,
    add: Gcloud,
    role: &'static str,
    member: String,
) -> Planned {
    let add = add.option("member", &member).option("role", role);
    Planned {
        name: "grant",
        what,
        look: Look::Policy(
            policy.option("format", "json"),
            Binding {
                role,
                member,
                condition: None,
            },
        ),
        wanted: Wanted::There,
        commands: vec![add],
    }
}

/// A short fingerprint of commands, which fits into a label. Other options make another one.
pub(super) fn fingerprint(commands: &[Gcloud]) -> String {
    let mut hash = Sha256::new();
    for command in commands {
        hash.update(command.text());
        hash.update([0]);
    }
    hex::encode(hash.finalize())
        .get(..16)
        .unwrap_or_default()
        .to_owned()
}
