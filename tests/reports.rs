//! Every mistake that a configuration can have, and the report that teaches what to write instead.
//! `UPDATE_REPORTS=1 cargo test --test reports` writes the reports anew, to be read before they are committed.

mod fixtures;

use std::{fs, path::Path};

use serde_json::Value;

use fixtures::{Folder, program, run};

#[test]
fn each_broken_configuration_gets_its_report() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs/broken");
    let is_update = std::env::var_os("UPDATE_REPORTS").is_some();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_str()?
                .strip_suffix(".toml")
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 40);
    let mut wrong = Vec::new();
    for name in names {
        let file = format!("{name}.toml");
        let output = program()
            .args(["check", "--deny-warnings", "--config", &file])
            .current_dir(&folder)
            .output()
            .unwrap();
        let report = String::from_utf8(output.stderr).unwrap();
        let expected = folder.join(format!("{name}.report"));
        if is_update {
            fs::write(&expected, &report).unwrap();
        }
        let is_right = fs::read_to_string(&expected).is_ok_and(|expected| expected == report);
        if output.status.code() != Some(2) || !is_right || !report.contains('[') {
            wrong.push(format!("=== {name} ({})\n{report}", output.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A place in a text, from its line and column, counted from 1 in characters.
fn offset(text: &str, line: &Value, column: &Value) -> usize {
    let (line, column) = (line.as_u64().unwrap() as usize, column.as_u64().unwrap() as usize);
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    text[start..]
        .char_indices()
        .nth(column - 1)
        .map_or(text.len(), |(at, _)| start + at)
}

/// What a problem says to type instead of the text that it marks: the last thing that it says to write, or the word that
/// was probably meant.
fn fix(problem: &Value, marked: &str) -> Option<String> {
    let said = problem["help"].as_str().or(problem["message"].as_str()).unwrap();
    if let Some(word) = said.strip_prefix("did you mean \"") {
        let word = word.strip_suffix("\"?").unwrap();
        return Some(match marked.starts_with(['"', '\'']) {
            true => format!("\"{word}\""),
            false => word.to_owned(),
        });
    }
    let (_, advice) = said.split_once("write ")?;
    // What goes on behind it is for people: "or …".
    let typed = match advice.chars().next()? {
        quote @ ('"' | '\'') => {
            let mut end = 1 + advice[1..].find(quote)? + 1;
            while let Some(rest) = advice[end..].strip_prefix(", \"") {
                end += 3 + rest.find('"')? + 1;
            }
            &advice[..end]
        }
        '[' => advice,
        _ => ["true", "false"].into_iter().find(|word| *word == advice)?,
    };
    (!typed.contains("***")).then(|| typed.to_owned())
}

/// Every fix that a report proposes is typed, and then that mistake is gone and no other has come.
#[test]
fn proposed_fixes_are_right() {
    let broken = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs/broken");
    let mut typed = 0;
    for entry in fs::read_dir(&broken).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".toml") else {
            continue;
        };
        let folder = Folder::new();
        for file in fs::read_dir(&broken).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        // Here this is the name of a file like any other.
        folder.write("C:\\Users\\me\\sites.txt", "a.example\n");
        let check = || -> Vec<Value> {
            let mut command = program();
            let output = command
                .args(["check", "--json", &format!("{name}.toml")])
                .current_dir(folder.path())
                .output()
                .unwrap();
            let found: Value =
                serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{name} is not told as JSON"));
            found["problems"].as_array().unwrap().clone()
        };
        let problems = check();
        let mut left = Vec::new();
        // From the end, so that places stay.
        for problem in problems.iter().rev() {
            let Some(file) = problem["file"].as_str() else {
                left.push(problem["message"].clone());
                continue;
            };
            let path = folder.path().join(file);
            let mut text = fs::read_to_string(&path).unwrap();
            let place = offset(&text, &problem["line"], &problem["column"])
                ..offset(&text, &problem["endLine"], &problem["endColumn"]);
            match fix(problem, &text[place.clone()]) {
                Some(fix) => {
                    // A list of sites is no TOML.
                    let fix = if file.ends_with(".txt") {
                        fix.trim_matches('"')
                    } else {
                        &fix
                    };
                    text.replace_range(place, fix);
                    fs::write(path, text).unwrap();
                    typed += 1;
                }
                None => left.push(problem["message"].clone()),
            }
        }
        // A warning can only be seen where there is no error.
        let was_warned = problems.iter().any(|problem| problem["severity"] == "warning");
        for problem in check()
            .iter()
            .filter(|problem| was_warned || problem["severity"] == "error")
        {
            assert!(left.contains(&problem["message"]), "{name}: {problem:#}\n{problems:#?}");
        }
    }
    assert!(typed >= 60, "{typed}");
}

#[test]
fn a_report_of_many_mistakes_ends_with_their_number() {
    let folder = Folder::new();
    let list = |count: usize| "https://a.example\n".repeat(count);
    let config = "[[rule]]\nid = \"list\"\nsites_file = \"list.txt\"\naction = \"keep\"\n";
    let config = folder.write("c.toml", config);
    let report = |count: usize| {
        folder.write("list.txt", list(count));
        let output = run(&["check", "--config", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    for (count, last) in [
        (20, None),
        (21, Some("and 1 more error\n")),
        (500, Some("and 480 more errors\n")),
    ] {
        let report = report(count);
        assert_eq!(report.matches("error[invalid-pattern]: ").count(), 20, "{report}");
        assert!(
            report.contains("list.txt:20:1") && !report.contains("list.txt:21:1"),
            "{report}"
        );
        match last {
            Some(last) => assert!(report.ends_with(last), "{report}"),
            None => assert!(!report.contains(" more error"), "{report}"),
        }
    }
    let output = run(&["check", "--json", "--config", config.to_str().unwrap()]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["problems"].as_array().unwrap().len(), 500, "a machine gets all");
}
