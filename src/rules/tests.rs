use proptest::prelude::*;

use super::*;
use crate::submission::{Captcha, CaptchaNames, Site, captcha};

fn site(text: &str) -> Site {
    Site::parse(text).unwrap()
}

fn pattern(text: &str) -> SitePattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn task(name: &str) -> Captcha {
    CaptchaNames::default().of_type(name, false)
}

fn rule(id: &str, sites: &[&str], captchas: &[&str]) -> Rule {
    Rule {
        id: id.into(),
        sites: sites.iter().map(|text| pattern(text)).collect(),
        captchas: captchas.iter().map(|text| text.parse().unwrap()).collect(),
        action: Action::Add,
        via: Via::Parameter,
        line: None,
    }
}

fn set(rules: Vec<Rule>) -> RuleSet {
    RuleSet::new(rules, Rule::built_in_default(), None, CaptchaNames::default())
}

#[test]
fn patterns_match_what_the_manual_says() {
    let table = r#"
        pattern               | matches                                                                          | does not match
        example.com           | example.com www.example.com a.b.example.com EXAMPLE.COM. example.com:8443/x      | notexample.com example.com.evil.example com
        *.example.com         | www.example.com                                                                  | example.com notexample.com
        =example.com          | example.com/x                                                                    | www.example.com
        *                     | example.com 192.0.2.1 [::1]                                                      |
        example.com/login     | example.com/login example.com/login/ www.example.com/login/x example.com/%6cogin | example.com/login2 example.com/ example.com/Login
        example.com/login/    | example.com/login                                                                | example.com/login2
        example.com/          | example.com example.com/x                                                        | example.org
        */login               | a.example/login/x                                                                | a.example/x/login
        192.0.2.1             | 192.0.2.1 0xc0.0.2.1                                                             | 192.0.2.2
        [::1]                 | [::1] [0:0::1]:80/x                                                              | [::2]
        bücher.example        | xn--bcher-kva.example BÜCHER.example                                             | bucher.example
        xn--bcher-kva.example | bücher.example                                                                   |
        Example.COM.          | example.com                                                                      |
        example.com/a%2Fb     | example.com/a/b                                                                  | example.com/a
        example.com/%2A       | example.com/* example.com/%2a/x                                                  | example.com/a
        example.com/%28a%29   | example.com/(a)                                                                  | example.com/a
        example.com/a/../b    | example.com/b example.com/a/%2e./b                                               | example.com/a
        192.0.2.1/129         | 192.0.2.1/129                                                                    | 192.0.2.1
        192.0.2.1/%32%34      | 192.0.2.1/24                                                                     | 192.0.2.1
        192.0.2.1/24/         | 192.0.2.1/24                                                                     | 192.0.2.1
        example.com/a%F2      | example.com/a%F2/b                                                               | example.com/a
        example.com/a%C2%A0   | example.com/a%C2%A0                                                              | example.com/a
        example.com/a%2F/     | example.com/a/                                                                   | example.com/a
        example.com/a%2F..%2F | example.com/a%2F..%2F                                                            | example.com/a
        example.com//         | example.com//a                                                                   | example.com/a
    "#;
    for line in table.trim().lines().skip(1) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [text, matching, other] = columns[..] else {
            panic!("three columns expected: {line}");
        };
        let pattern = pattern(text);
        let shown = pattern.to_string();
        assert_eq!(shown.parse().as_ref(), Ok(&pattern), "{text} is shown as {shown}");
        for url in matching.split_whitespace() {
            assert!(pattern.matches(&site(url)), "{text} should match {url}");
        }
        for url in other.split_whitespace() {
            assert!(!pattern.matches(&site(url)), "{text} should not match {url}");
        }
    }
}

#[test]
fn invalid_patterns_say_what_to_write() {
    use SitePatternMistake as M;
    let long = format!("{}.example", "a".repeat(64));
    let part = |path: &str| M::PartOfSegment {
        host: "bank.example".to_owned(),
        path: path.to_owned(),
    };
    for (text, mistake, fix) in [
        ("", M::Empty, None),
        ("a b", M::Space, None),
        ("2%24.example", M::Host("2%24.example".into()), None),
        ("＝a.example", M::Host("＝a.example".into()), None),
        ("a\tb", M::Space, None),
        ("https://example.com/x", M::Scheme, Some("example.com/x")),
        ("http:example.com", M::Scheme, Some("example.com")),
        ("ftp://me@example.com:8080/x\\y/*?z", M::Scheme, Some("example.com/x/y")),
        ("https://", M::Scheme, None),
        ("example.com:8080/x", M::Port, Some("example.com/x")),
        ("=example.com:8080", M::Port, Some("=example.com")),
        ("*.example.com:8080", M::Port, Some("*.example.com")),
        ("[::1]:80", M::Port, Some("[::1]")),
        ("me@example.com", M::UserInfo, Some("example.com")),
        ("me@a*b", M::UserInfo, None),
        ("example.com/x?y", M::Query, Some("example.com/x")),
        ("example.com/x?u=https://y", M::Query, Some("example.com/x")),
        ("example.com#y", M::Query, Some("example.com")),
        ("example.com\\x", M::Backslash, Some("example.com/x")),
        ("example.com/x\\y", M::Backslash, Some("example.com/x/y")),
        ("/login", M::Slash, Some("*/login")),
        ("//example.com", M::Slash, Some("example.com")),
        ("a*.example.com", M::InnerWildcard, None),
        ("www.*.example", M::InnerWildcard, None),
        ("*example.com", M::Wildcard, Some("example.com")),
        ("*.*.example.com", M::Wildcard, Some("*.example.com")),
        ("=*", M::Wildcard, None),
        ("bank.example/*", M::WildcardPath, Some("bank.example")),
        ("bank.example/a/**", M::WildcardPath, Some("bank.example/a")),
        ("bank.example/a*", part("/a"), None),
        (
            "bank.example/100%/%zz%41",
            M::Percent,
            Some("bank.example/100%25/%25zz%41"),
        ),
        ("bank.example/*/a", M::PathCharacter('*'), None),
        ("bank.example/(a|b)", M::PathCharacter('('), None),
        ("bank.example/a)", M::PathCharacter(')'), None),
        ("bank.example/a|b", M::PathCharacter('|'), None),
        ("bank.example/^a", M::PathCharacter('^'), None),
        ("bank.example/!a", M::PathCharacter('!'), None),
        ("^bank.example$", M::Regex, Some("bank.example")),
        ("^(www\\.)?a\\.example$", M::Regex, Some("a.example")),
        (
            "^https?://(.*\\.)?a\\.example\\/login",
            M::Regex,
            Some("a.example/login"),
        ),
        (".*\\.a\\.example", M::Regex, Some("a.example")),
        ("bank.example/(a|b)$", M::Regex, None),
        // What is proposed instead matches what was meant, or nothing is proposed: the rule may deny.
        ("^pay.*\\.bank\\.example$", M::Regex, None),
        ("^shop.+\\.example\\.com$", M::Regex, None),
        ("^bank\\.example/login.*\\.php$", M::Regex, None),
        ("^bank", M::Regex, None),
        ("bank.example/a?b$", M::Regex, None),
        ("bank\\.example/.*", M::Regex, Some("bank.example")),
        ("=*.bank.example", M::Wildcard, Some("*.bank.example")),
        ("=.bank.example", M::EmptyLabel, None),
        ("(a|b).example", M::HostCharacter('('), None),
        ("a|b.example", M::HostCharacter('|'), None),
        ("!bank.example", M::HostCharacter('!'), None),
        ("*.192.0.2.1", M::Subdomains, Some("192.0.2.1")),
        ("192.0.2.0/24", M::Range, None),
        ("192.0.2.*", M::Range, None),
        ("=192.0.2.0/0", M::Range, None),
        ("[2001:db8::]/32", M::Range, None),
        ("2001:db8::/128", M::Range, None),
        ("2001:db8::/x", M::Brackets, Some("[2001:db8::]/x")),
        ("::1", M::Brackets, Some("[::1]")),
        ("a..example", M::EmptyLabel, Some("a.example")),
        (".example.com", M::EmptyLabel, Some("example.com")),
        ("example.com..", M::EmptyLabel, Some("example.com.")),
        (&long, M::TooLong, None),
        ("a%zz.example", M::Host("a%zz.example".into()), None),
        ("=", M::Host(String::new()), None),
    ] {
        let fix = fix.map(str::to_owned);
        if let Some(fix) = &fix {
            assert!(fix.parse::<SitePattern>().is_ok(), "the fix for {text}: {fix}");
        }
        assert_eq!(
            text.parse::<SitePattern>().err(),
            Some(SitePatternError { mistake, fix }),
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn a_proposed_pattern_is_valid(text in "(https?:|[a-z]|\\.|/|:|@|\\*|[0-9]|\\[|\\]|::1|=|\\?|#|\\\\|\\(|\\$|%2A|é){1,12}") {
        if let Err(SitePatternError { fix: Some(fix), .. }) = text.parse::<SitePattern>() {
            prop_assert!(fix.parse::<SitePattern>().is_ok(), "{text}: {fix}");
        }
    }
}

#[test]
fn the_first_match_in_file_order_wins() {
    let rules = set(vec![
        rule("login", &["example.com/login"], &["recaptcha-v2"]),
        rule("turnstile", &["*"], &["TurnstileTask", "method=turnstile"]),
        rule("sub", &["*.example.com"], &["*"]),
        rule("all", &["example.com"], &["*"]),
    ]);
    for (url, name, id) in [
        ("example.com/login", "RecaptchaV2Task", Some("login")),
        ("example.com/login", "RecaptchaV3Task", Some("all")),
        ("www.example.com", "RecaptchaV3Task", Some("sub")),
        ("www.example.com", "turnstiletask", Some("turnstile")),
        ("other.example", "turnstiletask", Some("turnstile")),
        ("other.example", "RecaptchaV2Task", Some("default")),
        ("other.example", "RecaptchaV2EnterpriseTask", None),
    ] {
        let decided = rules.decide(&site(url), &task(name)).map(|rule| rule.id.as_str());
        assert_eq!(decided, id, "{url} {name}");
    }
    let legacy = captcha::of_method("Turnstile", false, false);
    assert_eq!(rules.decide(&site("a.example"), &legacy).unwrap().id, "turnstile");
}

#[test]
fn a_deny_makes_unreadable_submissions_denied() {
    let mut deny = rule("d", &["a.example"], &["*"]);
    assert_eq!(set(vec![deny.clone()]).unreadable(), Unreadable::Forward);
    deny.action = Action::Deny;
    assert_eq!(set(vec![deny.clone()]).unreadable(), Unreadable::Deny);
    let said = RuleSet::new(
        vec![deny],
        Rule::built_in_default(),
        Some(Unreadable::Forward),
        CaptchaNames::default(),
    );
    assert_eq!(said.unreadable(), Unreadable::Forward);
}

fn host() -> impl Strategy<Value = String> {
    // Few labels, so that they are shared, and some that are each other's tails.
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "ba", "xn--bcher-kva"]), 1..5)
        .prop_map(|labels| labels.join("."))
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["/", "/a", "/b", "/ab", "//", "/a%2Fb"]), 0..4)
        .prop_map(|parts| parts.concat())
}

fn site_pattern() -> impl Strategy<Value = SitePattern> {
    (prop::sample::select(vec!["", "*.", "=", "*"]), host(), path()).prop_map(|(sign, host, path)| {
        pattern(&match sign {
            "*" => format!("*{path}"),
            sign => format!("{sign}{host}{path}"),
        })
    })
}

fn captcha_pattern() -> impl Strategy<Value = CaptchaPattern> {
    prop::sample::select(vec![
        "*",
        "recaptcha-v2",
        "recaptcha-v3",
        "recaptcha-v3-enterprise",
        "TurnstileTask",
        "RecaptchaV2Task",
        "method=x",
    ])
    .prop_map(|text| text.parse().unwrap())
}

fn any_captcha() -> impl Strategy<Value = Captcha> {
    prop_oneof![
        prop::sample::select(vec![
            "RecaptchaV2Task",
            "NoCaptchaTask",
            "RecaptchaV3Task",
            "TURNSTILETASK",
            "Other"
        ])
        .prop_map(task),
        prop::sample::select(vec!["userrecaptcha", "X", "TurnstileTask"])
            .prop_map(|name| captcha::of_method(name, true, true)),
    ]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (
        prop::collection::vec(site_pattern(), 1..4),
        prop::collection::vec(captcha_pattern(), 1..3),
    )
        .prop_map(|(sites, captchas)| Rule {
            sites,
            captchas,
            ..Rule::built_in_default()
        })
}

/// Compares rules by address: their ids are all the same here.
fn same(a: Option<&Rule>, b: Option<&Rule>) -> bool {
    a.map(std::ptr::from_ref) == b.map(std::ptr::from_ref)
}

proptest! {
    // 2,500 rule sets × 40 sites: 100,000 decisions.
    #![proptest_config(ProptestConfig { cases: 2_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_decides_as_a_scan_does(
        rules in prop::collection::vec(any_rule(), 0..12),
        asked in prop::collection::vec((host(), path(), any_captcha()), 40),
    ) {
        let rules = set(rules);
        for (host, path, captcha) in asked {
            let site = site(&format!("https://{host}{path}"));
            let (found, expected) = (rules.decide(&site, &captcha), rules.decide_by_scan(&site, &captcha));
            prop_assert!(same(found, expected), "{site} {captcha}: {found:?}, expected {expected:?}");
            let covered = rules.rules().iter().chain([rules.default_rule()]).any(|rule| rule.covers(&captcha));
            prop_assert_eq!(rules.covers(&captcha), covered);
        }
    }
}
