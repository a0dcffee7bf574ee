//! Every request leaves one record, and so one event in the log: for each row of docs/failures.md its cause and status.

mod fixtures;

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use fixtures::{Client, Gateway, OK, PATIENCE, RawUpstream, exchange, get, post, refused, wait};
use serde_json::Value;

const TASK: &str = r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://a.example/"}}"#;
const DEBUG: &str = "[log]\nlevel = \"debug\"\n";

/// The events of requests so far.
fn records(gateway: &Gateway) -> Vec<Value> {
    let is_record = |line: &Value| matches!(line["message"].as_str(), Some("submission" | "request"));
    gateway.server.log().into_iter().filter(is_record).collect()
}

/// Waits until requests have left this many records, and asserts that no further one follows.
fn wait_for_records(gateway: &Gateway, count: usize) -> Vec<Value> {
    wait(|| (records(gateway).len() >= count).then_some(()));
    thread::sleep(Duration::from_millis(50));
    let records = records(gateway);
    assert_eq!(records.len(), count, "{records:#?}");
    records
}

/// The record of the only request so far: level, message, cause, status.
fn only_record(gateway: &Gateway) -> [String; 4] {
    let record = wait_for_records(gateway, 1).remove(0);
    ["level", "message", "cause", "status"].map(|field| match &record[field] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    })
}

fn start(upstream: &str, config: &str) -> Gateway {
    Gateway::start(upstream, &format!("{config}{DEBUG}"))
}

#[test]
fn a_submission_leaves_one_record_with_all_its_facts() {
    let upstream = RawUpstream::start(OK);
    let config = r#"
        [server]
        request_id = true
        [[rule]]
        id = "login"
        sites = ["a.example/login"]
        action = "force"
        [[rule]]
        id = "shop"
        sites = ["a.example"]
        action = "add"
    "#;
    let gateway = start(&upstream.url, config);
    let request = format!(
        "POST /createTask?x=SECRET HTTP/1.1\r\nHost: x\r\nX-Request-Id: bot-7\r\nContent-Length: {}\r\n\r\n{TASK}",
        TASK.len()
    );
    let response = exchange(gateway.api, request);
    let record = wait_for_records(&gateway, 1).remove(0);
    let id = record["id"].as_str().unwrap().to_owned();
    assert_eq!(
        response.decision(),
        format!("set;action=add;via=parameter;rule=shop;id={id}")
    );
    assert_eq!(upstream.last().field("x-request-id"), Some("bot-7"), "it is forwarded");
    for (field, expected) in [
        ("level", "INFO"),
        ("message", "submission"),
        ("client_id", "bot-7"),
        ("method", "POST"),
        ("path", "/createTask"),
        ("endpoint", "createTask"),
        ("dialect", "json"),
        ("captcha", "recaptcha-v2"),
        ("site", "a.example"),
        ("decision", "set"),
        ("action", "add"),
        ("rule", "shop"),
        ("via", "parameter"),
        ("near", "login:path"),
    ] {
        assert_eq!(record[field], expected, "{field}");
    }
    for (field, expected) in [
        ("status", 200),
        ("upstream_status", 200),
        ("bytes_in", TASK.len()),
        ("bytes_out", 27),
    ] {
        assert_eq!(record[field], expected, "{field}");
    }
    assert!(record["took_ms"].is_u64() && record["upstream_ms"].is_u64());
    for absent in ["cause", "error", "reason"] {
        assert_eq!(record[absent], Value::Null, "{absent}");
    }
    assert!(!format!("{:?}", gateway.server.log()).contains("SECRET"));
}

#[rustfmt::skip]
#[test]
fn the_record_says_what_is_wrong_with_a_shape() {
    let deny = "[[rule]]\nid = \"no\"\nsites = [\"evil.example\"]\naction = \"deny\"\n";
    let task = |site: &str| format!(r#"{{"task":{{"type":"RecaptchaV2Task","websiteURL":"{site}"}}}}"#);
    let invisible = "the websiteURL or pageurl has the invisible character U+FEFF in front of its scheme or in its host";
    let upstream = RawUpstream::start(OK);
    for (config, target, body, reason, detail) in [
        ("", "/createTask", task("\u{feff}https://a.example"), "bad-site", invisible),
        (deny, "/createTask", task("\u{feff}https://a.example"), "unreadable", invisible),
        (deny, "/createTask", task("https:/a.example"), "unreadable", "the site is not http://, https:// or // and a host, or a host alone"),
        (deny, "/createTask", "{".to_owned(), "unreadable", "the body cannot be read"),
        (deny, "/createTask.", task("a.example"), "unreadable", "the path is an unusual spelling of createTask or in.php"),
        (deny, "/in.php", "method=userrecaptcha&pageurl=a.example&pageurl[]=SECRET".to_owned(), "unreadable", "a name is an unusual spelling of \"pageurl\""),
    ] {
        let gateway = start(&upstream.url, config);
        exchange(gateway.api, post(target, &body));
        let record = wait_for_records(&gateway, 1).remove(0);
        assert_eq!((&record["reason"], &record["detail"]), (&reason.into(), &detail.into()), "{target} {body}");
        assert!(!record.to_string().contains("SECRET"));
    }
}

#[test]
fn a_near_miss_by_captcha_is_named_and_one_after_the_decision_is_not() {
    let upstream = RawUpstream::start(OK);
    let config = r#"
        [[rule]]
        id = "turnstile"
        sites = ["a.example"]
        captchas = ["TurnstileTask"]
        action = "add"
        [[rule]]
        id = "all"
        sites = ["b.example"]
        action = "add"
        [[rule]]
        id = "late"
        sites = ["b.example/login"]
        action = "force"
    "#;
    let gateway = start(&upstream.url, config);
    for (number, (site, near)) in [
        ("a.example", Some("turnstile:captcha")),
        ("b.example", None),
        ("c.example", None),
    ]
    .into_iter()
    .enumerate()
    {
        exchange(gateway.api, post("/createTask", TASK.replace("a.example", site)));
        assert_eq!(
            wait_for_records(&gateway, number + 1)[number]["near"].as_str(),
            near,
            "{site}"
        );
    }
}

#[test]
fn a_clients_id_is_logged_only_if_it_looks_like_one() {
    let upstream = RawUpstream::start(OK);
    let gateway = start(&upstream.url, "");
    for (number, (id, shown)) in [("a.B_9-z", true), ("", false), ("a b", false), (&"a".repeat(65), false)]
        .into_iter()
        .enumerate()
    {
        exchange(
            gateway.api,
            format!("GET /x HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\n\r\n"),
        );
        assert_eq!(
            wait_for_records(&gateway, number + 1)[number]["client_id"] == id,
            shown,
            "{id}"
        );
        assert_eq!(upstream.last().field("x-request-id"), Some(id));
    }
}

#[test]
fn polls_are_logged_at_debug_and_submissions_at_info() {
    let upstream = RawUpstream::start(OK);
    let gateway = start(&upstream.url, "");
    for (number, (request, level, endpoint)) in [
        (post("/createTask", TASK), "INFO", "createTask"),
        (get("/in.php?key=K&method=base64"), "INFO", "in.php"),
        (post("/getTaskResult", "{}"), "DEBUG", "getTaskResult"),
        (get("/res.php?action=get"), "DEBUG", "res.php"),
        (post("/getBalance", "{}"), "DEBUG", "other"),
        (
            b"OPTIONS /createTask HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            "DEBUG",
            "createTask",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        exchange(gateway.api, request);
        let record = &wait_for_records(&gateway, number + 1)[number];
        assert_eq!(
            (&record["level"], &record["endpoint"]),
            (&level.into(), &endpoint.into())
        );
        assert_eq!(record["cause"], Value::Null);
    }
}

/// The rows of the table "The upstream" in docs/failures.md.
#[test]
fn a_failure_of_the_upstream_is_one_warning_with_its_cause() {
    let closes_in_response = |_: &fixtures::Message, stream: &mut std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"errorId\":0");
        false
    };
    let stalls_in_response = |_: &fixtures::Message, stream: &mut std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"errorId\":0");
        thread::sleep(PATIENCE);
        false
    };
    let folder = fixtures::Folder::new();
    let certificate = folder.path().join("ca.pem");
    let tls = fixtures::SandboxServer::start(&["--tls", certificate.to_str().unwrap()]);
    let silent = RawUpstream::serve(|_, _| {
        thread::sleep(PATIENCE);
        false
    });
    let full = full_listener();
    for (upstream, config, cause, status) in [
        ("http://no-such-host.invalid".to_owned(), "", "resolve", "502"),
        (refused(), "", "connect", "502"),
        (
            full.0.clone(),
            "[upstream]\nconnect_timeout = \"200ms\"\n",
            "connect-timeout",
            "502",
        ),
        (format!("https://{}", tls.address), "", "tls", "502"),
        (
            PROXIED.to_owned(),
            "[upstream]\nproxy = \"http://no-such-host.invalid:3128\"\n",
            "proxy-resolve",
            "502",
        ),
        (
            PROXIED.to_owned(),
            &through(&refused(), "proxy"),
            "proxy-connect",
            "502",
        ),
        (
            PROXIED.to_owned(),
            &through(&silent.url, "connect_timeout = \"200ms\"\nproxy"),
            "proxy-timeout",
            "502",
        ),
        (
            PROXIED.to_owned(),
            &through(&RawUpstream::start(b"HTTP/1.1 403 Forbidden\r\n\r\n").url, "proxy"),
            "proxy-refused",
            "502",
        ),
        (
            PROXIED.to_owned(),
            &through(&RawUpstream::start(b"SSH-2.0-OpenSSH_9.2\r\n").url, "proxy"),
            "proxy-protocol",
            "502",
        ),
        (closes_at_once(), "", "closed-unsent closed", "502"),
        (RawUpstream::serve(|_, _| false).url, "", "closed", "502"),
        (
            RawUpstream::start(b"SSH-2.0-OpenSSH_9.2\r\n").url,
            "",
            "not-http",
            "502",
        ),
        (
            silent.url.clone(),
            "[upstream]\ntimeout = \"100ms\"\n",
            "timeout",
            "504",
        ),
        (
            RawUpstream::start(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n").url,
            "",
            "not-http",
            "502",
        ),
        (
            RawUpstream::start(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n").url,
            "",
            "cut-off",
            "502",
        ),
        (RawUpstream::serve(closes_in_response).url, "", "cut-off", "200"),
        (
            RawUpstream::serve(stalls_in_response).url,
            "[upstream]\nidle_timeout = \"100ms\"\n",
            "cut-off",
            "200",
        ),
    ] {
        let gateway = start(&upstream, config);
        let mut client = Client::connect(gateway.api);
        client.0.write_all(&post("/createTask", TASK)).unwrap();
        let mut response = Vec::new();
        let _ = client.0.set_read_timeout(Some(Duration::from_millis(1500)));
        let _ = client.0.read_to_end(&mut response);
        let [level, message, found, found_status] = only_record(&gateway);
        assert_eq!((level.as_str(), message.as_str()), ("WARN", "submission"), "{cause}");
        assert!(
            cause.split(' ').any(|cause| cause == found),
            "{found}, expected {cause}"
        );
        assert_eq!(found_status, status, "{cause}");
    }
}

/// An upstream that nothing but a proxy could reach.
const PROXIED: &str = "http://upstream.invalid";

/// The setting for a proxy, behind others.
fn through(proxy: &str, settings: &str) -> String {
    format!("[upstream]\n{settings} = \"{proxy}\"\n")
}

/// A listener whose queue is full, so that it accepts no connection; and what fills it.
fn full_listener() -> (String, Vec<std::io::Result<std::net::TcpStream>>, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let patience = Duration::from_millis(200);
    let queue = (0..4)
        .map(|_| std::net::TcpStream::connect_timeout(&address, patience))
        .collect();
    (format!("http://{address}"), queue, socket)
}

/// An upstream that closes each connection before it reads.
fn closes_at_once() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().for_each(drop));
    url
}

#[test]
fn an_upstream_that_is_the_gateway_itself_leaves_its_cause() {
    let address = refused();
    let folder = fixtures::Folder::new();
    let file = folder.write("c.toml", DEBUG);
    let mut command = fixtures::program();
    command.args([
        "--listen",
        address.trim_start_matches("http://"),
        "--admin-listen",
        "off",
    ]);
    command.args(["--upstream", &address.replace("127.0.0.1", "localhost"), "--config"]);
    command.arg(file);
    let server = fixtures::Server::start(command, folder);
    let api = server.address("listening");
    exchange(api, post("/createTask", TASK));
    let record = server.wait_for("submission", 1).remove(0);
    assert_eq!((&record["cause"], &record["status"]), (&"loop".into(), &502.into()));
}

/// The rows of the table "The gateway" in docs/failures.md.
#[test]
fn a_refusal_is_one_event_with_its_cause() {
    let upstream = RawUpstream::start(OK);
    let deny = "[[rule]]\nid = \"no\"\nsites = [\"a.example\"]\naction = \"deny\"\n";
    let small = "[server]\nbody_limit = \"1 KiB\"\nbody_timeout = \"100ms\"\nhead_limit = \"16 KiB\"\nhead_timeout = \"200ms\"\n";
    let large = vec![b' '; 2 << 10];
    let request = |text: &str| text.as_bytes().to_vec();
    for (config, request, [level, message, cause, status]) in [
        (deny, post("/createTask", TASK), ["INFO", "submission", "-", "200"]),
        (deny, post("/createTask", "{"), ["INFO", "submission", "-", "200"]),
        (
            deny,
            request("PUT /createTask HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
            ["INFO", "submission", "-", "200"],
        ),
        (
            small,
            post("/createTask", &large),
            ["INFO", "submission", "body-too-large", "413"],
        ),
        (
            "[server]\nbody_budget = \"1 KiB\"\n",
            post("/createTask", &large),
            ["WARN", "submission", "overload", "503"],
        ),
        (
            "[server]\ncross_site = \"deny\"\n",
            request("POST /createTask HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\nContent-Length: 0\r\n\r\n"),
            ["INFO", "submission", "cross-site", "403"],
        ),
        (
            "",
            request("POST /createTask HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 0\r\n\r\n"),
            ["INFO", "submission", "malformed", "400"],
        ),
        (
            small,
            request("POST /createTask HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"),
            ["INFO", "submission", "client-body", "408"],
        ),
        (
            small,
            request("POST /getBalance HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"),
            ["DEBUG", "request", "client-body", "408"],
        ),
        (
            "[server]\nhead_limit = \"1 MiB\"\n",
            get(&format!(
                "/in.php?method=userrecaptcha&pageurl=a.example&x={}",
                "a".repeat(65_480)
            )),
            ["INFO", "submission", "target-too-long", "414"],
        ),
        (
            "[server]\nhead_limit = \"1 MiB\"\n",
            get(&format!("/x{}", "a".repeat(70_000))),
            ["DEBUG", "request", "target-too-long", "414"],
        ),
        (
            "",
            request("CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
            ["DEBUG", "request", "not-a-proxy", "405"],
        ),
        (
            "",
            request("GET http://other.example/ HTTP/1.1\r\nHost: x\r\n\r\n"),
            ["DEBUG", "request", "not-a-proxy", "421"],
        ),
        (
            "",
            request("POST /createTask HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            ["INFO", "submission", "transfer-coding", "501"],
        ),
        (
            "",
            request("nonsense\r\n\r\n"),
            ["DEBUG", "request", "malformed", "400"],
        ),
        (
            small,
            request(&format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(17 << 10))),
            ["DEBUG", "request", "head-too-large", "431"],
        ),
        (
            "",
            request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            ["DEBUG", "request", "malformed", "-"],
        ),
        (small, request("GET / HT"), ["DEBUG", "request", "head-timeout", "-"]),
    ] {
        let gateway = start(&upstream.url, config);
        let mut client = Client::connect(gateway.api);
        client.0.write_all(&request).unwrap();
        let _ = client.0.read(&mut [0; 4096]);
        assert_eq!(
            only_record(&gateway),
            [level, message, cause, status],
            "{cause} {status}"
        );
    }
}

#[test]
fn too_many_requests_in_flight_leave_one_warning_and_one_event_each() {
    let upstream = RawUpstream::serve(|request, stream| {
        if request.target() == "/slow" {
            thread::sleep(Duration::from_millis(500));
        }
        stream.write_all(OK).is_ok()
    });
    let gateway = start(&upstream.url, "[server]\nmax_in_flight = 1\n");
    let mut slow = Client::connect(gateway.api);
    slow.0.write_all(&get("/slow")).unwrap();
    wait(|| upstream.received().pop());
    for request in [post("/createTask", TASK), post("/createTask", TASK), get("/res.php")] {
        assert_eq!(exchange(gateway.api, request).status(), 503);
    }
    slow.read();
    let records = wait_for_records(&gateway, 4);
    let levels: Vec<_> = records
        .iter()
        .map(|record| (&record["level"], &record["cause"], &record["status"]))
        .collect();
    let expected = [
        ("WARN", Some("overload"), 503),
        ("INFO", Some("overload"), 503),
        ("DEBUG", Some("overload"), 503),
        ("DEBUG", None, 200),
    ];
    let expected = expected.map(|(level, cause, status)| (Value::from(level), Value::from(cause), Value::from(status)));
    assert_eq!(levels, expected.iter().map(|(a, b, c)| (a, b, c)).collect::<Vec<_>>());
}

#[test]
fn an_outage_is_one_warning_and_its_end_is_told() {
    let address = refused();
    let gateway = start(&address, "");
    for request in [
        post("/createTask", TASK),
        post("/createTask", TASK),
        post("/getTaskResult", "{}"),
    ] {
        exchange(gateway.api, request);
    }
    let records = wait_for_records(&gateway, 3);
    let levels: Vec<&str> = records.iter().map(|record| record["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["WARN", "INFO", "DEBUG"]);
    assert!(records.iter().all(|record| record["cause"] == "connect"));
    let listener = TcpListener::bind(address.trim_start_matches("http://")).unwrap();
    let _upstream = RawUpstream::serve_on(listener, |_, stream| stream.write_all(OK).is_ok());
    exchange(gateway.api, post("/createTask", TASK));
    let ended = gateway.server.wait_for("the upstream responds again", 1).remove(0);
    assert_eq!((&ended["failures"], &ended["level"]), (&3.into(), &"INFO".into()));
    wait_for_records(&gateway, 4);
}

#[test]
fn a_client_that_leaves_is_named() {
    let upstream = RawUpstream::serve(|request, stream| {
        if request.target() == "/endless" {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 1 << 16], b"\r\n"].concat();
            while stream.write_all(&chunk).is_ok() {}
        }
        thread::sleep(PATIENCE);
        false
    });
    let gateway = start(&upstream.url, "");
    for (number, (request, level, status)) in [
        (post("/getTaskResult", "{}"), "DEBUG", Value::Null),
        (get("/endless"), "DEBUG", 200.into()),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Client::connect(gateway.api);
        client.0.write_all(&request).unwrap();
        wait(|| (upstream.received().len() > number).then_some(()));
        if status != Value::Null {
            client.0.read_exact(&mut [0; 1 << 16]).unwrap();
        }
        // One that closes at once is half-closed and waits for its response.
        thread::sleep(Duration::from_millis(300));
        drop(client);
        let record = &wait_for_records(&gateway, number + 1)[number];
        assert_eq!(
            (&record["cause"], &record["level"], &record["status"]),
            (&"client-gone".into(), &level.into(), &status)
        );
    }
}

/// Whether the grace ends or a second signal comes: what is cut off is in the log before the process ends, and its client
/// gets a response. Some clients behind a proxy submit again when the connection just ends, and pay twice.
#[test]
#[cfg(unix)]
fn a_request_that_the_stop_cuts_off_leaves_its_record_and_gets_a_response() {
    let upstream = RawUpstream::serve(|_, _| {
        thread::sleep(PATIENCE);
        false
    });
    for (config, signals) in [("[server]\nshutdown_grace = \"100ms\"\n", 1), ("", 2)] {
        let before = upstream.received().len();
        let mut gateway = start(&upstream.url, config);
        let mut client = Client::connect(gateway.api);
        client.0.write_all(&post("/createTask", TASK)).unwrap();
        wait(|| (upstream.received().len() > before).then_some(()));
        for _ in 0..signals {
            gateway.server.signal("TERM");
            thread::sleep(Duration::from_millis(50));
        }
        let response = client.read();
        assert_eq!((response.status(), response.field("connection")), (502, Some("close")));
        assert!(
            response.text().contains("ERROR_SERVICE_NOT_AVAILABLE"),
            "{}",
            response.text()
        );
        assert!(response.text().contains("may have reached it"), "{}", response.text());
        assert_eq!(gateway.server.wait(), Some(1));
        assert_eq!(only_record(&gateway)[2..], ["stopped", "502"]);
    }
}

/// As nginx does: the connection is over when its client closes its sending side.
/// hyper asks for no body where there is none to send; the record is complete all the same.
#[test]
fn a_response_without_a_body_is_complete() {
    let upstream = RawUpstream::serve(|request, stream| {
        let response: &[u8] = match request.target() {
            "/204" => b"HTTP/1.1 204 No Content\r\n\r\n",
            "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            "/empty" => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "/chunked" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        };
        stream.write_all(response).is_ok()
    });
    let gateway = start(&upstream.url, "");
    let mut client = Client::connect(gateway.api);
    for (number, target) in ["/204", "/304", "/empty", "/chunked", "/head"].into_iter().enumerate() {
        let method = if target == "/head" { "HEAD" } else { "GET" };
        client
            .0
            .write_all(format!("{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .unwrap();
        let record = &wait_for_records(&gateway, number + 1)[number];
        assert_eq!(record["cause"], Value::Null, "{target}: {record}");
        let _ = client.0.read(&mut [0; 4096]);
    }
}
