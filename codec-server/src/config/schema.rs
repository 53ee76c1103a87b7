//! The JSON Schema of the configuration file, for editors and for checks without the server.

use serde_json::{Map, Value, json};
use temporal_kms_codec_service::settings::Form;

use super::reference::{self, Fallback, Reference};

/// The schema, of JSON Schema's draft 2020-12.
pub(crate) fn schema() -> Value {
    let mut root = Table::default();
    for reference in reference::all() {
        let path: Vec<&str> = reference.setting.split('.').collect();
        root.add(&path, of_setting(&reference));
    }
    let mut schema = root.into_schema();
    if let Some(schema) = schema.as_object_mut() {
        let dialect = "https://json-schema.org/draft/2020-12/schema";
        schema.insert("$schema".to_owned(), dialect.into());
        schema.insert("title".to_owned(), "Configuration of codec-server".into());
    }
    for (section, help) in reference::sections() {
        let pointer = section.split('.').fold(String::new(), |path, part| {
            let part = part.trim_matches('"');
            let named = format!("{path}/properties/{part}");
            match schema.pointer(&named) {
                Some(_) => named,
                None => format!("{path}/additionalProperties"),
            }
        });
        let found = schema.pointer_mut(&pointer).and_then(Value::as_object_mut);
        if let Some(found) = found.filter(|_| !help.is_empty()) {
            found.insert("description".to_owned(), help.into());
        }
    }
    schema
}

/// A table of the file.
#[derive(Default)]
struct Table {
    settings: Map<String, Value>,
    tables: Vec<(String, Table)>,
}

impl Table {
    fn add(&mut self, path: &[&str], schema: Value) {
        match path {
            [] => {}
            [name] => {
                self.settings.insert((*name).to_owned(), schema);
            }
            [name, rest @ ..] => {
                let known = self.tables.iter().position(|(known, _)| known == name);
                let place = known.unwrap_or_else(|| {
                    self.tables.push(((*name).to_owned(), Self::default()));
                    self.tables.len() - 1
                });
                if let Some((_, table)) = self.tables.get_mut(place) {
                    table.add(rest, schema);
                }
            }
        }
    }

    fn into_schema(self) -> Value {
        let mut properties = self.settings;
        let mut named = Value::Bool(false);
        for (name, table) in self.tables {
            let schema = table.into_schema();
            if name == "*" {
                named = schema;
            } else {
                properties.insert(name, schema);
            }
        }
        let mut schema = json!({"type": "object", "additionalProperties": named});
        if let Some(schema) = schema.as_object_mut().filter(|_| !properties.is_empty()) {
            schema.insert("properties".to_owned(), properties.into());
        }
        schema
    }
}

fn of_setting(reference: &Reference) -> Value {
    let mut schema = match reference.forms.as_slice() {
        [form] => of_form(form),
        forms => json!({"anyOf": forms.iter().map(of_form).collect::<Vec<_>>()}),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), reference.help.clone().into());
        if let Fallback::Value(value) = &reference.default
            && let Ok(value) = serde_json::to_value(value)
        {
            schema.insert("default".to_owned(), value);
        }
    }
    schema
}

fn of_form(form: &Form) -> Value {
    match form {
        Form::Flag => json!({"type": "boolean"}),
        Form::Number => json!({"type": "integer", "minimum": 0}),
        Form::Time => json!({
            "type": "string",
            "pattern": "^([0-9]+ ?[a-zA-Zµ]+ ?)+$",
            "examples": ["30s", "1h 30m"],
        }),
        Form::Size => json!({
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^[0-9.]+ ?[a-zA-Z]*$", "examples": ["4MiB"]},
            ],
        }),
        Form::Choice(names) => json!({"enum": names}),
        Form::List(items) => json!({"type": "array", "items": of_form(items)}),
        Form::Lists => json!({
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        }),
        Form::Pairs => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        // A form that this schema does not know is any text.
        _ => json!({"type": "string", "minLength": 1}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_form_of_every_setting() {
        let schema = schema();
        for (pointer, expected) in [
            ("/additionalProperties", json!(false)),
            ("/properties/server/additionalProperties", json!(false)),
            (
                "/properties/server/properties/max_body/default",
                json!("8MiB"),
            ),
            (
                "/properties/cors/properties/allow_credentials/type",
                json!("boolean"),
            ),
            (
                "/properties/keys/properties/calls/properties/max_attempts/type",
                json!("integer"),
            ),
            (
                "/properties/namespaces/additionalProperties/properties/plaintext/enum",
                json!(["allow", "reject"]),
            ),
            (
                "/properties/namespaces/additionalProperties/properties/format/enum/0",
                json!("envelope"),
            ),
            (
                "/properties/namespaces/additionalProperties/properties/context/additionalProperties/type",
                json!("string"),
            ),
            (
                "/properties/namespaces/additionalProperties/properties/dek/properties/max_age/default",
                json!("1h"),
            ),
        ] {
            assert_eq!(schema.pointer(pointer), Some(&expected), "{pointer}");
        }
        let cache = schema.pointer("/properties/cache/description");
        assert!(cache.and_then(Value::as_str).unwrap().contains("data keys"));
    }
}
