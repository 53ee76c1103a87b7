//! The value, with the services of this build and with one of another crate.

use async_trait::async_trait;
use temporal_kms::support::aead::{Aes256Gcm, NONCE_LEN};
use zeroize::Zeroizing;

use super::*;
use crate::{
    Codec, EncryptionContext, Format, Namespace, Payload,
    kms::{Protection, SettingKind, SettingRow, SettingTable, UsableKey, Variables},
};

/// A key service as another crate would have it. Its keys live in memory.
#[derive(Debug, Default)]
struct MemoryKms {
    master: Option<String>,
}

const SETTINGS: SettingTable<MemoryKms> = SettingTable(&[SettingRow::new(
    Setting::new("memory_master", SettingKind::Text, "The master secret.")
        .variables(&["MEMORY_MASTER"])
        .flag("memory-master", "TEXT")
        .example("\"m\""),
    |service, value| service.master = value.into_text(),
)]);

fn memory() -> Scheme {
    Scheme::new("memory").unwrap()
}

#[async_trait]
impl KeyService for MemoryKms {
    fn scheme(&self) -> Scheme {
        memory()
    }

    fn settings(&self) -> Vec<&'static Setting> {
        SETTINGS.settings()
    }

    fn with_variables(
        &self,
        variable: Variables<'_>,
    ) -> Result<Option<Arc<dyn KeyService>>, ConfigurationError> {
        let mut service = Self::default();
        SETTINGS.read_variables(&mut service, variable)?;
        Ok(Some(Arc::new(service)))
    }

    fn with_setting(&self, name: &str, value: SettingValue) -> Option<Arc<dyn KeyService>> {
        let mut service = Self::default();
        SETTINGS
            .set(&mut service, name, value)
            .then(|| -> Arc<dyn KeyService> { Arc::new(service) })
    }

    async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        Ok(Arc::new(MemoryKey(uri.clone())))
    }
}

#[derive(Debug)]
struct MemoryKey(KeyUri);

#[async_trait]
impl KeyProvider for MemoryKey {
    fn uri(&self) -> &KeyUri {
        &self.0
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        let mut sealed = plaintext.to_vec();
        Aes256Gcm::new(&[7; 32])
            .seal([0; NONCE_LEN], context.as_bytes(), &mut sealed, 0)
            .unwrap();
        Ok(sealed)
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let mut buffer = sealed.to_vec();
        let cipher = Aes256Gcm::new(&[7; 32]);
        let opened = cipher.open([0; NONCE_LEN], context.as_bytes(), &mut buffer);
        let refused = || ProviderError::new(ProviderErrorKind::InvalidCiphertext, &self.0);
        Ok(Zeroizing::new(opened.map_err(|_| refused())?.to_vec()))
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        Ok(UsableKey::new(self.0.clone(), "1", Protection::Software))
    }
}

#[tokio::test]
async fn a_service_of_another_crate_encrypts_payloads() {
    let kms = Kms::builder().with_service(MemoryKms::default()).build();
    let key = kms.key(&"memory://payloads".parse().unwrap()).await;
    let codec = Codec::builder(Namespace::new("default").unwrap())
        .encrypt_with(key.unwrap())
        .build()
        .unwrap();
    let payload = Payload {
        data: b"\"secret\"".to_vec(),
        ..Payload::default()
    };
    let sealed = codec.encode(vec![payload.clone()]).await.unwrap();
    assert_eq!(sealed[0].metadata["kms-key"], b"memory://payloads");
    assert_eq!(codec.decode(sealed).await.unwrap(), [payload]);
    let counted = kms.metrics().snapshot();
    assert_eq!(counted[0].0.scheme(), memory(), "its calls are counted");
}

#[tokio::test]
async fn direct_mode_is_refused_where_nothing_would_mark_its_payloads() {
    let kms = Kms::builder().with_service(MemoryKms::default()).build();
    let key = kms.key(&"memory://payloads".parse().unwrap()).await;
    let built = Codec::builder(Namespace::new("default").unwrap())
        .encrypt_with(key.unwrap())
        .format(Format::Direct)
        .build();
    let error = built.unwrap_err().to_string();
    assert!(error.contains("memory://payloads"), "{error}");
}

#[test]
fn the_settings_of_another_crates_service_are_read_like_all_others() {
    let variable = |name: &str| (name == "MEMORY_MASTER").then(|| "m".to_owned());
    let builder = Kms::builder().with_service(MemoryKms::default());
    let mut kms = builder.variables(&variable).unwrap().build();
    let master = |kms: &Kms| kms.get::<MemoryKms>().unwrap().master.clone();
    assert_eq!(master(&kms).as_deref(), Some("m"));
    let value = SettingValue::Text("n".to_owned());
    kms.set("memory_master", value.clone()).unwrap();
    assert_eq!(master(&kms).as_deref(), Some("n"));
    assert!(kms.settings().iter().any(|s| s.name() == "memory_master"));
    assert!(kms.set("memory_slave", value).is_err());
}

#[tokio::test]
async fn a_key_of_no_service_is_refused_with_the_services_that_there_are() {
    let kms = Kms::default();
    let uri: KeyUri = "memory://payloads".parse().unwrap();
    let services: Vec<_> = kms
        .services()
        .map(|service| service.scheme().to_string())
        .collect();
    let expected = match services.as_slice() {
        [] => "this build has no key service".to_owned(),
        services => format!("but for {}", services.join(", ")),
    };
    let errors = [
        kms.key(&uri).await.err(),
        kms.signer(&uri).await.err(),
        kms.admin(&uri).await.err(),
    ];
    for error in errors {
        let error = error.unwrap().to_string();
        assert!(error.contains(&expected), "{error}");
    }
    assert!(kms.check_key(&uri).is_err());
    let mut kms = kms;
    assert!(kms.read_key("memory://payloads").is_err());
    assert!(kms.read_key("locl://a").is_err());
}

#[tokio::test]
async fn a_service_without_signing_keys_and_administration_says_so() {
    let kms = Kms::builder().with_service(MemoryKms::default()).build();
    let uri: KeyUri = "memory://payloads".parse().unwrap();
    let errors = [kms.signer(&uri).await.err(), kms.admin(&uri).await.err()];
    for error in errors {
        assert_eq!(error.unwrap().kind(), ProviderErrorKind::Unsupported);
    }
}

#[cfg(feature = "local")]
#[test]
fn a_changed_setting_leaves_the_other_services_as_they_are() {
    let kms = Kms::builder().with_service(MemoryKms::default()).build();
    let other = kms.to_builder().local_keyring("/keys").build();
    let folder = |kms: &Kms| kms.local_keyring().map(std::path::Path::to_owned);
    assert_eq!(folder(&kms), None);
    assert_eq!(folder(&other).as_deref(), Some("/keys".as_ref()));
    let shared = |kms: &Kms| Arc::as_ptr(kms.service(memory()).unwrap());
    assert!(std::ptr::addr_eq(shared(&kms), shared(&other)));
}

#[test]
fn no_two_settings_have_one_name() {
    let mut names: Vec<_> = Kms::default().settings();
    names.sort_by_key(|setting| setting.name());
    names.dedup_by_key(|setting| setting.name());
    assert_eq!(names.len(), Kms::default().settings().len());
}

#[cfg(feature = "gcp-kms")]
#[tokio::test]
async fn limits_of_zero_are_refused_before_any_call() {
    let kms = |max_concurrent| {
        let gcp = crate::kms::gcp::GcpOptions::default().with_endpoint("http://127.0.0.1:1");
        let calls = CallPolicy::default().with_max_concurrent(max_concurrent);
        let builder = Kms::builder().with_service(crate::kms::gcp::GcpKms::new(gcp));
        builder.calls(calls).build()
    };
    let uri = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
    let uri: KeyUri = uri.parse().unwrap();
    kms(1).key(&uri).await.unwrap();
    for error in [
        kms(0).key(&uri).await.err(),
        kms(0).signer(&uri).await.err(),
    ] {
        let error = error.unwrap();
        assert_eq!(error.kind(), ProviderErrorKind::Misconfigured);
        assert!(error.to_string().contains("more than zero"), "{error}");
    }
}
