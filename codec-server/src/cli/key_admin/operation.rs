//! Every command but `setup`: one call or two, and what came of it.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::json;
use temporal_kms_codec::{
    KeyUri, KmsKind,
    kms::{self, KeyAdmin, KeyPurpose, KeySpec, KmsOptions, RotationPolicy},
};

use super::{
    super::exit::{Failure, Status},
    arguments::{CreateArgs, DescribeArgs, DestructiveArgs, KeysCommand, RoleArg, Target},
    confirm::confirm,
    failed, print,
    report::{Description, KeyReport, Keys, Versions, days, timestamp},
};

pub(super) async fn run(
    command: &KeysCommand,
    options: &KmsOptions,
    json: bool,
) -> Result<(), Failure> {
    match command {
        KeysCommand::Create(args) => create(args, options, json).await,
        KeysCommand::List { key } => list(key, options, json).await,
        KeysCommand::Describe(args) => describe(args, options, json).await,
        KeysCommand::Rotate {
            key,
            rotation_period: None,
        } => {
            let admin = open(key, options).await?;
            admin.rotate(key).await.map_err(failed)?;
            show(&*admin, key, json).await
        }
        KeysCommand::Rotate {
            key,
            rotation_period: Some(rotation),
        } => {
            let admin = open(key, options).await?;
            let set = admin.set_rotation(key, rotation.period());
            set.await.map_err(failed)?;
            show(&*admin, key, json).await
        }
        KeysCommand::Versions { key } => versions(key, options, json).await,
        KeysCommand::Disable(args) => disable(args, options, json).await,
        KeysCommand::Enable { target } => {
            let admin = open(&target.key, options).await?;
            let version = target.version.as_deref();
            admin.enable(&target.key, version).await.map_err(failed)?;
            done(json, target, "enabled", None)
        }
        KeysCommand::Destroy(args) => destroy(args, options, json).await,
        KeysCommand::Replicate { key, region } => {
            let admin = open(key, options).await?;
            let replica = admin.replicate(key, region).await.map_err(failed)?;
            let answer = json!({ "key": key.to_string(), "replica": replica.to_string() });
            print(json, &answer, || format!("made the replica {replica}"))
        }
        KeysCommand::Grant { key, member, role } => grant(key, member, *role, options, json).await,
        KeysCommand::PublicKey { target } => public_key(target, options, json).await,
        KeysCommand::Setup(_) => Ok(()),
    }
}

async fn open(key: &KeyUri, options: &KmsOptions) -> Result<std::sync::Arc<dyn KeyAdmin>, Failure> {
    kms::open_admin(key, options).await.map_err(failed)
}

async fn show(admin: &dyn KeyAdmin, key: &KeyUri, json: bool) -> Result<(), Failure> {
    let details = admin.details(key).await.map_err(failed)?;
    let report = KeyReport::from(&details);
    print(json, &report, || report.text())
}

async fn create(args: &CreateArgs, options: &KmsOptions, json: bool) -> Result<(), Failure> {
    let purpose = KeyPurpose::from(args.purpose);
    let rotates = matches!(args.key.kms(), KmsKind::GcpKms | KmsKind::AwsKms)
        && purpose == KeyPurpose::Encrypt;
    let spec = KeySpec {
        purpose,
        protection: args.protection.map(Into::into),
        rotation_period: match args.rotation_period {
            Some(rotation) => rotation.period(),
            None => rotates.then(|| RotationPolicy::default().period),
        },
        labels: args.labels.iter().cloned().collect(),
        multi_region: args.multi_region,
    };
    let admin = open(&args.key, options).await?;
    let made = admin.create(&args.key, &spec).await.map_err(failed)?;
    let report = KeyReport::from(&made);
    print(json, &report, || report.text())
}

async fn list(key: &KeyUri, options: &KmsOptions, json: bool) -> Result<(), Failure> {
    let admin = open(key, options).await?;
    let report = Keys::new(&admin.list(key).await.map_err(failed)?);
    print(json, &report, || report.text())
}

async fn describe(args: &DescribeArgs, options: &KmsOptions, json: bool) -> Result<(), Failure> {
    let policy = RotationPolicy {
        period: args.rotation_period,
        max_age: args.max_age,
    };
    let admin = open(&args.key, options).await?;
    let details = admin.details(&args.key).await.map_err(failed)?;
    let versions = admin.versions(&args.key).await.map_err(failed)?;
    let report = Description::new(&details, &versions, policy, SystemTime::now());
    print(json, &report, || report.text())
}

async fn versions(key: &KeyUri, options: &KmsOptions, json: bool) -> Result<(), Failure> {
    let admin = open(key, options).await?;
    let report = Versions::new(key, &admin.versions(key).await.map_err(failed)?);
    print(json, &report, || report.text())
}

async fn disable(args: &DestructiveArgs, options: &KmsOptions, json: bool) -> Result<(), Failure> {
    let Target { key, version } = &args.target;
    let what = format!(
        "{} will be disabled; what it encrypted cannot be decrypted until it is enabled again",
        subject(&args.target)
    );
    confirm(&what, args.yes)?;
    let admin = open(key, options).await?;
    admin
        .disable(key, version.as_deref())
        .await
        .map_err(failed)?;
    done(json, &args.target, "disabled", None)
}

async fn destroy(args: &DestructiveArgs, options: &KmsOptions, json: bool) -> Result<(), Failure> {
    let Target { key, version } = &args.target;
    let what = format!(
        "{} will be destroyed; everything that it encrypted is lost then",
        subject(&args.target)
    );
    confirm(&what, args.yes)?;
    let admin = open(key, options).await?;
    let when = admin
        .destroy(key, version.as_deref())
        .await
        .map_err(failed)?;
    match when {
        Some(when) => done(json, &args.target, "destroy-scheduled", timestamp(when)),
        None => done(json, &args.target, "destroyed", None),
    }
}

#[derive(Serialize)]
struct Changed<'c> {
    key: String,
    version: Option<&'c str>,
    state: &'static str,
    destroyed_at: Option<String>,
}

fn done(
    json: bool,
    target: &Target,
    state: &'static str,
    destroyed_at: Option<String>,
) -> Result<(), Failure> {
    let answer = Changed {
        key: target.key.to_string(),
        version: target.version.as_deref(),
        state,
        destroyed_at,
    };
    print(json, &answer, || {
        let subject = subject(target);
        match &answer.destroyed_at {
            Some(when) => format!("{subject} will be destroyed at {when}"),
            None => format!("{subject} is {state}"),
        }
    })
}

fn subject(target: &Target) -> String {
    match &target.version {
        Some(version) => format!("version {version} of {}", target.key),
        None => target.key.to_string(),
    }
}

async fn grant(
    key: &KeyUri,
    member: &str,
    role: RoleArg,
    options: &KmsOptions,
    json: bool,
) -> Result<(), Failure> {
    let role = role.into();
    let admin = open(key, options).await?;
    let changed = admin.grant(key, member, role).await.map_err(failed)?;
    let answer =
        json!({ "key": key.to_string(), "member": member, "role": role, "changed": changed });
    print(json, &answer, || {
        if changed {
            format!("{member} has got the role on {key}")
        } else {
            format!("{member} has had the role on {key} already")
        }
    })
}

async fn public_key(target: &Target, options: &KmsOptions, json: bool) -> Result<(), Failure> {
    let signer = kms::open_signer(&target.key, options)
        .await
        .map_err(failed)?;
    let version = target.version.as_deref();
    let public = signer.public_key(version).await.map_err(failed)?;
    let pem = public
        .to_pem()
        .map_err(|error| Failure::new(Status::Data, error))?;
    let answer = json!({
        "key": target.key.to_string(),
        "version": version,
        "algorithm": public.algorithm(),
        "pem": pem,
    });
    print(json, &answer, || pem.clone())
}

/// For a schedule in a sentence.
pub(super) fn schedule(period: Option<std::time::Duration>) -> String {
    period.map_or_else(
        || "never rotated by the service".to_owned(),
        |period| format!("rotated every {}", days(period)),
    )
}
