//! What the tests of the provider share.

use std::{collections::BTreeMap, sync::Arc};

use dev_servers::ask_python;
use fake_cloud_kms::{Emulator, Fault, Options};
use serde_json::Value;
use temporal_kms_codec::{
    Codec, EncryptionContext, Format, KeyUri, Namespace,
    kms::{
        CallPolicy, KeyAdmin, KeyProvider, KeyPurpose, KeySpec, Kms, ProviderError,
        ProviderErrorKind as Kind, Signer,
        gcp::{GcpKms, GcpOptions},
    },
};

/// A running emulator, and how this library reaches it.
pub(crate) struct Cloud {
    pub(crate) emulator: Emulator,
    pub(crate) options: Kms,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let options = options(&emulator.url());
        Self { emulator, options }
    }

    /// A new key, ready to be used.
    pub(crate) async fn key(&self, name: &str) -> Arc<dyn KeyProvider> {
        self.create(name, KeySpec::default()).await;
        self.open(name).await
    }

    /// A new signing key.
    pub(crate) async fn signer(&self, name: &str) -> Arc<dyn Signer> {
        let purpose = KeyPurpose::SignP256;
        let spec = KeySpec::default().with_purpose(purpose);
        self.create(name, spec).await;
        self.options.signer(&uri(name)).await.unwrap()
    }

    pub(crate) async fn create(&self, name: &str, spec: KeySpec) {
        self.admin().await.create(&uri(name), &spec).await.unwrap();
    }

    pub(crate) async fn open(&self, name: &str) -> Arc<dyn KeyProvider> {
        self.options.key(&uri(name)).await.unwrap()
    }

    pub(crate) async fn admin(&self) -> Arc<dyn KeyAdmin> {
        self.options.admin(&uri("any")).await.unwrap()
    }

    pub(crate) fn misbehave(&self, fault: &str) {
        self.emulator.set_faults([fault.parse::<Fault>().unwrap()]);
    }

    pub(crate) fn behave(&self) {
        self.emulator.set_faults([]);
    }
}

pub(crate) fn options(url: &str) -> Kms {
    Kms::builder()
        .with_service(GcpKms::new(GcpOptions::default().with_endpoint(url)))
        .calls(CallPolicy::once())
        .build()
}

pub(crate) fn uri(name: &str) -> KeyUri {
    let uri = format!("gcp-kms://projects/p/locations/global/keyRings/temporal/cryptoKeys/{name}");
    uri.parse().unwrap()
}

pub(crate) fn codec(key: Arc<dyn KeyProvider>, format: Format) -> Codec {
    Codec::builder(Namespace::new("default").unwrap())
        .encrypt_with(key)
        .format(format)
        .build()
        .unwrap()
}

pub(crate) fn context(namespace: &str) -> EncryptionContext {
    let pairs = [("namespace".to_owned(), namespace.to_owned())];
    EncryptionContext::new(BTreeMap::from(pairs)).unwrap()
}

/// The kind of a failure, whose text must say once what to do, and hold nothing that the service answered.
#[track_caller]
pub(crate) fn kind<T>(result: Result<T, ProviderError>) -> Kind {
    let error = result.map(|_| ()).unwrap_err();
    let text = format!("{error} {error:?}");
    for word in [
        "Quota exceeded",
        "html",
        "current state is",
        "Decryption failed",
        "denied on",
    ] {
        assert!(!text.contains(word), "{text}");
    }
    assert!(text.contains("cryptoKeys/"), "it names the key: {text}");
    assert_eq!(error.to_string().matches("; ").count(), 1, "{error}");
    error.kind()
}

/// Asks `google_kms.py`, Google's own Python client, for one thing. `TKC_PYTHON` names a Python that has the packages of
/// `tests/interop/requirements.txt`.
pub(crate) async fn google(request: Value) -> Value {
    // The emulator goes on in this runtime meanwhile.
    let asked = tokio::task::spawn_blocking(move || ask_python("google_kms.py", &request));
    asked.await.unwrap()
}
