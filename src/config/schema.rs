//! The JSON Schema of the configuration file, made from the table of settings.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::settings::{PLAIN_SECTIONS, Setting, Shape, of_section};

/// The JSON Schema of the configuration file (draft 2020-12), for editors.
pub fn schema() -> Value {
    let object = |section: &str| {
        let properties: BTreeMap<&str, Value> = of_section(section)
            .map(|setting| (setting.key, property(setting)))
            .collect();
        json!({ "type": "object", "additionalProperties": false, "properties": properties })
    };
    let mut properties: BTreeMap<&str, Value> = PLAIN_SECTIONS
        .into_iter()
        .chain(["captchas"])
        .map(|name| (name, object(name)))
        .collect();
    for (name, required) in [("rule", vec!["id", "action"]), ("test", vec!["site", "expect"])] {
        let mut items = object(name);
        items["required"] = json!(required);
        properties.insert(name, json!({ "type": "array", "items": items }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nocache-gateway configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn property(setting: &Setting) -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": text });
    let mut property = match setting.shape {
        Shape::Text(_) => text,
        Shape::Texts(_) => texts,
        Shape::TextOrTexts(_) => json!({ "anyOf": [text, texts] }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Count => json!({ "type": "integer", "minimum": 1 }),
        Shape::Duration => json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h)$" }),
        Shape::Size => json!({ "type": "string", "pattern": "^[0-9]+ *(B|[kKMG]B|[KMG]iB)$" }),
        Shape::Choice(words) => json!({ "enum": words }),
    };
    property["description"] = json!(setting.about);
    // What is a default in TOML is one in JSON too: strings, lists, numbers and booleans are written alike.
    if let Some(default) = setting
        .default
        .and_then(|default| serde_json::from_str::<Value>(default).ok())
    {
        property["default"] = default;
    }
    property
}
