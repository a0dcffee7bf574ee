//! What rules cost: a decision allocates nothing, and a long list loads quickly.

mod fixtures;

use std::fmt::Write as _;

use fixtures::{Folder, run};
use nocache_gateway::{
    rules::{Rule, RuleSet},
    submission::{CaptchaNames, Site},
};

#[test]
fn a_decision_allocates_nothing() {
    let rule = Rule {
        id: "a".into(),
        sites: ["a.example/x", "*.b.example", "=c.example", "*/y"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        captchas: ["recaptcha-v2", "TurnstileTask", "method=x"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        ..Rule::built_in_default()
    };
    let rules = RuleSet::new(vec![rule], Rule::built_in_default(), None, CaptchaNames::default());
    for (site, name) in [
        ("a.example/x/z", "RecaptchaV2Task"),
        ("q.b.example", "TURNSTILETASK"),
        ("d.example/y", "Other"),
    ] {
        let site = Site::parse(site).unwrap();
        let captcha = CaptchaNames::default().of_type(name, false);
        let allocations = allocation_counter::measure(|| {
            std::hint::black_box(rules.decide(&site, &captcha));
        });
        assert_eq!(allocations.count_total, 0, "{site}");
    }
}

#[test]
fn a_list_of_100_000_sites_is_checked_whole() {
    let folder = Folder::new();
    let mut list = String::new();
    for i in 0..100_000 {
        writeln!(list, "site-{i}.example{}", if i % 3 == 0 { "/login" } else { "" }).unwrap();
    }
    folder.write("sites.txt", &list);
    let config = folder.write(
        "c.toml",
        "[[rule]]\nid = \"list\"\nsites_file = \"sites.txt\"\naction = \"force\"\n",
    );
    let config = config.to_str().unwrap();
    let output = run(&["check", "--config", config]);
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("1, with 100000 site patterns")
    );
    let shown = run(&[
        "explain",
        "--config",
        config,
        "--site",
        "www.site-99999.example/login/x",
    ]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("rule=list"));
}
