//! Where keys are listed: a key, or the key ring, account, token or folder that holds it.

use std::str::FromStr;

use temporal_kms_codec::KeyUri;

/// A key in the place. It need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) KeyUri);

/// The name of a key in the place, which need not exist.
const ANY: &str = "any";

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = text.trim_end_matches('/');
        let key = match text.split_once(':') {
            Some(("local", "" | "//")) => format!("local://{ANY}"),
            Some(("aws-kms", "" | "//")) => format!("aws-kms://alias/{ANY}"),
            Some(("gcp-kms", rest))
                if rest.contains("/keyRings/") && !rest.contains("/cryptoKeys") =>
            {
                format!("{place}/cryptoKeys/{ANY}")
            }
            Some(("pkcs11", rest)) if rest.contains("token=") && !rest.contains("object=") => {
                format!("{place};object={ANY}")
            }
            _ => text.to_owned(),
        };
        key.parse()
            .map(Self)
            .map_err(|error: temporal_kms_codec::ConfigurationError| error.reason().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_enough() {
        for (place, key) in [
            ("local://", "local://any"),
            ("local:", "local://any"),
            ("local://k", "local://k"),
            ("aws-kms://", "aws-kms://alias/any"),
            ("aws-kms://alias/k", "aws-kms://alias/k"),
            (
                "gcp-kms://projects/p/locations/l/keyRings/r/",
                "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/any",
            ),
            ("pkcs11:token=t", "pkcs11:token=t;object=any"),
        ] {
            let found: Place = place.parse().unwrap();
            assert_eq!(found.0, key.parse().unwrap(), "{place}");
        }
        for bad in ["", "none", "gcp-kms://projects/p", "pkcs11:"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
