//! What a deny leaves alone: the shapes that real clients send pass a configuration that denies a site, each with its edit
//! and otherwise byte for byte. (What does not pass: tests/plain_shapes.rs.)

mod fixtures;

use std::io::Write as _;

use fixtures::{Gateway, Message, OK, RawUpstream, exchange, tricks::DENY};
use flate2::{Compression, write::GzEncoder};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "Content-Type: application/json\r\n";
const CHUNKS: &str = "Transfer-Encoding: chunked\r\n";
const GZIP: &str = "Content-Encoding: gzip\r\n";

/// A request in which what the gateway is to add is marked as `{+…+}`.
struct Row {
    name: &'static str,
    method: &'static str,
    target: String,
    fields: String,
    body: Vec<u8>,
}

fn row(name: &'static str, method: &'static str, target: &str, fields: &str, body: impl AsRef<[u8]>) -> Row {
    Row {
        name,
        method,
        target: target.to_owned(),
        fields: fields.to_owned(),
        body: body.as_ref().to_vec(),
    }
}

/// A marked text as the client sends it, and as it is to arrive.
fn unmarked(marked: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut sent, mut arrives) = (Vec::new(), Vec::new());
    let mut is_added = false;
    let mut rest = marked;
    while let [first, after @ ..] = rest {
        if rest.starts_with(b"{+") || rest.starts_with(b"+}") {
            is_added = first == &b'{';
            rest = &rest[2..];
            continue;
        }
        arrives.push(*first);
        if !is_added {
            sent.push(*first);
        }
        rest = after;
    }
    (sent, arrives)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Frames a request as its fields say.
fn framed(row: &Row, target: &str, body: &[u8]) -> Vec<u8> {
    let body = if row.fields.contains(GZIP) {
        gzip(body)
    } else {
        body.to_vec()
    };
    let head = format!(
        "{} {target} HTTP/1.1\r\nHost: 2captcha.com\r\n{}",
        row.method, row.fields
    );
    let (framing, body) = if row.fields.contains(CHUNKS) {
        let chunks = body
            .chunks(50)
            .map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        let body = chunks.chain([b"0\r\n\r\n".to_vec()]).collect::<Vec<_>>().concat();
        (String::new(), body)
    } else if row.method == "POST" {
        (format!("Content-Length: {}\r\n", body.len()), body)
    } else {
        (String::new(), body)
    };
    [head.as_bytes(), framing.as_bytes(), b"\r\n", &body].concat()
}

/// Sends each request. Says which did not arrive as they were to.
fn pass(subject: &str, rows: Vec<Row>) {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, DENY);
    let count = rows.len();
    let mut failures = Vec::new();
    for row in rows {
        let (target, new_target) = unmarked(row.target.as_bytes());
        let (body, new_body) = unmarked(&row.body);
        let before = upstream.received().len();
        let response = exchange(gateway.api, framed(&row, str::from_utf8(&target).unwrap(), &body));
        let arrived: Vec<Message> = upstream.received().split_off(before);
        let is_fine = arrived.len() == 1
            && arrived[0].target().as_bytes() == new_target
            && arrived[0].body == new_body
            && arrived[0].field("content-encoding").is_none();
        if !is_fine {
            let got = arrived
                .first()
                .map(|message| String::from_utf8_lossy(&message.body).into_owned());
            failures.push(format!("{}: {}, {got:?}", row.name, response.decision()));
        }
    }
    println!("{subject}: {count} shapes, {} did not pass", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A task for a page, which gets nocache.
fn task(page: &str) -> String {
    format!(
        r#"{{"clientKey":"K","task":{{"type":"RecaptchaV2Task","websiteURL":"{page}","websiteKey":"6L"{{+,"nocache":true+}}}}}}"#
    )
}

#[rustfmt::skip]
#[test]
fn tasks_of_real_clients_pass_a_deny() {
    let plain = task("https://lessons.zennolab.com/captchas/recaptcha/v2_simple.php?level=high");
    let v3 = |more: &str| format!(r#"{{"task":{{"type":"RecaptchaV3TaskProxyless"{more},"websiteURL":"https://a.example"{{+,"nocache":true+}}}},"clientKey":"K"}}"#);
    let image = |more: &str| format!(r#"{{"clientKey":"K","task":{{"type":"ImageToTextTask","body":"data:image/png;base64,{}+/=="{more}}}}}"#, "iVBORw0KGgo&a=1;".repeat(500));
    let mut rows = vec![
        row("JS", "POST", "/createTask", "Content-Type: application/json\r\nAccept: application/json\r\n", &plain),
        row("Python", "POST", "/createTask", "Content-Type: application/json\r\nAccept-Encoding: gzip, deflate\r\n", &plain),
        row(".NET", "POST", "/createTask", "Content-Type: text/plain; charset=utf-8\r\n", &plain),
        row("Go", "POST", "/createTask", "UserAgent: Zennolab.CapMonsterCloud.Client.Go\r\n", &plain),
        row("PHP", "POST", "/createTask", "Content-Type: application/json; charset=UTF-8\r\n", &plain),
        row("Rust", "POST", "/createTask", "Accept-Encoding: gzip\r\n", &plain),
        row("puppeteer, no type and chunks", "POST", "/createTask", CHUNKS, &plain),
        row("a type and chunks", "POST", "/createTask", &format!("{JSON}{CHUNKS}"), &plain),
        row("curl -d", "POST", "/createTask", FORM, &plain),
        row("a quoted charset", "POST", "/createTask", "Content-Type: application/json; charset=\"utf-8\"\r\n", &plain),
        row("text/json", "POST", "/createTask", "Content-Type: text/json\r\n", &plain),
        row("windows-1251, ASCII", "POST", "/createTask", "Content-Type: application/json; charset=windows-1251\r\n", &plain),
        row("iso-8859-1, ASCII", "POST", "/createTask", "Content-Type: text/plain; charset=ISO-8859-1\r\n", &plain),
        row("an empty type", "POST", "/createTask", "Content-Type:\r\n", &plain),
        row("a key in a field", "POST", "/createTask", "Authorization: Bearer K\r\n", &plain),
        row("gzip", "POST", "/createTask", &format!("{JSON}{GZIP}"), &plain),
        row("gzip and chunks", "POST", "/createTask", &format!("{GZIP}{CHUNKS}"), &plain),
        row("gzip, no edit", "POST", "/createTask", GZIP, image("")),
        row("a slash", "POST", "/createTask/", JSON, &plain),
        row("two slashes", "POST", "//createTask", JSON, &plain),
        row("another case", "POST", "/CreateTask", JSON, &plain),
        row("a query", "POST", "/createTask?utm=1", JSON, &plain),
        row("lines and blanks", "POST", "/createTask", JSON, plain.replace(',', ",\r\n\t ").replace("{+,\r\n\t \"nocache\"", "{+,\"nocache\"")),
        row("a line break in front", "POST", "/createTask", JSON, format!("\r\n {plain}\n")),
        row("soft id, pool, callback", "POST", "/createTask", JSON, plain.replace("\"clientKey\"", r#""softId":"60","languagePool":"en","callbackUrl":"https://b.example/?task=1&type=2","clientKey""#)),
        row("v3", "POST", "/createTask", JSON, v3("")),
        row("v3, minScore", "POST", "/createTask", JSON, v3(r#","minScore":0.3,"pageAction":"type=verify""#)),
        row("v3, not Enterprise", "POST", "/createTask", JSON, v3(r#","isEnterprise":false"#)),
        row("v3, 0", "POST", "/createTask", JSON, v3(r#","isEnterprise":0"#)),
        row("v3, null", "POST", "/createTask", JSON, v3(r#","isEnterprise":null"#)),
        row("v3, a string", "POST", "/createTask", JSON, v3(r#","isEnterprise":"False""#)),
        row("v3 Enterprise, not covered", "POST", "/createTask", JSON, v3(r#","isEnterprise":true"#).replace(r#"{+,"nocache":true+}"#, "")),
        row("v2, an odd isEnterprise", "POST", "/createTask", JSON, plain.replace("\"websiteKey\"", r#""isEnterprise":"maybe","websiteKey""#)),
        row("the older name", "POST", "/createTask", JSON, plain.replace("RecaptchaV2Task", "NoCaptchaTaskProxyless")),
        row("capsolver's name", "POST", "/createTask", JSON, plain.replace("RecaptchaV2Task", "ReCaptchaV2TaskProxyLess")),
        row("websiteUrl", "POST", "/createTask", JSON, plain.replace("websiteURL", "websiteUrl")),
        row("names below the task", "POST", "/createTask", JSON, plain.replace("\"websiteKey\"", r#""proxy":{"type":"http","task":{},"websiteURL":"x"},"enterprisePayload":{"website_url":1},"websiteKey""#)),
        row("names at the other place", "POST", "/createTask", JSON, plain.replace("\"clientKey\"", r#""type":"x","websiteURL":"y","clientKey""#)),
        row("cookies and an agent", "POST", "/createTask", JSON, plain.replace("\"websiteKey\"", r#""userAgent":"Mozilla/5.0 (Ünï; 例え) \"\u0000\ud83d\ude00","cookies":"a=b; type=c&websiteURL=d","websiteKey""#)),
        row("half a surrogate elsewhere", "POST", "/createTask", JSON, plain.replace("\"websiteKey\"", r#""userAgent":"\ud800","websiteKey""#)),
        row("Turnstile with a whole page", "POST", "/createTask", JSON, r#"{"task":{"type":"TurnstileTask","websiteURL":"https://a.example","htmlPageBase64":"PGh0bWw+&task=1&type=2;websiteURL=3="}}"#),
        row("a picture", "POST", "/createTask", JSON, image("")),
        row("a picture with a page", "POST", "/createTask", JSON, image(r#","websiteURL":"https://a.example""#)),
        row("a click", "POST", "/createTask", JSON, r#"{"task":{"type":"ComplexImageTask","class":"recaptcha","imageUrls":["https://evil.example/"],"websiteURL":"https://a.example"}}"#),
        row("nocache already", "POST", "/createTask", JSON, plain.replace("{+", "").replace("+}", "")),
        row("a picture without a type of captcha that is known", "POST", "/createTask", JSON, r#"{"task":{"type":"My Task-1","body":"x"}}"#),
    ];
    let pages = [
        "a.example", "a.example:8080/x", "//a.example/x", "HTTP://A.EXAMPLE", "https://a.example.", "https://user:p%40ss@a.example:8443/", " https://a.example ",
        "https://пример.испытание/путь?ключ=значение#якорь", "https://bücher.example/", "https://例え.テスト/", "https://xn--e1afmkfd.xn--80akhbyknj4f",
        r"https://\u043f\u0440\u0438\u043c\u0435\u0440.example/\u043f", r"https:\/\/a.example\/login", "https://a.example/%D0%BF/%zz?a[]=1&pageurl=x&b=%20;c",
        "https://a.example/x;jsessionid=1?u=https://evil.example/@y", "https://127.0.0.1:8080/", "https://[::1]/", "localhost", "https://a_b.example/",
        "https://a.example/\u{200b}?q=\u{1f600}",
    ];
    rows.extend(pages.map(|page| row(page, "POST", "/createTask", "", task(page))));
    pass("tasks", rows);
}

#[rustfmt::skip]
#[test]
fn queries_and_forms_of_real_clients_pass_a_deny() {
    let raw = "key=K&method=userrecaptcha&googlekey=6L&pageurl=https://a.example/x.php?level=high{+&nocache=1+}";
    let encoded = "key=K&method=userrecaptcha&googlekey=6L&pageurl=https%3A%2F%2Fa.example%2Fx%3Fa%3Db%26method%3Dc{+&nocache=1+}";
    let with = |more: &str| encoded.replace("{+", &format!("{more}{{+"));
    let other = |form: &str| form.replace("{+&nocache=1+}", "");
    let image = format!("key=K&method=base64&json=1&body=data:image/png;base64,{}", "iVBORw0KGgo/%2B".repeat(500));
    let mut rows = vec![
        row("GET", "GET", &format!("/in.php?{raw}"), "", ""),
        row("GET, encoded", "GET", &format!("/in.php?{encoded}"), "", ""),
        row("POST, all in the query", "POST", &format!("/in.php?{raw}"), "", ""),
        row("a slash and another case", "GET", &format!("/IN.php/?{raw}"), "", ""),
        row("a form", "POST", "/in.php", FORM, encoded),
        row("a form, UTF-8", "POST", "/in.php", "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n", encoded),
        row("a form, ISO 8859-1", "POST", "/in.php", "Content-Type: application/x-www-form-urlencoded; charset=ISO-8859-1\r\n", encoded),
        row("a form, windows-1251", "POST", "/in.php", "Content-Type: application/x-www-form-urlencoded;charset=windows-1251\r\n", encoded),
        row("a form, no type", "POST", "/in.php", "", encoded),
        row("a form, text/plain", "POST", "/in.php", "Content-Type: text/plain\r\n", encoded),
        row("puppeteer, chunks and no type", "POST", "/in.php", CHUNKS, raw),
        row("a form in chunks", "POST", "/in.php", &format!("{FORM}{CHUNKS}"), encoded),
        row("gzip", "POST", "/in.php", &format!("{FORM}{GZIP}"), encoded),
        row("a part each", "POST", "/in.php?key=K&json=1", FORM, encoded.replace("key=K&", "")),
        row("version and enterprise", "GET", &format!("/in.php?{}", with("&version=v2&enterprise=0&invisible=1")), "", ""),
        row("v3", "POST", "/in.php", FORM, with("&version=v3&action=verify&min_score=0.3")),
        row("an empty version", "POST", "/in.php", FORM, with("&version=&enterprise=")),
        row("Enterprise, not covered", "POST", "/in.php", FORM, other(&with("&version=v3&enterprise=1"))),
        row("pageURL", "POST", "/in.php", FORM, encoded.replace("pageurl", "pageURL")),
        row("names in capitals", "POST", "/in.php", FORM, encoded.replace("key=K", "KEY=K").replace("method=user", "METHOD=user")),
        row("all parameters", "POST", "/in.php", FORM, with("&data-s=x&datas=y&domain=google.com&cookies=a:b;c:d&userAgent=Mozilla%2F5.0+(x)&proxy=u:p@1.2.3.4:80&proxytype=HTTP&soft_id=1&header_acao=1&pingback=https%3A%2F%2Fb.example")),
        row("a browser's cookies and agent", "POST", "/in.php", FORM, with("&userAgent=Mozilla/5.0 (X11; Linux) AppleWebKit&cookies=a=b; c=d")),
        row("bytes of any kind, encoded", "POST", "/in.php", FORM, with("&x=%FF%00%81")),
        row("arrays of other names", "POST", "/in.php", FORM, with("&x[]=1&x[]=2&ids%5B%5D=3&page=1&url=2")),
        row("& at the end", "POST", "/in.php", FORM, "key=K&method=userrecaptcha&pageurl=https://a.example&{+&nocache=1+}"),
        row("a picture", "POST", "/in.php", FORM, &image),
        row("a picture, encoded", "POST", "/in.php", FORM, image.replace(':', "%3A").replace(';', "%3B")),
        row("a picture in chunks", "POST", "/in.php", CHUNKS, &image),
        row("a picture, method=post", "POST", "/in.php", FORM, image.replace("base64&json", "post&json")),
        row("hCaptcha", "GET", "/in.php?key=K&method=hcaptcha&sitekey=x&enterprise=yes&version=x&pageurl=https://a.example", "", ""),
        row("GeeTest", "POST", "/in.php", FORM, "key=K&method=geetest_v4&captcha_id=x&version=4&version=5&pageurl=https://a.example"),
        row("Turnstile without a page", "POST", "/in.php", FORM, "key=K&method=turnstile&sitekey=x"),
        row("JSON", "POST", "/in.php", JSON, r#"{"key":"K","method":"userrecaptcha","googlekey":"6L","pageurl":"https://a.example/?a=b&pageurl=c","version":"v3","enterprise":0{+,"nocache":1+}}"#),
        row("JSON, a number", "POST", "/in.php", JSON, r#"{"key":"K","method":"userrecaptcha","pageurl":"a.example","version":3,"enterprise":false{+,"nocache":1+}}"#),
        row("JSON, no type", "POST", "/in.php", "", r#"{"key":"K","method":"userrecaptcha","pageurl":"https://a.example/?a=b&c=d"{+,"nocache":1+}}"#),
        row("JSON, a picture", "POST", "/in.php", JSON, r#"{"key":"K","method":"base64","body":"iVBORw0KGgo=","json":1}"#),
        row("JSON, gzip", "POST", "/in.php", &format!("{JSON}{GZIP}"), r#"{"key":"K","method":"userrecaptcha","pageurl":"https://a.example"{+,"nocache":1+}}"#),
    ];
    let pages = [
        "a.example", "https://a.example/x;jsessionid=1?a=b;c=d", "https://пример.испытание/путь", "https://%D0%BF%D1%80%D0%B8%D0%BC%D0%B5%D1%80.example/%D0%BF%D1%83%D1%82%D1%8C",
        "https://a.example/?t=1&u=2&page=3", "https://a.example/a+b%20c", "https://a.example/%", "//a.example", "http://A.example:80/",
    ];
    rows.extend(pages.map(|page| row(page, "GET", &format!("/in.php?key=K&method=userrecaptcha&pageurl={page}{{+&nocache=1+}}"), "", "")));
    rows.extend(pages.map(|page| row(page, "POST", "/in.php", FORM, format!("key=K&method=userrecaptcha&pageurl={page}{{+&nocache=1+}}"))));
    pass("queries and forms", rows);
}

/// A multipart body: the fields of each part, with its content. nocache goes in front of the end.
fn parts(boundary: &str, parts: &[(&str, &[u8])], gets_nocache: bool) -> Vec<u8> {
    let mut body = Vec::new();
    for (fields, content) in parts {
        body.extend(format!("--{boundary}\r\n{fields}\r\n\r\n").bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    if gets_nocache {
        body.extend(
            format!("{{+--{boundary}\r\nContent-Disposition: form-data; name=\"nocache\"\r\n\r\n1\r\n+}}").bytes(),
        );
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    body
}

/// Every part written in one way, `{}` being its name.
fn form(boundary: &str, fields: &str) -> Vec<u8> {
    let pairs = [
        ("key", "K"),
        ("method", "userrecaptcha"),
        ("pageurl", "https://пример.example/путь?a=b;c"),
        ("json", "1"),
    ];
    let fields: Vec<String> = pairs
        .iter()
        .map(|(name, value)| fields.replace("{}", name).replace("LENGTH", &value.len().to_string()))
        .collect();
    let list: Vec<(&str, &[u8])> = fields
        .iter()
        .zip(pairs)
        .map(|(fields, (_, value))| (&fields[..], value.as_bytes()))
        .collect();
    parts(boundary, &list, true)
}

#[rustfmt::skip]
#[test]
fn multipart_bodies_of_real_clients_pass_a_deny() {
    let quoted = "Content-Disposition: form-data; name=\"{}\"";
    let typed = |boundary: &str| format!("Content-Type: multipart/form-data; boundary={boundary}\r\n");
    let dotnet = "Upload----11/23/2025 08:24:00";
    let any: Vec<u8> = (0..=255).chain(*b"\r\n--\r\n----\n\r--WebKit--\r\n").cycle().take(2_000).collect();
    let file = |disposition: &str| {
        let fields = format!("Content-Disposition: form-data; name=\"file\"; {disposition}\r\nContent-Type: image/png");
        parts("----WebKitFormBoundary7MA4YWxkTrZu0gW", &[
            ("Content-Disposition: form-data; name=\"key\"", b"K"), ("Content-Disposition: form-data; name=\"method\"", b"post"), (&fields, &any),
        ], false)
    };
    let browser = typed("----WebKitFormBoundary7MA4YWxkTrZu0gW");
    let rows = vec![
        row("curl -F", "POST", "/in.php", &typed("------------------------d74496d66958873e"), form("------------------------d74496d66958873e", quoted)),
        row("2captcha-csharp", "POST", "/in.php", &typed(&format!("\"{dotnet}\"")), form(dotnet, "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name={}")),
        row(".NET", "POST", "/in.php", &typed("\"d8b5a1f0-1f0c-4e0e-9a69-3a7c1b2f1d11\""), form("d8b5a1f0-1f0c-4e0e-9a69-3a7c1b2f1d11", "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name={}")),
        row("OkHttp", "POST", "/in.php", &typed("1c5e5f6a-9c1c-4ef1-8a0d-1c5e5f6a9c1c"), form("1c5e5f6a-9c1c-4ef1-8a0d-1c5e5f6a9c1c", &format!("{quoted}\r\nContent-Length: LENGTH"))),
        row("OkHttp, older", "POST", "/in.php", &typed("1c5e5f6a"), form("1c5e5f6a", &format!("{quoted}\r\nContent-Transfer-Encoding: binary\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: LENGTH"))),
        row("aiohttp", "POST", "/in.php", &typed("6f1ed002ab5595859014ebf0951522d9"), form("6f1ed002ab5595859014ebf0951522d9", &format!("Content-Type: text/plain; charset=utf-8\r\n{quoted}"))),
        row("requests", "POST", "/in.php", &typed("c5b3f0c4a6e04d6c8f4f9a5b1b8d3e7f"), form("c5b3f0c4a6e04d6c8f4f9a5b1b8d3e7f", quoted)),
        row("undici", "POST", "/in.php", &typed("----formdata-undici-012345678901"), form("----formdata-undici-012345678901", quoted)),
        row("form-data of Node, chunks", "POST", "/in.php", &format!("{}{CHUNKS}", typed("--------------------------515890814546601021194782")), form("--------------------------515890814546601021194782", quoted)),
        row("a browser", "POST", "/in.php", &browser, form("----WebKitFormBoundary7MA4YWxkTrZu0gW", quoted)),
        row("Firefox", "POST", "/in.php", &typed("----geckoformboundaryc7e9b8a5d4f3e2a1"), form("----geckoformboundaryc7e9b8a5d4f3e2a1", quoted)),
        row("Java's mail classes", "POST", "/in.php", &typed("\"----=_Part_0_1330416747.1480694400000\""), form("----=_Part_0_1330416747.1480694400000", &format!("{quoted}\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit"))),
        row("LibWWW-Perl", "POST", "/in.php", &typed("xYzZY"), form("xYzZY", quoted)),
        row("a charset of all", "POST", "/in.php", "Content-Type: multipart/form-data; charset=utf-8; boundary=\"B1\"\r\n", form("B1", quoted)),
        row("names of the fields in lowercase", "POST", "/in.php", &typed("B1"), form("B1", "content-disposition: form-data; name=\"{}\"")),
        row("no blank behind the colon", "POST", "/in.php", &typed("B1"), form("B1", "Content-Disposition:form-data;name=\"{}\"")),
        row("a line break in front", "POST", "/in.php", &typed("B1"), [b"\r\n".to_vec(), form("B1", quoted)].concat()),
        row("no line break behind", "POST", "/in.php", &typed("B1"), form("B1", quoted).strip_suffix(b"\r\n").unwrap()),
        row("gzip", "POST", "/in.php", &format!("{}{GZIP}", typed("B1")), form("B1", quoted)),
        row("a part each", "POST", "/in.php?soft_id=5", &typed("B1"), form("B1", quoted)),
        row("a file of any bytes", "POST", "/in.php", &browser, file("filename=\"a.png\"")),
        row("a file of any bytes in chunks", "POST", "/in.php", &format!("{browser}{CHUNKS}"), file("filename=\"a.png\"")),
        row("a file with a Cyrillic name", "POST", "/in.php", &browser, file("filename=\"капча; 1.png\"")),
        row("a file with two names", "POST", "/in.php", &browser, file("filename=a.png; filename*=utf-8''%D0%BA.png")),
        row("a file with a path", "POST", "/in.php", &browser, file("filename=\"C:\\temp\\a.png\"")),
        row("a file without a name", "POST", "/in.php", &browser, file("filename=\"\"")),
        row("a reCAPTCHA with an empty file", "POST", "/in.php", &typed("B1"), parts("B1", &[
            ("Content-Disposition: form-data; name=\"method\"", b"userrecaptcha"), ("Content-Disposition: form-data; name=\"pageurl\"", b"https://a.example"),
            ("Content-Disposition: form-data; name=\"file\"; filename=\"\"\r\nContent-Type: application/octet-stream", b""),
        ], true)),
        row("DeathByCaptcha", "POST", "/api/captcha", &browser, file("filename=\"a.png\"")),
    ];
    pass("multipart bodies", rows);
}

#[rustfmt::skip]
#[test]
fn all_but_submissions_passes_a_deny() {
    let rows = vec![
        row("a preflight", "OPTIONS", "/createTask", "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n", ""),
        row("a preflight of in.php", "OPTIONS", "/in.php", "Origin: https://a.example\r\n", ""),
        row("a poll", "POST", "/getTaskResult/", JSON, r#"{"clientKey":"K","taskId":1}"#),
        row("a legacy poll", "GET", "/res.php?key=K&action=get&id=1&json=1", "", ""),
        row("a balance", "POST", "/getBalance", "", r#"{"clientKey":"K"}"#),
        row("a report", "POST", "/reportIncorrectTokenCaptcha", "", r#"{"clientKey":"K","taskId":1}"#),
        row("what is not JSON", "POST", "/test", "Content-Type: text/plain; charset=utf-16\r\n", b"\xff\xfe{\0"),
        row("a path of Unicode", "GET", "/%D0%BF%D1%83%D1%82%D1%8C/путь", "", ""),
        row("a path like a submission's", "GET", "/createTaskResult/in.phpx", "", ""),
        row("dots and semicolons", "GET", "/docs/../a;b=c/./d.", "", ""),
        row("the root", "GET", "/", "", ""),
    ];
    pass("other requests", rows);
}
