//! The cryptographic operations.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use p256::{
    ecdsa::{
        DerSignature, SigningKey,
        signature::{Signer as _, hazmat::PrehashSigner as _},
    },
    pkcs8::EncodePublicKey as _,
};
use serde_json::{Value, json};

use crate::{
    ciphertext::{Ciphertext, seal},
    error::ApiError,
    key::{Key, KeyState, Material, Symmetric, random},
    store::{Store, arn, named},
};

const MAX_PLAINTEXT: usize = 4096;
const MAX_CIPHERTEXT: usize = 6144;

pub(crate) fn call(
    store: &mut Store,
    region: &str,
    operation: &str,
    input: &Value,
) -> Option<Result<Value, ApiError>> {
    let answer = match operation {
        "Encrypt" => encrypt(store, region, input),
        "Decrypt" => decrypt(store, region, input),
        "GenerateDataKey" => generate_data_key(store, region, input),
        "Sign" => sign(store, region, input),
        "GetPublicKey" => public_key(store, region, input),
        _ => return None,
    };
    Some(answer)
}

fn encrypt(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = usable(store, region, input)?;
    let plaintext = blob(input, "Plaintext", MAX_PLAINTEXT)?;
    let sealed = seal(&key.id, symmetric(key)?, context(input)?, &plaintext)?;
    Ok(json!({
        "KeyId": arn(region, &key.id),
        "CiphertextBlob": BASE64.encode(sealed),
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }))
}

fn generate_data_key(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = usable(store, region, input)?;
    if input["KeySpec"] != "AES_256" {
        return Err(ApiError::validation("KeySpec"));
    }
    let materials = symmetric(key)?;
    let plaintext: [u8; 32] = random();
    let sealed = seal(&key.id, materials, context(input)?, &plaintext)?;
    Ok(json!({
        "KeyId": arn(region, &key.id),
        "CiphertextBlob": BASE64.encode(sealed),
        "Plaintext": BASE64.encode(plaintext),
        "KeyMaterialId": materials.last().map(|material| &material.id),
    }))
}

fn decrypt(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = usable(store, region, input)?;
    let sealed = blob(input, "CiphertextBlob", MAX_CIPHERTEXT)?;
    let ciphertext = Ciphertext::parse(&sealed)?;
    if ciphertext.key_id != key.id {
        return Err(ApiError::new(
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        ));
    }
    let plaintext = ciphertext.open(symmetric(key)?, context(input)?)?;
    Ok(json!({
        "KeyId": arn(region, &key.id),
        "Plaintext": BASE64.encode(plaintext),
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }))
}

fn sign(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = usable(store, region, input)?;
    let signer = signing(key)?;
    if input["SigningAlgorithm"] != "ECDSA_SHA_256" {
        return Err(ApiError::new(
            "InvalidKeyUsageException",
            "the algorithm does not fit the key",
        ));
    }
    let message = blob(input, "Message", MAX_PLAINTEXT)?;
    let signature: Result<DerSignature, _> = match input["MessageType"].as_str() {
        None | Some("RAW") => signer.try_sign(&message),
        Some("DIGEST") if message.len() == 32 => signer.sign_prehash(&message),
        _ => {
            return Err(ApiError::validation(
                "Digest is invalid length for algorithm ECDSA_SHA_256.",
            ));
        }
    };
    let signature = signature.map_err(|_| ApiError::new("KMSInternalException", "cannot sign"))?;
    Ok(json!({
        "KeyId": arn(region, &key.id),
        "Signature": BASE64.encode(signature.as_bytes()),
        "SigningAlgorithm": "ECDSA_SHA_256",
    }))
}

fn public_key(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = usable(store, region, input)?;
    let der = signing(key)?.verifying_key().to_public_key_der();
    let der = der.map_err(|_| ApiError::new("KMSInternalException", "no public key"))?;
    Ok(json!({
        "KeyId": arn(region, &key.id),
        "PublicKey": BASE64.encode(der.as_bytes()),
        "KeySpec": "ECC_NIST_P256",
        "KeyUsage": "SIGN_VERIFY",
        "SigningAlgorithms": ["ECDSA_SHA_256"],
    }))
}

/// The key that is asked for, if its state permits cryptographic operations.
pub(crate) fn usable<'a>(
    store: &'a mut Store,
    region: &str,
    input: &Value,
) -> Result<&'a mut Key, ApiError> {
    let key = named(store, region, input)?;
    let arn = arn(region, &key.id);
    match key.regions.get(region) {
        Some(KeyState::Enabled) => Ok(key),
        Some(KeyState::PendingDeletion) => Err(ApiError::new(
            "KMSInvalidStateException",
            format!("{arn} is pending deletion."),
        )),
        _ => Err(ApiError::new(
            "DisabledException",
            format!("{arn} is disabled."),
        )),
    }
}

fn symmetric(key: &Key) -> Result<&[Symmetric], ApiError> {
    match &key.material {
        Material::Symmetric(materials) => Ok(materials),
        Material::P256(_) => Err(wrong_usage()),
    }
}

fn signing(key: &Key) -> Result<&SigningKey, ApiError> {
    match &key.material {
        Material::P256(signer) => Ok(signer),
        Material::Symmetric(_) => Err(wrong_usage()),
    }
}

fn wrong_usage() -> ApiError {
    ApiError::new(
        "InvalidKeyUsageException",
        "the key usage does not fit the operation",
    )
}

/// The encryption context: an object of strings, in no particular order.
fn context(input: &Value) -> Result<&Value, ApiError> {
    match &input["EncryptionContext"] {
        context @ (Value::Null | Value::Object(_)) => Ok(context),
        _ => Err(ApiError::new("SerializationException", "EncryptionContext")),
    }
}

fn blob(input: &Value, name: &str, max: usize) -> Result<Vec<u8>, ApiError> {
    let text = input[name]
        .as_str()
        .ok_or_else(|| ApiError::validation(name))?;
    let bytes = BASE64.decode(text);
    let bytes = bytes.map_err(|_| ApiError::new("SerializationException", name))?;
    if (1..=max).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(ApiError::validation(format!(
            "'{name}' failed to satisfy constraint: length"
        )))
    }
}
