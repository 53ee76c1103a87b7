//! The value of every setting with the place that it comes from.

use std::{collections::BTreeSet, path::Path};

use serde::Serialize;
use serde_json::Value;
use temporal_kms_codec_service::{
    arguments::{self, variable},
    settings::{Form, Found, Place},
};

use crate::config::{
    Config, Problems,
    reference::{self, Fallback, Reference},
};

/// What takes the place of a secret.
const HIDDEN: &str = "(hidden)";

/// Variables of a worker that describe the one namespace where there is no file, and the settings that they take the
/// place of.
const WITHOUT_A_FILE: [(&str, &str); 11] = [
    ("namespaces.*.encrypt", "TEMPORAL_CODEC_KEY"),
    ("namespaces.*.decrypt", "TEMPORAL_CODEC_DECRYPT_KEYS"),
    ("namespaces.*.format", "TEMPORAL_CODEC_FORMAT"),
    (
        "namespaces.*.decrypt_formats",
        "TEMPORAL_CODEC_DECRYPT_FORMATS",
    ),
    ("namespaces.*.static_keys", "TEMPORAL_CODEC_STATIC_KEYS"),
    ("namespaces.*.context", "TEMPORAL_CODEC_CONTEXT"),
    (
        "namespaces.*.require_context",
        "TEMPORAL_CODEC_REQUIRE_CONTEXT",
    ),
    ("namespaces.*.plaintext", "TEMPORAL_CODEC_PLAINTEXT"),
    ("cache.data_keys", "TEMPORAL_CODEC_CACHE_DATA_KEYS"),
    ("cache.ttl", "TEMPORAL_CODEC_CACHE_TTL"),
    ("keys.local_keyring", "TEMPORAL_CODEC_KEYRING"),
];

/// A setting, its value, and where the value comes from.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Effective {
    /// Its name. A name with dots in it is in quotes.
    pub(super) setting: String,
    /// The value without secrets; `None` where there is none.
    pub(super) value: Option<Value>,
    pub(super) source: Source,
    #[serde(flatten)]
    pub(super) place: Option<Place>,
    /// How it is declared.
    #[serde(skip)]
    pub(super) pattern: String,
    /// The name in the place of `*`.
    #[serde(skip)]
    pub(super) name: Option<String>,
    /// Whether the value would be one in a file.
    #[serde(skip)]
    pub(super) is_literal: bool,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    File,
    Variable,
    Default,
    /// It has no value.
    Unset,
}

impl Effective {
    /// Where the value comes from, in words.
    pub(super) fn origin(&self) -> String {
        match &self.place {
            Some(Place::Line(line)) => format!("line {line}"),
            Some(Place::Variable(name)) => name.clone(),
            None if self.source == Source::Default => "default".to_owned(),
            None => "not set".to_owned(),
        }
    }

    /// The value as a TOML file has it.
    pub(super) fn text(&self) -> String {
        self.value.as_ref().map_or_else(String::new, toml_text)
    }
}

/// The value of every setting that `serve` would run with.
pub(super) fn effective(file: Option<&Path>) -> Result<Vec<Effective>, Problems> {
    let found = Config::load_found(file)?;
    let references = reference::all();
    let mut effective = Vec::new();
    for reference in &references {
        if !reference.setting.contains('*') {
            effective.push(of_setting(reference, None, &found, file.is_some()));
            continue;
        }
        for name in names(reference, &references, &found, file.is_some()) {
            effective.push(of_setting(reference, Some(name), &found, file.is_some()));
        }
    }
    // Each namespace apart.
    effective.sort_by_key(|one| one.name.clone());
    Ok(effective)
}

/// The names in the place of the `*` of a setting: those of all settings beside it.
fn names(
    reference: &Reference,
    references: &[Reference],
    found: &[Found],
    has_file: bool,
) -> BTreeSet<String> {
    let section = |setting: &str| setting.split('*').next().map(str::to_owned);
    let own = section(&reference.setting);
    if !has_file && own.as_deref() == Some("namespaces.") {
        return [variable("TEMPORAL_NAMESPACE").unwrap_or_else(|| "default".to_owned())].into();
    }
    let named = found
        .iter()
        .filter_map(|found| reference::of(references, &found.setting));
    named
        .filter(|(other, _)| section(&other.setting) == own)
        .filter_map(|(_, name)| name.map(str::to_owned))
        .collect()
}

fn of_setting(
    reference: &Reference,
    name: Option<String>,
    found: &[Found],
    has_file: bool,
) -> Effective {
    let setting = match &name {
        Some(name) => reference.setting.replace('*', name),
        None => reference.setting.clone(),
    };
    let shown = match &name {
        Some(name) if name.contains(['.', '*']) => {
            reference.setting.replace('*', &format!("\"{name}\""))
        }
        _ => setting.clone(),
    };
    let written = found.iter().rev().find(|found| found.setting == setting);
    let written = written.map(|found| (found.value.clone(), found.place.clone()));
    let worker = WITHOUT_A_FILE
        .iter()
        .filter(|(setting, _)| !has_file && *setting == reference.setting)
        .map(|(_, name)| *name);
    let mut further = worker.chain(reference.further_variables.iter().copied());
    let written = written.or_else(|| {
        further.find_map(|name| {
            let place = Place::Variable(name.to_owned());
            Some((Value::String(variable(name)?), place))
        })
    });
    let (value, source, place) = match (written, &reference.default) {
        (Some((value, place)), _) => {
            let source = match &place {
                Place::Line(_) => Source::File,
                Place::Variable(_) => Source::Variable,
            };
            (Some(typed(value, &reference.forms)), source, Some(place))
        }
        (None, Fallback::Value(value)) => {
            let value = serde_json::to_value(value).ok();
            (value, Source::Default, None)
        }
        (None, Fallback::Depends(words)) => (Some(words.as_str().into()), Source::Default, None),
        (None, Fallback::None) => (None, Source::Unset, None),
    };
    Effective {
        setting: shown,
        value: value.map(|value| without_secrets(value, reference.is_secret)),
        source,
        is_literal: place.is_some() || matches!(reference.default, Fallback::Value(_)),
        place,
        pattern: reference.setting.clone(),
        name,
    }
}

/// The text of a variable as the file would have it.
fn typed(value: Value, forms: &[Form]) -> Value {
    let Value::String(text) = &value else {
        return value;
    };
    for form in forms {
        match form {
            Form::Flag if text == "true" || text == "false" => return (text == "true").into(),
            Form::Number => {
                if let Ok(number) = text.parse::<u64>() {
                    return number.into();
                }
            }
            Form::List(_) => {
                let items = text.split(',').map(str::trim);
                return items.filter(|item| !item.is_empty()).collect();
            }
            _ => {}
        }
    }
    value
}

fn without_secrets(value: Value, is_secret: bool) -> Value {
    match value {
        Value::String(_) if is_secret => HIDDEN.into(),
        Value::String(text) => arguments::without_secret(&text).into(),
        Value::Array(items) => {
            let items = items.into_iter();
            items.map(|item| without_secrets(item, is_secret)).collect()
        }
        Value::Object(pairs) => {
            let pairs = pairs.into_iter();
            let pairs = pairs.map(|(name, item)| (name, without_secrets(item, is_secret)));
            Value::Object(pairs.collect())
        }
        other => other,
    }
}

/// A value in TOML, on one line.
fn toml_text(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(pairs) if pairs.is_empty() => "{}".to_owned(),
        Value::Object(pairs) => {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(name, item)| format!("{} = {}", toml_name(name), toml_text(item)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        // The escapes of JSON are those of TOML.
        other => other.to_string(),
    }
}

/// A name as a TOML file has it: in quotes where it has to be.
pub(super) fn toml_name(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_bare {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        let pin = json!(["pkcs11:token=t;object=k?pin-value=4711", "local://a"]);
        let shown = without_secrets(pin, false).to_string();
        assert!(
            !shown.contains("4711") && shown.contains("local://a"),
            "{shown}"
        );
        let proxy = without_secrets(json!("https://user:4711@host/"), false).to_string();
        assert!(!proxy.contains("4711"), "{proxy}");
        assert_eq!(without_secrets(json!(["x"]), true), json!([HIDDEN]));
    }

    #[test]
    fn a_variable_is_read_as_the_file_would_be() {
        assert_eq!(
            typed("a, b,".into(), &[Form::List(Box::new(Form::Text))]),
            json!(["a", "b"])
        );
        assert_eq!(typed("7".into(), &[Form::Number]), json!(7));
        assert_eq!(typed("true".into(), &[Form::Flag]), json!(true));
        assert_eq!(typed("30s".into(), &[Form::Time]), json!("30s"));
    }

    #[test]
    fn values_are_written_as_toml() {
        let value = json!({"env": "a\"b", "x.y": [1, true]});
        let text = format!("v = {}", toml_text(&value));
        let read: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&read["v"]).unwrap(), value);
        assert_eq!(toml_name("prod.a1b2c"), "\"prod.a1b2c\"");
    }
}
