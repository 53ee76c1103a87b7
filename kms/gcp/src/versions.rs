//! Versions of a key at Cloud KMS.

use google_cloud_kms_v1::model::CryptoKeyVersion;

use super::{
    client::Service,
    error::{CallKind, integrity},
};
use temporal_kms::{KeyUri, ProviderError};

/// The largest page that the service returns.
const PAGE: i32 = 1000;
const MAX_PAGES: usize = 100;

/// All versions of a key with their numbers, newest first.
pub(super) async fn all(
    service: &Service,
    uri: &KeyUri,
    call: CallKind,
) -> Result<Vec<(u64, CryptoKeyVersion)>, ProviderError> {
    let mut versions = Vec::new();
    let mut token = String::new();
    for _ in 0..MAX_PAGES {
        let page = service
            .call(uri, call, |client| {
                client
                    .list_crypto_key_versions()
                    .set_parent(uri.resource())
                    .set_page_size(PAGE)
                    .set_page_token(&token)
                    .send()
            })
            .await?;
        for version in page.crypto_key_versions {
            let id = version_id(uri, &version.name)
                .ok_or_else(|| integrity(uri, "a version is another key's"))?;
            versions.push((id, version));
        }
        token = page.next_page_token;
        if token.is_empty() {
            versions.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
            return Ok(versions);
        }
    }
    Err(integrity(uri, "the list of versions has no end"))
}

/// The number in a version's name, if it is a version of this key.
pub(super) fn version_id(uri: &KeyUri, name: &str) -> Option<u64> {
    let id = name
        .strip_prefix(uri.resource())?
        .strip_prefix("/cryptoKeyVersions/")?;
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| digits)
}

/// The name of one version.
pub(super) fn version_name(uri: &KeyUri, id: u64) -> String {
    format!("{}/cryptoKeyVersions/{id}", uri.resource())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_from_those_of_other_keys() {
        let uri = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k"
            .parse()
            .unwrap();
        assert_eq!(version_id(&uri, &version_name(&uri, 12)), Some(12));
        for other in [
            "projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k2/cryptoKeyVersions/1",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/+1",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1/x",
            "",
        ] {
            assert_eq!(version_id(&uri, other), None, "{other}");
        }
    }
}
