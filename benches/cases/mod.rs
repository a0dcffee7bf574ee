//! The requests that are measured, and the rules that decide about them.

use std::fmt::Write as _;

use nocache_gateway::{
    rewrite::{self, Plan},
    rules::{Rule, RuleSet},
    submission::{CaptchaNames, Dialect, Part, Request, Site, Submission, Unread, plain_shape::Sent},
};

/// A request by what is measured on it.
pub struct Case {
    pub name: &'static str,
    pub dialect: Dialect,
    pub target: &'static str,
    pub content_type: Option<&'static [u8]>,
    pub body: Vec<u8>,
}

impl Case {
    pub fn request(&self) -> Request<'_> {
        Request {
            target: self.target,
            content_type: self.content_type,
            body: &self.body,
        }
    }
}

/// Applies the edits of a plan to what they change.
pub fn edit(request: Request<'_>, plan: &Plan<'_>) -> [Option<Vec<u8>>; 2] {
    [Part::Target, Part::Body].map(|part| {
        let is_edited = plan.edits.iter().any(|edit| edit.part == part);
        is_edited.then(|| rewrite::apply(request.part(part), part, &plan.edits))
    })
}

/// Reads, decides and edits.
pub fn whole<'r>(case: &Case, rules: &'r RuleSet) -> (Plan<'r>, [Option<Vec<u8>>; 2]) {
    let reading = read(case, rules);
    let plan = rewrite::plan(&reading, rules);
    let edited = edit(case.request(), &plan);
    (plan, edited)
}

pub fn read<'a>(case: &'a Case, rules: &RuleSet) -> Result<Submission<'a>, Unread> {
    let sent = Sent {
        method: "POST",
        content_types: &[],
    };
    rewrite::read(case.dialect, case.request(), &sent, rules)
}

const V2: &str = r#""type":"RecaptchaV2Task","websiteURL":"https://www.site-1.example/account/login","websiteKey":"6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd""#;
const AGENT: &str = r#""userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36""#;
const QUERY: &str = "/in.php?key=0123456789abcdef0123456789abcdef&method=userrecaptcha&googlekey=6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd&pageurl=https%3A%2F%2Fwww.site-1.example%2Faccount%2Flogin&json=1&soft_id=54";

fn task(members: &str) -> String {
    format!(r#"{{"clientKey":"0123456789abcdef0123456789abcdef","task":{{{members}}}}}"#)
}

fn image(length: usize) -> String {
    let text = "iVBORw0KGgoAAAANSUhEUgAA+/".repeat(length / 26);
    task(&format!(r#""type":"ImageToTextTask","body":"{text}""#))
}

fn members(count: usize) -> String {
    let mut text = String::new();
    for i in 0..count {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(text, r#"{comma}"name{i}":{i}"#);
    }
    text
}

fn create_task(name: &'static str, body: String) -> Case {
    Case {
        name,
        dialect: Dialect::CreateTask,
        target: "/createTask",
        content_type: None,
        body: body.into(),
    }
}

fn in_php(name: &'static str, target: &'static str, body: String) -> Case {
    Case {
        dialect: Dialect::Legacy,
        target,
        ..create_task(name, body)
    }
}

/// What clients send.
pub fn usual() -> Vec<Case> {
    let proxy =
        r#""proxyType":"http","proxyAddress":"192.0.2.7","proxyPort":8080,"proxyLogin":"user","proxyPassword":"pass""#;
    let payload = members(200);
    let cookies = "name=value; ".repeat(100);
    let part = |(name, value): (&str, &str)| {
        format!("--B0\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = QUERY.split_once('?').map_or("", |(_, form)| form);
    let parts: String = [
        ("key", "0123456789abcdef0123456789abcdef"),
        ("method", "userrecaptcha"),
        ("googlekey", "6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd"),
        ("pageurl", "https://www.site-1.example/account/login"),
        ("json", "1"),
    ]
    .map(part)
    .concat();
    vec![
        create_task("createTask, 350 B", task(&format!("{V2},{AGENT}"))),
        create_task(
            "createTask, 5 KB",
            task(&format!(
                r#"{V2},{AGENT},{proxy},"cookies":"{cookies}","enterprisePayload":{{{payload}}}"#
            )),
        ),
        create_task("createTask, image of 50 KB", image(50_000)),
        create_task("createTask, image of 500 KB", image(500_000)),
        in_php("in.php, query", QUERY, String::new()),
        in_php("in.php, form", "/in.php", form.to_owned()),
        Case {
            content_type: Some(b"multipart/form-data; boundary=B0"),
            ..in_php("in.php, multipart", "/in.php", format!("{parts}--B0--\r\n"))
        },
        in_php(
            "in.php, JSON",
            "/in.php",
            r#"{"key":"0123456789abcdef0123456789abcdef","method":"userrecaptcha","googlekey":"6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd","pageurl":"https://www.site-1.example/account/login"}"#.to_owned(),
        ),
    ]
}

/// What takes longest for its length, or is longest.
pub fn worst() -> Vec<Case> {
    let other = |value: String| task(&format!(r#"{V2},"other":{value}"#));
    let nested = "[".repeat(126) + &"]".repeat(126);
    let site = V2.replace(
        "https://www.site-1.example/",
        r"https:\/\/user@b\u00fccher.site-1.example\/a\/..\/",
    );
    vec![
        create_task(
            "createTask, a string of 500 KB",
            other(format!("\"{}\"", "x".repeat(500_000))),
        ),
        create_task(
            "createTask, a string of 10 MB",
            other(format!("\"{}\"", "x".repeat(10_000_000))),
        ),
        create_task(
            "createTask, 500 KB of escapes",
            other(format!("\"{}\"", r"\u0061\n".repeat(62_500))),
        ),
        create_task(
            "createTask, 500 KB of letters that are not ASCII",
            other(format!("\"{}\"", "ж".repeat(250_000))),
        ),
        create_task(
            "createTask, 100,000 members in an object",
            other(format!("{{{}}}", members(100_000))),
        ),
        create_task("createTask, 900 members", task(&format!("{V2},{}", members(900)))),
        create_task("createTask, nested to 128", other(nested.clone())),
        create_task(
            "createTask, 500 KB of arrays nested to 128",
            other(format!("[{}]", vec![&nested[1..251]; 2_000].join(","))),
        ),
        create_task("createTask, a site with escapes and a user name", task(&site)),
    ]
}

/// Rules with this many patterns in all, ten each, of every form.
pub fn rules(patterns: usize) -> RuleSet {
    let pattern = |i: usize| match i % 4 {
        0 => format!("site-{i}.example"),
        1 => format!("*.site-{i}.example"),
        2 => format!("=www.site-{i}.example"),
        _ => format!("site-{i}.example/login"),
    };
    let all: Vec<usize> = (0..patterns).collect();
    let rule = |numbers: &[usize]| Rule {
        id: format!("rule-{}", numbers[0]).into(),
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

/// How many sites are looked up together: the hasher differs from run to run, and with it what a single site costs.
pub const SITES: usize = 64;

/// Sites that some rules match by a domain, spread over all of them, and sites that none matches.
pub fn sites(patterns: usize) -> [(&'static str, Vec<Site>); 2] {
    let domains = patterns.div_ceil(4);
    let url = |i: usize| format!("https://www-{i}.site-{}.example/login/form", i * domains / SITES * 4);
    let other = |i: usize| format!("https://www-{i}.elsewhere-{i}.example/login/form");
    let parse = |url: &dyn Fn(usize) -> String| (0..SITES).filter_map(|i| Site::parse(&url(i)).ok()).collect();
    [("hit", parse(&url)), ("miss", parse(&other))]
}
