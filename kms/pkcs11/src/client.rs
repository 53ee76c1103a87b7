//! Opens keys of tokens.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{
    admin::Pkcs11Admin, credentials::PinSource, error::Failure, module::Module, object::ObjectName,
    provider::Pkcs11Key, settings::Pkcs11Options, signer::Pkcs11SigningKey, token::Token,
};
use temporal_kms::{
    FailureCause, KeyAdmin, KeyProvider, KeyPurpose, KeyUri, ProviderError, Signer,
    support::Pkcs11Path,
};

/// The tokens in use. A token limits the sessions of the whole process, and a login holds for the whole process
/// (`ulMaxSessionCount` and `C_Login` in PKCS #11 v3.1). So keys with the same settings share sessions, whichever
/// [`Pkcs11Kms`] opened them.
static TOKENS: Mutex<Vec<Weak<Token>>> = Mutex::new(Vec::new());

/// PKCS#11 tokens with the settings of one caller. The keys of one token share its sessions within the process, where all
/// their settings are the same.
#[derive(Clone, Debug, Default)]
pub struct Pkcs11Kms {
    options: Arc<Pkcs11Options>,
}

impl Pkcs11Kms {
    /// Tokens with these options. No module is loaded yet.
    #[must_use]
    pub fn new(options: Pkcs11Options) -> Self {
        Self {
            options: Arc::new(options),
        }
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &Pkcs11Options {
        &self.options
    }

    /// A key to wrap data keys with.
    ///
    /// # Errors
    /// When the key's name is not valid, or the module cannot be loaded.
    pub async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        let (path, token) = reach(uri, &self.options).await?;
        let name =
            ObjectName::of(&path, KeyPurpose::Encrypt).map_err(|error| error.for_key(uri))?;
        Ok(Arc::new(Pkcs11Key::new(uri.clone(), name, token)))
    }

    /// A key to sign with.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub async fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        let (path, token) = reach(uri, &self.options).await?;
        let name =
            ObjectName::of(&path, KeyPurpose::SignP256).map_err(|error| error.for_key(uri))?;
        Ok(Arc::new(Pkcs11SigningKey::new(uri.clone(), name, token)))
    }

    /// Opens key management of the token that `uri` names. The key itself need not exist.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub async fn admin(&self, uri: &KeyUri) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        let (_, token) = reach(uri, &self.options).await?;
        Ok(Arc::new(Pkcs11Admin::new(token)))
    }
}

async fn reach(
    uri: &KeyUri,
    options: &Pkcs11Options,
) -> Result<(Pkcs11Path, Arc<Token>), ProviderError> {
    let path = Pkcs11Path::parse(uri.resource());
    let path = path.map_err(|reason| Failure::malformed(reason).for_key(uri))?;
    let access = options.access(uri);
    let module = access.module.ok_or_else(|| {
        Failure::misconfigured(
            "no PKCS#11 module of the token is named",
            "set PKCS11_MODULE, or module-path in the configuration's URI",
        )
        .because(FailureCause::Module)
        .for_key(uri)
    })?;
    let module = Module::load(&module)
        .await
        .map_err(|failure| failure.for_key(uri))?;
    let token = token(&module, &path, access.pin, options);
    Ok((path, token))
}

/// The token of `module` that `path` names, with the login `pin`.
fn token(
    module: &Arc<Module>,
    path: &Pkcs11Path,
    pin: Option<PinSource>,
    options: &Pkcs11Options,
) -> Arc<Token> {
    let mut tokens = TOKENS.lock();
    tokens.retain(|token| token.strong_count() > 0);
    let known = tokens
        .iter()
        .filter_map(Weak::upgrade)
        .find(|token| token.is(module, path, pin.as_ref(), options));
    known.unwrap_or_else(|| {
        let token = Arc::new(Token::new(module.clone(), path, pin, options));
        tokens.push(Arc::downgrade(&token));
        token
    })
}
