//! What AWS KMS can tell a person who looks for a fault.

use async_trait::async_trait;
use temporal_kms::{
    Advice, CredentialsFound, Diagnose, Endpoint, KeyDetails, KeyUri, Operation, Prices,
    Protection, ProviderError, Web, endpoint,
    support::{absolute_path, is_plain_name, variable},
};

use super::{
    AwsCredentials, AwsKms, WebIdentityToken,
    credentials::{CONFIG_FILE, CREDENTIALS_FILE, profile_file},
};

const METADATA: &str = "http://169.254.169.254";
const NO_CREDENTIALS: &str = "no AWS credentials were found: AWS_ACCESS_KEY_ID is not set, there is neither a profile nor a token nor a \
                              container's role, and no metadata server of AWS answers";

/// A key costs $1. Its first and its second rotation cost $1 more each. Later rotations cost nothing.
const PRICES: Prices = Prices::new(
    "key or rotation",
    1.00,
    0.03,
    "https://aws.amazon.com/kms/pricing/",
    "2026-11-26",
)
.with_max_units(3);

#[async_trait]
impl Diagnose for AwsKms {
    async fn credentials(&self, _key: &KeyUri, web: &dyn Web) -> CredentialsFound {
        let options = self.options();
        let (first, caller) = match &options.credentials {
            AwsCredentials::Key { .. } => ("a configured access key".to_owned(), None),
            AwsCredentials::WebIdentity { role, token } => (
                format!("the role {} by {}", role.arn, place_of(token)),
                Some(role.arn.clone()),
            ),
            AwsCredentials::Chain => match chain() {
                Some(found) => (found, variable("AWS_ROLE_ARN")),
                None if machine_has_a_role(web).await => {
                    ("the role of this machine".to_owned(), None)
                }
                None => return CredentialsFound::missing(NO_CREDENTIALS),
            },
        };
        let (summary, caller) = match &options.role {
            Some(role) => (
                format!("{first}, then the role {}", role.arn),
                Some(role.arn.clone()),
            ),
            None => (first, caller),
        };
        CredentialsFound::new(summary).with_caller(caller.filter(|caller| is_plain_name(caller)))
    }

    fn credentials_remedy(
        &self,
        _key: &KeyUri,
        is_refused: bool,
        _found: &CredentialsFound,
    ) -> String {
        if is_refused {
            "try `aws sts get-caller-identity` with the same settings; renew the access key or the token, and let the role's \
             trust policy permit the caller"
        } else {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, \
             or give the machine a role"
        }
        .to_owned()
    }

    fn permission_remedy(
        &self,
        key: &KeyUri,
        operation: Operation,
        found: &CredentialsFound,
    ) -> String {
        let operation = match operation {
            Operation::Wrap => "GenerateDataKey",
            Operation::Encrypt => "Encrypt",
            Operation::Sign => "Sign",
            Operation::PublicKey | Operation::Verify => "GetPublicKey",
            _ => "Decrypt",
        };
        let caller = found
            .caller
            .as_deref()
            .unwrap_or("arn:aws:iam::ACCOUNT:role/ROLE");
        let (id, region) = id_and_region(key);
        format!(
            "allow kms:{operation} in the key policy, or: aws kms create-grant --key-id {id}{region} \
             --grantee-principal {caller} --operations {operation}"
        )
    }

    fn endpoint(&self, key: &KeyUri) -> Endpoint {
        let options = self.options();
        if let Some(url) = &options.endpoint {
            return Endpoint::Web {
                url: url.clone(),
                setting: Some("AWS_ENDPOINT_URL_KMS or aws_endpoint"),
                is_refused: endpoint::check(url).is_err(),
            };
        }
        match public_url(key, options.region.as_deref(), options.fips) {
            Some(url) => Endpoint::Web {
                url,
                setting: None,
                is_refused: false,
            },
            None => Endpoint::NotWeb {
                reason: "not known",
                answers: None,
            },
        }
    }

    fn unavailable_remedy(&self, _error: &ProviderError) -> &'static str {
        "try again; if that does not help, look at the AWS Health Dashboard, at the VPC endpoint's policy, and at AWS STS \
         if the caller assumes a role"
    }

    fn where_to_look(&self, _key: &KeyUri) -> String {
        "check region and account in its name with `aws kms list-aliases` and `aws sts get-caller-identity`"
            .to_owned()
    }

    /// AWS KMS disables only whole keys.
    fn has_versions(&self) -> bool {
        false
    }

    fn warnings(&self, key: &KeyDetails) -> Vec<Advice> {
        let replicas = &self.options().replicas;
        // The id of a multi-region key has a prefix.
        if replicas.is_empty() || key.uri.resource().contains(":key/mrk-") {
            return Vec::new();
        }
        let regions: Vec<_> = replicas
            .iter()
            .map(|replica| replica.region.as_str())
            .collect();
        vec![Advice::new(
            format!(
                "the replica regions {} have no effect: this key has one region only",
                regions.join(", ")
            ),
            "remove KMS_REPLICA_REGIONS or aws_replicas, or create a key with `codec-server keys create --multi-region` and \
             replicate it",
        )]
    }

    fn prices(&self, _protection: Option<Protection>) -> Option<Prices> {
        Some(PRICES)
    }
}

fn place_of(token: &WebIdentityToken) -> String {
    match token {
        WebIdentityToken::File(path) => {
            format!("the token in {}", absolute_path(path).display())
        }
        WebIdentityToken::Text(_) => "the token of OIDC_TOKEN".to_owned(),
    }
}

/// The order of AWS's own chain.
fn chain() -> Option<String> {
    let file = |named| profile_file(&variable, named).filter(|path| path.exists());
    let set = |name| variable(name).is_some();
    let profile = file(CREDENTIALS_FILE).or_else(|| file(CONFIG_FILE));
    Some(
        if set("AWS_ACCESS_KEY_ID") && set("AWS_SECRET_ACCESS_KEY") {
            "the access key of AWS_ACCESS_KEY_ID".to_owned()
        } else if let Some(path) = profile {
            let name = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
            format!("the profile {name} of {}", path.display())
        } else if let Some(path) = variable("AWS_WEB_IDENTITY_TOKEN_FILE") {
            let path = absolute_path(path);
            format!("the web identity token in {}", path.display())
        } else if set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            || set("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        {
            "the container's role".to_owned()
        } else {
            return None;
        },
    )
}

/// If the metadata server does not exist, AWS's own chain waits for it longer than a call may take.
async fn machine_has_a_role(web: &dyn Web) -> bool {
    if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true")) {
        return false;
    }
    let url = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    web.answers(url.as_deref().unwrap_or(METADATA)).await
}

/// The public endpoint of the region in the key's name, or of `region`.
fn public_url(key: &KeyUri, region: Option<&str>, fips: bool) -> Option<String> {
    let mut parts = key.resource().split(':').skip(1);
    let partition = parts.next();
    let region = parts.nth(1).or(region)?;
    let suffix = match partition {
        Some("aws-cn") => "amazonaws.com.cn",
        _ => "amazonaws.com",
    };
    let name = if fips { "kms-fips" } else { "kms" };
    Some(format!("https://{name}.{region}.{suffix}"))
}

/// The id of a key for commands, and the argument for its region.
fn id_and_region(key: &KeyUri) -> (String, String) {
    let resource = key.resource();
    if !resource.starts_with("arn:") || resource.contains(":alias/") {
        let name = resource.rsplit(':').next().unwrap_or_default();
        return (format!("ARN_OF_{name}"), String::new());
    }
    let region = resource.split(':').nth(3).unwrap_or_default();
    (resource.to_owned(), format!(" --region {region}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uri: &str) -> KeyUri {
        uri.parse().unwrap()
    }

    #[test]
    fn the_command_grants_what_was_refused() {
        let key = key("aws-kms://arn:aws:kms:eu-west-1:111122223333:key/k");
        for (operation, permission) in [
            (Operation::Wrap, "GenerateDataKey"),
            (Operation::Sign, "Sign"),
            (Operation::PublicKey, "GetPublicKey"),
        ] {
            let found = CredentialsFound::default();
            let remedy = AwsKms::default().permission_remedy(&key, operation, &found);
            let expected = format!(
                "--key-id arn:aws:kms:eu-west-1:111122223333:key/k --region eu-west-1 \
                 --grantee-principal arn:aws:iam::ACCOUNT:role/ROLE --operations {permission}"
            );
            assert!(remedy.ends_with(&expected), "{remedy}");
        }
    }

    #[test]
    fn every_region_has_its_endpoint() {
        let url = |name: &str| public_url(&key(name), None, false);
        let arn = "aws-kms://arn:aws:kms:eu-west-1:111122223333:key/k";
        let expected = Some("https://kms.eu-west-1.amazonaws.com");
        assert_eq!(url(arn).as_deref(), expected);
        let arn = "aws-kms://arn:aws-cn:kms:cn-north-1:111122223333:key/k";
        let expected = Some("https://kms.cn-north-1.amazonaws.com.cn");
        assert_eq!(url(arn).as_deref(), expected);
        assert_eq!(url("aws-kms://alias/a"), None, "without a region");
    }
}
