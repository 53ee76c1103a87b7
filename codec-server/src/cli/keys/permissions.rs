//! `grant`, `revoke` and `grants`: who may use a key.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use temporal_kms_codec::{
    EncryptionContext, KeyUri, Namespace,
    kms::{KeyGrant, KeyRole, Kms},
};

use super::{
    super::{
        exit::{Failure, Status, print_answer as print},
        table::table,
    },
    arguments::GrantArgs,
    missing::failure,
};

pub(super) async fn grant(args: &GrantArgs, options: &Kms, json: bool) -> Result<(), Failure> {
    let change = Change::of(args, options)?;
    let admin = options.admin(&args.key).await.map_err(Failure::from)?;
    let granted = admin.grant_for_context(&args.key, &change.member, change.role, &change.context);
    let changed = granted.await.map_err(|error| failure(error, options))?;
    let Change {
        member, what, only, ..
    } = &change;
    let key = &args.key;
    print(json, &change.answer(args, changed), || {
        if changed {
            format!("{member} may now {what} with {key}{only}")
        } else {
            format!("{member} may {what} with {key} already{only}")
        }
    })
}

pub(super) async fn revoke(args: &GrantArgs, options: &Kms, json: bool) -> Result<(), Failure> {
    let change = Change::of(args, options)?;
    let admin = options.admin(&args.key).await.map_err(Failure::from)?;
    let revoked = admin.revoke_for_context(&args.key, &change.member, change.role, &change.context);
    let changed = revoked.await.map_err(|error| failure(error, options))?;
    let Change {
        member, what, only, ..
    } = &change;
    let key = &args.key;
    print(json, &change.answer(args, changed), || {
        if changed {
            format!("{member} has no permission of {key} to {what} any more{only}")
        } else {
            format!("{member} had no permission of {key} to {what}{only}")
        }
    })
}

/// A permission that is given or taken away.
struct Change {
    member: String,
    role: KeyRole,
    context: EncryptionContext,
    /// What the role does, in a sentence.
    what: &'static str,
    /// The end of the sentence: the namespace that it is for.
    only: String,
}

impl Change {
    fn of(args: &GrantArgs, options: &Kms) -> Result<Self, Failure> {
        let role = KeyRole::from(args.role);
        let setup = options.setup(&args.key).map_err(Failure::from)?;
        let member = setup.member(&args.member);
        let member = member
            .map_err(|reason| Failure::new(Status::Usage, format_args!("--member: {reason}")))?;
        let namespace = args.namespace.as_ref();
        Ok(Self {
            member,
            role,
            context: context(namespace)?,
            what: match role {
                KeyRole::Encrypter => "encrypt",
                KeyRole::Decrypter => "decrypt",
                KeyRole::Signer => "sign",
                _ => "verify",
            },
            only: namespace.map_or_else(String::new, |namespace| {
                format!(", payloads of namespace {namespace} only")
            }),
        })
    }

    fn answer(&self, args: &GrantArgs, changed: bool) -> serde_json::Value {
        let mut answer = json!({
            "key": args.key.to_string(), "member": self.member, "role": self.role, "changed": changed,
        });
        if let (Some(answer), Some(namespace)) = (answer.as_object_mut(), &args.namespace) {
            answer.insert("namespace".to_owned(), namespace.as_str().into());
        }
        answer
    }
}

#[derive(Serialize)]
struct Permissions {
    key: String,
    grants: Vec<ListedGrant>,
    not_listed: &'static str,
}

#[derive(Serialize)]
struct ListedGrant {
    member: String,
    role: Option<KeyRole>,
    permits: String,
    context: BTreeMap<String, String>,
    condition: Option<String>,
    source: &'static str,
}

impl From<KeyGrant> for ListedGrant {
    fn from(grant: KeyGrant) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            context: grant.context.iter().map(owned).collect(),
            member: grant.member,
            role: grant.role,
            permits: grant.permits,
            condition: grant.condition,
            source: grant.source,
        }
    }
}

impl ListedGrant {
    fn row(&self) -> [String; 5] {
        let pairs = self.context.iter();
        let mut only: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        only.extend(self.condition.clone());
        let or_dash = |text: String| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text
            }
        };
        [
            self.member.clone(),
            or_dash(self.role.map_or_else(String::new, |role| role.to_string())),
            self.permits.clone(),
            or_dash(only.join(", ")),
            self.source.to_owned(),
        ]
    }
}

pub(super) async fn list(key: &KeyUri, options: &Kms, json: bool) -> Result<(), Failure> {
    let admin = options.admin(key).await.map_err(Failure::from)?;
    let found = admin.grants(key).await;
    let found = found.map_err(|error| failure(error, options))?;
    let listed = Permissions {
        key: key.to_string(),
        grants: found.grants.into_iter().map(ListedGrant::from).collect(),
        not_listed: found.not_listed,
    };
    print(json, &listed, || {
        let rows: Vec<_> = listed.grants.iter().map(ListedGrant::row).collect();
        let header = ["MEMBER", "ROLE", "PERMITS", "ONLY", "SOURCE"];
        let table = if rows.is_empty() {
            "nobody has a permission of the key itself\n".to_owned()
        } else {
            table(header, &rows)
        };
        format!("{table}not listed: {}", listed.not_listed)
    })
}

/// The pairs that the encryption context of a call must hold.
pub(super) fn context(namespace: Option<&Namespace>) -> Result<EncryptionContext, Failure> {
    match namespace {
        Some(namespace) => EncryptionContext::for_namespace(namespace, BTreeMap::new())
            .map_err(|error| Failure::new(Status::Usage, error)),
        None => Ok(EncryptionContext::empty()),
    }
}
