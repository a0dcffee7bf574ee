use super::*;
use crate::rules::Unreadable;

fn read_text(text: &str, folder: &Path) -> Result<Config, Report> {
    let source = Source {
        path: "c.toml".into(),
        text: text.into(),
    };
    read(source, folder)
}

fn report(text: &str) -> String {
    read_text(text, Path::new(""))
        .err()
        .map(|report| report.to_string())
        .unwrap_or_default()
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    let report = report(
        "[server]\nlisten = 6622\nbody_limit = 5\n\n[upstram]\n\n[[rule]]\nid = \"Shop\"\nsites = \"example.com\"\naction = \"ad\"\n\n[[rule]]\nid = \"x\"\nsites = [\"https://a.example\", \"b:80\"]\ncaptchas = [\"recaptcha-v4\"]\naction = \"keep\"\n",
    );
    for expected in [
        "c.toml:2:10",
        "expected a string, found a number",
        "c.toml:3:14",
        "write \"5 B\" for bytes",
        "unknown key \"upstram\" at the top level",
        "did you mean \"upstream\"?",
        "\"Shop\" is no id",
        "write [\"example.com\"]",
        "c.toml:10:10",
        "expected one of add, force, strip, keep, deny, found \"ad\"",
        "did you mean \"add\"?",
        "a site pattern has no scheme: write \"a.example\"",
        "a site pattern has no port",
        "did you mean \"recaptcha-v2\"?",
    ] {
        assert!(report.contains(expected), "{expected} is missing in\n{report}");
    }
}

#[test]
fn a_rule_has_id_sites_and_action() {
    let report = report(
        "[[rule]]\n\n[[rule]]\nid = \"a\"\nsites = []\naction = \"keep\"\n\n[[rule]]\nid = \"a\"\nsites = [\"*\"]\naction = \"keep\"\n\n[[rule]]\nid = \"default\"\nsites = [\"*\"]\naction = \"keep\"",
    );
    for expected in [
        "this rule has no \"action\"",
        "this rule has no \"id\"",
        "this rule has no \"sites\"",
        "this rule has no sites",
        "the id \"a\" is taken by the rule in line 3",
        "the id \"default\" is the [default] section's",
    ] {
        assert!(report.contains(expected), "{expected} is missing in\n{report}");
    }
}

#[test]
fn the_file_is_read_over_the_defaults() {
    let config = read_text(
        "[server]\nlisten = \"127.0.0.1:0\"\nbody_limit = \"1 MiB\"\n[upstream]\nurl = \"http://127.0.0.1:1\"\nca_file = \"ca.pem\"\n[admin]\nlisten = \"off\"\n[default]\naction = \"keep\"\n[captchas]\n\"recaptcha-v2\" = [\"MyTask\"]\n[[rule]]\nid = \"a\"\nsites = [\"a.example\"]\naction = \"deny\"\n",
        Path::new("/etc/x"),
    )
    .unwrap();
    assert_eq!(config.server.listen, ["127.0.0.1:0".parse().unwrap()]);
    assert_eq!(config.server.api.body_limit, 1 << 20);
    assert_eq!(config.upstream.ca_file.as_deref(), Some(Path::new("/etc/x/ca.pem")));
    assert_eq!(config.admin.listen, crate::config::AdminListen::Off);
    assert_eq!(config.rules.default_rule().action, Action::Keep);
    assert_eq!(config.rules.default_rule().line, Some(10));
    assert_eq!(config.rules.rules()[0].line, Some(13));
    assert_eq!(config.rules.rules()[0].captchas, [CaptchaPattern::Any]);
    assert_eq!(config.rules.unreadable(), Unreadable::Deny);
    assert_eq!(
        config.rules.names().of_type("mytask", false).kind,
        Some(Kind::RecaptchaV2)
    );
    assert_eq!(config.upstream.timeout, Config::default().upstream.timeout);
    assert_eq!(config.provenance["server.body_limit"].to_string(), "c.toml:3");
}

#[test]
fn every_setting_of_the_table_is_read_and_no_other() {
    use crate::config::settings::SETTINGS;
    // A file with every key: examples where there is no default.
    let mut text = String::new();
    let mut last = "";
    for setting in SETTINGS {
        if setting.section != last {
            last = setting.section;
            let is_list = matches!(last, "rule" | "test");
            text += &if is_list {
                format!("[[{last}]]\n")
            } else {
                format!("[{last}]\n")
            };
        }
        text += &format!("{} = {}\n", setting.key, setting.example());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    let (root, errors) = DeTable::parse_recoverable(&text);
    assert!(errors.is_empty(), "{errors:?}");
    let mut files = Files {
        folder: &folder,
        sources: vec![Source {
            path: String::new(),
            text: text.clone(),
        }],
    };
    let findings = sections(root.get_ref(), &mut Config::default(), &mut files);
    assert_eq!(
        findings.problems,
        [],
        "every key of the table is known, and its example is right"
    );
    let known: Vec<&String> = findings.known.iter().filter(|path| !path.starts_with('.')).collect();
    for path in known {
        let is_listed = SETTINGS
            .iter()
            .any(|setting| *path == format!("{}.{}", setting.section, setting.key));
        assert!(is_listed, "{path} is missing in the table");
    }
}

#[test]
fn a_file_of_sites_has_comments_and_any_line_ends() {
    let text = "\u{feff}a.example # one\r\n\r\n# none\n  *.b.example/x  \nc.example";
    let spans: Vec<&str> = lines(text).map(|span| &text[span]).collect();
    assert_eq!(spans, ["a.example", "", "", "*.b.example/x", "c.example"]);
}
