//! Rewriting on the wire: the bytes that a client sends, the bytes that the upstream gets, and the decision that the response
//! names.

mod fixtures;

use fixtures::{ALREADY_ON, CLIENT_SAID_OFF, Gateway, Message, NOT_COVERED, OK, RawUpstream, SET, exchange, get, post};

struct Setup {
    upstream: RawUpstream,
    gateway: Gateway,
}

impl Setup {
    fn new(config: &str) -> Self {
        let upstream = RawUpstream::start(OK);
        let gateway = Gateway::start(&upstream.url, config);
        Self { upstream, gateway }
    }

    /// Sends a request; returns the response, which is the upstream's, and the request as it arrived.
    fn send(&self, request: impl AsRef<[u8]>) -> (Message, Message) {
        let response = exchange(self.gateway.api, request);
        assert_eq!(response.text(), r#"{"errorId":0,"taskId":4321}"#);
        (response, self.upstream.last())
    }

    /// A createTask body: the decision, and the body as it arrived.
    fn create_task(&self, body: &str) -> (String, String) {
        let (response, arrived) = self.send(post("/createTask", body));
        assert_eq!(arrived.field("content-length").unwrap(), arrived.body.len().to_string());
        (response.decision().to_owned(), arrived.text().to_owned())
    }
}

fn task(rest: &str) -> String {
    format!(r#"{{"clientKey":"K","task":{{"type":"RecaptchaV2Task","websiteURL":"https://a.example/"{rest}}}}}"#)
}

#[test]
fn json_tasks_get_nocache_and_arrive_otherwise_as_sent() {
    const ADDED: &str = r#"{+,"nocache":true+}"#;
    let setup = Setup::new("");
    let over_lines = r#"{
    "task": {
        "type": "RecaptchaV2Task",
        "websiteURL": "https://a.example/"{+,"nocache":true+}
    },
    "clientKey": "K" }"#;
    let over_lines = format!("\u{feff}{}\n", over_lines.replace("    ", "\t").replace('\n', "\r\n"));
    for marked in [
        &over_lines,
        r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://a.example/","websiteKey":"s"{+,"nocache":true+}}}"#,
        r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://a.example/","x":[12345678901234567890,1.0,1e400,[],"\/\u00e9"]{+,"nocache":true+}}}"#,
        r#"{"t\u0061sk":{"typ\u0065":"recaptchav2task","websiteURL":"https:\/\/a.example\/"{+,"nocache":true+}}}"#,
    ] {
        let body = marked.replace(ADDED, "");
        let arrived = marked.replace("{+", "").replace("+}", "");
        assert_eq!(setup.create_task(&body), (SET.into(), arrived));
    }

    let of_type = |name: &str| task("").replace("RecaptchaV2Task", name);
    for (body, decision) in [
        (task(r#","nocache":true"#), ALREADY_ON),
        (task("").replace("\"K\"", "\"K__module__x__NoCache\""), ALREADY_ON),
        (task(r#","nocache":false"#), CLIENT_SAID_OFF),
        (of_type("RecaptchaV2EnterpriseTask"), NOT_COVERED),
        (of_type("TurnstileTask"), NOT_COVERED),
        (of_type("RecaptchaClickTask"), NOT_COVERED),
        (r#"{"task":"#.into(), "skipped;reason=unreadable"),
        (String::new(), "skipped;reason=unreadable"),
        (r#"{"task":[]}"#.into(), "skipped;reason=no-task"),
        (r#"{"task":{},"task":{}}"#.into(), "skipped;reason=ambiguous"),
    ] {
        assert_eq!(setup.create_task(&body), (decision.into(), body.clone()));
    }
}

#[test]
fn bodies_that_are_not_utf8_arrive_as_sent() {
    let setup = Setup::new("");
    let body = b"{\"task\":{\"type\":\"RecaptchaV2Task\",\"websiteURL\":\"a.example\",\"userAgent\":\"\xff\xfe\"}}";
    let (response, arrived) = setup.send(post("/createTask", body));
    assert_eq!(response.decision(), SET);
    let expected = [&body[..body.len() - 2], b",\"nocache\":true}}"].concat();
    assert_eq!(
        arrived.body.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

#[test]
fn each_legacy_shape_gets_nocache_where_its_parameters_are() {
    let setup = Setup::new("");
    let query = "/in.php?key=K&method=userrecaptcha&googlekey=s&pageurl=https://a.example/v2.php?level=high";
    for request in [get(query), post(query, "")] {
        let (response, arrived) = setup.send(request);
        assert_eq!(
            (response.decision(), arrived.target()),
            (SET, format!("{query}&nocache=1").as_str())
        );
        assert_eq!(arrived.text(), "");
    }

    let form = "key=K&method=userrecaptcha&pageurl=https%3A%2F%2Fa.example";
    let chunked = format!(
        "POST /in.php HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n",
        form.len()
    );
    for request in [post("/in.php", form), chunked.into_bytes()] {
        let (response, arrived) = setup.send(request);
        assert_eq!(
            (response.decision(), arrived.text()),
            (SET, format!("{form}&nocache=1").as_str())
        );
        assert_eq!(arrived.field("content-length").unwrap(), arrived.body.len().to_string());
        assert_eq!(arrived.field("transfer-encoding"), None);
    }

    let part = |name: &str, value: &str| {
        format!(
            "--Upload----11/23/2025 08:24:00\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n"
        )
    };
    let parts = part("key", "K") + &part("method", "userrecaptcha") + &part("pageurl", "https://a.example");
    let last = "--Upload----11/23/2025 08:24:00--\r\n";
    let body = format!("{parts}{last}");
    let request = format!(
        "POST /in.php HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=\"Upload----11/23/2025 08:24:00\"\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (response, arrived) = setup.send(request);
    let added = "--Upload----11/23/2025 08:24:00\r\nContent-Disposition: form-data; name=\"nocache\"\r\n\r\n1\r\n";
    assert_eq!(
        (response.decision(), arrived.text()),
        (SET, format!("{parts}{added}{last}").as_str())
    );

    let (response, arrived) = setup.send(post(
        "/in.php",
        r#"{"key":"K","method":"userrecaptcha","pageurl":"a.example"}"#,
    ));
    let expected = r#"{"key":"K","method":"userrecaptcha","pageurl":"a.example","nocache":1}"#;
    assert_eq!((response.decision(), arrived.text()), (SET, expected));

    let target = "/in.php?key=K&method=base64";
    let (response, arrived) = setup.send(get(target));
    assert_eq!((response.decision(), arrived.target()), (NOT_COVERED, target));
}

#[test]
fn paths_are_treated_as_what_they_are_and_forwarded_as_written() {
    let setup = Setup::new("");
    for path in ["/CreateTask/", "//createTask", "/x/../createTask", "/create%54ask"] {
        let (response, arrived) = setup.send(post(path, task("")));
        assert_eq!(
            (response.decision(), arrived.target(), arrived.text()),
            (SET, path, task(r#","nocache":true"#).as_str())
        );
    }
    // GET of createTask is no submission; HEAD of in.php is read as GET; a GET with a body like a POST.
    let (response, _) = setup.send(get("/createTask"));
    assert_eq!(response.decision(), "none");
    let form = "method=userrecaptcha&pageurl=a.example";
    let (_, arrived) = setup.send(format!(
        "GET /in.php HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    ));
    assert_eq!(arrived.text(), format!("{form}&nocache=1"));
    let (response, arrived) = setup.send(get("/IN.PHP?method=userrecaptcha&pageurl=a.example"));
    assert_eq!(
        (response.decision(), arrived.target()),
        (SET, "/IN.PHP?method=userrecaptcha&pageurl=a.example&nocache=1")
    );
}

#[test]
fn rules_decide() {
    let setup = Setup::new(
        r#"
        [[rule]]
        id = "forced"
        sites = ["forced.example"]
        action = "force"
        [[rule]]
        id = "by-key"
        sites = ["key.example/login"]
        captchas = ["*"]
        action = "add"
        via = "key"
        "#,
    );
    let off = r#"{"task":{"nocache":false,"type":"RecaptchaV2Task","websiteURL":"www.forced.example"}}"#;
    let (header, arrived) = setup.create_task(off);
    assert_eq!(
        (header.as_str(), arrived),
        (
            "set;action=force;via=parameter;rule=forced",
            off.replace("false", "true")
        )
    );

    let turnstile = r#"{"clientKey":"K__m","task":{"type":"TurnstileTask","websiteURL":"key.example/login/x"}}"#;
    let (header, arrived) = setup.create_task(turnstile);
    assert_eq!(
        (header.as_str(), arrived),
        (
            "set;action=add;via=key;rule=by-key",
            turnstile.replace("K__m", "K__m__nocache")
        )
    );

    let (response, arrived) = setup.send(get("/in.php?key=K&method=hcaptcha&pageurl=https://key.example/login"));
    assert_eq!(
        (response.decision(), arrived.target()),
        (
            "set;action=add;via=key;rule=by-key",
            "/in.php?key=K__nocache&method=hcaptcha&pageurl=https://key.example/login"
        )
    );
}

#[test]
fn a_denied_submission_reaches_nobody_and_is_answered_with_200() {
    let setup = Setup::new(
        r#"
        [[rule]]
        id = "no"
        sites = ["=www.x.example"]
        action = "deny"
        "#,
    );
    let denied = "denied;action=deny;rule=no;reason=action-deny";
    let json = exchange(
        setup.gateway.api,
        post("/createTask", task("").replace("a.example", "WWW.X.EXAMPLE.")),
    );
    assert_eq!((json.status(), json.decision()), (200, denied));
    assert_eq!(
        json.text(),
        r#"{"errorId":1,"errorCode":"ERROR_DOMAIN_NOT_ALLOWED","errorDescription":"nocache-gateway: the rule \"no\" denies this site","taskId":0}"#
    );
    let target = "/in.php?key=K&method=userrecaptcha&pageurl=https://good.example@www.x.example/";
    let plain = exchange(setup.gateway.api, get(target));
    assert_eq!(
        (plain.status(), plain.decision(), plain.text()),
        (200, denied, "ERROR_DOMAIN_NOT_ALLOWED")
    );
    let json = exchange(setup.gateway.api, get(&format!("{target}&json=1")));
    assert_eq!(json.text(), r#"{"request":"ERROR_DOMAIN_NOT_ALLOWED","status":0}"#);

    // What cannot be read is refused as well, under whatever method; a preflight is not.
    for request in [
        post("/createTask", "{"),
        post("/createTask", task("").replace("{\"type", "{\"type\":1,\"type")),
    ] {
        assert_eq!(
            exchange(setup.gateway.api, request).decision(),
            "denied;reason=unreadable"
        );
    }
    let put = b"PUT /createTask HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert!(
        exchange(setup.gateway.api, put)
            .text()
            .contains("ERROR_GATEWAY_UNREADABLE")
    );
    assert_eq!(setup.upstream.received(), []);

    let options = b"OPTIONS /createTask HTTP/1.1\r\nHost: x\r\n\r\n";
    let (response, _) = setup.send(options);
    assert_eq!(response.decision(), "none");
}

#[test]
fn each_decision_is_one_log_line_without_secrets() {
    let setup = Setup::new("");
    setup.create_task(
        &task(r#","proxyPassword":"SECRET""#)
            .replace("\"K\"", "\"SECRETKEY\"")
            .replace("a.example/", "a.example/p?token=SECRET"),
    );
    setup.send(get(
        "/in.php?key=SECRETKEY&method=userrecaptcha&pageurl=https://a.example/?SECRET",
    ));
    let decisions = setup.gateway.server.wait_for("submission", 2);
    assert_eq!(decisions.len(), 2);
    for (line, endpoint) in decisions.iter().zip(["createTask", "in.php"]) {
        assert_eq!(line["decision"], "set");
        assert_eq!(line["rule"], "default");
        assert_eq!(line["site"], "a.example");
        assert_eq!(line["captcha"], "recaptcha-v2");
        assert_eq!(line["endpoint"], endpoint);
    }
    assert!(!format!("{:?}", setup.gateway.server.log()).contains("SECRET"));

    // An invalid name is a mangled request, perhaps with its key in it.
    for (number, target) in [
        "/in.php?method=base64;key=SECRETKEY",
        "/in.php?method=userrecaptcha%26key%3DSECRETKEY",
        "/in.php?method=SECRET%0aKEY",
    ]
    .into_iter()
    .enumerate()
    {
        setup.send(get(target));
        let line = setup.gateway.server.wait_for("submission", 3 + number).pop().unwrap();
        assert_eq!(line["captcha"], "method=other", "{target}");
    }
    assert!(!format!("{:?}", setup.gateway.server.log()).contains("SECRET"));
}

/// Requests that two readers could read in two ways do not get past a deny.
#[test]
fn what_another_reader_might_read_is_denied() {
    let setup = Setup::new(
        r#"
        [[rule]]
        id = "no"
        sites = ["evil.example"]
        action = "deny"
        "#,
    );
    let send = |fields: &str, target: &str, body: &str| {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(setup.gateway.api, request).decision().to_owned()
    };
    let good = "/in.php?key=K&method=userrecaptcha&pageurl=https://good.example/";
    let part = "--B\r\nContent-Disposition: form-data; name=pageurl\r\n\r\nhttps://evil.example/\r\n--B--\r\n";
    for (fields, target, body) in [
        (
            "",
            "/in.php",
            r#"{"method":"userrecaptcha","pageurl":"https://good.example/","x":"&method=userrecaptcha&pageurl=https://evil.example/&z="}"#,
        ),
        ("Content-Type: multipart/form-data;; boundary=B\r\n", good, part),
        ("Content-Type: multipart/form-data; x; boundary=B\r\n", good, part),
        (
            "Content-Type: multipart/form-data; y=\u{fc}; boundary=B\r\n",
            good,
            part,
        ),
        ("Content-Type: multipart/form-data\r\n", good, part),
        (
            "Content-Type: text/plain\r\nContent-Type: multipart/form-data; boundary=B\r\n",
            good,
            part,
        ),
        (
            "Content-Type: multipart/form-data; boundary=B\r\n",
            good,
            &part.replace("data; name", "data;\r\n name"),
        ),
        (
            "Content-Type: multipart/form-data; boundary=B\r\n",
            good,
            &part.replace("name=", "x; name="),
        ),
    ] {
        assert_eq!(
            send(fields, target, body),
            "denied;reason=unreadable",
            "{fields} {body}"
        );
    }
    assert_eq!(setup.upstream.received(), []);
    assert_eq!(send("Content-Encoding: gzip\r\n", good, ""), SET);
}
