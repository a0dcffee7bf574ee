//! The import law of ARCHITECTURE.md, held against the code.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Which modules of the crate each may use, and which crates the core must not.
const LAW: [(&str, &[&str]); 18] = [
    ("submission", &[]),
    ("rules", &["submission"]),
    ("rewrite", &["rules", "submission"]),
    ("small_writes", &[]),
    ("timed_body", &[]),
    ("until", &[]),
    ("idle_wake", &[]),
    ("server", &["idle_wake", "small_writes", "until"]),
    ("tls", &["submission"]),
    ("task", &["submission"]),
    ("observe", &["rewrite", "rules", "submission", "task"]),
    (
        "upstream",
        &[
            "idle_wake",
            "observe",
            "small_writes",
            "submission",
            "timed_body",
            "until",
        ],
    ),
    (
        "api",
        &[
            "observe",
            "rewrite",
            "rules",
            "server",
            "submission",
            "task",
            "timed_body",
            "until",
            "upstream",
        ],
    ),
    ("admin", &["api", "observe", "rewrite", "rules", "submission", "task"]),
    ("sandbox", &["tls"]),
    (
        "config",
        &[
            "admin",
            "api",
            "observe",
            "rewrite",
            "rules",
            "server",
            "submission",
            "tls",
            "upstream",
        ],
    ),
    ("reload", &["admin", "api", "config", "tls", "upstream"]),
    (
        "cli",
        &[
            "admin",
            "api",
            "config",
            "observe",
            "reload",
            "rewrite",
            "rules",
            "sandbox",
            "server",
            "submission",
            "tls",
            "upstream",
        ],
    ),
];

const CORE: [&str; 4] = ["submission", "rules", "rewrite", "task"];
const NOT_IN_CORE: [&str; 9] = [
    "axum",
    "hyper",
    "tokio",
    "tower",
    "reqwest",
    "std::fs",
    "std::net::Tcp",
    "std::io",
    "std::time",
];

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap();
    entries.flat_map(|entry| files(&entry.unwrap().path())).collect()
}

/// The text of a module's files, without its tests.
fn text(module: &str) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folder = source.join(module);
    let paths = if folder.is_dir() {
        files(&folder)
    } else {
        vec![source.join(format!("{module}.rs"))]
    };
    let is_test = |path: &PathBuf| path.to_string_lossy().contains("tests");
    let production = |path: PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().lines();
        code.filter(|line| !line.trim_start().starts_with("//"))
            .flat_map(|line| [line, "\n"])
            .collect::<String>()
    };
    paths
        .into_iter()
        .filter(|path| !is_test(path))
        .map(production)
        .collect()
}

/// The modules of the crate that a text names: `crate::a::…` and every branch of `crate::{a::…, b::{…}}`.
fn uses(text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (at, found) in text.match_indices("crate::") {
        let rest = &text[at + found.len()..];
        let branches = match rest.strip_prefix('{') {
            None => vec![rest],
            Some(tree) => branches(tree),
        };
        let name = |branch: &str| {
            branch
                .trim_start()
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap()
                .to_owned()
        };
        modules.extend(branches.into_iter().map(name));
    }
    modules
}

/// The branches of an import tree, up to its closing brace.
fn branches(tree: &str) -> Vec<&str> {
    let (mut branches, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                branches.push(&tree[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    branches
}

#[test]
fn imports_point_one_way() {
    let position = |name: &str| LAW.iter().position(|(module, _)| *module == name);
    let mut seen = 0;
    for (number, (module, allowed)) in LAW.iter().enumerate() {
        let uses = uses(&text(module));
        for used in uses.iter().filter(|used| *used != module && position(used).is_some()) {
            assert!(allowed.contains(&used.as_str()), "{module} must not use {used}");
            seen += 1;
        }
        // The order of the table is the direction: nobody may use what comes later.
        assert!(allowed.iter().all(|used| position(used).unwrap() < number), "{module}");
    }
    assert!(seen > 20, "the imports are found");
}

#[test]
fn every_module_has_its_place_in_the_law() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names = fs::read_dir(source).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        path.file_stem().unwrap().to_string_lossy().into_owned()
    });
    // The fuzz targets are no part of the program.
    let mut modules: Vec<_> = names
        .filter(|name| !["lib", "main", "fuzz"].contains(&name.as_str()))
        .collect();
    let mut law: Vec<_> = LAW.iter().map(|(module, _)| (*module).to_owned()).collect();
    modules.sort();
    law.sort();
    assert_eq!(modules, law);
}

#[test]
fn the_core_is_pure() {
    for module in CORE {
        let text = text(module);
        for name in NOT_IN_CORE {
            assert!(
                !text.contains(&format!("{name}::")) && !text.contains(&format!("use {name}")),
                "{module} uses {name}"
            );
        }
        assert!(!text.contains("async "), "{module}");
    }
}

/// The files that ARCHITECTURE.md and CONTRIBUTING.md name exist.
#[test]
fn documents_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let words = text.split(|c: char| c.is_whitespace() || "`()[],;".contains(c));
        for name in words.filter(|word| word.ends_with(".rs") && word.contains('/')) {
            let exists = [root.join(name), root.join("src").join(name)]
                .iter()
                .any(|path| path.exists());
            assert!(exists, "{document} names {name}");
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

/// Every test that docs/reference.md and SECURITY.md name exists, in the file that it names.
#[test]
fn the_reference_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = ["docs/reference.md", "SECURITY.md"].map(|document| fs::read_to_string(root.join(document)).unwrap());
    let text = text.join("\n");
    let mut seen = 0;
    let mut missing = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || "`(),;".contains(c)) {
        let Some((file, test)) = word.split_once("::").filter(|(file, _)| file.contains('/')) else {
            continue;
        };
        let source = fs::read_to_string(root.join(file)).unwrap_or_default();
        let exists = [format!("fn {test}("), format!("def {test}("), format!("test('{test}")];
        if !exists.iter().any(|definition| source.contains(definition)) {
            missing.push(word);
        }
        seen += 1;
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(seen > 100, "{seen}");
}
