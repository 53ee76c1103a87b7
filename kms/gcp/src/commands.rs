//! Commands of other tools that set up a key of Cloud KMS.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use google_cloud_wkt::Timestamp;

use super::{
    admin::{crypto_key, rotates_too_rarely},
    grant::{no_role, roles},
    name::{Parts, malformed},
};
use temporal_kms::{
    KeyUri, Protection, ProviderError, ProviderErrorKind as Kind, SetupPlan,
    support::{shell_command, shell_word, terraform_string as quoted},
};

/// Commands of `gcloud`, or a configuration of Terraform.
pub(super) fn of(tool: &str, plan: &SetupPlan) -> Result<String, ProviderError> {
    let unsupported = || ProviderError::new(Kind::Unsupported, &plan.key);
    let replicas = plan.spec.multi_region || !plan.replica_regions.is_empty();
    let spec = plan.spec.clone().with_multi_region(replicas);
    crypto_key(&plan.key, &spec)?;
    if plan.grants.iter().any(|grant| !grant.context.is_empty()) {
        return Err(unsupported()
            .with_detail("Cloud KMS cannot tie a permission to a namespace")
            .with_remedy("use a key for each namespace, and no --namespace"));
    }
    match tool {
        "gcloud" => gcloud(plan),
        "terraform" => terraform(plan),
        _ => Err(unsupported()
            .with_remedy("print the commands of gcloud or terraform for a key of Cloud KMS")),
    }
}

fn gcloud(plan: &SetupPlan) -> Result<String, ProviderError> {
    let parts = Parts::of(&plan.key)?;
    let (project, location) = place(&plan.key, &parts)?;
    let flag = |name: &str, value: &str| format!("--{name}={}", shell_word(value));
    let of_ring = [flag("location", location), flag("project", project)];
    let mut commands = vec![
        command(
            "services enable cloudkms.googleapis.com",
            &[flag("project", project)],
        ),
        command(
            &format!("kms keyrings create {}", shell_word(parts.ring_id)),
            &of_ring,
        ),
    ];

    let mut key = vec![flag("keyring", parts.ring_id)];
    key.extend(of_ring.clone());
    key.push(flag("purpose", "encryption"));
    key.push(flag("protection-level", level(plan)));
    if let Some(period) = plan.spec.rotation_period {
        key.push(flag("rotation-period", &seconds(period)));
        key.push(flag("next-rotation-time", &after(&plan.key, period)?));
    }
    if let Some(delay) = plan.spec.destroy_delay {
        key.push(flag("destroy-scheduled-duration", &seconds(delay)));
    }
    if !plan.spec.labels.is_empty() {
        let labels: Vec<_> = plan
            .spec
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        key.push(flag("labels", &labels.join(",")));
    }
    commands.push(command(
        &format!("kms keys create {}", shell_word(parts.key_id)),
        &key,
    ));

    for (member, role) in members(plan)? {
        let mut binding = vec![flag("keyring", parts.ring_id)];
        binding.extend(of_ring.clone());
        binding.extend([flag("member", member), flag("role", role)]);
        let what = format!(
            "kms keys add-iam-policy-binding {}",
            shell_word(parts.key_id)
        );
        commands.push(command(&what, &binding));
    }
    Ok(commands.join("\n"))
}

fn command(what: &str, options: &[String]) -> String {
    let words = std::iter::once(format!("gcloud {what}")).chain(options.iter().cloned());
    shell_command(&words.collect::<Vec<_>>())
}

fn terraform(plan: &SetupPlan) -> Result<String, ProviderError> {
    let parts = Parts::of(&plan.key)?;
    let (project, location) = place(&plan.key, &parts)?;
    let mut text = format!(
        "\
resource \"google_kms_key_ring\" \"codec\" {{
  project  = {}
  location = {}
  name     = {}
}}

resource \"google_kms_crypto_key\" \"codec\" {{
  key_ring = google_kms_key_ring.codec.id
  name     = {}
  purpose  = \"ENCRYPT_DECRYPT\"
",
        quoted(project),
        quoted(location),
        quoted(parts.ring_id),
        quoted(parts.key_id),
    );
    if let Some(period) = plan.spec.rotation_period {
        let _ = writeln!(
            text,
            "  rotation_period            = {}",
            quoted(&seconds(period))
        );
    }
    if let Some(delay) = plan.spec.destroy_delay {
        let _ = writeln!(
            text,
            "  destroy_scheduled_duration = {}",
            quoted(&seconds(delay))
        );
    }
    if !plan.spec.labels.is_empty() {
        text.push_str("  labels = {\n");
        for (name, value) in &plan.spec.labels {
            let _ = writeln!(text, "    {} = {}", quoted(name), quoted(value));
        }
        text.push_str("  }\n");
    }
    let _ = write!(
        text,
        "
  version_template {{
    algorithm        = \"GOOGLE_SYMMETRIC_ENCRYPTION\"
    protection_level = {}
  }}

  # What the key encrypted is lost without it.
  lifecycle {{
    prevent_destroy = true
  }}
}}
",
        quoted(&level(plan).to_ascii_uppercase()),
    );
    for (index, (member, role)) in members(plan)?.into_iter().enumerate() {
        let _ = write!(
            text,
            "
resource \"google_kms_crypto_key_iam_member\" \"codec_{index}\" {{
  crypto_key_id = google_kms_crypto_key.codec.id
  role          = {}
  member        = {}
}}
",
            quoted(role),
            quoted(member),
        );
    }
    Ok(text)
}

/// The project and the location of a key ring.
fn place<'a>(key: &KeyUri, parts: &Parts<'a>) -> Result<(&'a str, &'a str), ProviderError> {
    let place = parts.project_and_location();
    place.ok_or_else(|| malformed(key))
}

/// Who is to have which of Cloud KMS's roles.
fn members(plan: &SetupPlan) -> Result<Vec<(&str, &'static str)>, ProviderError> {
    let mut members = Vec::new();
    for grant in &plan.grants {
        let roles = roles(grant.role).ok_or_else(|| no_role(&plan.key))?;
        members.extend(roles.iter().map(|role| (grant.member.as_str(), *role)));
    }
    Ok(members)
}

fn level(plan: &SetupPlan) -> &'static str {
    match plan.spec.protection {
        Some(Protection::Hsm) => "hsm",
        _ => "software",
    }
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs())
}

fn after(key: &KeyUri, period: Duration) -> Result<String, ProviderError> {
    let next = SystemTime::now().checked_add(period);
    let next = next.and_then(|next| Timestamp::try_from(next).ok());
    // Whole seconds are enough.
    let next = next.and_then(|next| Timestamp::new(next.seconds(), 0).ok());
    next.map(String::from)
        .ok_or_else(|| rotates_too_rarely(key))
}
