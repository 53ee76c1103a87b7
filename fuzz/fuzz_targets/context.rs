//! Encryption contexts and namespaces: one context has one form, and names are ordered as RFC 8785 says.

#![no_main]

use std::collections::BTreeMap;

use fuzz::is_printable;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use temporal_kms_codec::{EncryptionContext, Namespace};

const LONGEST: usize = 8192;
const MOST_PAIRS: usize = 32;

fuzz_target!(|input: (&[u8], BTreeMap<String, String>)| {
    let (bytes, pairs) = input;
    match EncryptionContext::parse(bytes) {
        Ok(context) => {
            assert_eq!(context.as_bytes(), bytes);
            check(&context);
        }
        Err(error) => assert!(is_printable(&error.to_string())),
    }
    if let Ok(context) = EncryptionContext::new(pairs.clone()) {
        assert!(context.iter().map(|(name, _)| name).eq(pairs.keys()));
        check(&context);
    } else {
        let length: usize = pairs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        // A character can become the six of an escape.
        let can_be_too_long = 6 * length + 6 * pairs.len() + 2 > LONGEST;
        assert!(pairs.len() > MOST_PAIRS || pairs.contains_key("") || can_be_too_long);
    }
    for name in pairs.keys() {
        if let Ok(namespace) = Namespace::new(name) {
            assert!(is_printable(name) && !name.contains(['\n', '\t']) && name.len() <= 1000);
            let context = EncryptionContext::for_namespace(&namespace, BTreeMap::new());
            let context = context.expect("one pair is not too much");
            assert_eq!(context.get("namespace"), Some(name.as_str()));
        }
    }
});

fn check(context: &EncryptionContext) {
    let bytes = context.as_bytes();
    assert!(bytes.len() <= LONGEST);
    assert_eq!(EncryptionContext::parse(bytes).as_ref(), Ok(context));
    if context.is_empty() {
        assert!(bytes.is_empty());
        return;
    }
    let value: BTreeMap<String, Value> = serde_json::from_slice(bytes).expect("it is JSON");
    assert!(value.len() <= MOST_PAIRS);
    for (name, value) in &value {
        assert_eq!(context.get(name), value.as_str());
    }
    assert_eq!(context.iter().count(), value.len());
    let mut names: Vec<Vec<u16>> = value
        .keys()
        .map(|name| name.encode_utf16().collect())
        .collect();
    names.sort();
    let expected = names
        .iter()
        .map(|name| String::from_utf16(name).expect("it was text"));
    let text = std::str::from_utf8(bytes).expect("JSON is text");
    let written: Vec<_> = expected
        .map(|name| {
            let value = context.get(&name).map(Value::from);
            format!("{}:{}", Value::from(name), value.unwrap_or_default())
        })
        .collect();
    assert_eq!(text, format!("{{{}}}", written.join(",")));
}
