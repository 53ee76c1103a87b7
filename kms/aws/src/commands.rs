//! Commands of other tools that set up a key of AWS KMS.

use std::fmt::Write as _;

use aws_sdk_kms::types::OriginType;

use super::{
    AwsKms,
    admin::{Operation, grant_of, kind, no_grant, not_an_alias, rotation_days},
    misconfigured,
};
use temporal_kms::{
    EncryptionContext, KeySetup as _, KeySpec, PlannedGrant, ProviderError,
    ProviderErrorKind as Kind, SetupPlan,
    support::{shell_command, shell_word, terraform_string as quoted},
};

const DESCRIPTION: &str = "Encrypts payloads of Temporal";
/// Where the script keeps the new key's ARN.
const KEY: &str = "\"$KEY\"";

/// Commands of `aws`, or a configuration of Terraform.
pub(super) fn of(tool: &str, plan: &SetupPlan, kms: &AwsKms) -> Result<String, ProviderError> {
    let spec = kms.complete(plan.spec.clone());
    let has_replicas = !plan.replica_regions.is_empty();
    let spec = spec
        .clone()
        .with_multi_region(spec.multi_region || has_replicas);
    kind(&plan.key, &spec)?;
    let Some(region) = kms.options().region.as_deref() else {
        return Err(misconfigured(
            &plan.key,
            "no region is named",
            "set AWS_REGION",
        ));
    };
    let alias = plan.key.resource().split('?').next().unwrap_or_default();
    if !alias.starts_with("alias/") {
        return Err(not_an_alias(&plan.key));
    }
    let days = spec
        .rotation_period
        .map(|period| rotation_days(&plan.key, period))
        .transpose()?;
    let key = NewKey {
        plan,
        spec,
        region,
        alias,
        days,
    };
    match tool {
        "aws" => key.script(),
        "terraform" => key.terraform(),
        _ => Err(ProviderError::new(Kind::Unsupported, &plan.key)
            .with_remedy("print the commands of aws or terraform for a key of AWS KMS")),
    }
}

struct NewKey<'p> {
    plan: &'p SetupPlan,
    /// With what the options say of all new keys.
    spec: KeySpec,
    region: &'p str,
    alias: &'p str,
    days: Option<i32>,
}

impl NewKey<'_> {
    fn script(&self) -> Result<String, ProviderError> {
        let mut create = vec![option("description", DESCRIPTION)];
        create.push(option("key-usage", "ENCRYPT_DECRYPT"));
        create.push(option("key-spec", "SYMMETRIC_DEFAULT"));
        if self.spec.multi_region {
            create.push("--multi-region".to_owned());
        }
        if let Some(store) = &self.spec.key_store {
            create.push(option("origin", OriginType::AwsCloudhsm.as_str()));
            create.push(option("custom-key-store-id", store));
        }
        let labels = &self.spec.labels;
        if !labels.is_empty() {
            create.push("--tags".to_owned());
            create.extend(
                labels
                    .iter()
                    .map(|(name, value)| shell_word(&format!("TagKey={name},TagValue={value}"))),
            );
        }
        create.push(option("query", "KeyMetadata.Arn"));
        create.push(option("output", "text"));
        let create = self.command("create-key", create);
        let mut commands = vec![format!("KEY=$({})\n", create.trim_end())];
        commands.push(self.command(
            "create-alias",
            vec![
                option("alias-name", self.alias),
                format!("--target-key-id {KEY}"),
            ],
        ));
        if let Some(days) = self.days {
            let days = option("rotation-period-in-days", &days.to_string());
            commands.push(self.command("enable-key-rotation", vec![key_id(), days]));
        }
        for grant in &self.plan.grants {
            let (name, operations) = self.grant(grant)?;
            let mut options = vec![
                key_id(),
                option("name", name),
                option("grantee-principal", &grant.member),
                "--operations".to_owned(),
            ];
            options.extend(operations.iter().map(|one| one.as_str().to_owned()));
            if !grant.context.is_empty() {
                let constraint =
                    serde_json::json!({ "EncryptionContextSubset": pairs(&grant.context) });
                options.push(format!(
                    "--constraints {}",
                    shell_word(&constraint.to_string())
                ));
            }
            commands.push(self.command("create-grant", options));
        }
        for replica in &self.plan.replica_regions {
            let options = vec![key_id(), option("replica-region", replica)];
            commands.push(self.command("replicate-key", options));
        }
        Ok(commands.join("\n"))
    }

    fn command(&self, name: &str, options: Vec<String>) -> String {
        let mut words = vec![format!("aws kms {name}"), option("region", self.region)];
        words.extend(options);
        shell_command(&words)
    }

    fn terraform(&self) -> Result<String, ProviderError> {
        let mut text = format!(
            "\
provider \"aws\" {{
  region = {}
}}

resource \"aws_kms_key\" \"codec\" {{
  description              = {}
  key_usage                = \"ENCRYPT_DECRYPT\"
  customer_master_key_spec = \"SYMMETRIC_DEFAULT\"
  multi_region             = {}
  deletion_window_in_days  = 30
  enable_key_rotation      = {}
",
            quoted(self.region),
            quoted(DESCRIPTION),
            self.spec.multi_region,
            self.days.is_some(),
        );
        if let Some(days) = self.days {
            let _ = writeln!(text, "  rotation_period_in_days  = {days}");
        }
        if let Some(store) = &self.spec.key_store {
            let _ = writeln!(text, "  custom_key_store_id      = {}", quoted(store));
        }
        if !self.spec.labels.is_empty() {
            text.push_str("  tags = {\n");
            for (name, value) in &self.spec.labels {
                let _ = writeln!(text, "    {} = {}", quoted(name), quoted(value));
            }
            text.push_str("  }\n");
        }
        let _ = write!(
            text,
            "
  # What the key encrypted is lost without it.
  lifecycle {{
    prevent_destroy = true
  }}
}}

resource \"aws_kms_alias\" \"codec\" {{
  name          = {}
  target_key_id = aws_kms_key.codec.key_id
}}
",
            quoted(self.alias),
        );
        for (index, grant) in self.plan.grants.iter().enumerate() {
            let (name, operations) = self.grant(grant)?;
            let operations: Vec<_> = operations.iter().map(|one| quoted(one.as_str())).collect();
            let _ = write!(
                text,
                "
resource \"aws_kms_grant\" \"codec_{index}\" {{
  name              = {}
  key_id            = aws_kms_key.codec.key_id
  grantee_principal = {}
  operations        = [{}]
",
                quoted(name),
                quoted(&grant.member),
                operations.join(", "),
            );
            if !grant.context.is_empty() {
                text.push_str("  constraints {\n    encryption_context_subset = {\n");
                for (name, value) in grant.context.iter() {
                    let _ = writeln!(text, "      {} = {}", quoted(name), quoted(value));
                }
                text.push_str("    }\n  }\n");
            }
            text.push_str("}\n");
        }
        for region in &self.plan.replica_regions {
            let name = region.replace('-', "_");
            let _ = write!(
                text,
                "
provider \"aws\" {{
  alias  = \"{name}\"
  region = {}
}}

resource \"aws_kms_replica_key\" \"codec_{name}\" {{
  provider        = aws.{name}
  primary_key_arn = aws_kms_key.codec.arn
}}
",
                quoted(region),
            );
        }
        Ok(text)
    }

    fn grant(
        &self,
        grant: &PlannedGrant,
    ) -> Result<(&'static str, &'static [Operation]), ProviderError> {
        grant_of(grant.role).ok_or_else(|| no_grant(&self.plan.key))
    }
}

fn option(name: &str, value: &str) -> String {
    format!("--{name} {}", shell_word(value))
}

fn key_id() -> String {
    format!("--key-id {KEY}")
}

fn pairs(context: &EncryptionContext) -> serde_json::Value {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.into());
    serde_json::Value::Object(context.iter().map(owned).collect())
}
