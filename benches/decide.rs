//! A decision among 1, 1,000 and 100,000 patterns, and a whole submission through the core.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use nocache_gateway::{
    rewrite,
    rules::{Rule, RuleSet},
    submission::{self, CaptchaNames, Dialect, Part, Request, Site},
};

/// Rules with this many patterns in all, ten each, of every form.
fn rules(patterns: usize) -> RuleSet {
    let pattern = |i: usize| match i % 4 {
        0 => format!("site-{i}.example"),
        1 => format!("*.site-{i}.example"),
        2 => format!("=www.site-{i}.example"),
        _ => format!("site-{i}.example/login"),
    };
    let all: Vec<usize> = (0..patterns).collect();
    let rule = |numbers: &[usize]| Rule {
        id: format!("rule-{}", numbers[0]),
        sites: numbers.iter().filter_map(|&i| pattern(i).parse().ok()).collect(),
        ..Rule::built_in_default()
    };
    RuleSet::new(
        all.chunks(10).map(rule).collect(),
        Rule::built_in_default(),
        None,
        CaptchaNames::default(),
    )
}

fn decide(criterion: &mut Criterion) {
    let captcha = CaptchaNames::default().of_type("RecaptchaV2Task", false);
    let mut group = criterion.benchmark_group("decide");
    for patterns in [1, 1_000, 100_000] {
        let rules = rules(patterns);
        let last = patterns - 1;
        for (name, url) in [
            ("hit", format!("https://www.site-{last}.example/login/form")),
            ("miss", "https://www.elsewhere.example/login/form".to_owned()),
        ] {
            let Ok(site) = Site::parse(&url) else {
                continue;
            };
            group.bench_with_input(BenchmarkId::new(name, patterns), &site, |bencher, site| {
                bencher.iter(|| black_box(rules.decide(black_box(site), &captcha)));
            });
        }
    }
    group.finish();
}

fn core(criterion: &mut Criterion) {
    let rules = rules(1_000);
    let body = br#"{"clientKey":"0123456789abcdef0123456789abcdef","task":{"type":"RecaptchaV2Task","websiteURL":"https://www.site-1.example/login","websiteKey":"6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd"}}"#;
    criterion.bench_function("read, decide, rewrite", |bencher| {
        bencher.iter(|| {
            let request = Request {
                target: "/createTask",
                content_type: None,
                body: black_box(body),
            };
            let reading = submission::read(Dialect::CreateTask, request, rules.names());
            let plan = rewrite::plan(&reading, &rules);
            black_box(rewrite::apply(body, Part::Body, &plan.edits))
        });
    });
}

criterion_group!(benches, decide, core);
criterion_main!(benches);
