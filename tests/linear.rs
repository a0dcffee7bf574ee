//! Reading, deciding and editing take time in proportion to the request, and little memory beside it: one row per reader,
//! edit and index, each the longest kind of input for it. `cargo test --release --test linear -- --nocapture` prints the
//! table of docs/evidence/hostile-input.md.

use std::{hint::black_box, time::Instant};

use nocache_gateway::{
    rewrite,
    rules::{Action, Rule, RuleSet, Via},
    submission::{CaptchaNames, Dialect, Part, Request, plain_shape::Sent},
};

/// The shorter length; the longer one is [`TIMES`] as long.
const SHORT: usize = if cfg!(debug_assertions) { 32 << 10 } else { 512 << 10 };
const TIMES: usize = 8;
/// What a linear row may take for [`TIMES`] the length: some slack for caches and a busy machine. Quadratic is 64.
const MOST: f64 = 20.0;
/// What a row may hold beside multiples of the body.
const CONSTANT: u64 = 256 << 10;

/// A request of about a length.
struct Case {
    dialect: Dialect,
    target: String,
    content_type: Option<String>,
    body: Vec<u8>,
}

fn create_task(body: impl Into<Vec<u8>>) -> Case {
    Case {
        dialect: Dialect::CreateTask,
        target: "/createTask".to_owned(),
        content_type: None,
        body: body.into(),
    }
}

fn in_php(body: impl Into<Vec<u8>>) -> Case {
    Case {
        dialect: Dialect::Legacy,
        target: "/in.php".to_owned(),
        ..create_task(body)
    }
}

fn multipart(boundary: &str, body: String) -> Case {
    Case {
        content_type: Some(format!("multipart/form-data; boundary={boundary}")),
        ..in_php(body)
    }
}

fn query(query: &str) -> Case {
    Case {
        target: format!("/in.php?{query}"),
        ..in_php("")
    }
}

fn path(path: &str) -> Case {
    Case {
        target: path.to_owned(),
        ..create_task(format!(r#"{{"task":{{{TASK}}}}}"#))
    }
}

const TASK: &str = r#""type":"RecaptchaV2Task","websiteURL":"a.example""#;
const FORM: &str = "key=K&method=userrecaptcha&pageurl=a.example";

/// A text repeated up to a length.
fn fill(text: &str, length: usize) -> String {
    text.repeat(length / text.len())
}

fn site(url: &str) -> Case {
    create_task(format!(
        r#"{{"task":{{"type":"RecaptchaV2Task","websiteURL":"{url}"}}}}"#
    ))
}

fn bytes(before: &str, byte: u8, length: usize, after: &str) -> Vec<u8> {
    [before.as_bytes(), &vec![byte; length], after.as_bytes()].concat()
}

/// The parts of one boundary, in front of its end.
fn parts(parts: &str) -> Case {
    multipart("B", format!("{parts}--B--\r\n"))
}

type Row = (&'static str, Action, u64, fn(usize) -> Case);

/// Each row: what is long, the action, how many times the body may be held beside it (the edited copy, what edits remove, the
/// masked copy, a value unescaped, a path), and the request.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("JSON: members at the top", Action::Add, 0, |n| create_task(format!("{{{}\"task\":{{{TASK}}}}}", fill("\"a\":1,", n)))),
    ("JSON: members of the task", Action::Add, 0, |n| create_task(format!("{{\"task\":{{{}{TASK}}}}}", fill("\"a\":1,", n)))),
    ("JSON: 900 members", Action::Add, 1, |n| create_task(format!("{{\"task\":{{{}{TASK}}}}}", format!("\"a\":\"{}\",", fill("x", n / 900)).repeat(900)))),
    ("JSON: 900 names of 4 KiB with escapes", Action::Add, 9, |n| create_task(format!("{{\"task\":{{{}{TASK}}}}}", format!("\"{}\":1,", fill("\\/", n / 900)).repeat(900)))),
    ("JSON: a string with escapes, not read", Action::Add, 1, |n| create_task(format!("{{\"task\":{{\"a\":\"{}\",{TASK}}}}}", fill("\\u0061\\\"", n)))),
    ("JSON: a website URL with escapes", Action::Add, 3, |n| site(&format!("a.example/{}", fill("\\u0061\\/", n)))),
    ("JSON: nested arrays", Action::Add, 0, |n| create_task(format!("{{\"task\":{{\"a\":{}{},{TASK}}}}}", fill("[", n / 2), fill("]", n / 2)))),
    ("JSON: arrays side by side", Action::Add, 1, |n| create_task(format!("{{\"task\":{{\"a\":[{}[]],{TASK}}}}}", fill("[[]],", n)))),
    ("JSON: quotes that do not end", Action::Add, 0, |n| create_task(fill("{\"a\\\"", n))),
    ("JSON: bytes that are not UTF-8", Action::Add, 2, |n| create_task(bytes("{\"task\":{\"a\":\"", 0xff, n, &format!("\",{TASK}}}}}")))),
    ("JSON: white space", Action::Add, 1, |n| create_task(format!("{}{{\"task\":{}{{{TASK}}}}}", fill(" ", n / 2), fill("\n", n / 2)))),
    ("JSON: a long name", Action::Add, 0, |n| create_task(format!("{{\"{}\":1,\"task\":{{{TASK}}}}}", fill("\\u0061", n)))),
    ("JSON: a long number", Action::Add, 1, |n| create_task(format!("{{\"task\":{{\"a\":{},{TASK}}}}}", fill("1", n)))),
    ("JSON: a long type", Action::Add, 2, |n| create_task(format!("{{\"task\":{{\"type\":\"{}\"}}}}", fill("a", n)))),
    ("JSON: 60 long nocache, strip", Action::Strip, 2, |n| create_task(format!("{{\"task\":{{{}\"nocache\":1,{TASK}}}}}", format!("\"nocache\":{{\"a\":\"{}\"}},", fill("x", n / 60)).repeat(60)))),
    ("JSON: many nocache, strip", Action::Strip, 0, |n| create_task(format!("{{\"task\":{{{}{TASK}}}}}", fill("\"nocache\":1,", n)))),
    ("JSON: 60 long nocache, force", Action::Force, 2, |n| create_task(format!("{{\"task\":{{{}\"nocache\":0,{TASK}}}}}", format!("\"nocache\":{{\"a\":\"{}\"}},", fill("x", n / 60)).repeat(60)))),
    ("key: many segments", Action::Strip, 0, |n| create_task(format!("{{\"clientKey\":\"K{}\",\"task\":{{{TASK}}}}}", fill("__a", n)))),
    ("key: many segments, one nocache", Action::Strip, 1, |n| create_task(format!("{{\"clientKey\":\"K{}__nocache\",\"task\":{{{TASK}}}}}", fill("__\\u0061", n)))),
    ("key: many nocache", Action::Strip, 1, |n| create_task(format!("{{\"clientKey\":\"K{}\",\"task\":{{{TASK}}}}}", fill("__nocache", n)))),
    ("key: underscores", Action::Strip, 1, |n| create_task(format!("{{\"clientKey\":\"{}\",\"task\":{{{TASK}}}}}", fill("_", n)))),
    ("site: a long host", Action::Add, 0, |n| site(&fill("a", n))),
    ("site: many labels", Action::Add, 0, |n| site(&format!("https://{}example", fill("a.", n)))),
    ("site: a host of escapes", Action::Add, 0, |n| site(&format!("https://{}a.example", fill("%C2%AD", n)))),
    ("site: a long Punycode label", Action::Add, 0, |n| site(&format!("https://xn--{}.example", fill("ab1c", n)))),
    ("site: a long user name", Action::Add, 1, |n| site(&format!("https://{}@a.example", fill("a:@", n)))),
    ("site: a long port", Action::Add, 0, |n| site(&format!("https://a.example:{}1", fill("0", n)))),
    ("site: a path of one segment", Action::Add, 2, |n| site(&format!("https://a.example/{}", fill("a", n)))),
    ("site: a path of many segments", Action::Add, 2, |n| site(&format!("https://a.example{}", fill("/a", n)))),
    ("site: a path of slashes", Action::Add, 2, |n| site(&format!("https://a.example{}", fill("/", n)))),
    ("site: a path of dot segments", Action::Add, 2, |n| site(&format!("https://a.example{}{}", fill("/a", n / 2), fill("/%2e.", n / 2)))),
    ("site: a path of escapes", Action::Add, 2, |n| site(&format!("https://a.example/{}", fill("%61", n)))),
    ("site: a path that is not ASCII", Action::Add, 2, |n| site(&format!("https://a.example/{}", fill("é", n)))),
    ("site: a long query", Action::Add, 1, |n| site(&format!("https://a.example/?{}", fill("?&", n)))),
    ("site: colons and slashes", Action::Add, 1, |n| site(&fill(":/", n))),
    ("form: pairs", Action::Add, 0, |n| in_php(format!("{FORM}&{}", fill("a=1&", n)))),
    ("form: 900 pairs", Action::Add, 1, |n| in_php(format!("{FORM}{}", format!("&a={}", fill("x", n / 900)).repeat(900)))),
    ("form: & alone", Action::Add, 1, |n| in_php(format!("{FORM}{}", fill("&", n)))),
    ("form: & alone, strip", Action::Strip, 1, |n| in_php(format!("{}{FORM}&nocache=1", fill("&", n)))),
    ("form: ; alone", Action::Add, 1, |n| in_php(format!("{FORM}&a={}", fill(";", n)))),
    ("form: pairs between ;", Action::Add, 1, |n| in_php(format!("{FORM}&a={}", fill("a=1;", n)))),
    ("form: pageurl between ;", Action::Add, 1, |n| in_php(format!("{FORM}&a={}", fill(";pageurl=a.example", n)))),
    ("form: percent escapes in a value not read", Action::Add, 1, |n| in_php(format!("{FORM}&a={}", fill("%61", n)))),
    ("form: percent escapes in pageurl", Action::Add, 3, |n| in_php(format!("method=userrecaptcha&pageurl=a.example/{}", fill("%61", n)))),
    ("form: + in pageurl", Action::Add, 3, |n| in_php(format!("method=userrecaptcha&pageurl=a.example/{}", fill("+", n)))),
    ("form: % without digits in pageurl", Action::Add, 3, |n| in_php(format!("method=userrecaptcha&pageurl=a.example/{}", fill("%", n)))),
    ("form: pageurl that is not UTF-8", Action::Add, 8, |n| in_php(bytes("method=userrecaptcha&pageurl=a.example/", 0xff, n, ""))),
    ("form: a long name", Action::Add, 0, |n| in_php(format!("{FORM}&{}=1", fill("%61", n)))),
    ("form: a long key", Action::Strip, 1, |n| in_php(format!("method=userrecaptcha&pageurl=a.example&key={}__nocache", fill("%61", n)))),
    ("form: a long method", Action::Add, 2, |n| in_php(format!("method={}", fill("%61", n)))),
    ("form: the same pageurl", Action::Add, 0, |n| in_php(format!("{FORM}&{}", fill("pageurl=a.example&", n)))),
    ("form: many nocache, strip", Action::Strip, 0, |n| in_php(format!("{}{FORM}", fill("nocache=1&", n)))),
    ("form: 64 nocache, strip", Action::Strip, 1, |n| in_php(format!("{}{FORM}", format!("nocache=1&a={}&", fill("x", n / 64)).repeat(64)))),
    ("form: 64 nocache, force", Action::Force, 1, |n| in_php(format!("{}{FORM}", format!("nocache=0&a={}&", fill("x", n / 64)).repeat(64)))),
    ("query: pairs", Action::Add, 0, |n| query(&format!("{FORM}&{}", fill("a=1&", n)))),
    ("query: & alone", Action::Add, 1, |n| query(&format!("{FORM}{}", fill("&", n)))),
    ("legacy JSON: members", Action::Add, 0, |n| in_php(format!("{{{}\"a\":1}}", fill("\"a\":1,", n)))),
    ("legacy JSON: that is a form as well", Action::Add, 1, |n| in_php(format!("{{\"method\":\"userrecaptcha\",\"pageurl\":\"a.example\",\"x\":\"{}\"}}", fill("&a=1", n)))),
    ("multipart: parts", Action::Add, 0, |n| multipart("B", format!("{}--B--\r\n", fill("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n", n)))),
    ("multipart: empty lines", Action::Add, 0, |n| multipart("B", format!("--B{}", fill("\r\n", n)))),
    ("multipart: preamble", Action::Add, 1, |n| multipart("B", format!("{}\r\n--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B--", fill(" --B", n)))),
    ("multipart: near misses of a boundary", Action::Add, 1, |n| multipart("BB", format!("--BB\r\nContent-Disposition: form-data; name=a\r\n\r\n{}\r\n--BB--", fill("\r\n--B", n)))),
    ("multipart: a long periodic boundary", Action::Add, 1, |n| multipart(&fill("a", n / 8), format!("--{0}\r\nContent-Disposition: form-data; name=a\r\n\r\n{1}\r\n--{0}--", fill("a", n / 8), fill("a", n * 6 / 8)))),
    ("multipart: a long field", Action::Add, 0, |n| multipart("B", format!("--B\r\nContent-Disposition: form-data; name=a{}\r\n\r\n1\r\n--B--", fill(";b=\"c\"", n)))),
    ("multipart: many fields", Action::Add, 0, |n| multipart("B", format!("--B\r\n{}\r\n1\r\n--B--", fill("a: b\r\n", n)))),
    ("multipart: a long name", Action::Add, 0, |n| multipart("B", format!("--B\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n1\r\n--B--", fill("\\a", n)))),
    ("multipart: a file", Action::Add, 0, |n| multipart("B", format!("--B\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n{}\r\n--B--", fill("\n", n)))),
    ("deny: a path of escapes", Action::Deny, 3, |n| path(&format!("/{}", fill("%25", n)))),
    ("deny: a path that is not ASCII", Action::Deny, 13, |n| path(&format!("/{}", fill("%EF%B7%BA", n)))),
    ("deny: a path of segments", Action::Deny, 1, |n| path(&fill("/in.php;", n))),
    ("deny: 900 names of escapes", Action::Deny, 1, |n| create_task(format!("{{\"task\":{{{}{TASK}}}}}", format!("\"{}\":1,", fill("%25", n / 900)).repeat(900)))),
    ("deny: 900 names that grow", Action::Deny, 1, |n| create_task(format!("{{\"task\":{{{}{TASK}}}}}", format!("\"{}\":1,", fill("\u{fdfa}", n / 900)).repeat(900)))),
    ("deny: 900 names of blanks", Action::Deny, 1, |n| create_task(format!("{{\"task\":{{{}{TASK}}}}}", format!("\"{}\":1,", fill(" ", n / 900)).repeat(900)))),
    ("deny: a long type", Action::Deny, 2, |n| create_task(format!("{{\"task\":{{\"type\":\"{}\",\"websiteURL\":\"a.example\"}}}}", fill("a ", n)))),
    ("deny: white space in front", Action::Deny, 0, |n| create_task(format!("{}{{\"task\":{{{TASK}}}}}", fill(" ", n)))),
    ("deny: a site with a long user name", Action::Deny, 1, |n| site(&format!("https://{}@a.example", fill("a:", n)))),
    ("deny: a site with a long port", Action::Deny, 1, |n| site(&format!("https://a.example:{}1", fill("0", n)))),
    ("deny: a site with a long path", Action::Deny, 2, |n| site(&format!("https://a.example{}", fill("/é%61", n)))),
    ("deny: a site with invisible characters", Action::Deny, 1, |n| site(&format!("https:/{}/a.example", fill("/\u{200b}", n)))),
    ("deny: pairs between ;", Action::Deny, 0, |n| in_php(format!("{FORM}&a={}", fill("a=1;", n)))),
    ("deny: names of escapes between ;", Action::Deny, 0, |n| in_php(format!("{FORM}&a={}", fill("%2541;", n)))),
    ("deny: a long name behind ;", Action::Deny, 1, |n| in_php(format!("{FORM}&a=;{}", fill("%EF%B7%BA", n)))),
    ("deny: pageurl between ;", Action::Deny, 0, |n| in_php(format!("{FORM}&a={}", fill(";pageurl=a.example", n)))),
    ("deny: a long pageurl between ;", Action::Deny, 0, |n| in_php(format!("{FORM}&a={}", format!(";pageurl=a.example/{}", fill("%61", n / 200)).repeat(200)))),
    ("deny: a query of pairs between ;", Action::Deny, 0, |n| query(&format!("{FORM}&a={}", fill("%41=1;", n)))),
    ("deny: JSON that is a form as well", Action::Deny, 0, |n| in_php(format!("{{\"method\":\"userrecaptcha\",\"pageurl\":\"a.example\",\"x\":\"{}\"}}", fill("&%2541=1", n)))),
    ("deny: multipart, 900 parts", Action::Deny, 1, |n| parts(&format!("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n{}\r\n", fill("é", n / 900)).repeat(900))),
    ("deny: multipart, 900 long names", Action::Deny, 2, |n| parts(&format!("--B\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n1\r\n", fill(" a", n / 900)).repeat(900))),
    ("deny: multipart, a long field", Action::Deny, 1, |n| parts(&format!("--B\r\nContent-Disposition: form-data; name=a; filename=\"{}\"\r\n\r\n1\r\n", fill(";\";\"", n)))),
    ("deny: multipart, a long type", Action::Deny, 1, |n| parts(&format!("--B\r\nContent-Disposition: form-data; name=a\r\nContent-Type: a{}\r\n\r\n1\r\n", fill(";charse", n)))),
    ("deny: multipart, many fields", Action::Deny, 0, |n| parts(&format!("--B\r\n{}\r\n1\r\n", fill("a: b\r\n", n)))),
    ("deny: multipart, near misses of a boundary", Action::Deny, 0, |n| multipart("BB", format!("--BB\r\nContent-Disposition: form-data; name=a\r\n\r\n{}\r\n--BB--", fill("\r\n--B", n)))),
    ("deny: multipart, a file", Action::Deny, 0, |n| parts(&format!("--B\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n{}\r\n", fill("\n", n)))),
    ("deny: a long Content-Type", Action::Deny, 0, |n| multipart(&fill("B;x=\"y\"", n), "x".to_owned())),
];

/// Rules with long path patterns, for every host, for the host and for a parent of it.
fn rules(action: Action) -> RuleSet {
    let patterns = ["*", "a.example", "*.example"];
    let paths = [
        "/a".repeat(4_000),
        "/".repeat(4_000),
        "/".to_owned() + &"a".repeat(4_000),
    ];
    let long = patterns
        .iter()
        .flat_map(|host| paths.iter().map(move |path| format!("{host}{path}")));
    let rule = |sites: Vec<String>| Rule {
        id: "shop".into(),
        sites: sites.iter().map(|text| text.parse().unwrap()).collect(),
        captchas: vec!["recaptcha-v2".parse().unwrap()],
        action,
        via: Via::Parameter,
        line: None,
    };
    let rules = vec![rule(long.collect()), rule(vec!["*".to_owned()])];
    RuleSet::new(rules, Rule::built_in_default(), None, CaptchaNames::default())
}

/// The path of a submission through the core, as the gateway takes it.
fn submit(case: &Case, rules: &RuleSet) {
    let request = Request {
        target: &case.target,
        content_type: case.content_type.as_deref().map(str::as_bytes),
        body: &case.body,
    };
    let sent = Sent {
        method: "POST",
        content_types: &request.content_type.into_iter().collect::<Vec<_>>(),
    };
    let reading = rewrite::read(case.dialect, request, &sent, rules);
    let plan = rewrite::plan(&reading, rules);
    for part in [Part::Target, Part::Body] {
        if plan.edits.iter().any(|edit| edit.part == part) {
            black_box(rewrite::apply(request.part(part), part, &plan.edits));
        }
    }
    black_box(&plan);
}

/// Seconds for one pass: the least of several runs, since another process can only make a run longer.
fn seconds(case: &Case, rules: &RuleSet) -> f64 {
    let run = |passes: u32| {
        let begin = Instant::now();
        (0..passes).for_each(|_| submit(case, rules));
        begin.elapsed().as_secs_f64() / f64::from(passes)
    };
    let first = run(1);
    let passes = (0.0002 / first.max(1e-7)).clamp(1.0, 200.0) as u32;
    let runs = if first > 0.2 { 1 } else { 5 };
    (0..runs).map(|_| run(passes)).fold(first, f64::min)
}

#[test]
fn time_and_memory_are_linear_in_every_input() {
    let mut failures = Vec::new();
    println!(
        "| what is long | {SHORT} bytes | {} bytes | ratio | memory / body |",
        SHORT * TIMES
    );
    println!("|---|--:|--:|--:|--:|");
    for (name, action, copies, build) in ROWS {
        let rules = rules(*action);
        let (short, long) = (build(SHORT), build(SHORT * TIMES));
        let (few, many) = (seconds(&short, &rules), seconds(&long, &rules));
        let ratio = many / few;
        let held = allocation_counter::measure(|| submit(&long, &rules)).bytes_max;
        let size = (long.body.len() + long.target.len()) as u64;
        println!(
            "| {name} | {:.3} ms | {:.3} ms | {ratio:.1} | {:.2} |",
            few * 1e3,
            many * 1e3,
            held as f64 / size as f64
        );
        if ratio > MOST {
            failures.push(format!("{name}: {ratio:.1} times as long for {TIMES} times the length"));
        }
        if held > copies * size + CONSTANT {
            failures.push(format!("{name}: {held} bytes for a body of {size}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
