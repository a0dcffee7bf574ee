//! What the program is told by flags and environment variables.

mod fixtures;

use std::process::{Command, Stdio};

use fixtures::{Folder, program};

/// Every environment variable, and its flag.
const VARIABLES: [(&str, &str); 5] = [
    ("NOCACHE_GATEWAY_CONFIG", "--config"),
    ("NOCACHE_GATEWAY_LISTEN", "--listen"),
    ("NOCACHE_GATEWAY_UPSTREAM", "--upstream"),
    ("NOCACHE_GATEWAY_ADMIN_LISTEN", "--admin-listen"),
    ("NOCACHE_GATEWAY_LOG_LEVEL", "--log-level"),
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The program in a folder without a configuration.
fn program_in(folder: &Folder) -> Command {
    let mut command = program();
    command.current_dir(folder.path()).stdin(Stdio::null());
    command
}

/// What `config show` says about a setting, the value with its origin.
fn shown(command: &mut Command, setting: &str) -> String {
    let output = command.args(["config", "show", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let settings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    settings[setting].to_string()
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let folder = Folder::new();
    let defaults = text(&program_in(&folder).args(["config", "show"]).output().unwrap().stdout);
    for (variable, _) in VARIABLES {
        for empty in ["", " ", "\t\n"] {
            let output = program_in(&folder)
                .args(["config", "show"])
                .env(variable, empty)
                .output()
                .unwrap();
            let said = text(&output.stdout) + &text(&output.stderr);
            assert_eq!(said, defaults, "{variable}={empty:?}");
        }
    }
}

#[test]
fn the_entries_of_a_list_are_trimmed() {
    let folder = Folder::new();
    let two = r#""value":["127.0.0.1:1","[::1]:2"]"#;
    for list in [
        "127.0.0.1:1,[::1]:2",
        "127.0.0.1:1, [::1]:2",
        " 127.0.0.1:1 ,\t[::1]:2\n",
    ] {
        let of_variable = shown(program_in(&folder).env("NOCACHE_GATEWAY_LISTEN", list), "server.listen");
        assert!(
            of_variable.contains(two) && of_variable.contains("NOCACHE_GATEWAY_LISTEN"),
            "{list:?}: {of_variable}"
        );
        let of_flag = shown(program_in(&folder).args(["--listen", list]), "server.listen");
        assert!(
            of_flag.contains(two) && of_flag.contains("--listen"),
            "{list:?}: {of_flag}"
        );
    }
    let twice = ["--listen", " 127.0.0.1:1", "--listen", "[::1]:2 "];
    assert!(shown(program_in(&folder).args(twice), "server.listen").contains(two));
}

#[test]
fn an_invalid_variable_is_named_and_not_its_flag() {
    let folder = Folder::new();
    for (variable, flag) in VARIABLES {
        for value in ["no such:thing", "a,b,", ",", "http://me:hunter2@x.example"] {
            for verb in [&["check"][..], &["explain", "--site", "a.example"], &["serve"]] {
                let output = program_in(&folder).args(verb).env(variable, value).output().unwrap();
                let said = text(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{variable}={value}: {said}");
                assert!(said.contains(variable) && !said.contains(flag), "{said}");
                assert!(!said.contains("hunter2"), "{said}");
            }
        }
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = program_in(&folder)
        .arg("sandbox")
        .env("NOCACHE_GATEWAY_LISTEN", address)
        .output()
        .unwrap();
    assert!(text(&output.stderr).contains("(NOCACHE_GATEWAY_LISTEN)"), "{output:?}");
    // Docker reserves 2.
    let output = program_in(&folder)
        .arg("healthcheck")
        .env("NOCACHE_GATEWAY_LISTEN", "nonsense")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

/// A flag that is given wins, also over a variable that is invalid.
#[test]
fn a_variable_under_a_flag_is_not_read() {
    let folder = Folder::new();
    let output = program_in(&folder)
        .args(["check", "--upstream", "http://127.0.0.1:1"])
        .env("NOCACHE_GATEWAY_UPSTREAM", "nonsense")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn the_help_names_variables_without_their_values() {
    let output = program()
        .arg("--help")
        .env("NOCACHE_GATEWAY_UPSTREAM", "http://me:hunter2@x.example")
        .output()
        .unwrap();
    let help = text(&output.stdout);
    for (variable, _) in VARIABLES {
        assert!(help.contains(variable), "{help}");
    }
    assert!(!help.contains("hunter2"), "{help}");
}
