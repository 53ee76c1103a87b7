use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
};
use parking_lot::Mutex;

use super::{error::Failure, options::Pkcs11Options, pin::PinSource, token::Token};
use crate::{
    key_uri::pkcs11::Pkcs11Path,
    kms::{Cause, ProviderErrorKind as Kind},
};

/// PKCS#11 allows one `C_Initialize` for each process, so a module stays loaded until the process ends.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

/// One vendor's library, loaded and initialized.
pub(super) struct Module {
    pub(super) library: Pkcs11,
    /// The tokens in use: keys of one token share its sessions.
    tokens: Mutex<Vec<Weak<Token>>>,
}

impl Module {
    /// The module at `path`, loaded by the first call.
    pub(super) fn load(path: &Path) -> Result<Arc<Self>, Failure> {
        let path = path.canonicalize().map_err(|_| {
            Failure::new(
                Kind::Misconfigured,
                format!("there is no PKCS#11 module {}", path.display()),
            )
            .because(Cause::Module)
        })?;
        let mut modules = MODULES.lock();
        if let Some(module) = modules.get(&path) {
            return Ok(module.clone());
        }
        let module = Arc::new(Self {
            library: Pkcs11::new(&path)?,
            tokens: Mutex::default(),
        });
        module.initialize()?;
        modules.insert(path, module.clone());
        Ok(module)
    }

    /// Initializes the library, unless it is.
    pub(super) fn initialize(&self) -> Result<(), Failure> {
        let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        match self.library.initialize(threads) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The token that `path` names, reached with `pin`.
    pub(super) fn token(
        self: &Arc<Self>,
        path: &Pkcs11Path,
        pin: Option<PinSource>,
        options: &Pkcs11Options,
    ) -> Arc<Token> {
        let mut tokens = self.tokens.lock();
        tokens.retain(|token| token.strong_count() > 0);
        let known = tokens
            .iter()
            .filter_map(Weak::upgrade)
            .find(|token| token.is(path, pin.as_ref()));
        known.unwrap_or_else(|| {
            let token = Arc::new(Token::new(self.clone(), path, pin, options));
            tokens.push(Arc::downgrade(&token));
            token
        })
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").finish_non_exhaustive()
    }
}
