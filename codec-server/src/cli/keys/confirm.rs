//! The question before a change that cannot be undone, or that stops a key's work.

use std::io::{IsTerminal as _, Write as _};

use temporal_kms_codec::kms::{KeyAdmin, KeyPurpose, Kms, ProviderErrorKind};

use super::{
    super::exit::{Failure, Status},
    arguments::Target,
    missing::failure,
};

/// What a change means for a key's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    UntilEnabled,
    ForEver,
}

/// Asks for confirmation, and says what is lost for this kind of key.
pub(super) async fn confirm_loss(
    admin: &dyn KeyAdmin,
    target: &Target,
    loss: Loss,
    kms: &Kms,
) -> Result<(), Failure> {
    let will = match loss {
        Loss::UntilEnabled => "will be disabled",
        Loss::ForEver => "will be destroyed",
    };
    can_ask(&format!("{} {will}", subject(target)))?;
    let purpose = match admin.details(&target.key).await {
        Ok(details) => Some(details.purpose),
        // The caller may change the key but not read it.
        Err(error) if error.kind() == ProviderErrorKind::PermissionDenied => None,
        Err(error) => return Err(failure(error, kms)),
    };
    let consequence = consequence(purpose, loss);
    ask(&format!("{} {will}; {consequence}", subject(target)))
}

fn consequence(purpose: Option<KeyPurpose>, loss: Loss) -> &'static str {
    match (purpose, loss) {
        (Some(KeyPurpose::Encrypt), Loss::UntilEnabled) => {
            "what it encrypted cannot be decrypted until it is enabled again"
        }
        (Some(KeyPurpose::Encrypt), Loss::ForEver) => "everything that it encrypted is lost then",
        (Some(_), Loss::UntilEnabled) => {
            "it cannot sign, and its public key cannot be fetched, until it is enabled again"
        }
        (Some(_), Loss::ForEver) => {
            "it will never sign again; keep its public key to verify what it signed"
        }
        (None, Loss::UntilEnabled) => "nothing can be done with it until it is enabled again",
        (None, Loss::ForEver) => {
            "it can never be used again, and everything that it encrypted is lost then"
        }
    }
}

/// A key, or one of its versions, in a sentence.
pub(super) fn subject(target: &Target) -> String {
    match &target.version {
        Some(version) => format!("version {version} of {}", target.key),
        None => target.key.to_string(),
    }
}

/// Fails without a terminal to ask at.
fn can_ask(what: &str) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    Err(Failure::new(
        Status::Usage,
        format_args!("{what}: there is no terminal to ask at; add --yes to do it"),
    ))
}

/// Asks the person at the terminal before `what` is done.
fn ask(what: &str) -> Result<(), Failure> {
    let _ = write!(std::io::stderr(), "{what}. Type `yes` to go on: ");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::io("stdin", &error))?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::new(Status::Usage, "nothing was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_keys_are_not_said_to_decrypt() {
        for loss in [Loss::UntilEnabled, Loss::ForEver] {
            for purpose in [KeyPurpose::SignP256, KeyPurpose::SignEd25519] {
                let text = consequence(Some(purpose), loss);
                assert!(text.contains("sign") && !text.contains("crypt"), "{text}");
            }
            let text = consequence(Some(KeyPurpose::Encrypt), loss);
            assert!(text.contains("encrypted"), "{text}");
        }
    }
}
