//! The configuration as it is shown: every setting with its value and where that comes from, and the rules. Secrets are
//! masked.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    mask::{mask, mask_json},
    sections::InForce,
};
use crate::rules::{Rule, RuleSet};

/// How many patterns of a rule are shown.
const FEW_SITES: usize = 8;

/// The settings and the first `count` rules, as `/config` responds.
pub fn to_json(file: Option<&Path>, settings: &[InForce], rules: &RuleSet, count: usize) -> Value {
    let rules = rules.rules();
    let further = rules.len().saturating_sub(count);
    json!({
        "file": file.map(|file| file.display().to_string()),
        "settings": settings.iter().map(setting).collect::<Vec<_>>(),
        "rules": rules.iter().take(count).map(|rule| to_json_rule(file, rule)).collect::<Vec<_>>(),
        "furtherRules": further,
    })
}

fn setting(setting: &InForce) -> Value {
    let mut value = setting.value.clone().unwrap_or_default();
    mask_json(&mut value);
    json!({
        "setting": setting.path,
        "value": value,
        "origin": mask(&setting.provenance.to_string()),
    })
}

fn to_json_rule(file: Option<&Path>, rule: &Rule) -> Value {
    let list = |items: Vec<String>| {
        let mut items = Value::from(items);
        mask_json(&mut items);
        items
    };
    json!({
        "id": rule.id.as_str(),
        "place": super::model::place(file, rule),
        "sites": list(rule.sites.iter().take(FEW_SITES).map(ToString::to_string).collect()),
        "furtherSites": rule.sites.len().saturating_sub(FEW_SITES),
        "captchas": list(rule.captchas.iter().map(ToString::to_string).collect()),
        "action": rule.action.to_string(),
        "via": rule.via.to_string(),
    })
}
