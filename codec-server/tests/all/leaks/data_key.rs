//! The data key of a payload, for a search.

use serde_json::Value;
use temporal_kms_codec::{EncryptionContext, WrappedDek, kms::local::LocalKeyring};
use tokio::runtime::Runtime;

use crate::support::{CodecServer, decode64};

/// The data key of a payload of the namespace `default` that a local key of the server has sealed.
pub(super) fn data_key(server: &CodecServer, key: &str, sealed: &Value) -> Vec<u8> {
    let wrapped = decode64(&sealed["payloads"][0]["metadata"]["encrypted-dek"]);
    let context = EncryptionContext::new([("namespace".to_owned(), "default".to_owned())].into());
    let key = LocalKeyring::open(server.keyring()).key(key).unwrap();
    let unwrapped = Runtime::new().unwrap().block_on(async {
        key.unwrap(&WrappedDek::new(wrapped), &context.unwrap())
            .await
    });
    unwrapped.unwrap().expose().to_vec()
}
