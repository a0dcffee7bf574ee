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
            .contains("1 (100000 site patterns)")
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

/// A quadratic loader takes 16 times as long for four times as many rules, a linear one 4 times.
#[cfg(unix)]
#[test]
fn loading_is_linear_in_the_number_of_rules() {
    let (few, many) = (seconds_of_loading(4_000), seconds_of_loading(16_000));
    assert!(many < few * 8.0, "{few} s for 4,000 rules, {many} s for 16,000");
}

/// How long the program computes to load rules. Other processes do not matter to it.
#[cfg(unix)]
fn seconds_of_loading(rules: usize) -> f64 {
    let folder = Folder::new();
    let mut config = String::new();
    for i in 0..rules {
        let rule = format!("[[rule]]\nid = \"r{i}\"\nsites = [\"site-{i}.example\"]\naction = \"force\"\n");
        config += &rule;
    }
    let config = folder.write("c.toml", config);
    // `times` ends with a line of what the shell's children took, user and system, such as "0m0.250s 0m0.010s".
    let output = std::process::Command::new("sh")
        .args(["-c", "\"$0\" \"$@\" > /dev/null && times"])
        .arg(env!("CARGO_BIN_EXE_nocache-gateway"))
        .args(["explain", "--site", "a.example", "--config"])
        .arg(config)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let times = String::from_utf8(output.stdout).unwrap();
    let user = times.lines().last().unwrap().split_whitespace().next().unwrap();
    let (minutes, seconds) = user.trim_end_matches('s').split_once('m').unwrap();
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}
