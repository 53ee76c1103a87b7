//! The vendors' libraries in this process.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    error::Failure,
    gate::{Gate, Generation},
    handles::Handles,
    login::Logins,
    threads,
};
use temporal_kms::{FailureCause, ProviderErrorKind as Kind};

/// PKCS#11 allows one `C_Initialize` per process, so a module stays loaded until the process ends.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

/// One thread at a time loads modules, so modules that hang block only one thread.
static LOADING: Semaphore = Semaphore::const_new(1);

/// Libraries of network HSMs connect during initialization.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A vendor's library, loaded and initialized.
pub(super) struct Module {
    pub(super) library: Pkcs11,
    pub(super) gate: Gate,
    pub(super) handles: Handles,
    pub(super) logins: Logins,
    file: ModuleFile,
}

impl Module {
    /// The module at `path`. The first call loads it.
    pub(super) async fn load(path: &Path) -> Result<Arc<Self>, Failure> {
        let path = path.canonicalize().map_err(|_| {
            Failure::misconfigured(
                format!("there is no PKCS#11 module {}", path.display()),
                "correct the path in PKCS11_MODULE, pkcs11_module or module-path",
            )
            .because(FailureCause::Module)
        })?;
        let known = MODULES.lock().get(&path).cloned();
        if let Some(module) = known {
            if module.file.has_changed(&path) {
                tracing::warn!(
                    module = %path.display(),
                    "the file of the PKCS#11 module has changed; restart the process to load it"
                );
            }
            return Ok(module);
        }
        let loaded = async {
            let permit = LOADING.acquire().await;
            threads::run(permit, move || Self::load_now(path)).await
        };
        timeout(LOAD_TIMEOUT, loaded).await.unwrap_or_else(|_| {
            Err(Failure::new(
                Kind::Unavailable,
                "the PKCS#11 module was not ready within 30 seconds",
            ))
        })
    }

    /// Runs on the one thread that loads modules.
    fn load_now(path: PathBuf) -> Result<Arc<Self>, Failure> {
        if let Some(module) = MODULES.lock().get(&path) {
            return Ok(module.clone());
        }
        let module = Arc::new(Self {
            file: ModuleFile::new(&path),
            library: Pkcs11::new(&path)?,
            gate: Gate::default(),
            handles: Handles::default(),
            logins: Logins::default(),
        });
        module.initialize()?;
        MODULES.lock().insert(path, module.clone());
        Ok(module)
    }

    /// Initializes the library, unless it is initialized already.
    pub(super) fn initialize(&self) -> Result<(), Failure> {
        match self.begin() {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Finalizes and initializes the library after a call that failed in generation `failed`, if `permitted`. Returns
    /// whether that call may succeed now.
    pub(super) fn restart(&self, failed: Generation, permitted: impl FnOnce() -> bool) -> bool {
        self.gate.restart(failed, permitted, || {
            // A library that cannot be finalized is not initialized either, or reports an error below.
            let _ = self.library.clone().finalize();
            let begun = self.begin();
            match &begun {
                Ok(()) => tracing::info!("initialized the PKCS#11 module again"),
                Err(error) => {
                    tracing::warn!(%error, "the PKCS#11 module could not be initialized again");
                }
            }
            begun.is_ok()
        })
    }

    fn begin(&self) -> Result<(), Error> {
        let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        self.library.initialize(threads)
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").finish_non_exhaustive()
    }
}

/// When the file of a module was written, as it was when it was last looked at.
struct ModuleFile(Mutex<Option<SystemTime>>);

impl ModuleFile {
    fn new(path: &Path) -> Self {
        Self(Mutex::new(Self::written(path)))
    }

    /// Whether the file has changed since the last look.
    fn has_changed(&self, path: &Path) -> bool {
        let now = Self::written(path);
        std::mem::replace(&mut *self.0.lock(), now) != now
    }

    fn written(path: &Path) -> Option<SystemTime> {
        path.metadata().and_then(|file| file.modified()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_replaced_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("module.so");
        let written = std::fs::File::create(&path).unwrap();
        let file = ModuleFile::new(&path);
        assert!(!file.has_changed(&path));
        written.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(file.has_changed(&path));
        assert!(!file.has_changed(&path));
    }
}
