use super::*;
use crate::{
    config::{rule_value::lines, value::toml},
    rules::{Action, CaptchaPattern, Unreadable},
    submission::Kind,
};

fn read_text(text: &str, folder: &Path) -> Result<Config, Report> {
    read(Source::new("c.toml", text), folder, Reading::First)
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
        "expected an address with a port, such as",
        "c.toml:3:14",
        "write \"5 KiB\"",
        "unknown key \"upstram\" at the top level",
        "did you mean \"upstream\"?",
        "invalid id \"Shop\"",
        "write [\"example.com\"]",
        "c.toml:10:10",
        "found \"ad\"",
        "did you mean \"add\"?",
        "remove the scheme, and any query: a pattern matches host and path: write \"a.example\"",
        "remove the port: a pattern matches every port",
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
        "the id \"a\" is already used by the rule in line 3",
        "the id \"default\" is that of the [default] section",
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
fn every_example_and_every_default_of_a_setting_can_be_read() {
    fn keys<C: Default>(section: &Section<C>) -> [String; 2] {
        let default = |key: &sections::Key<C>| (key.show)(&C::default()).unwrap_or_else(|| key.example.clone());
        let line = |key: &sections::Key<C>, value: &serde_json::Value| format!("{} = {}\n", key.name, toml(value));
        [
            section.keys.iter().map(|key| line(key, &key.example)).collect(),
            section.keys.iter().map(|key| line(key, &default(key))).collect(),
        ]
    }
    let plain = sections::plain();
    let plain = plain
        .iter()
        .map(|section| (format!("[{}]\n", section.name), keys(section)));
    let rule = ("[[rule]]\n".to_owned(), keys(&sections::rule()));
    let test = ("[[test]]\n".to_owned(), keys(&sections::test()));
    let all: Vec<(String, [String; 2])> = plain.chain([rule, test]).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    for number in [0, 1] {
        let text: String = all.iter().map(|(head, keys)| head.clone() + &keys[number]).collect();
        assert!(
            read_text(&text, &folder).is_ok(),
            "{}",
            read_text(&text, &folder).unwrap_err()
        );
    }
}

#[test]
fn a_file_of_sites_has_comments_and_any_line_ends() {
    let text = "\u{feff}a.example # one\r\n\r\n# none\n  *.b.example/x  \nc.example";
    let spans: Vec<&str> = lines(text).map(|span| &text[span]).collect();
    assert_eq!(spans, ["a.example", "", "", "*.b.example/x", "c.example"]);
}

#[test]
fn a_flag_can_set_a_value_of_every_kind() {
    use crate::config::load::set;
    let mut config = Config::default();
    for (path, text) in [
        ("server.decision_header", "false"),
        ("server.max_in_flight", "5"),
        ("server.body_limit", "1 MiB"),
        ("admin.hosts", "a.example,b.example"),
        ("upstream.connect_to", "127.0.0.1:1"),
    ] {
        assert_eq!(set(&mut config, path, text), Ok(()), "{path}");
    }
    assert!(!config.server.api.decision_header);
    assert_eq!(config.server.api.max_in_flight, 5);
    assert_eq!(config.server.api.body_limit, 1 << 20);
    assert_eq!(config.admin.settings.hosts, ["a.example", "b.example"]);
    assert_eq!(config.upstream.connect_to, "127.0.0.1:1".parse().ok());
    for (path, text, message) in [
        (
            "server.decision_header",
            "maybe",
            "expected true or false, found a string",
        ),
        ("server.max_in_flight", "0", "expected a whole number from 1 to 1000000"),
        ("server.nothing", "0", "there is no setting server.nothing"),
    ] {
        assert_eq!(set(&mut config, path, text), Err(message.to_owned()), "{path}");
    }
}
