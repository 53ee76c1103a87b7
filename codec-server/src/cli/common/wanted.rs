//! What a payload needs in order to be decoded, for errors of the command line: it is stored beside the ciphertext in the
//! clear.

use std::fmt;

use serde::Deserialize;
use temporal_kms_codec::{Error, KeyUri, Namespace, Payload, PayloadError};

/// More keys than a payload has.
const MOST_KEYS: usize = 10;

/// `error` in words for the person who decodes `payload` as one of `namespace`.
pub(crate) fn explain(error: &Error, payload: &Payload, namespace: &Namespace) -> String {
    let Error::Payload(reason) = error else {
        return error.to_string();
    };
    match reason {
        PayloadError::ForeignNamespace {
            found: Some(other), ..
        } => format!("it belongs to namespace {other}, not {namespace}; try --namespace {other}"),
        PayloadError::KeyNotAllowed { key } => format!(
            "it is encrypted with {key}, which is not configured; name it with --key, or add it under `decrypt`"
        ),
        PayloadError::FormatNotAllowed { format } => {
            format!("{error}; try --decrypt-format {format}")
        }
        PayloadError::NotAuthentic => match Wanted::of(payload) {
            Some(wanted) => format!("{error}; it names {wanted}"),
            None => error.to_string(),
        },
        PayloadError::UnknownStaticKey { id } => format!(
            "it is encrypted with the static key `{id}`, which is not configured; name it with --static-key '{id}=FILE', or add it under `static_keys`"
        ),
        _ => error.to_string(),
    }
}

/// The keys that payloads name, each once. Nothing of it is authentic, and all of it is safe to print.
pub(crate) fn keys_of(payloads: &[Payload]) -> Vec<KeyUri> {
    let mut found = Vec::new();
    for key in payloads
        .iter()
        .filter_map(Wanted::of)
        .flat_map(|wanted| wanted.keys)
    {
        if !found.contains(&key) {
            found.push(key);
        }
        if found.len() == MOST_KEYS {
            break;
        }
    }
    found
}

/// The keys, at least one, and the namespace that a payload names.
struct Wanted {
    keys: Vec<KeyUri>,
    namespace: Option<Namespace>,
}

#[derive(Deserialize)]
struct Context {
    namespace: String,
}

impl Wanted {
    /// Nothing of it is authentic; only what has the form of a key or a namespace is kept, and safe to print.
    fn of(payload: &Payload) -> Option<Self> {
        let text = |name: &str| {
            let value = payload.metadata.get(name)?;
            std::str::from_utf8(value).ok()
        };
        let further = (1..MOST_KEYS).map(|number| format!("kms-key.{number}"));
        let keys: Vec<KeyUri> = ["kms-key".to_owned()]
            .into_iter()
            .chain(further)
            .filter_map(|name| text(&name)?.parse().ok())
            .collect();
        let namespace = text("encryption-context")
            .and_then(|context| serde_json::from_str::<Context>(context).ok())
            .and_then(|context| Namespace::new(&context.namespace).ok());
        (!keys.is_empty()).then_some(Self { keys, namespace })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        write!(f, "the key {}", keys.join(" and "))?;
        match &self.namespace {
            Some(namespace) => write!(f, " and the namespace {namespace}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_key_and_the_namespace_that_a_payload_wants() {
        let mut payload = Payload::default();
        for (name, value) in [
            ("kms-key", "local://other"),
            ("kms-key.1", "not a key \u{1b}[2J"),
            ("encryption-context", r#"{"namespace":"prod","tenant":"a"}"#),
        ] {
            payload
                .metadata
                .insert(name.to_owned(), value.as_bytes().to_vec());
        }
        let here = Namespace::new("default").unwrap();
        let foreign = Error::from(PayloadError::ForeignNamespace {
            found: Some("prod".to_owned()),
            expected: "default".to_owned(),
        });
        assert_eq!(
            explain(&foreign, &payload, &here),
            "it belongs to namespace prod, not default; try --namespace prod"
        );
        let altered = explain(&PayloadError::NotAuthentic.into(), &payload, &here);
        assert!(
            altered.ends_with("it names the key local://other and the namespace prod"),
            "{altered}"
        );
        let altered = Error::from(PayloadError::NotAuthentic);
        assert_eq!(
            explain(&altered, &Payload::default(), &here),
            altered.to_string()
        );
        let named = keys_of(&[payload.clone(), Payload::default(), payload]);
        assert_eq!(named, ["local://other".parse::<KeyUri>().unwrap()]);
    }
}
