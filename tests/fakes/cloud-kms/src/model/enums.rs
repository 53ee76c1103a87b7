use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

/// How enums look in answers: `?$alt=json;enum-encoding=int` asks for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Names,
    Numbers,
}

macro_rules! wire_enum {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal, $number:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub(crate) enum $type { $(#[serde(rename = $name)] $variant),+ }

        impl $type {
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            pub(crate) fn encode(self, encoding: Encoding) -> Value {
                match encoding {
                    Encoding::Names => Value::from(self.name()),
                    Encoding::Numbers => match self { $(Self::$variant => Value::from($number)),+ },
                }
            }
        }

        /// Requests may hold either form, independent of the form of the answer.
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let value = Value::deserialize(input)?;
                $(if value == $name || value == $number { return Ok(Self::$variant); })+
                Err(D::Error::custom(concat!("unsupported value of ", stringify!($type))))
            }
        }
    };
}

wire_enum! {
    /// What a key is for.
    Purpose {
        EncryptDecrypt = "ENCRYPT_DECRYPT", 1;
        AsymmetricSign = "ASYMMETRIC_SIGN", 5;
    }
}

wire_enum! {
    /// What a version computes.
    Algorithm {
        GoogleSymmetricEncryption = "GOOGLE_SYMMETRIC_ENCRYPTION", 1;
        EcSignP256Sha256 = "EC_SIGN_P256_SHA256", 12;
    }
}

wire_enum! {
    /// Where the key would be.
    ProtectionLevel {
        Software = "SOFTWARE", 1;
        Hsm = "HSM", 2;
    }
}

wire_enum! {
    /// Whether a version can be used.
    State {
        Enabled = "ENABLED", 1;
        Disabled = "DISABLED", 2;
        Destroyed = "DESTROYED", 3;
        DestroyScheduled = "DESTROY_SCHEDULED", 4;
    }
}

impl Algorithm {
    pub(crate) const fn purpose(self) -> Purpose {
        match self {
            Self::GoogleSymmetricEncryption => Purpose::EncryptDecrypt,
            Self::EcSignP256Sha256 => Purpose::AsymmetricSign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_as_name_or_number_and_written_as_asked() {
        for form in [r#""ASYMMETRIC_SIGN""#, "5"] {
            let purpose: Purpose = serde_json::from_str(form).unwrap();
            assert_eq!(purpose, Purpose::AsymmetricSign);
        }
        assert!(serde_json::from_str::<Purpose>("9").is_err());
        assert_eq!(State::DestroyScheduled.encode(Encoding::Numbers), 4);
        assert_eq!(
            State::DestroyScheduled.encode(Encoding::Names),
            "DESTROY_SCHEDULED"
        );
    }
}
