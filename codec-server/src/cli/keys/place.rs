//! Where keys are listed: a key, or the key ring, account, token or folder that holds it.

use std::str::FromStr;

use temporal_kms_codec::{KeyUri, Scheme, kms::Kms};

/// A key in the place. It need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) KeyUri);

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = text.trim_end_matches('/');
        let kms = Kms::default();
        let service = text
            .split_once(':')
            .and_then(|(scheme, _)| Scheme::new(scheme).ok())
            .and_then(|scheme| kms.service(scheme));
        let any = service.and_then(|service| service.key_in(place));
        let key = any.unwrap_or_else(|| text.to_owned());
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
        ] {
            let found: Place = place.parse().unwrap();
            assert_eq!(found.0, key.parse().unwrap(), "{place}");
        }
        for bad in ["", "none", "gcp-kms://projects/p"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
