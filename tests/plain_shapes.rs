//! What a deny does not let through: paths, methods, tasks and sites by which some reader sees a denied site, of which none
//! reaches the upstream. (Forms and codings: tests/plain_bodies.rs; what passes: tests/plain_clients.rs.)
//! `cargo test --test plain_shapes --test plain_bodies -- --nocapture` prints how many there are.

mod fixtures;

use fixtures::tricks::{FORM, TASK, chunked, named, nothing_arrives, request, utf16};

/// Spellings of createTask, which some server or proxy takes for it.
#[rustfmt::skip]
const CREATE_TASK_PATHS: &[&str] = &[
    "/create%54ask",
    "/create%2554ask",
    "/create%252554ask",
    "/create%25252554ask",
    "/create%2525252554ask",
    "/create%252525252554ask",
    "/%63%72%65%61%74%65%54%61%73%6b",
    "/./createTask",
    "/x/../createTask",
    "/x/%2e%2e/createTask",
    "/x/%252e%252e/createTask",
    "/x/..%2fcreateTask",
    "/x/..%5ccreateTask",
    "/x/..\\createTask",
    "/createTask/.",
    "/createTask/x/..",
    "/\\createTask",
    "/%5CcreateTask",
    "/%2FcreateTask",
    "/%252fcreateTask",
    "/createTask%2F",
    "/createTask%5c",
    "/createTask\\",
    "/createTask.",
    "/createTask...",
    "/createTask%2e",
    "/createTask%20",
    "/createTask%20.%20.",
    "/createTask%09",
    "/createTask%0a",
    "/createTask%0d%0a",
    "/createTask%00",
    "/createTask%00.txt",
    "/createTask%2500",
    "/createTask%7f",
    "/%20createTask",
    "/createTask;x",
    "/createTask;x=y/z",
    "/createTask%3bx",
    "/createTask%3Fx",
    "/createTask%23x",
    "/createTask/x",
    "/createTask//x",
    "/createTask::$DATA",
    "/createTask%3a%3a$DATA",
    "/createTask::$INDEX_ALLOCATION/",
    "/createTas%E2%84%AA",
    "/createTas\u{212a}",
    "/createTa%C5%BFk",
    "/createTa\u{17f}k",
    "/%EF%BD%83reateTask",
    "/create%EF%BC%B4ask",
    "/%EF%BC%8FcreateTask",
    "/createTask%EF%BC%8Fx",
    "/create%E2%80%8BTask",
    "/%EF%BB%BFcreateTask",
    "/create\u{ad}Task",
    "/createTask%C2%A0",
    "/createTask%E2%80%A8",
    "/create%E2%81%A0Task",
    "/%u0063reateTask",
    "/create%u0054ask",
    "/create%c1%94ask",
    "/\u{24d2}reateTask",
    "/api/createTask",
    "/api/../createTask/",
    "/createTask%ff",
];

#[test]
fn no_spelling_of_create_task_gets_a_denied_site_through() {
    let rows = named(CREATE_TASK_PATHS, |target| request("POST", target, "", TASK.as_bytes()));
    nothing_arrives("paths of createTask", rows, 60);
}

/// Spellings of in.php.
#[rustfmt::skip]
const IN_PHP_PATHS: &[&str] = &[
    "/in%2Ephp",
    "/in%252ephp",
    "/in.php/x",
    "/in.php/x.css",
    "/in.php/../in.php/",
    "/IN.PHP.",
    "/in.php%20",
    "/in.php%00",
    "/in.php%00.png",
    "/in.php;x",
    "/in.php;jsessionid=1",
    "/in.php::$DATA",
    "/x/..;/in.php",
    "/\\in.php",
    "/.%5cin.php",
    "/./in.php",
    "/%2e/in.php",
    "/in\u{2024}php",
    "/in%EF%BC%8Ephp",
    "/%C4%B0n.php",
    "/%C4%B1n.php",
    "/\u{ff49}n.php",
    "/i\u{200d}n.php",
    "/in.php%E2%80%8F",
    "/in%c0%aephp",
    "/in%u002ephp",
    "/foo/in.php",
    "/in.php%2f",
    "/in.php%3f",
];

#[test]
fn no_spelling_of_in_php_gets_a_denied_site_through() {
    let mut rows = named(IN_PHP_PATHS, |path| request("GET", &format!("{path}?{FORM}"), "", b""));
    rows.extend(named(IN_PHP_PATHS, |path| request("POST", path, "", FORM.as_bytes())));
    nothing_arrives("paths of in.php", rows, 58);
}

#[rustfmt::skip]
#[test]
fn no_method_gets_a_denied_site_through() {
    let query = format!("/in.php?{FORM}");
    let rows: &[(&str, &str, &str)] = &[
        ("OPTIONS", &query, ""),
        ("OPTIONS", "/in.php", FORM),
        ("OPTIONS", "/createTask", TASK),
        ("OPTIONS", "/createTask?", TASK),
        ("OPTIONS", "/create%54ask", ""),
        ("OPTIONS", "/in.php/x", ""),
        ("OPTIONS", "/in.php?", ""),
        ("PUT", "/createTask", TASK),
        ("PATCH", "/createTask", TASK),
        ("DELETE", "/createTask", TASK),
        ("GET", "/createTask", TASK),
        ("HEAD", "/createTask", TASK),
        ("post", "/createTask", TASK),
        ("QUERY", "/createTask", TASK),
        ("PUT", "/createTask.", TASK),
        ("PUT", &query, ""),
        ("DELETE", &query, ""),
        ("TRACE", &query, ""),
        ("get", &query, ""),
        ("HEAD", &query, ""),
        ("X", "/in.php", FORM),
        ("PROPFIND", "/foo/in.php", FORM),
    ];
    let rows = rows.iter().map(|(method, target, body)| {
        (format!("{method} {target}"), request(method, target, "", body.as_bytes()))
    });
    nothing_arrives("methods", rows.collect(), 20);
}

/// Bodies of createTask.
#[rustfmt::skip]
const TASKS: &[&str] = &[
    TASK,
    "\u{feff}{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "\u{a0}{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "\u{c}{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "/**/{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "//x\n{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}\0",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\",}}",
    "{'task':{'type':'RecaptchaV2Task','websiteURL':'https://evil.example/'}}",
    "{task:{type:\"RecaptchaV2Task\",websiteURL:\"https://evil.example/\"}}",
    "[{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}]",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"}}{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"},\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"},\"tas\u{212a}\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"},\"ta\\u017fk\":{\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"},\"task\\u0000\":{\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"},\" task\":{\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"},\"task[websiteURL]\":\"https://evil.example/\"}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"},\"\\ufefftask\":{\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"websiteUrl\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"web\\u017fiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"website_url\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"website-url\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"websiteURL \":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"websiteURL\\t\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"websiteURL\\u0000x\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"websiteURL[]\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"website\\u200bURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"\u{ff57}ebsiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"%77ebsiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\",\"webs\u{131}teURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"web\\u0073iteURL\":\"https://evil.example/\"}}",
    "{\"t\\u0061sk\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":[\"https://evil.example/\"]}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":{\"\":\"https://evil.example/\"}}}",
    "{\"task\":[{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}]}",
    "{\"task\":\"{\\\"type\\\":\\\"RecaptchaV2Task\\\",\\\"websiteURL\\\":\\\"https://evil.example/\\\"}\"}",
    "{\"task\":{\"type\":[\"RecaptchaV2Task\"],\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV3Task\",\"isEnterprise\":2,\"websiteURL\":\"https://good.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV3Task\",\"isEnterprise\":[true],\"websiteURL\":\"https://good.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV3Task\",\"isEnterprise\":\"yes\",\"websiteURL\":\"https://good.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV3Task\",\"isEnterprise\":1.0,\"websiteURL\":\"https://good.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV3Task\",\"isEnterprise\":true,\"isEnterprise\":true,\"websiteURL\":\"https://good.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV3Task\",\"is_enterprise\":true,\"websiteURL\":\"https://good.example/\"}}",
    "{\"task\":{\"type\":\"RecaptchaV3Task \",\"websiteURL\":\"https://evil.example/\"}}",
    "{\"task\":{\"type\":\"TurnstileTask\",\"websiteURL\":\"ftp://evil.example/\"}}",
    "{\"task\":{\"type\":\"TurnstileTask\",\"websiteURL\":5}}",
    "{\"task\":{\"type\":\"TurnstileTask\",\"websiteURL\":\"/evil.example\"}}",
    "{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"\\ud800https://evil.example/\"}}",
];

#[rustfmt::skip]
#[test]
fn no_json_gets_a_denied_site_through() {
    let mut rows = named(TASKS, |body| request("POST", "/createTask", "", body.as_bytes()));
    let odd: &[(&str, Vec<u8>)] = &[
        ("bytes that are not UTF-8", b"{\"a\":\"\xff\",\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://evil.example/\"}}".to_vec()),
        ("bytes that are not UTF-8, in another value", b"{\"a\":\"\x8a\",\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"}}".to_vec()),
        ("half a character of GBK in front of a quote", b"{\"a\":\"\x81\",\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"https://good.example/\"}}".to_vec()),
        ("UTF-16", utf16(TASK)),
        ("UTF-16 with a mark", [b"\xff\xfe".to_vec(), utf16(TASK)].concat()),
    ];
    rows.extend(odd.iter().map(|(name, body)| ((*name).to_owned(), request("POST", "/createTask", "", body))));
    rows.push(("chunks".into(), request("POST", "/createTask", "Transfer-Encoding: chunked\r\n", &chunked(TASK))));
    nothing_arrives("JSON of createTask", rows, 50);
}

/// Spellings of the denied site itself.
#[rustfmt::skip]
const SITES: &[&str] = &[
    "https://evil.example", "HTTPS://EVIL.EXAMPLE", "evil.example", "//evil.example", "evil.example:443", "https://www.evil.example.",
    "https:evil.example", "https:/evil.example", "https:///evil.example", "https:\\\\evil.example", "\\\\evil.example", "/\\evil.example",
    "https://good.example@evil.example", "https://evil.example\\@good.example", "https://good.example\\@evil.example", "https://a@good.example@evil.example",
    "https://evil.example?@good.example", "https://evil.example#@good.example", "https://%65vil.example", "https://%2565vil.example",
    "https://ev\u{ad}il.example", "https://ev%C2%ADil.example", "https://ev\u{200b}il.example", "https://ev\u{2060}il.example", "https://evil\u{feff}.example",
    "\u{feff}https://evil.example", "\u{200b}https://evil.example", "\u{ad}https://evil.example", "\u{2060}https://evil.example", "\u{2028}https://evil.example",
    "\u{1}https://evil.example", "\u{85}https://evil.example", "\u{fe0f}https://evil.example", "\u{2800}https://evil.example", "\u{a0}https://evil.example",
    "<https://evil.example>", "(https://evil.example)", "URL:https://evil.example", "view-source:https://evil.example", "blob:https://evil.example",
    "https://\u{ff45}vil.example", "https://evil\u{3002}example", "https://evil\u{ff0e}example", "https://e\u{475}il.example/../", "https://evil.example\u{ff0f}",
    "https://ev\til.example", "https://ev\nil.example", "https\u{200b}://evil.example", "https:\u{200b}//evil.example", "https://\u{200e}evil.example",
    "https://evil.e\u{200d}xample", "https://evi\u{2113}.example", "https://good.example\\.evil.example", "http://evil.example:80:80",
];

#[test]
fn no_spelling_of_a_site_gets_through() {
    // Other sites to everybody: they are here because they look alike, and must not pass as a spelling that UTS 46 maps.
    let others = ["https://e\u{475}il.example/../"];
    let sites: Vec<&str> = SITES.iter().copied().filter(|site| !others.contains(site)).collect();
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let task = |kind: &str, site: &str| format!("{{\"task\":{{\"type\":\"{kind}\",\"websiteURL\":{}}}}}", json(site));
    let encoded = |site: &str| -> String { form_urlencoded::byte_serialize(site.as_bytes()).collect() };
    let mut rows = named(&sites, |site| {
        request("POST", "/createTask", "", task("RecaptchaV2Task", site).as_bytes())
    });
    rows.extend(named(&sites, |site| {
        request("POST", "/createTask", "", task("TurnstileTask", site).as_bytes())
    }));
    rows.extend(named(&sites, |site| {
        request(
            "GET",
            &format!("/in.php?key=K&method=userrecaptcha&pageurl={}", encoded(site)),
            "",
            b"",
        )
    }));
    rows.extend(named(&sites, |site| {
        request(
            "POST",
            "/in.php",
            "",
            format!("key=K&method=hcaptcha&pageurl={}", encoded(site)).as_bytes(),
        )
    }));
    nothing_arrives("sites", rows, 200);
}
