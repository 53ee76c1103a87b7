//! What local keys can tell a person who looks for a fault.

use async_trait::async_trait;
use temporal_kms::{
    Advice, CredentialsFound, Diagnose, Endpoint, KeyUri, Operation, ProviderError,
    ProviderErrorKind as Kind, Web, support::shell_path,
};

use super::LocalKms;

#[async_trait]
impl Diagnose for LocalKms {
    async fn credentials(&self, _key: &KeyUri, _web: &dyn Web) -> CredentialsFound {
        match &self.options().keyring {
            Some(folder) => CredentialsFound::new(format!(
                "none are needed; the keyring is the folder {}",
                folder.display()
            )),
            None => CredentialsFound::missing_setting("no folder of local keys is named"),
        }
    }

    fn credentials_remedy(&self, _: &KeyUri, _: bool, _: &CredentialsFound) -> String {
        "set TEMPORAL_CODEC_KEYRING, or local_keyring in [keys], to the folder of the keys"
            .to_owned()
    }

    fn permission_remedy(&self, _: &KeyUri, _: Operation, _: &CredentialsFound) -> String {
        "let this user read the keyset's file and its folder: chown and chmod 600 it".to_owned()
    }

    fn endpoint(&self, _key: &KeyUri) -> Endpoint {
        Endpoint::NotWeb {
            reason: "does not apply: a local key is a file",
            answers: None,
        }
    }

    /// An error of a file says what is wrong, and what to do about it.
    fn explain(&self, _key: &KeyUri, error: &ProviderError) -> Option<Advice> {
        if error.kind() != Kind::Misconfigured {
            return None;
        }
        Some(Advice::new(error.what_happened(), error.remedy()))
    }

    /// `None` where the folder exists.
    fn missing_place(&self, _key: &KeyUri) -> Option<Advice> {
        let folder = self.options().keyring.as_deref()?;
        (!folder.exists()).then(|| {
            Advice::new(
                format!("no keyring {}", folder.display()),
                "correct the name of the folder, or create it with its key",
            )
        })
    }

    fn unknown_age(&self) -> &'static str {
        "its age is not known: a Tink keyset keeps no time"
    }

    fn arguments(&self) -> String {
        match &self.options().keyring {
            Some(folder) => format!(" --keyring {}", shell_path(folder)),
            None => String::new(),
        }
    }
}
