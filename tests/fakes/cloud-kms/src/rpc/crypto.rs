use serde::Deserialize;
use serde_json::Value;

use super::checksum::{insert, insert_checksum, insert_flag, verify};
use crate::{
    error::{ApiError, Code},
    model::{Bytes, Int64, Name, Object, ProtectionLevel, Purpose, Store, parse_body},
    route::Route,
};

/// The service's limits of plaintext and of additional data, for keys in software.
const MAX_SOFTWARE: usize = 64 * 1024;
/// The limit of both together, for keys in an HSM.
const MAX_HSM: usize = 8 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EncryptRequest {
    #[serde(default, rename = "name")]
    _name: String,
    #[serde(default)]
    plaintext: Bytes,
    #[serde(default)]
    additional_authenticated_data: Bytes,
    plaintext_crc32c: Option<Int64>,
    additional_authenticated_data_crc32c: Option<Int64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DecryptRequest {
    #[serde(default, rename = "name")]
    _name: String,
    #[serde(default)]
    ciphertext: Bytes,
    #[serde(default)]
    additional_authenticated_data: Bytes,
    ciphertext_crc32c: Option<Int64>,
    additional_authenticated_data_crc32c: Option<Int64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignRequest {
    #[serde(default, rename = "name")]
    _name: String,
    digest: Option<Digest>,
    digest_crc32c: Option<Int64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Digest {
    #[serde(default)]
    sha256: Bytes,
}

pub(super) fn encrypt(store: &Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    let request: EncryptRequest = parse_body(body)?;
    let aad = &request.additional_authenticated_data;
    let key = store.key(&route.name)?;
    key.require(Purpose::EncryptDecrypt, "Encrypt")?;
    let version = match route.name {
        Name::Version { .. } => store.version(&route.name)?.1,
        _ => key.primary()?,
    };
    check_sizes(version.protection_level, &request.plaintext, aad)?;
    let name = version.name(&key.name);
    let plaintext_verified = verify("plaintext", &request.plaintext, request.plaintext_crc32c)?;
    let aad_verified = verify_aad(aad, request.additional_authenticated_data_crc32c)?;
    let ciphertext = version
        .usable(&name)?
        .encrypt(&request.plaintext.0, &aad.0)?;

    let mut answer = Object::new();
    answer.insert("name".to_owned(), name.into());
    insert(&mut answer, "ciphertext", &ciphertext);
    insert_flag(&mut answer, "verifiedPlaintextCrc32c", plaintext_verified);
    insert_flag(
        &mut answer,
        "verifiedAdditionalAuthenticatedDataCrc32c",
        aad_verified,
    );
    answer.insert(
        "protectionLevel".to_owned(),
        version.protection_level.encode(route.encoding),
    );
    Ok(answer.into())
}

pub(super) fn decrypt(store: &Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    let request: DecryptRequest = parse_body(body)?;
    let (ciphertext, aad) = (&request.ciphertext, &request.additional_authenticated_data);
    let key = store.key(&route.name)?;
    key.require(Purpose::EncryptDecrypt, "Decrypt")?;
    if aad.0.len() > MAX_SOFTWARE {
        return Err(too_long("additional_authenticated_data", MAX_SOFTWARE));
    }
    verify("ciphertext", ciphertext, request.ciphertext_crc32c)?;
    verify_aad(aad, request.additional_authenticated_data_crc32c)?;
    let version = key
        .versions
        .iter()
        .find(|version| version.made(&ciphertext.0))
        .ok_or_else(|| {
            ApiError::invalid(
                "Decryption failed: verify that 'name' refers to the correct CryptoKey.",
            )
        })?;
    let plaintext = version
        .usable(&version.name(&key.name))?
        .decrypt(&ciphertext.0, &aad.0)
        .ok_or_else(|| ApiError::invalid("Decryption failed: the ciphertext is invalid."))?;

    let mut answer = Object::new();
    insert(&mut answer, "plaintext", &plaintext);
    insert_flag(&mut answer, "usedPrimary", key.primary == Some(version.id));
    answer.insert(
        "protectionLevel".to_owned(),
        version.protection_level.encode(route.encoding),
    );
    Ok(answer.into())
}

pub(super) fn sign(store: &Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    let request: SignRequest = parse_body(body)?;
    let (key, version) = store.version(&route.name)?;
    key.require(Purpose::AsymmetricSign, "AsymmetricSign")?;
    let digest = request
        .digest
        .map(|digest| digest.sha256)
        .unwrap_or_default();
    if digest.0.len() != 32 {
        return Err(ApiError::field("digest", "a SHA-256 digest has 32 bytes"));
    }
    let verified = verify("digest", &digest, request.digest_crc32c)?;
    let name = version.name(&key.name);
    let signature = version.usable(&name)?.sign(&digest.0)?;

    let mut answer = Object::new();
    insert(&mut answer, "signature", &signature);
    insert_flag(&mut answer, "verifiedDigestCrc32c", verified);
    answer.insert("name".to_owned(), name.into());
    answer.insert(
        "protectionLevel".to_owned(),
        version.protection_level.encode(route.encoding),
    );
    Ok(answer.into())
}

pub(super) fn public_key(store: &Store, route: &Route) -> Result<Value, ApiError> {
    let pem = ["PUBLIC_KEY_FORMAT_UNSPECIFIED", "0", "PEM", "1"];
    if !pem.contains(&route.parameter("publicKeyFormat").unwrap_or("PEM")) {
        return Err(ApiError::new(
            Code::Unimplemented,
            "The emulator has PEM public keys only.",
        ));
    }
    let (key, version) = store.version(&route.name)?;
    key.require(Purpose::AsymmetricSign, "GetPublicKey")?;
    let name = version.name(&key.name);
    let pem = version.usable(&name)?.public_key()?;

    let mut answer = Object::new();
    insert_checksum(&mut answer, "pem", pem.as_bytes());
    answer.insert("pem".to_owned(), pem.into());
    answer.insert(
        "algorithm".to_owned(),
        version.algorithm.encode(route.encoding),
    );
    answer.insert("name".to_owned(), name.into());
    answer.insert(
        "protectionLevel".to_owned(),
        version.protection_level.encode(route.encoding),
    );
    Ok(answer.into())
}

fn verify_aad(aad: &Bytes, checksum: Option<Int64>) -> Result<bool, ApiError> {
    verify("additional_authenticated_data", aad, checksum)
}

fn check_sizes(level: ProtectionLevel, plaintext: &Bytes, aad: &Bytes) -> Result<(), ApiError> {
    if level == ProtectionLevel::Hsm && plaintext.0.len() + aad.0.len() > MAX_HSM {
        return Err(too_long("plaintext", MAX_HSM));
    }
    for (field, data) in [
        ("plaintext", plaintext),
        ("additional_authenticated_data", aad),
    ] {
        if data.0.len() > MAX_SOFTWARE {
            return Err(too_long(field, MAX_SOFTWARE));
        }
    }
    Ok(())
}

fn too_long(field: &str, limit: usize) -> ApiError {
    ApiError::field(field, format!("it must not be longer than {limit} bytes"))
}
