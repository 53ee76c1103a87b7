//! Opening keys of tokens.

use std::sync::Arc;

use super::{
    admin::Pkcs11Admin, module::Module, object::ObjectName, options::Pkcs11Options,
    provider::Pkcs11Key, signer::Pkcs11SigningKey, token::Token,
};
use crate::{
    KeyUri,
    key_uri::pkcs11::Pkcs11Path,
    kms::{
        Cause, KeyAdmin, KeyProvider, KeyPurpose, ProviderError, ProviderErrorKind as Kind, Signer,
    },
};

pub(in crate::kms) async fn open(
    uri: &KeyUri,
    options: &Pkcs11Options,
) -> Result<Arc<dyn KeyProvider>, ProviderError> {
    let (path, token) = reach(uri, options).await?;
    let name = ObjectName::of(&path, KeyPurpose::Encrypt).map_err(|error| error.for_key(uri))?;
    Ok(Arc::new(Pkcs11Key::new(uri.clone(), name, token)))
}

pub(in crate::kms) async fn open_signer(
    uri: &KeyUri,
    options: &Pkcs11Options,
) -> Result<Arc<dyn Signer>, ProviderError> {
    let (path, token) = reach(uri, options).await?;
    let name = ObjectName::of(&path, KeyPurpose::SignP256).map_err(|error| error.for_key(uri))?;
    Ok(Arc::new(Pkcs11SigningKey::new(uri.clone(), name, token)))
}

pub(in crate::kms) async fn open_admin(
    uri: &KeyUri,
    options: &Pkcs11Options,
) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
    let (_, token) = reach(uri, options).await?;
    Ok(Arc::new(Pkcs11Admin::new(token)))
}

async fn reach(
    uri: &KeyUri,
    options: &Pkcs11Options,
) -> Result<(Pkcs11Path, Arc<Token>), ProviderError> {
    let misconfigured =
        |detail: &'static str| ProviderError::new(Kind::Misconfigured, uri).with_detail(detail);
    let path = Pkcs11Path::parse(uri.resource()).map_err(misconfigured)?;
    let access = options.access(uri);
    let module = access.module.ok_or_else(|| {
        misconfigured("name the token's PKCS#11 module: PKCS11_MODULE, or module-path in the configuration's URI")
            .with_cause(Cause::Module)
    })?;
    let module = Module::load(&module)
        .await
        .map_err(|failure| failure.for_key(uri))?;
    let token = module.token(&path, access.pin, options);
    Ok((path, token))
}
