//! The site we read is the host a browser would go to: the web platform's own test data for URLs, of which the url crate
//! ships a copy.

use std::{path::PathBuf, process::Command};

use nocache_gateway::submission::{Site, SiteError};
use serde_json::Value;

fn test_data() -> Vec<Value> {
    // Only of this platform: the others' packages need not be here.
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--filter-platform",
            host,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let url = packages.iter().find(|package| package["name"] == "url").unwrap();
    let manifest = PathBuf::from(url["manifest_path"].as_str().unwrap());
    let data = std::fs::read_to_string(manifest.with_file_name("tests/urltestdata.json")).unwrap();
    serde_json::from_str(&data).unwrap()
}

/// Whether an input begins with http: or https:, as the standard strips it.
fn has_own_scheme(input: &str) -> bool {
    let input: String = input
        .trim_start_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .collect();
    let input = input.to_ascii_lowercase();
    input.starts_with("http:") || input.starts_with("https:")
}

/// The standard's host as a rule compares it: without the trailing dot.
fn normalised(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_owned()
}

#[test]
fn the_site_is_the_standards_host() {
    let data = test_data();
    let (mut compared, mut with_base, mut stricter, mut invisible) = (0, Vec::new(), Vec::new(), Vec::new());
    let mut wrong = Vec::new();
    for (number, case) in data.iter().enumerate().filter(|(_, case)| case.is_object()) {
        let input = case["input"].as_str().unwrap();
        if !has_own_scheme(input) {
            continue;
        }
        // `http:x` and `http:/x` mean something else below a base of that scheme: what the data expects holds there alone.
        let (scheme, rest) = input.split_once(':').unwrap();
        let is_relative = rest
            .chars()
            .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
            .take_while(|c| matches!(c, '/' | '\\'))
            .count()
            < 2;
        let has_its_base = case["base"]
            .as_str()
            .is_some_and(|base| base.starts_with(&format!("{}:", scheme.to_ascii_lowercase())));
        if is_relative && has_its_base {
            with_base.push(number);
            continue;
        }
        compared += 1;
        let expected = match case["failure"].as_bool() {
            Some(true) => None,
            _ => Some(normalised(case["hostname"].as_str().unwrap())),
        };
        let site = Site::parse(input);
        let ours = site.as_ref().ok().map(|site| site.host().to_string());
        if ours == expected {
            continue;
        }
        // The two places where we are stricter, on purpose: an empty label, and an invisible character in front of the path.
        let has_empty_label = expected.as_ref().is_some_and(|host| host.split('.').any(str::is_empty));
        if ours.is_none() && has_empty_label {
            stricter.push(input);
        } else if let Err(SiteError::Invisible(c)) = site {
            invisible.push((number, c));
        } else {
            wrong.push(format!("{number}: {input:?}: {ours:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 200, "{compared}");
    assert_eq!(with_base, NEED_THEIR_BASE);
    assert_eq!(stricter, STRICTER);
    assert_eq!(invisible, INVISIBLE);
}

/// Entries that are relative to their base, by their number in the data.
const NEED_THEIR_BASE: &[usize] = &[7, 47, 65, 75, 91, 533];

/// Hosts with an empty label, which a browser accepts and no rule can name.
const STRICTER: &[&str] = &["http://./", "http://../", "http://foo.09.."];

/// Entries in which a browser drops an invisible character, or takes it for a part of a user name.
const INVISIBLE: &[(usize, char)] = &[
    (1, '\t'),
    (19, '\n'),
    (275, '\u{200b}'),
    (277, '\0'),
    (463, '\t'),
    (464, '\n'),
    (465, '\r'),
    (528, '\t'),
    (807, '\u{7f}'),
];
