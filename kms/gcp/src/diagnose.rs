//! What Cloud KMS can tell a person who looks for a fault.

mod found;

use std::path::Path;

use async_trait::async_trait;
use temporal_kms::{
    Advice, CredentialsFound, Diagnose, Endpoint, FailureCause, KeyInOtherPlace, KeyRole, KeyUri,
    Operation, Prices, Protection, ProviderError, Scheme, Web,
    support::{is_plain_name, variable},
};

use self::found::{of_file, of_machine};
use super::{GcpKms, credentials::gcloud_file, endpoint::Target, grant};

const PUBLIC: &str = "https://cloudkms.googleapis.com";

/// The column "Software", symmetric keys.
const SOFTWARE: Prices = Prices::new(
    "active key version",
    0.06,
    0.03,
    "https://cloud.google.com/kms/pricing",
    "2025-03-17",
);
/// The same page, column "HSM", symmetric AES-256 keys.
const HSM: Prices = Prices::new(
    "active key version in an HSM",
    1.00,
    SOFTWARE.per_10_000_calls,
    SOFTWARE.source,
    SOFTWARE.as_of,
);

#[async_trait]
impl Diagnose for GcpKms {
    async fn credentials(&self, _key: &KeyUri, web: &dyn Web) -> CredentialsFound {
        let options = self.options();
        let mut found = if let Some(file) = &options.credentials {
            of_file(file, "the configured file")
        } else if self.target() == Some(Target::Emulator) {
            CredentialsFound::new("none are sent: the endpoint is an emulator on this machine")
        } else if let Some(file) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
            of_file(Path::new(&file), "GOOGLE_APPLICATION_CREDENTIALS:")
        } else if let Some(file) = gcloud_file(&variable).filter(|file| file.exists()) {
            of_file(&file, "gcloud's file")
        } else {
            of_machine(web).await
        };
        for name in [
            "GOOGLE_CLOUD_PROJECT",
            "GCLOUD_PROJECT",
            "CLOUDSDK_CORE_PROJECT",
            "GCP_PROJECT",
            "PROJECT_ID",
        ] {
            if let Some(project) = variable(name).filter(|project| is_plain_name(project)) {
                found = found.with_place(name, project);
            }
        }
        found
    }

    fn credentials_remedy(
        &self,
        _key: &KeyUri,
        is_refused: bool,
        found: &CredentialsFound,
    ) -> String {
        match (is_refused, &found.caller) {
            (false, _) => {
                "set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, run `gcloud auth application-default login`, or give \
                 the machine a service account"
                    .to_owned()
            }
            (true, Some(caller)) => format!(
                "see whether {caller} is disabled or its key deleted (gcloud iam service-accounts keys list), and make a new \
                 credentials file"
            ),
            (true, None) => {
                "run `gcloud auth application-default login` again, or make a new credentials file".to_owned()
            }
        }
    }

    fn refusal_of_credentials(&self, error: &ProviderError) -> Option<&'static str> {
        (error.cause() == Some(FailureCause::NoCredentials))
            .then_some("Google gives no token for them: they are expired, revoked or deleted")
    }

    fn permission_remedy(
        &self,
        key: &KeyUri,
        operation: Operation,
        found: &CredentialsFound,
    ) -> String {
        let role = match operation {
            Operation::Wrap | Operation::Encrypt => KeyRole::Encrypter,
            Operation::Sign => KeyRole::Signer,
            Operation::PublicKey | Operation::Verify => KeyRole::Verifier,
            _ => KeyRole::Decrypter,
        };
        let roles = grant::roles(role).unwrap_or_default();
        let member = found
            .caller
            .as_deref()
            .unwrap_or("serviceAccount:NAME@PROJECT.iam.gserviceaccount.com");
        let command = |role: &&str| {
            let key = gcloud(key);
            format!("gcloud kms keys add-iam-policy-binding {key} --member={member} --role={role}")
        };
        let commands: Vec<_> = roles.iter().map(command).collect();
        format!("grant {}: {}", roles.join(" and "), commands.join("\n"))
    }

    fn endpoint(&self, _key: &KeyUri) -> Endpoint {
        let configured = self.options().endpoint.as_deref();
        Endpoint::Web {
            url: configured.unwrap_or(PUBLIC).to_owned(),
            setting: configured.map(|_| "GCP_KMS_ENDPOINT or gcp_endpoint"),
            is_refused: self.target().is_none(),
        }
    }

    fn unavailable_remedy(&self, _error: &ProviderError) -> &'static str {
        "try again; if that does not help, look at status.cloud.google.com and at proxies and firewalls on the way"
    }

    fn explain(&self, key: &KeyUri, error: &ProviderError) -> Option<Advice> {
        let project = error.project();
        Some(match error.cause()? {
            // The project that pays for the calls. It may differ from the key's project.
            FailureCause::QuotaProject => {
                let project = project.unwrap_or("PROJECT");
                Advice::new(
                    error.summary(),
                    format!(
                        "look at project {project}, which calls are charged to: gcloud services list --enabled --project={project}\n\
                         or charge another one: gcloud auth application-default set-quota-project OTHER"
                    ),
                )
            }
            FailureCause::ServiceDisabled => {
                let project = project.unwrap_or_else(|| project_of(key));
                Advice::new(
                    format!("project {project} has not enabled Cloud KMS"),
                    format!(
                        "if project {project} is the right one: gcloud services enable cloudkms.googleapis.com --project={project}"
                    ),
                )
            }
            FailureCause::Perimeter => Advice::new(
                error.summary(),
                format!(
                    "find the refusal, and the rule that is missing: gcloud logging read \
                     'protoPayload.metadata.@type=\"type.googleapis.com/google.cloud.audit.VpcServiceControlAuditMetadata\"' \
                     --project={}",
                    project_of(key)
                ),
            ),
            FailureCause::Project => {
                let project = project.unwrap_or_else(|| project_of(key));
                Advice::new(
                    error.summary(),
                    format!(
                        "check the project in the key's name: gcloud projects describe {project}"
                    ),
                )
            }
            _ => return None,
        })
    }

    fn in_other_place(&self, key: &KeyUri, found: &CredentialsFound) -> Option<KeyInOtherPlace> {
        let own = project_of(key);
        let (named_by, project) = found.places.iter().find(|(_, project)| project != own)?;
        let rest = key.resource().strip_prefix(&format!("projects/{own}/"))?;
        let sibling = KeyUri::new(Scheme::GCP_KMS, &format!("projects/{project}/{rest}")).ok()?;
        Some(KeyInOtherPlace::new(
            sibling, "project", own, project, named_by,
        ))
    }

    fn missing_place(&self, key: &KeyUri) -> Option<Advice> {
        Some(Advice::new(
            "there is no such key ring in this project and location",
            format!(
                "check key ring and location (gcloud kms keyrings list --location=LOCATION --project={}), or create both",
                project_of(key)
            ),
        ))
    }

    fn where_to_look(&self, key: &KeyUri) -> String {
        format!("look at it with `gcloud kms keys describe {}`", gcloud(key))
    }

    fn prices(&self, protection: Option<Protection>) -> Option<Prices> {
        Some(match protection {
            Some(Protection::Hsm) => HSM,
            _ => SOFTWARE,
        })
    }
}

impl GcpKms {
    pub(super) fn target(&self) -> Option<Target> {
        Target::of(self.options().endpoint.as_deref())
    }
}

/// `K --keyring=R --location=L --project=P`.
fn gcloud(key: &KeyUri) -> String {
    let mut parts = key.resource().split('/').skip(1).step_by(2);
    let mut next = || parts.next().unwrap_or_default();
    let (project, location, ring, name) = (next(), next(), next(), next());
    format!("{name} --keyring={ring} --location={location} --project={project}")
}

fn project_of(key: &KeyUri) -> &str {
    key.resource().split('/').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GcpOptions;

    fn key(name: &str) -> KeyUri {
        format!("gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/{name}")
            .parse()
            .unwrap()
    }

    #[test]
    fn the_command_grants_what_was_refused() {
        let found = CredentialsFound::default().with_caller(Some(
            "serviceAccount:a@p.iam.gserviceaccount.com".to_owned(),
        ));
        assert_eq!(
            GcpKms::default().permission_remedy(&key("k"), Operation::Unwrap, &found),
            "grant roles/cloudkms.cryptoKeyDecrypter: gcloud kms keys add-iam-policy-binding k --keyring=r --location=l \
             --project=p --member=serviceAccount:a@p.iam.gserviceaccount.com --role=roles/cloudkms.cryptoKeyDecrypter"
        );
        // Signing looks for the newest version first.
        let remedy = GcpKms::default().permission_remedy(&key("k"), Operation::Sign, &found);
        let (one, other) = remedy.split_once('\n').unwrap();
        assert!(one.ends_with("--role=roles/cloudkms.signer"), "{remedy}");
        assert!(other.ends_with("--role=roles/cloudkms.viewer"), "{remedy}");
    }

    #[test]
    fn the_same_key_is_looked_for_in_the_project_that_the_credentials_name() {
        let in_place_of = |project: &str| {
            let found = CredentialsFound::default().with_place("GOOGLE_CLOUD_PROJECT", project);
            GcpKms::default().in_other_place(&key("k"), &found)
        };
        assert!(in_place_of("p").is_none());
        let sibling = in_place_of("q").unwrap();
        assert_eq!(
            sibling.key.to_string(),
            "gcp-kms://projects/q/locations/l/keyRings/r/cryptoKeys/k"
        );
        assert_eq!(
            (sibling.other.as_str(), sibling.named_by.as_str()),
            ("q", "GOOGLE_CLOUD_PROJECT")
        );
    }

    #[tokio::test]
    async fn an_endpoint_at_google_is_told_from_an_emulator_and_from_others() {
        let public = GcpKms::default().endpoint(&key("k"));
        assert!(matches!(public, Endpoint::Web { url, is_refused: false, .. } if url == PUBLIC));
        for (url, refused, gets_none) in [
            ("https://cloudkms-prod.p.googleapis.com", false, false),
            ("http://127.0.0.1:1", false, true),
            ("https://kms.example.com", true, false),
        ] {
            let kms = GcpKms::new(GcpOptions::default().with_endpoint(url));
            let endpoint = kms.endpoint(&key("k"));
            assert!(
                matches!(&endpoint, Endpoint::Web { is_refused, setting: Some(_), .. } if *is_refused == refused),
                "{endpoint:?}"
            );
            let found = kms.credentials(&key("k"), &Nowhere).await;
            assert_eq!(found.summary.contains("none are sent"), gets_none, "{url}");
        }
    }

    /// No metadata server answers.
    struct Nowhere;

    #[async_trait]
    impl Web for Nowhere {
        async fn get(&self, _: &str, _: (&'static str, &'static str)) -> Option<String> {
            None
        }

        async fn answers(&self, _: &str) -> bool {
            false
        }
    }
}
