//! What the program is told by flags and environment variables, and whom it tells.

mod fixtures;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use fixtures::{Folder, program, refused, run, text};

/// Every environment variable, and its flag.
const VARIABLES: [(&str, &str); 5] = [
    ("NOCACHE_GATEWAY_CONFIG", "--config"),
    ("NOCACHE_GATEWAY_LISTEN", "--listen"),
    ("NOCACHE_GATEWAY_UPSTREAM", "--upstream"),
    ("NOCACHE_GATEWAY_ADMIN_LISTEN", "--admin-listen"),
    ("NOCACHE_GATEWAY_LOG_LEVEL", "--log-level"),
];

/// The program in a folder without a configuration.
fn program_in(folder: &Folder) -> Command {
    let mut command = program();
    command.current_dir(folder.path()).stdin(Stdio::null());
    command
}

/// What `config show` says about a setting, the value with its origin.
fn shown(command: &mut Command, flags: &[&str], setting: &str) -> String {
    let output = command.args(["config", "show", "--json"]).args(flags).output().unwrap();
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
        let of_variable = shown(
            program_in(&folder).env("NOCACHE_GATEWAY_LISTEN", list),
            &[],
            "server.listen",
        );
        assert!(
            of_variable.contains(two) && of_variable.contains("NOCACHE_GATEWAY_LISTEN"),
            "{list:?}: {of_variable}"
        );
        let of_flag = shown(&mut program_in(&folder), &["--listen", list], "server.listen");
        assert!(
            of_flag.contains(two) && of_flag.contains("--listen"),
            "{list:?}: {of_flag}"
        );
    }
    let twice = ["--listen", " 127.0.0.1:1", "--listen", "[::1]:2 "];
    assert!(shown(&mut program_in(&folder), &twice, "server.listen").contains(two));
}

/// A command does not take an option that would do nothing.
#[test]
fn options_are_where_they_work() {
    let folder = Folder::new();
    let run = |args: &[&str]| {
        let output = program_in(&folder).args(args).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (behind, in_front) = ("unexpected argument", "has no use for it");
    for (args, expected) in [
        (&["demo", "--listen", "127.0.0.1:0"][..], behind),
        (&["sandbox", "--upstream", "http://x.example"], behind),
        (&["schema", "--config", "x.toml"], behind),
        (&["completions", "bash", "--listen", "127.0.0.1:0"], behind),
        (
            &["explain", "--site", "a.example", "--upstream", "http://x.example"],
            behind,
        ),
        (&["stats", "--upstream", "http://x.example"], behind),
        (&["--listen", "127.0.0.1:0", "demo"], in_front),
        (&["-c", "x.toml", "init"], in_front),
        (&["--upstream", "http://x.example", "stats"], in_front),
    ] {
        let (code, said) = run(args);
        assert!(code == Some(2) && said.contains(expected), "{args:?}: {said}");
    }
    for args in [
        &["--listen", "127.0.0.1:1", "config", "show"][..],
        &["--listen", "127.0.0.1:2", "config", "show", "--listen", "127.0.0.1:1"],
    ] {
        let mut command = program_in(&folder);
        let output = command
            .args(args)
            .env("NOCACHE_GATEWAY_LISTEN", "127.0.0.1:3")
            .output()
            .unwrap();
        assert!(text(&output.stdout).contains("listen = [\"127.0.0.1:1\"]"), "{args:?}");
    }
    // What explain has no use for cannot be wrong there.
    let output = program_in(&folder)
        .args(["explain", "--site", "a.example"])
        .env("NOCACHE_GATEWAY_LISTEN", "no such:thing")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
}

/// -h is for a look, --help has examples, which are commands that exist.
#[test]
fn the_long_help_has_examples_that_are_commands() {
    let folder = Folder::new();
    let help = |args: &[&str]| {
        let output = program_in(&folder).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        text(&output.stdout)
    };
    let verbs = help(&["--help"]);
    let verbs = verbs.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let verbs: Vec<&str> = verbs
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(verbs.len() > 14, "{verbs:?}");
    for verb in verbs.iter().filter(|verb| !["help", "config"].contains(verb)) {
        let (short, long) = (help(&[verb, "-h"]), help(&[verb, "--help"]));
        assert!(!short.contains("Examples:"), "{verb}");
        let examples = long
            .split("Examples:")
            .nth(1)
            .unwrap_or_else(|| panic!("{verb} has no examples"));
        let commands: Vec<&str> = examples
            .split("nocache-gateway ")
            .skip(1)
            .filter_map(|command| command.split_whitespace().next())
            .filter(|command| !command.starts_with('#'))
            .collect();
        assert!(commands.len() >= 2, "{verb}: {examples}");
        for command in commands {
            let is_flag = command.starts_with('-');
            assert!(is_flag || verbs.contains(&command), "{verb}: {command}");
        }
    }
    assert!(help(&["--help"]).contains("Exit codes: 0"));
}

#[test]
fn an_invalid_variable_is_named_and_not_its_flag() {
    let folder = Folder::new();
    for (variable, flag) in VARIABLES {
        for value in ["no such:thing", "a,b,", ",", "http://me:hunter2@x.example"] {
            for verb in [&["check"][..], &["config", "show"], &["serve"]] {
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

/// Every verb with its arguments and the exit code that it ends with, whoever reads what it says.
fn verbs(folder: &Folder) -> Vec<(Vec<String>, i32)> {
    let path = |name: &str, text: &str| folder.write(name, text).display().to_string();
    let wrong = path("wrong.toml", "rul = 1\n");
    let suspicious = path(
        "suspicious.toml",
        "[[rule]]\nid = \"a\"\nsites = [\"co.uk\"]\naction = \"add\"\n",
    );
    let failing = path("failing.toml", "[[test]]\nsite = \"a.example\"\nexpect = \"denied\"\n");
    let sites = path("sites.txt", &"a.example\n".repeat(2000));
    let body = path("body.json", fixtures::TASK);
    let absent = refused().trim_start_matches("http://").to_owned();
    [
        ("--help".to_owned(), 0),
        ("--version".to_owned(), 0),
        ("help explain".to_owned(), 0),
        ("--no-such-flag".to_owned(), 2),
        ("check".to_owned(), 0),
        ("check --json".to_owned(), 0),
        (format!("check --config {wrong}"), 2),
        (format!("check --json --config {wrong}"), 2),
        (format!("check --config {suspicious}"), 0),
        (format!("check --config {failing}"), 2),
        (format!("check --json --config {failing}"), 2),
        ("config show".to_owned(), 0),
        ("config show --json".to_owned(), 0),
        (format!("explain {body}"), 0),
        ("explain --site a.example --json".to_owned(), 0),
        ("explain no-such-file.json".to_owned(), 2),
        (format!("explain --batch {sites}"), 0),
        (format!("explain --batch {sites} --json"), 0),
        (format!("explain --batch {sites} --against {suspicious}"), 0),
        ("demo".to_owned(), 0),
        (format!("serve --config {wrong}"), 2),
        (
            format!(
                "sandbox --tls {}/no-such-folder/ca.pem --listen 127.0.0.1:0",
                folder.path().display()
            ),
            1,
        ),
        (format!("healthcheck --admin-listen {absent}"), 1),
        ("init -".to_owned(), 0),
        ("schema".to_owned(), 0),
        ("completions bash".to_owned(), 0),
        ("completions zsh".to_owned(), 0),
        ("completions fish".to_owned(), 0),
        ("completions powershell".to_owned(), 0),
        ("completions elvish".to_owned(), 0),
    ]
    .into_iter()
    .map(|(line, code)| (line.split(' ').map(str::to_owned).collect(), code))
    .collect()
}

/// A pipe whose reader has gone.
fn unread() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

#[test]
fn whoever_closes_a_pipe_ends_the_output_and_nothing_else() {
    let folder = Folder::new();
    let mut wrong = Vec::new();
    for (args, code) in verbs(&folder) {
        let mut expect = |what: &str, output: Output| {
            let said = text(&output.stdout) + &text(&output.stderr);
            if output.status.code() != Some(code) || said.contains("panicked") || said.contains("Broken pipe") {
                wrong.push(format!(
                    "{args:?}, {what}: expected {code}, got {:?}: {said}",
                    output.status
                ));
            }
        };
        let start = |stdout: Stdio, stderr: Stdio| {
            let mut command = program_in(&folder);
            command.args(&args).stdout(stdout).stderr(stderr);
            command.spawn().unwrap().wait_with_output().unwrap()
        };
        expect("stdout unread", start(unread(), Stdio::piped()));
        expect("stderr unread", start(Stdio::piped(), unread()));
        expect("both unread", start(unread(), unread()));
        for closed in [">&-", "2>&-", ">&- 2>&-"] {
            let mut command = Command::new("sh");
            command
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .env("NO_COLOR", "1");
            command.args(["-c", &format!(r#"exec "$@" {closed}"#), "sh"]);
            command.arg(program().get_program()).args(&args);
            expect(closed, command.output().unwrap());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn init_writes_its_file_also_for_nobody() {
    let folder = Folder::new();
    let child = program_in(&folder).args(["init", "c.toml"]).stdout(unread()).status();
    assert_eq!(child.unwrap().code(), Some(0));
    assert!(folder.path().join("c.toml").exists());
}

/// Neither server depends on whoever read its start.
#[test]
fn servers_go_on_when_their_log_has_lost_its_reader() {
    let folder = Folder::new();
    let config = folder.write("c.toml", "");
    let config = config.to_str().unwrap();
    for args in [
        &["sandbox", "--listen", "127.0.0.1:0"][..],
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "off",
            "--config",
            config,
        ],
    ] {
        let mut command = program_in(&folder);
        let mut child = command
            .args(args)
            .stderr(Stdio::piped())
            .stdout(unread())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "{args:?} ended");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = line["address"].as_str() {
                break address.parse().unwrap();
            }
        };
        drop(log);
        for _ in 0..2 {
            let response = fixtures::exchange(address, fixtures::post("/createTask", fixtures::TASK));
            assert!([200, 502].contains(&response.status()), "{args:?}: {response:?}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A disk that is full is not a reader that has gone: what is missing then must be noticed.
#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_a_failure() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for args in [&["schema"][..], &["completions", "bash"], &["init", "-"], &["--help"]] {
        let output = program().args(args).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            text(&output.stderr).contains("stdout cannot be written"),
            "{args:?}: {output:?}"
        );
    }
    // On stderr there is nobody to tell.
    let output = program().arg("--no-such-flag").stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(run(&["schema"]).status.code(), Some(0));
}

/// A command line of curl can be explained as it was typed, without quotes around it.
#[test]
fn explain_takes_curl_as_typed() {
    let folder = Folder::new();
    let body = r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://it-is.example/"}}"#;
    let words = [
        "explain",
        "curl",
        "-i",
        "-H",
        "Content-Type: application/json",
        "http://127.0.0.1:6622/createTask",
        "-d",
        body,
    ];
    let output = program_in(&folder).args(words).output().unwrap();
    let said = text(&output.stdout);
    assert!(
        said.contains("set;action=add") && said.contains("it-is.example"),
        "{said}{}",
        text(&output.stderr)
    );
}
