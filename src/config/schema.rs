//! The JSON Schema of the configuration file, made from the sections.

use serde_json::{Map, Value, json};

use super::{
    Config,
    sections::{self, RuleDraft, Section, TestDraft},
};

/// The JSON Schema of the configuration file (draft 2020-12), for editors.
pub fn schema() -> Value {
    let default = Config::default();
    let mut properties = Map::new();
    for section in sections::plain() {
        let table = table(&section, &default);
        match section.name.split_once('.') {
            // Its outer table comes first.
            Some((outer, inner)) => properties[outer]["properties"][inner] = table,
            None => drop(properties.insert(section.name.to_owned(), table)),
        }
    }
    let rule = table(&sections::rule(), &RuleDraft::default());
    let test = table(&sections::test(), &TestDraft::default());
    for (name, items) in [("rule", rule), ("test", test)] {
        properties.insert(name.to_owned(), json!({ "type": "array", "items": items }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nocache-gateway configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn table<C>(section: &Section<C>, default: &C) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in &section.keys {
        let mut property = key.schema.clone();
        property["description"] = json!(key.about);
        if let Some(default) = (key.show)(default) {
            property["default"] = default;
        }
        properties.insert(key.name.to_owned(), property);
        required.extend(key.required.as_ref().map(|_| key.name));
    }
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}
