//! Every command except `setup`: one or two calls, and their result.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::json;
use temporal_kms::support::shell_word;
use temporal_kms_codec::{
    KeyUri, Scheme,
    kms::{
        KeyAdmin, KeyDetails, KeyPurpose, KeySpec, KeyState, KeyVersion, Kms, ProviderError,
        ProviderErrorKind, RotationPolicy, SettingValue,
    },
};

use super::{
    super::exit::{self, Failure, Status, print_answer as print},
    arguments::{CreateArgs, DescribeArgs, DestroyArgs, DisableArgs, KeyCommand, Target},
    confirm::{Loss, confirm_loss, subject},
    missing::{failure, failure_of_version},
    permissions,
    report::{Description, KeyReport, Keys, Rotated, Versions, timestamp},
    values::Rotation,
};

pub(super) async fn run(command: &KeyCommand, options: &Kms, json: bool) -> Result<(), Failure> {
    match command {
        KeyCommand::Create(args) => create(args, options, json).await,
        KeyCommand::List { key } => list(&key.0, options, json).await,
        KeyCommand::Describe(args) => describe(args, options, json).await,
        KeyCommand::Rotate {
            key,
            rotation_period,
            if_due,
        } => match if_due {
            Some(period) => rotate_if_due(key, *period, options, json).await,
            None => rotate(key, *rotation_period, options, json).await,
        },
        KeyCommand::SetPrimary { key, version } => set_primary(key, version, options, json).await,
        KeyCommand::Versions { key } => versions(key, options, json).await,
        KeyCommand::Disable(args) => disable(args, options, json).await,
        KeyCommand::Enable { target } => enable(target, options, json).await,
        KeyCommand::Destroy(args) => destroy(args, options, json).await,
        KeyCommand::Replicate { key, region } => replicate(key, region, options, json).await,
        KeyCommand::Grant(args) => permissions::grant(args, options, json).await,
        KeyCommand::Revoke(args) => permissions::revoke(args, options, json).await,
        KeyCommand::Grants { key } => permissions::list(key, options, json).await,
        KeyCommand::PublicKey { target } => public_key(target, options, json).await,
    }
}

async fn open(key: &KeyUri, options: &Kms) -> Result<Arc<dyn KeyAdmin>, Failure> {
    options.admin(key).await.map_err(Failure::from)
}

async fn create(args: &CreateArgs, options: &Kms, json: bool) -> Result<(), Failure> {
    refuse_idle_settings(&args.key, options)?;
    let setup = options.setup(&args.key).map_err(Failure::from)?;
    let spec = KeySpec::default()
        .with_purpose(args.purpose.into())
        .with_protection(args.protection.map(Into::into))
        .with_labels(args.labels.iter().cloned().collect())
        .with_multi_region(args.multi_region)
        .with_destroy_delay(args.place.destroy_delay)
        .with_key_store(args.place.custom_key_store.clone());
    let spec = setup.complete(spec);
    let rotation = match args.rotation_period {
        Some(rotation) => rotation.period(),
        None => setup.default_rotation_period(&spec),
    };
    let admin = open(&args.key, options).await?;
    let made = admin
        .create(&args.key, &spec.with_rotation_period(rotation))
        .await
        .map_err(Failure::from)?;
    let report = KeyReport::from(&with_signing_version(&*admin, made).await);
    print(json, &report, || report.text())
}

/// A signing key with the version that signs from now on. Most services tell it with the key. Cloud KMS does not: there, the
/// newest enabled version signs. The key stays as it is where its versions cannot be listed.
async fn with_signing_version(admin: &dyn KeyAdmin, details: KeyDetails) -> KeyDetails {
    if !lacks_version(&details) {
        return details;
    }
    match admin.versions(&details.uri).await {
        Ok(versions) => with_newest(details, &versions),
        Err(error) => {
            tracing::debug!(key = %details.uri, %error, "cannot tell which version signs");
            details
        }
    }
}

/// As [`with_signing_version`], of a key whose versions are known, the newest first. A version that is still being generated
/// is named only where no version is enabled.
fn with_newest(details: KeyDetails, versions: &[KeyVersion]) -> KeyDetails {
    if !lacks_version(&details) {
        return details;
    }
    let newest = |state: KeyState| versions.iter().find(|version| version.state == state);
    let signs = newest(KeyState::Enabled).or_else(|| newest(KeyState::Other));
    details.with_primary(signs.cloned())
}

fn lacks_version(details: &KeyDetails) -> bool {
    details.primary.is_none() && details.purpose != KeyPurpose::Encrypt
}

/// Refuses variables that ask for a kind of key that only another service than that of `key` can create.
pub(super) fn refuse_idle_settings(key: &KeyUri, options: &Kms) -> Result<(), Failure> {
    let others = options
        .services()
        .filter(|service| service.scheme() != key.scheme());
    for service in others {
        if let Some(name) = service.setup().demands().first() {
            let scheme = service.scheme();
            return Err(Failure::new(
                Status::Configuration,
                format_args!("{name}: this applies to keys of {scheme} only; remove the variable"),
            ));
        }
    }
    Ok(())
}

async fn list(key: &KeyUri, options: &Kms, json: bool) -> Result<(), Failure> {
    let admin = open(key, options).await?;
    let keys = admin.list(key).await;
    let report = Keys::new(&keys.map_err(|error| failure(error, options))?);
    print(json, &report, || report.text())
}

async fn describe(args: &DescribeArgs, options: &Kms, json: bool) -> Result<(), Failure> {
    let policy = RotationPolicy::default()
        .with_period(args.rotation_period)
        .with_max_age(args.max_age);
    let admin = open(&args.key, options).await?;
    let missing = |error| failure(error, options);
    let details = admin.details(&args.key).await.map_err(missing)?;
    let versions = admin.versions(&args.key).await.map_err(missing)?;
    let details = with_newest(details, &versions);
    let report = Description::new(&details, &versions, policy, SystemTime::now());
    print(json, &report, || report.text())
}

async fn rotate(
    key: &KeyUri,
    schedule: Option<Rotation>,
    options: &Kms,
    json: bool,
) -> Result<(), Failure> {
    let admin = open(key, options).await?;
    match schedule {
        None => admin.rotate(key).await,
        Some(rotation) => admin.set_rotation(key, rotation.period()).await,
    }
    .map_err(|error| failure(error, options))?;
    let Some(details) = changed(&*admin, key).await else {
        let state = match schedule {
            None => "rotated",
            Some(_) => "rotation-set",
        };
        return done(json, &Target::of_key(key), state, None);
    };
    let report = KeyReport::from(&with_signing_version(&*admin, details).await);
    print(json, &report, || report.text())
}

/// The key after a change. A failure to show it is a warning: an error would make people and timers repeat the change.
async fn changed(admin: &dyn KeyAdmin, key: &KeyUri) -> Option<KeyDetails> {
    match admin.details(key).await {
        Ok(details) => Some(details),
        Err(error) => {
            exit::say(format_args!(
                "the change was made; do not repeat it. The key cannot be shown: {error}"
            ));
            None
        }
    }
}

/// For a timer: nothing changes while the key is young enough.
async fn rotate_if_due(
    key: &KeyUri,
    period: Duration,
    options: &Kms,
    json: bool,
) -> Result<(), Failure> {
    let admin = open(key, options).await?;
    let missing = |error| failure(error, options);
    let found = admin.details(key).await.map_err(missing)?;
    let primary = found.primary.as_ref();
    if found.purpose == KeyPurpose::Encrypt
        && primary
            .map_or(found.created, |primary| primary.created)
            .is_none()
    {
        return Err(Failure::new(
            Status::Configuration,
            format_args!(
                "{key}: cannot tell whether it is due: nothing tells the age of its version. Rotate it without --if-due"
            ),
        ));
    }
    let policy = RotationPolicy::default().with_period(period);
    let rotated = policy.should_rotate(&found, SystemTime::now());
    let details = if rotated {
        admin.rotate(key).await.map_err(missing)?;
        match changed(&*admin, key).await {
            Some(details) => details,
            None => return done(json, &Target::of_key(key), "rotated", None),
        }
    } else {
        found
    };
    let report = Rotated::new(&with_signing_version(&*admin, details).await, rotated);
    print(json, &report, || report.text())
}

async fn set_primary(
    key: &KeyUri,
    version: &str,
    options: &Kms,
    json: bool,
) -> Result<(), Failure> {
    let admin = open(key, options).await?;
    admin
        .set_primary(key, version)
        .await
        .map_err(|error| failure_of_version(error, Some(version), options))?;
    let Some(details) = changed(&*admin, key).await else {
        let target = Target {
            key: key.clone(),
            version: Some(version.to_owned()),
        };
        return done(json, &target, "primary", None);
    };
    let report = KeyReport::from(&details);
    print(json, &report, || report.text())
}

async fn versions(key: &KeyUri, options: &Kms, json: bool) -> Result<(), Failure> {
    let admin = open(key, options).await?;
    let versions = admin.versions(key).await;
    let report = Versions::new(key, &versions.map_err(|error| failure(error, options))?);
    print(json, &report, || report.text())
}

async fn disable(args: &DisableArgs, options: &Kms, json: bool) -> Result<(), Failure> {
    let Target { key, version } = &args.target;
    let admin = open(key, options).await?;
    if !args.yes {
        confirm_loss(&*admin, &args.target, Loss::UntilEnabled, options).await?;
    }
    let version = version.as_deref();
    let disabled = admin.disable(key, version).await;
    disabled.map_err(|error| failure_of_version(error, version, options))?;
    done(json, &args.target, "disabled", None)
}

async fn enable(target: &Target, options: &Kms, json: bool) -> Result<(), Failure> {
    let admin = open(&target.key, options).await?;
    let version = target.version.as_deref();
    admin
        .enable(&target.key, version)
        .await
        .map_err(|error| failure_of_version(error, version, options))?;
    done(json, target, "enabled", None)
}

async fn destroy(args: &DestroyArgs, options: &Kms, json: bool) -> Result<(), Failure> {
    let Target { key, version } = &args.target;
    let mut options = options.clone();
    if let Some(days) = args.window {
        set_window(key, days, &mut options)?;
    }
    let admin = open(key, &options).await?;
    if !args.yes {
        confirm_loss(&*admin, &args.target, Loss::ForEver, &options).await?;
    }
    if let Some(version) = version
        && !args.primary
    {
        refuse_primary(&*admin, key, version, &options).await?;
    }
    let version = version.as_deref();
    let destroyed = admin.destroy(key, version).await;
    match destroyed.map_err(|error| failure_of_version(error, version, &options))? {
        Some(when) => done(json, &args.target, "destroy-scheduled", timestamp(when)),
        None => done(json, &args.target, "destroyed", None),
    }
}

/// Protects the version that encrypts: without it, nothing can be encrypted.
async fn refuse_primary(
    admin: &dyn KeyAdmin,
    key: &KeyUri,
    version: &str,
    options: &Kms,
) -> Result<(), Failure> {
    let primary = match admin.details(key).await {
        Ok(details) => details.primary,
        // The caller may change the key but not read it.
        Err(error) if error.kind() == ProviderErrorKind::PermissionDenied => None,
        Err(error) => return Err(failure(error, options)),
    };
    if primary.is_none_or(|primary| primary.id != version) {
        return Ok(());
    }
    // A keyset cannot be without a primary key.
    if key.scheme() == Scheme::LOCAL {
        let arguments = options.diagnose(key).map_err(Failure::from)?.arguments();
        let word = shell_word(&key.to_string());
        return Err(Failure::new(
            Status::Usage,
            format_args!(
                "version {version} of {key} is the primary one; rotate the key first: codec-server keys rotate {word}{arguments}"
            ),
        ));
    }
    Err(Failure::new(
        Status::Usage,
        format_args!(
            "version {version} of {key} is the one that encrypts; rotate the key first, or add --primary to destroy it all the same"
        ),
    ))
}

fn set_window(key: &KeyUri, days: u8, options: &mut Kms) -> Result<(), Failure> {
    let window = options.setup(key).map_err(Failure::from)?.deletion_window();
    match window {
        Ok(setting) => options
            .set(setting, SettingValue::Count(days.into()))
            .map_err(|error| Failure::new(Status::Configuration, error)),
        Err(reason) => Err(Failure::new(
            Status::Usage,
            format_args!("{key}: remove --window: {reason}"),
        )),
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

async fn replicate(key: &KeyUri, region: &str, options: &Kms, json: bool) -> Result<(), Failure> {
    let admin = open(key, options).await?;
    let replica = admin.replicate(key, region).await;
    let replica = replica.map_err(|error| failure(error, options))?;
    let answer = json!({ "key": key.to_string(), "replica": replica.to_string() });
    print(json, &answer, || format!("created the replica {replica}"))
}

async fn public_key(target: &Target, options: &Kms, json: bool) -> Result<(), Failure> {
    let key = &target.key;
    let version = match &target.version {
        Some(version) => Some(version.clone()),
        None => newest(key, options).await?,
    };
    let missing = |error| failure_of_version(error, version.as_deref(), options);
    let signer = options.signer(key).await.map_err(missing)?;
    // Where versions cannot be told apart, only the administration of keys has a name for the one that there is.
    let has_versions = options.diagnose(key).map_err(Failure::from)?.has_versions();
    let asked = version
        .as_deref()
        .filter(|_| has_versions || target.version.is_some());
    let public = signer.public_key(asked).await.map_err(missing)?;
    let pem = public
        .to_pem()
        .map_err(|error| Failure::new(Status::Data, error))?;
    let answer = json!({
        "key": key.to_string(),
        "version": version,
        "algorithm": public.algorithm(),
        "pem": pem,
    });
    print(json, &answer, || pem.clone())
}

/// The version that signs now; `None` without the permission to ask for it.
async fn newest(key: &KeyUri, options: &Kms) -> Result<Option<String>, Failure> {
    let admin = open(key, options).await?;
    let found = async {
        if let Some(primary) = admin.details(key).await?.primary {
            return Ok::<_, ProviderError>(Some(primary.id));
        }
        let versions = admin.versions(key).await?.into_iter();
        let mut enabled = versions.filter(|version| version.state == KeyState::Enabled);
        Ok(enabled.next().map(|version| version.id))
    };
    match found.await {
        Err(error) if error.kind() == ProviderErrorKind::PermissionDenied => Ok(None),
        found => found.map_err(|error| failure(error, options)),
    }
}

#[cfg(test)]
mod tests;
