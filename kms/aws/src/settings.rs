//! The settings of AWS KMS.

mod credentials;

use temporal_kms::{AnyFolder, Setting, SettingKind, SettingRow, SettingTable};

pub use self::credentials::{AwsCredentials, AwsRole, WebIdentityToken};

/// The name of the setting that `codec-server keys destroy --window` sets.
pub(super) const DELETION_WINDOW: &str = "aws_deletion_window_days";

/// Every setting of AWS KMS.
pub(super) const SETTINGS: SettingTable<AwsOptions> = SettingTable(&[
    SettingRow::new(
        Setting::new(
            "aws_region",
            SettingKind::Text,
            "The region of AWS keys that are named without one.",
        )
        .variables(&["AWS_REGION", "AWS_DEFAULT_REGION"])
        .any_folder(AnyFolder::HostLabels)
        .flag("aws-region", "REGION")
        .example("\"eu-west-1\""),
        |options, value| options.region = value.into_text(),
    ),
    SettingRow::with_combined_variables(
        Setting::new(
            "aws_role",
            SettingKind::Text,
            "The AWS role to assume before calling AWS KMS.",
        )
        .variables(&["KMS_ROLE_ARN"])
        .any_folder(AnyFolder::Anything)
        .example("\"arn:aws:iam::111122223333:role/codec\""),
        |options, value| options.role = value.into_text().map(AwsRole::new),
    ),
    SettingRow::new(
        Setting::new(
            "aws_replicas",
            SettingKind::List,
            "Regions that serve multi-region keys during an outage of their own region.",
        )
        .variables(&["KMS_REPLICA_REGIONS"])
        .any_folder(AnyFolder::HostLabels)
        .example("[\"us-west-2\"]"),
        |options, value| {
            let regions = value.into_list().unwrap_or_default();
            options.replicas = regions.into_iter().map(AwsReplica::new).collect();
        },
    ),
    SettingRow::new(
        Setting::new(
            "aws_endpoint",
            SettingKind::Url,
            "The URL of AWS KMS, if it is not the public one.",
        )
        .variables(&["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"])
        .flag("aws-endpoint", "URL")
        .example("\"https://vpce-….kms.eu-west-1.vpce.amazonaws.com\""),
        |options, value| options.endpoint = value.into_text(),
    ),
    SettingRow::new(
        Setting::new(
            "aws_sts_endpoint",
            SettingKind::Url,
            "The URL of AWS STS, if it is not the public one.",
        )
        .variables(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"])
        .example("\"https://vpce-….sts.eu-west-1.vpce.amazonaws.com\""),
        |options, value| options.sts_endpoint = value.into_text(),
    ),
    SettingRow::new(
        Setting::new(
            "aws_use_fips_endpoint",
            SettingKind::Bool,
            "Whether to call the FIPS 140 endpoints.",
        )
        .variables(&["AWS_USE_FIPS_ENDPOINT"]),
        |options, value| options.fips = value.is_true(),
    ),
    SettingRow::new(
        Setting::new(
            "aws_multi_region",
            SettingKind::Bool,
            "Whether new keys may have replicas in other regions.",
        )
        .variables(&["KMS_ENABLE_MULTI_REGION"]),
        |options, value| options.multi_region = value.is_true(),
    ),
    SettingRow::new(
        Setting::new(
            DELETION_WINDOW,
            SettingKind::Count,
            "How many days a deletion of a key can be undone.",
        ),
        |options, value| {
            let days = value.into_count().unwrap_or_default();
            options.deletion_window_days = Some(u8::try_from(days).unwrap_or(u8::MAX));
        },
    ),
    SettingRow::only_combined_variables(
        Setting::new(
            "aws_auth_mode",
            SettingKind::Text,
            "`iam`: the credentials in AWS's own variables, files and metadata services. `oidc`: a role by an OIDC token.",
        )
        .variables(&["KMS_AUTH_MODE"])
        .any_folder(AnyFolder::Anything),
    ),
    SettingRow::only_combined_variables(
        Setting::new(
            "aws_oidc_role",
            SettingKind::Text,
            "The role that the OIDC token permits to assume, where KMS_ROLE_ARN is not set.",
        )
        .variables(&["AWS_ROLE_ARN"]),
    ),
    SettingRow::only_combined_variables(
        Setting::new(
            "aws_role_external_id",
            SettingKind::Text,
            "The external id that the role's trust policy demands.",
        )
        .variables(&["KMS_ROLE_EXTERNAL_ID"])
        .any_folder(AnyFolder::Anything)
        .secret(),
    ),
    SettingRow::only_combined_variables(
        Setting::new(
            "aws_role_session_name",
            SettingKind::Text,
            "The name of the role's session in AWS's logs.",
        )
        .variables(&["KMS_ROLE_SESSION_NAME"])
        .any_folder(AnyFolder::Anything),
    ),
    SettingRow::only_combined_variables(
        Setting::new(
            "aws_oidc_token_file",
            SettingKind::Path,
            "The file of the OIDC token.",
        )
        .variables(&["OIDC_TOKEN_PATH", "AWS_WEB_IDENTITY_TOKEN_FILE"]),
    ),
    SettingRow::only_combined_variables(
        Setting::new(
            "aws_oidc_token",
            SettingKind::Text,
            "The OIDC token itself.",
        )
        .variables(&["OIDC_TOKEN"])
        .secret(),
    ),
    SettingRow::only_combined_variables(
        Setting::new(
            "aws_cloud_hsm",
            SettingKind::Bool,
            "Whether new keys are made in the AWS CloudHSM key store KMS_CUSTOM_KEY_STORE_ID.",
        )
        .variables(&["KMS_ENABLE_CLOUDHSM"]),
    ),
    SettingRow::only_combined_variables(
        Setting::new(
            "aws_custom_key_store",
            SettingKind::Text,
            "The id of that key store, `cks-…`.",
        )
        .variables(&["KMS_CUSTOM_KEY_STORE_ID"]),
    ),
]);

/// The settings of AWS KMS that a key's URI does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwsOptions {
    /// The region of keys whose name holds none: `aws-kms://alias/NAME`. A name with `?region=REGION` has its own
    /// region.
    pub region: Option<String>,
    /// The caller's credentials.
    pub credentials: AwsCredentials,
    /// A role that the caller assumes, for example in the account that owns the key.
    pub role: Option<AwsRole>,
    /// Regions that serve a multi-region key (`mrk-…`) while its own region is unreachable, in the order of attempts.
    /// They serve a key that is named by its alias once an answer has told its ARN. Other keys have no replicas, and a
    /// warning says so.
    pub replicas: Vec<AwsReplica>,
    /// The URL of AWS KMS in the key's own region, instead of the public one: a VPC endpoint or an emulator. `http://`
    /// is for this machine only.
    pub endpoint: Option<String>,
    /// The URL of AWS STS, likewise.
    pub sts_endpoint: Option<String>,
    /// Whether to call the FIPS 140 endpoints.
    pub fips: bool,
    /// The id of the AWS `CloudHSM` key store (`cks-…`) in which new keys are created. `None`: AWS KMS's own HSMs.
    pub custom_key_store: Option<String>,
    /// Whether all new keys may have replicas in other regions. [`KeySpec::multi_region`](temporal_kms::KeySpec) sets
    /// this for one key.
    pub multi_region: bool,
    /// Days between scheduling the deletion of a key and its deletion, from 7 to 30. Default: 30.
    pub deletion_window_days: Option<u8>,
}

impl AwsOptions {
    /// Sets [`region`](Self::region).
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets [`credentials`](Self::credentials).
    #[must_use]
    pub fn with_credentials(mut self, credentials: AwsCredentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Sets [`role`](Self::role).
    #[must_use]
    pub fn with_role(mut self, role: AwsRole) -> Self {
        self.role = Some(role);
        self
    }

    /// Sets [`replicas`](Self::replicas).
    #[must_use]
    pub fn with_replicas(mut self, replicas: impl IntoIterator<Item = AwsReplica>) -> Self {
        self.replicas = replicas.into_iter().collect();
        self
    }

    /// Sets [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sets [`sts_endpoint`](Self::sts_endpoint).
    #[must_use]
    pub fn with_sts_endpoint(mut self, url: impl Into<String>) -> Self {
        self.sts_endpoint = Some(url.into());
        self
    }

    /// Sets [`fips`](Self::fips).
    #[must_use]
    pub fn with_fips(mut self, fips: bool) -> Self {
        self.fips = fips;
        self
    }

    /// Sets [`custom_key_store`](Self::custom_key_store).
    #[must_use]
    pub fn with_custom_key_store(mut self, id: impl Into<String>) -> Self {
        self.custom_key_store = Some(id.into());
        self
    }

    /// Sets [`multi_region`](Self::multi_region).
    #[must_use]
    pub fn with_multi_region(mut self, multi_region: bool) -> Self {
        self.multi_region = multi_region;
        self
    }

    /// Sets [`deletion_window_days`](Self::deletion_window_days).
    #[must_use]
    pub fn with_deletion_window_days(mut self, days: u8) -> Self {
        self.deletion_window_days = Some(days);
        self
    }
}

/// A region with a replica of a multi-region key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwsReplica {
    /// The region, such as `us-west-2`.
    pub region: String,
    /// As [`AwsOptions::endpoint`], for this region.
    pub endpoint: Option<String>,
}

impl AwsReplica {
    /// The replica at the public endpoint of `region`.
    #[must_use]
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            endpoint: None,
        }
    }

    /// Sets [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn shows_no_secret() {
        let secret = || Zeroizing::new("SeCrEt".to_owned());
        let role = AwsRole {
            external_id: Some("SeCrEt".to_owned()),
            ..AwsRole::new("arn:aws:iam::111122223333:role/r")
        };
        let key = AwsCredentials::Key {
            id: "AKIA".to_owned(),
            secret: secret(),
            session_token: Some(secret()),
        };
        let identity = AwsCredentials::WebIdentity {
            role: role.clone(),
            token: WebIdentityToken::Text(secret()),
        };
        for credentials in [key, identity] {
            let options = AwsOptions {
                credentials,
                role: Some(role.clone()),
                ..AwsOptions::default()
            };
            let shown = format!("{options:?}");
            assert!(!shown.contains("SeCrEt"), "{shown}");
            assert!(shown.contains("role/r"), "{shown}");
        }
    }
}
