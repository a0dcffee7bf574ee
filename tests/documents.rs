//! Documents say what the program does: every configuration in them is checked by it.

mod fixtures;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use fixtures::{Folder, program, run};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The blocks of a language in a Markdown text.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn assert_valid(name: &str, config: &str) {
    let folder = Folder::new();
    let file = folder.write("c.toml", config);
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn configurations_in_documents_are_valid() {
    for document in ["README.md", "docs/rules.md"] {
        let text = read(document);
        let examples = blocks(&text, "toml");
        assert!(!examples.is_empty());
        for example in examples {
            assert_valid(document, example);
        }
    }
}

/// Every setting of rules has its place in the manual, with a pitfall.
#[test]
fn the_manual_of_rules_is_complete() {
    let manual = read("docs/rules.md");
    for key in [
        "`id`",
        "`sites`",
        "`sites_file`",
        "`captchas`",
        "`action`",
        "`via`",
        "`unreadable`",
        "`place`",
        "`[captchas]`",
        "`[[test]]`",
    ] {
        let chapter = manual
            .split("\n#")
            .find(|chapter| chapter.lines().next().is_some_and(|title| title.contains(key)));
        let chapter = chapter.unwrap_or_else(|| panic!("{key}"));
        assert!(chapter.contains("*Pitfall:*") && chapter.contains("efault"), "{key}");
    }
}

/// The reports that the README shows are those that the program gives.
#[test]
fn the_reports_in_the_readme_are_real() {
    let readme = read("README.md");
    let shown = blocks(&readme, "text");
    assert_eq!(shown.len(), 3);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs/broken");
    let reports: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    for report in shown {
        assert!(
            reports.iter().any(|real| real.trim_end() == report.trim_end()),
            "{report}"
        );
    }
}

#[test]
fn the_sample_is_what_the_program_writes() {
    let path = "config/nocache-gateway.toml";
    let written = String::from_utf8(run(&["init", "-"]).stdout).unwrap();
    assert_eq!(read(path), written, "stale: nocache-gateway init - > {path}");
}

/// The sections of the sample and their keys, commented out or not.
fn sections(sample: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut sections = BTreeMap::new();
    let mut keys = &mut BTreeSet::new();
    for line in sample.lines().map(|line| line.trim_start_matches("# ")) {
        if line.starts_with('[') {
            let name = line.trim_matches(['[', ']']).to_owned();
            keys = sections.entry(name).or_insert_with(BTreeSet::new);
        } else if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
            keys.insert(key.to_owned());
        }
    }
    sections
}

#[test]
fn the_schema_names_what_the_sample_names() {
    let output = run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut of_schema = BTreeMap::new();
    for (name, section) in schema["properties"].as_object().unwrap() {
        let table = section.get("items").unwrap_or(section);
        let (tables, keys): (Vec<_>, Vec<_>) = table["properties"]
            .as_object()
            .unwrap()
            .iter()
            .partition(|(_, property)| property["type"] == "object");
        let names = |keys: Vec<(&String, &serde_json::Value)>| keys.into_iter().map(|(key, _)| key.clone()).collect();
        of_schema.insert(name.clone(), names(keys));
        for (inner, table) in tables {
            let keys = table["properties"].as_object().unwrap().iter().collect();
            of_schema.insert(format!("{name}.{inner}"), names(keys));
        }
    }
    let mut of_sample = sections(&read("config/nocache-gateway.toml"));
    // The sample's rules and tests are examples, which do not need every key.
    for name in ["rule", "test"] {
        let (example, all) = (of_sample.remove(name).unwrap(), of_schema.remove(name).unwrap());
        assert!(!example.is_empty() && example.is_subset(&all), "{name}: {example:?}");
    }
    assert_eq!(of_schema, of_sample);
}

#[test]
fn the_sample_is_valid_with_everything_in_it_switched_on() {
    let sample = read("config/nocache-gateway.toml");
    assert_valid("the sample", &sample);
    let is_code =
        |line: &&str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let switched_on: Vec<&str> = sample
        .lines()
        .filter(|line| !line.contains("(none by default)"))
        .map(|line| line.trim_start_matches("# "))
        .filter(is_code)
        .collect();
    assert!(switched_on.contains(&"[[test]]"));
    assert_valid("the sample, switched on", &switched_on.join("\n"));
}

#[test]
fn the_readme_names_every_verb_and_the_two_commands() {
    let readme = read("README.md") + &read("CHANGELOG.md");
    for command in ["cargo run --release -- demo", "./tests/run"] {
        assert!(readme.contains(command), "{command}");
    }
    let help = program().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let verbs: Vec<&str> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .collect();
    assert!(verbs.len() >= 6, "{verbs:?}");
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        assert!(readme.contains(verb), "{verb}");
    }
}
