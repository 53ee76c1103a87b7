//! A `SoftHSM` token for one test, in a process of its own.
//!
//! `SoftHSM` finds its folder through `SOFTHSM2_CONF`, and a process loads it once. So a test runs itself
//! again as a child that has a folder of its own, and restarts its token without disturbing others.

use std::{
    env, fs,
    future::Future,
    path::{Path, PathBuf},
    process::Command,
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    object::{Attribute, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};
use temporal_kms_codec::{
    KeyUri,
    kms::pkcs11::{PinSource, Pkcs11Options},
};

use crate::tool;

/// What a child finds its folder by.
const FOLDER: &str = "TKC_SOFTHSM_FOLDER";
/// What a child of the child is to make, as `TOKEN/KEY`.
const MAKE: &str = "TKC_SOFTHSM_MAKE";
const CONFIGURATION: &str = "softhsm2.conf";
const TOKENS: &str = "tokens";
const TOKEN: &str = "tests";
const PIN_FILE: &str = "pin";
const OFFICER_PIN: &str = "93710284";

/// The token of one test.
pub struct SoftHsm {
    folder: PathBuf,
    library: Pkcs11,
}

/// Runs the test whose body `test` is in a process of its own with a new token. Its
/// `TEMPORAL_CODEC_KEY` names the key `k` of it.
///
/// # Panics
/// When the test fails.
pub fn isolated<T, F>(test: T)
where
    T: FnOnce(SoftHsm) -> F,
    F: Future<Output = ()>,
{
    isolated_as(std::any::type_name::<T>(), test);
}

/// As [`isolated`], for a body that is called by the test's own: `body` is the type's name of a closure in the test.
///
/// # Panics
/// As [`isolated`].
pub fn isolated_as<T, F>(body: &str, test: T)
where
    T: FnOnce(SoftHsm) -> F,
    F: Future<Output = ()>,
{
    if let Ok(made) = env::var(MAKE) {
        return make(&made);
    }
    if let Some(folder) = env::var_os(FOLDER) {
        return tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(test(SoftHsm::new(folder.into())));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join(TOKENS);
    fs::create_dir(&tokens).expect("a folder for tokens");
    let configuration = folder.path().join(CONFIGURATION);
    let content = format!(
        "directories.tokendir = {}\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&configuration, content).expect("a configuration");

    // PROGRAM::MODULES::TEST::{{closure}}
    let name = body
        .split_once("::")
        .and_then(|(_, rest)| rest.rsplit_once("::"));
    let (name, _) = name.expect("the body is a closure in a test");
    let output = Command::new(env::current_exe().expect("this program"))
        .args([name, "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", configuration)
        .env(FOLDER, folder.path())
        .env("TEMPORAL_CODEC_KEY", configured_key(folder.path()))
        .output()
        .expect("this program runs again");
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let passed = output.status.success() && out.contains("1 passed");
    assert!(passed, "{name} in a process of its own:\n{out}\n{err}");
}

impl SoftHsm {
    /// The PIN of the token's user: long enough to be searched for.
    pub const PIN: &str = "6482197350";

    fn new(folder: PathBuf) -> Self {
        let library = Pkcs11::new(tool("TKC_SOFTHSM")).expect("SoftHSM loads");
        let this = Self { folder, library };
        this.initialize();
        make_token(&this.library, TOKEN);
        this.write_pin(Self::PIN);
        this
    }

    /// Lets another process make a token with an AES key, and returns the token's folder. This process learns of it when
    /// it initializes the module.
    ///
    /// # Panics
    /// The other process fails.
    #[expect(clippy::must_use_candidate, reason = "most tests need the token only")]
    pub fn made_elsewhere(&self, token: &str, key: &str) -> PathBuf {
        let before = self.token_folders();
        let output = Command::new(env::current_exe().expect("this program"))
            .args(env::args().skip(1))
            .env(MAKE, format!("{token}/{key}"))
            .output()
            .expect("this program runs again");
        assert!(output.status.success(), "{output:?}");
        let mut new = self.token_folders();
        new.retain(|folder| !before.contains(folder));
        new.pop().expect("a new token")
    }

    /// The folders of all tokens; that of the test's own is the only one at first.
    ///
    /// # Panics
    /// The system refuses it.
    #[must_use]
    pub fn token_folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.join(TOKENS)).expect("the tokens");
        entries
            .map(|entry| entry.expect("a token").path())
            .collect()
    }

    /// Lets every further call that asks for a key hang: its file becomes a pipe that nobody writes to.
    ///
    /// # Panics
    /// The system refuses it.
    pub fn hang(&self) {
        for token in self.token_folders() {
            for entry in fs::read_dir(token).expect("a token") {
                let path = entry.expect("a file").path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "object")
                {
                    fs::remove_file(&path).expect("removed");
                    let made = Command::new("mkfifo").arg(&path).status();
                    assert!(made.expect("mkfifo runs").success());
                }
            }
        }
    }

    /// Takes a token away; what is returned brings it back.
    ///
    /// # Panics
    /// The system refuses it.
    pub fn take_away(&self, token: &Path) -> impl FnOnce() + use<> {
        let (token, away) = (token.to_owned(), self.folder.join("away"));
        fs::rename(&token, &away).expect("the token can be moved");
        move || fs::rename(away, token).expect("the token can be moved back")
    }

    /// The name of a key of the token.
    #[must_use]
    pub fn key(&self, label: &str) -> KeyUri {
        let uri = format!("pkcs11:token={TOKEN};object={label}");
        uri.parse().expect("a key")
    }

    /// How the token is reached.
    #[must_use]
    pub fn options(&self) -> Pkcs11Options {
        Pkcs11Options::default()
            .with_module(tool("TKC_SOFTHSM"))
            .with_pin(PinSource::File(self.pin_file()))
    }

    /// How other programs reach the token.
    ///
    /// # Panics
    /// A path is not UTF-8.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| {
            path.into_os_string()
                .into_string()
                .expect("a path in UTF-8")
        };
        vec![
            ("SOFTHSM2_CONF", text(self.folder.join(CONFIGURATION))),
            ("PKCS11_MODULE", text(tool("TKC_SOFTHSM"))),
            ("PKCS11_PIN_FILE", text(self.pin_file())),
        ]
    }

    /// Removes the token for good, also for programs that look for it now.
    ///
    /// # Panics
    /// The system refuses it.
    pub fn unplug(&self) {
        let tokens = self.folder.join(TOKENS);
        fs::rename(&tokens, tokens.with_extension("unplugged")).expect("the tokens can be moved");
    }

    /// The file that the options name.
    #[must_use]
    pub fn pin_file(&self) -> PathBuf {
        self.folder.join(PIN_FILE)
    }

    /// Writes another PIN into the file; `None` the right one.
    pub fn write_wrong_pin(&self, wrong: Option<&str>) {
        self.write_pin(wrong.unwrap_or(Self::PIN));
    }

    /// What an outage does: every session and login ends, and nothing is initialized until `initialize`.
    pub fn stop(&self) {
        self.library.clone().finalize().expect("SoftHSM stops");
    }

    /// Makes it usable again, as another user of the module in the process would.
    pub fn initialize(&self) {
        let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        self.library.initialize(threads).expect("SoftHSM starts");
    }

    /// A session of another user of the module in this process, logged in.
    #[must_use]
    pub fn session(&self) -> Session {
        let session = self
            .library
            .open_rw_session(self.slot())
            .expect("a session");
        match session.login(UserType::User, Some(&AuthPin::from(Self::PIN.to_owned()))) {
            Ok(())
            | Err(cryptoki::error::Error::Pkcs11(
                cryptoki::error::RvError::UserAlreadyLoggedIn,
                _,
            )) => session,
            Err(error) => panic!("no login: {error}"),
        }
    }

    /// The objects of a class with a label.
    #[must_use]
    pub fn objects(session: &Session, class: ObjectClass, label: &str) -> Vec<ObjectHandle> {
        let template = [Attribute::Class(class), Attribute::Label(label.into())];
        session.find_objects(&template).expect("objects")
    }

    fn slot(&self) -> Slot {
        slot(&self.library, TOKEN)
    }

    fn write_pin(&self, pin: &str) {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut file = fs::File::options();
        let file = file.create(true).truncate(true).write(true).mode(0o600);
        let mut file = file.open(self.pin_file()).expect("a PIN file");
        std::io::Write::write_all(&mut file, format!("{pin}\n").as_bytes()).expect("written");
    }
}

/// Makes a token in the free slot, with the tests' PIN.
fn make_token(library: &Pkcs11, label: &str) {
    let slots = library.get_slots_with_token().expect("slots");
    let is_free = |slot: &Slot| {
        let info = library.get_token_info(*slot);
        info.is_ok_and(|info| !info.token_initialized())
    };
    let free = slots.into_iter().find(is_free).expect("a free slot");
    let officer = AuthPin::from(OFFICER_PIN.to_owned());
    library.init_token(free, &officer, label).expect("a token");
    let session = library
        .open_rw_session(slot(library, label))
        .expect("a session");
    session
        .login(UserType::So, Some(&officer))
        .expect("the officer logs in");
    session
        .init_pin(&AuthPin::from(SoftHsm::PIN.to_owned()))
        .expect("a PIN");
    session.logout().expect("the officer logs out");
}

fn slot(library: &Pkcs11, label: &str) -> Slot {
    let slots = library.get_slots_with_token().expect("slots");
    let is_it = |slot: &Slot| {
        let info = library.get_token_info(*slot);
        info.is_ok_and(|info| info.label() == label)
    };
    slots.into_iter().find(is_it).expect("the token")
}

/// What a child of the child does: `TOKEN/KEY`.
fn make(made: &str) {
    let (token, key) = made.split_once('/').expect("TOKEN/KEY");
    let library = Pkcs11::new(tool("TKC_SOFTHSM")).expect("SoftHSM loads");
    let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    library.initialize(threads).expect("SoftHSM starts");
    make_token(&library, token);
    let session = library
        .open_rw_session(slot(&library, token))
        .expect("a session");
    session
        .login(
            UserType::User,
            Some(&AuthPin::from(SoftHsm::PIN.to_owned())),
        )
        .expect("a login");
    let template = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::ValueLen(32.into()),
        Attribute::Label(key.into()),
        Attribute::Id(b"elsewhere".to_vec()),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
    ];
    session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .expect("a key");
}

/// A key `k` as a configuration may name it: its attributes in any order, and how the token is reached.
fn configured_key(folder: &Path) -> String {
    let (pin, module) = (folder.join(PIN_FILE), tool("TKC_SOFTHSM"));
    let (pin, module) = (pin.display(), module.display());
    format!("pkcs11:object=k;token={TOKEN}?pin-source=file:{pin}&module-path={module}")
}
