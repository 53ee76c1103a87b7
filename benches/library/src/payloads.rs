//! Payloads and codecs that are measured.

use std::{path::Path, sync::Arc};

use temporal_kms_codec::{
    Codec, Namespace, Payload,
    kms::{KeyProvider, local::LocalKeyring},
};

/// A payload with so many bytes of data.
pub(crate) fn payload(size: usize) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: vec![b'x'; size],
        external_payloads: Vec::new(),
    }
}

pub(crate) fn local_key(folder: &Path) -> anyhow::Result<Arc<dyn KeyProvider>> {
    Ok(LocalKeyring::open(folder).key_or_create("default")?)
}

/// A codec of a namespace.
pub(crate) fn codec(namespace: &str, key: Arc<dyn KeyProvider>) -> anyhow::Result<Codec> {
    let namespace = Namespace::new(namespace)?;
    Ok(Codec::builder(namespace).encrypt_with(key).build()?)
}
