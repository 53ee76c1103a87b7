use std::{fmt, str::FromStr};

use axum::http::Method;
use percent_encoding::percent_decode_str;

use crate::{
    error::{ApiError, Code},
    model::{Encoding, Name},
};

macro_rules! rpcs {
    ($($rpc:ident: $permission:literal, [$($parameter:literal),*];)+) => {
        /// A method of the service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the service's own names")]
        pub enum Rpc { $($rpc),+ }

        impl Rpc {
            pub(crate) const ALL: &[Self] = &[$(Self::$rpc),+];

            /// Its name in the service's definition.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$rpc => stringify!($rpc)),+ }
            }

            /// What IAM has to permit for it.
            pub(crate) const fn permission(self) -> &'static str {
                match self { $(Self::$rpc => concat!("cloudkms.", $permission)),+ }
            }

            /// What its query may hold.
            const fn parameters(self) -> &'static [&'static str] {
                match self { $(Self::$rpc => &[$($parameter),*]),+ }
            }
        }
    };
}

rpcs! {
    ListKeyRings: "keyRings.list", ["pageSize", "pageToken", "filter", "orderBy"];
    GetKeyRing: "keyRings.get", [];
    CreateKeyRing: "keyRings.create", ["keyRingId"];
    ListCryptoKeys: "cryptoKeys.list", ["pageSize", "pageToken", "filter", "orderBy", "versionView"];
    GetCryptoKey: "cryptoKeys.get", [];
    CreateCryptoKey: "cryptoKeys.create", ["cryptoKeyId", "skipInitialVersionCreation", "trustedWrappingEnabled"];
    UpdateCryptoKey: "cryptoKeys.update", ["updateMask"];
    UpdateCryptoKeyPrimaryVersion: "cryptoKeys.update", [];
    ListCryptoKeyVersions: "cryptoKeyVersions.list", ["pageSize", "pageToken", "filter", "orderBy", "view"];
    GetCryptoKeyVersion: "cryptoKeyVersions.get", [];
    CreateCryptoKeyVersion: "cryptoKeyVersions.create", [];
    UpdateCryptoKeyVersion: "cryptoKeyVersions.update", ["updateMask"];
    DestroyCryptoKeyVersion: "cryptoKeyVersions.destroy", [];
    RestoreCryptoKeyVersion: "cryptoKeyVersions.restore", [];
    Encrypt: "cryptoKeyVersions.useToEncrypt", [];
    Decrypt: "cryptoKeyVersions.useToDecrypt", [];
    AsymmetricSign: "cryptoKeyVersions.useToSign", [];
    GetPublicKey: "cryptoKeyVersions.viewPublicKey", ["publicKeyFormat"];
    GetIamPolicy: "cryptoKeys.getIamPolicy", ["options.requestedPolicyVersion"];
    SetIamPolicy: "cryptoKeys.setIamPolicy", [];
    TestIamPermissions: "cryptoKeys.get", [];
}

impl fmt::Display for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rpc {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .find(|rpc| rpc.name() == name)
            .copied()
            .ok_or(())
    }
}

/// A parsed request.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) rpc: Rpc,
    /// The resource, or for `List` and `Create` its parent.
    pub(crate) name: Name,
    pub(crate) encoding: Encoding,
    query: Vec<(String, String)>,
}

impl Route {
    /// Finds the method by the rules of the service's HTTP annotations.
    pub(crate) fn parse(method: &Method, path: &str, query: &str) -> Result<Self, ApiError> {
        let unknown = || ApiError::new(Code::NotFound, "The requested URL was not found.");
        let path = decode(path).ok_or_else(unknown)?;
        let resource = path.strip_prefix("/v1/").ok_or_else(unknown)?;
        let (resource, verb) = match resource.rsplit_once(':') {
            Some((resource, verb)) => (resource, verb),
            None => (resource, ""),
        };
        let (resource, collection) = match resource.rsplit_once('/') {
            Some((
                parent,
                last @ ("keyRings" | "cryptoKeys" | "cryptoKeyVersions" | "publicKey"),
            )) => (parent, last),
            _ => (resource, ""),
        };
        let name = Name::parse(resource).ok_or_else(unknown)?;
        let rpc = find(method.as_str(), &name, collection, verb).ok_or_else(unknown)?;
        let (encoding, query) = parse_query(rpc, query)?;
        Ok(Self {
            rpc,
            name,
            encoding,
            query,
        })
    }

    /// A parameter with a value. Clients send an empty one for a missing value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

fn find(method: &str, name: &Name, collection: &str, verb: &str) -> Option<Rpc> {
    Some(match (method, name, collection, verb) {
        ("GET", Name::Location(_), "keyRings", "") => Rpc::ListKeyRings,
        ("POST", Name::Location(_), "keyRings", "") => Rpc::CreateKeyRing,
        ("GET", Name::KeyRing(_), "", "") => Rpc::GetKeyRing,
        ("GET", Name::KeyRing(_), "cryptoKeys", "") => Rpc::ListCryptoKeys,
        ("POST", Name::KeyRing(_), "cryptoKeys", "") => Rpc::CreateCryptoKey,
        ("GET", Name::CryptoKey(_), "", "") => Rpc::GetCryptoKey,
        ("PATCH", Name::CryptoKey(_), "", "") => Rpc::UpdateCryptoKey,
        ("POST", Name::CryptoKey(_), "", "updatePrimaryVersion") => {
            Rpc::UpdateCryptoKeyPrimaryVersion
        }
        ("POST", Name::CryptoKey(_) | Name::Version { .. }, "", "encrypt") => Rpc::Encrypt,
        ("POST", Name::CryptoKey(_), "", "decrypt") => Rpc::Decrypt,
        ("GET", Name::CryptoKey(_), "cryptoKeyVersions", "") => Rpc::ListCryptoKeyVersions,
        ("POST", Name::CryptoKey(_), "cryptoKeyVersions", "") => Rpc::CreateCryptoKeyVersion,
        ("GET", Name::Version { .. }, "", "") => Rpc::GetCryptoKeyVersion,
        ("PATCH", Name::Version { .. }, "", "") => Rpc::UpdateCryptoKeyVersion,
        ("POST", Name::Version { .. }, "", "destroy") => Rpc::DestroyCryptoKeyVersion,
        ("POST", Name::Version { .. }, "", "restore") => Rpc::RestoreCryptoKeyVersion,
        ("POST", Name::Version { .. }, "", "asymmetricSign") => Rpc::AsymmetricSign,
        ("GET", Name::Version { .. }, "publicKey", "") => Rpc::GetPublicKey,
        ("GET", Name::KeyRing(_) | Name::CryptoKey(_), "", "getIamPolicy") => Rpc::GetIamPolicy,
        ("POST", Name::KeyRing(_) | Name::CryptoKey(_), "", "setIamPolicy") => Rpc::SetIamPolicy,
        ("POST", Name::KeyRing(_) | Name::CryptoKey(_), "", "testIamPermissions") => {
            Rpc::TestIamPermissions
        }
        _ => return None,
    })
}

/// The parameters that every method takes come first; see the service's discovery document.
fn parse_query(rpc: Rpc, query: &str) -> Result<(Encoding, Vec<(String, String)>), ApiError> {
    let mut encoding = Encoding::Names;
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let malformed = || ApiError::invalid("The query is not valid text.");
        let key = decode(key).ok_or_else(malformed)?;
        let value = decode(&value.replace('+', " ")).ok_or_else(malformed)?;
        match key.as_str() {
            "$alt" | "alt" => {
                encoding = match value.as_str() {
                    "json" => Encoding::Names,
                    "json;enum-encoding=int" => Encoding::Numbers,
                    _ => return Err(ApiError::invalid("Only JSON answers can be had.")),
                }
            }
            "$prettyPrint" | "prettyPrint" | "key" | "quotaUser" | "$.xgafv" => {}
            name if rpc.parameters().contains(&name) => parameters.push((key, value)),
            name => {
                return Err(ApiError::invalid(format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter."
                )));
            }
        }
    }
    Ok((encoding, parameters))
}

fn decode(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "/v1/projects/p/locations/l/keyRings/r/cryptoKeys/k";

    fn rpc(method: &str, path: &str, query: &str) -> Option<Rpc> {
        Route::parse(&method.parse().unwrap(), path, query)
            .ok()
            .map(|route| route.rpc)
    }

    #[test]
    fn finds_methods_by_verb_and_resource() {
        assert_eq!(
            rpc("POST", &format!("{KEY}:encrypt"), ""),
            Some(Rpc::Encrypt)
        );
        assert_eq!(
            rpc("POST", &format!("{KEY}/cryptoKeyVersions/1:encrypt"), ""),
            Some(Rpc::Encrypt)
        );
        assert_eq!(
            rpc("GET", &format!("{KEY}/cryptoKeyVersions/1/publicKey"), ""),
            Some(Rpc::GetPublicKey)
        );
        assert_eq!(
            rpc("POST", &format!("{KEY}%3Adecrypt"), ""),
            Some(Rpc::Decrypt),
            "clients may escape the colon"
        );
        assert_eq!(rpc("GET", &format!("{KEY}:encrypt"), ""), None);
        assert_eq!(
            rpc("POST", &format!("{KEY}/cryptoKeyVersions/1:decrypt"), ""),
            None
        );
        assert_eq!(rpc("GET", "/v1/projects/p", ""), None);
    }

    #[test]
    fn tells_the_encoding_of_enums_and_refuses_unknown_parameters() {
        let route = Route::parse(&Method::GET, KEY, "%24alt=json%3Benum-encoding%3Dint").unwrap();
        assert_eq!(route.encoding, Encoding::Numbers);
        let route = Route::parse(&Method::GET, KEY, "prettyPrint=false").unwrap();
        assert_eq!(route.encoding, Encoding::Names);
        assert_eq!(rpc("GET", KEY, "pageSize=1"), None);
        assert_eq!(rpc("GET", KEY, "alt=proto"), None);
    }
}
