//! The path of a PKCS#11 URI (RFC 7512, section 2.3). It names an object of a token.
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "shared by this project's own crates only"
)]

use std::fmt::{self, Write as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const FORM: &str = "the form is pkcs11:token=LABEL;object=LABEL (RFC 7512), where further attributes \
     are serial, manufacturer, model, slot-id, id and type";

/// RFC 3986's unreserved characters stay as they are.
const ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The attributes of the path, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pkcs11Path {
    /// `token`.
    pub token: Option<String>,
    /// `manufacturer`.
    pub manufacturer: Option<String>,
    /// `model`.
    pub model: Option<String>,
    /// `serial`.
    pub serial: Option<String>,
    /// `slot-id`.
    pub slot_id: Option<u64>,
    /// `object`.
    pub object: Option<String>,
    /// `type`.
    pub class: Option<Pkcs11Class>,
    /// `id`.
    pub id: Option<Vec<u8>>,
}

/// The kind of object: the values of RFC 7512's `type` that mean keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkcs11Class {
    /// `secret-key`.
    Secret,
    /// `private`.
    Private,
}

impl Pkcs11Path {
    /// Reads a path that names an object of a token.
    ///
    /// # Errors
    /// Why the path does not name an object.
    pub fn parse(path: &str) -> Result<Self, &'static str> {
        if path.contains('?') {
            return Err(
                "a key's name ends before the `?`; module-path and pin-source belong to the configuration",
            );
        }
        let mut parsed = Self::default();
        for attribute in path.split(';') {
            let (name, value) = attribute.split_once('=').ok_or(FORM)?;
            match name {
                "token" => set(&mut parsed.token, text(value)?)?,
                "manufacturer" => set(&mut parsed.manufacturer, text(value)?)?,
                "model" => set(&mut parsed.model, text(value)?)?,
                "serial" => set(&mut parsed.serial, text(value)?)?,
                "slot-id" => set(&mut parsed.slot_id, number(value)?)?,
                "object" => set(&mut parsed.object, text(value)?)?,
                "type" => set(&mut parsed.class, Pkcs11Class::parse(value)?)?,
                "id" => set(&mut parsed.id, bytes(value)?)?,
                _ => return Err(FORM),
            }
        }
        if parsed.object.is_none() && parsed.id.is_none() {
            return Err("it names no object; add object=LABEL or id=ID");
        }
        if parsed.token.is_none() && parsed.serial.is_none() && parsed.slot_id.is_none() {
            return Err("it names no token; add token=LABEL, serial=NUMBER or slot-id=NUMBER");
        }
        Ok(parsed)
    }

    /// The token, without any object.
    #[must_use]
    pub fn token_part(&self) -> Self {
        Self {
            object: None,
            class: None,
            id: None,
            ..self.clone()
        }
    }
}

impl Pkcs11Class {
    fn parse(value: &str) -> Result<Self, &'static str> {
        match value {
            "secret-key" => Ok(Self::Secret),
            "private" => Ok(Self::Private),
            _ => Err("its type is neither secret-key nor private"),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret-key",
            Self::Private => "private",
        }
    }
}

/// Writes one form for each name, so that names can be compared as text.
impl fmt::Display for Pkcs11Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = [
            ("token", &self.token),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("serial", &self.serial),
            ("object", &self.object),
        ];
        let mut path = String::new();
        for (name, value) in texts {
            if let Some(value) = value {
                write!(path, ";{name}={}", utf8_percent_encode(value, &ENCODED))?;
            }
        }
        if let Some(slot_id) = self.slot_id {
            write!(path, ";slot-id={slot_id}")?;
        }
        if let Some(class) = self.class {
            write!(path, ";type={}", class.name())?;
        }
        if let Some(id) = &self.id {
            path.push_str(";id=");
            for byte in id {
                write!(path, "%{byte:02X}")?;
            }
        }
        f.write_str(path.trim_start_matches(';'))
    }
}

fn set<T>(attribute: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match attribute.replace(value) {
        None => Ok(()),
        Some(_) => Err("it holds an attribute twice"),
    }
}

fn text(value: &str) -> Result<String, &'static str> {
    String::from_utf8(bytes(value)?).map_err(|_| "an attribute's value is not UTF-8")
}

fn number(value: &str) -> Result<u64, &'static str> {
    value.parse().map_err(|_| "slot-id is not a number")
}

fn bytes(value: &str) -> Result<Vec<u8>, &'static str> {
    if value.is_empty() {
        return Err("an attribute has no value");
    }
    // Otherwise a PIN after the wrong separator would become part of a name, which payloads show.
    if value.contains(['&', '=']) {
        return Err("attributes are separated by `;`; percent-encode `&` and `=` in a value");
    }
    // Two hexadecimal digits must follow every `%`. The library would keep other characters unchanged.
    let mut parts = value.split('%');
    parts.next();
    let encoded = |part: &str| {
        part.as_bytes()
            .first_chunk::<2>()
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !parts.all(encoded) {
        return Err("an attribute's value is not percent-encoded");
    }
    Ok(percent_decode_str(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_every_attribute() {
        let path = Pkcs11Path::parse(
            "id=%00%ff;type=secret-key;object=k%3b%20%25;slot-id=7;serial=1;model=m;manufacturer=v;token=The%20token",
        )
        .unwrap();
        assert_eq!(path.token.as_deref(), Some("The token"));
        assert_eq!(path.object.as_deref(), Some("k; %"));
        assert_eq!(path.id.as_deref(), Some(&[0, 255][..]));
        assert_eq!(path.slot_id, Some(7));
        assert_eq!(path.class, Some(Pkcs11Class::Secret));
        assert_eq!(
            path.to_string(),
            "token=The%20token;manufacturer=v;model=m;serial=1;object=k%3B%20%25;slot-id=7;type=secret-key;id=%00%FF"
        );
        assert_eq!(Pkcs11Path::parse(&path.to_string()).unwrap(), path);
    }

    #[test]
    fn refuses_what_names_no_object_of_a_token() {
        for (path, reason) in [
            ("token=t", "names no object"),
            ("object=o", "names no token"),
            ("token=t;object=o;object=p", "twice"),
            ("token=t;object=", "no value"),
            ("token=t;object=o&pin-value=1234", "percent-encode"),
            ("token=t;object=o=1234", "percent-encode"),
            ("token=t;object=%f", "percent-encoded"),
            ("token=t;object=%", "percent-encoded"),
            ("token=t;object=%zz", "percent-encoded"),
            ("token=t;object=%+1", "percent-encoded"),
            ("token=t;object=%ff", "not UTF-8"),
            ("token=t;object=o;slot-id=-1", "not a number"),
            (
                "token=t;object=o;type=cert",
                "neither secret-key nor private",
            ),
            ("token=t;object=o;x-vendor=1", "RFC 7512"),
            ("token=t;object=o;pin-value=1234", "RFC 7512"),
            ("token=t;object=o;", "RFC 7512"),
            ("token=t;object=o?pin-value=1234", "configuration"),
            ("token=t;object=o?module-path=/lib/x.so", "configuration"),
        ] {
            let error = Pkcs11Path::parse(path).unwrap_err();
            assert!(error.contains(reason), "{path}: {error}");
            assert!(!error.contains("1234"), "{path}: {error}");
        }
    }
}
