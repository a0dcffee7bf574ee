//! Every mistake that a configuration can have, and the report that teaches what to write instead.
//! `UPDATE_REPORTS=1 cargo test --test reports` writes the reports anew, to be read before they are committed.

mod fixtures;

use std::{fs, path::Path};

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
            .args(["check", "--config", &file])
            .current_dir(&folder)
            .output()
            .unwrap();
        let report = String::from_utf8(output.stderr).unwrap();
        let expected = folder.join(format!("{name}.report"));
        if is_update {
            fs::write(&expected, &report).unwrap();
        }
        let is_right = fs::read_to_string(&expected).is_ok_and(|expected| expected == report);
        if output.status.code() != Some(2) || !is_right || !(report.contains(&file) || report.contains("list.txt:")) {
            wrong.push(format!("=== {name} ({})\n{report}", output.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
        assert_eq!(report.matches("error: ").count(), 20, "{report}");
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
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["problems"].as_array().unwrap().len(), 500, "a machine gets all");
}
