//! A store for tests.

use std::path::Path;

use temporal_kms_codec::{
    KeyUri, Sealer,
    kms::{KeyPurpose, KeySpec, Kms},
};

use super::{Objects, Vault};

/// A vault of the namespace `default` in a folder, with a key of its own.
pub(crate) async fn vault(folder: &Path) -> Vault {
    let kms = Kms::builder().local_keyring(folder.join("keys")).build();
    let uri: KeyUri = "local://vault".parse().unwrap();
    let admin = kms.admin(&uri).await.unwrap();
    admin
        .create(&uri, &KeySpec::new(KeyPurpose::Encrypt))
        .await
        .unwrap();
    let sealer = Sealer::builder().encrypt_with(kms.key(&uri).await.unwrap());
    let store = folder.join("objects");
    let objects = Objects::open(&store.to_str().unwrap().parse().unwrap()).unwrap();
    Vault::new(objects, sealer.build().unwrap(), "default")
}
