//! Everything that is not the gateway's business goes through as it is, both ways.

mod fixtures;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use fixtures::{Client, Gateway, OK, RawUpstream, exchange, get, memory, post};

#[test]
fn heads_arrive_as_sent() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let host = upstream.url.trim_start_matches("http://");
    let body = r#"{"task":{"type":"RecaptchaV2Task","websiteURL":"a.example"}}"#;
    let request = format!(
        "POST /createTask?a='b'&c=%zz&{{}}|^`&ü HTTP/1.1\r\n\
         USER-agent: Bot/1 (x;  y)\r\n\
         hOST: 2captcha.com\r\n\
         X-Double: 1\r\n\
         accept-ENCODING: gzip, br\r\n\
         Connection: keep-alive, X-Hop\r\n\
         X-Hop: gone\r\n\
         Content-Length: {}\r\n\
         Content-MD5: stale\r\n\
         Keep-Alive: timeout=5\r\n\
         x-nocache-gateway: forged\r\n\
         UserAgent: Go\r\n\
         Cookie: a=1\r\n\
         COOKIE: b=2\r\n\r\n{body}",
        body.len()
    );
    exchange(gateway.api, request);
    let arrived = upstream.last();
    assert_eq!(arrived.first_line(), "POST /createTask?a='b'&c=%zz&{}|^`&ü HTTP/1.1");
    assert_eq!(
        arrived.fields(),
        [
            "USER-agent: Bot/1 (x;  y)",
            &format!("hOST: {host}"),
            "X-Double: 1",
            "accept-ENCODING: gzip, br",
            "Content-Length: 75",
            "UserAgent: Go",
            "Cookie: a=1",
            "COOKIE: b=2",
        ]
    );
}

#[test]
fn any_verb_and_path_goes_through() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    for (method, target) in [
        ("GET", "/"),
        ("DELETE", "/x/../y//z;a=b?c"),
        ("PATCH", "/getTaskResult/"),
        ("M-SEARCH", "/res.php?key=K&action=get&id=1"),
        ("OPTIONS", "*"),
        ("OPTIONS", "/createTask"),
        ("PUT", "/in.php"),
    ] {
        let response = exchange(
            gateway.api,
            format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"),
        );
        assert_eq!(
            (response.status(), response.decision()),
            (200, "none"),
            "{method} {target}"
        );
        let arrived = upstream.last();
        assert_eq!(
            (arrived.first_line(), arrived.text()),
            (format!("{method} {target} HTTP/1.1").as_str(), "hi")
        );
    }
    // A body in chunks stays one, also under GET.
    let chunked = "GET /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    exchange(gateway.api, chunked);
    let arrived = upstream.last();
    assert_eq!(
        (arrived.field("transfer-encoding"), arrived.text()),
        (Some("chunked"), "hi")
    );
    // No body stays no body, whatever the method.
    for method in ["POST", "DELETE", "OPTIONS", "PROPFIND"] {
        exchange(gateway.api, format!("{method} /z HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(
            upstream.last().fields(),
            [format!("Host: {}", upstream.url.trim_start_matches("http://"))],
            "{method}"
        );
    }
    let coded = "POST /z HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(exchange(gateway.api, coded).status(), 501);
    // A client that speaks HTTP/1.0 and sends no Host.
    let response = exchange(gateway.api, "GET /y HTTP/1.0\r\n\r\n");
    assert_eq!(response.status(), 200);
    let host = format!("host: {}", upstream.url.trim_start_matches("http://"));
    assert_eq!(
        (upstream.last().first_line(), upstream.last().fields()),
        ("GET /y HTTP/1.1", vec![host.as_str()])
    );
}

#[test]
fn targets_that_http_forbids_are_refused_and_fragments_cut() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    for target in ["/a?\"b", "/a?b=<", "/a<b", "/a>b", "/a b", "/a\u{1}b"] {
        let response = exchange(gateway.api, get(target));
        assert_eq!((response.status(), response.text()), (400, ""), "{target}");
    }
    assert_eq!(upstream.received(), []);
    // RFC 9112 forbids this one in a path as well, but the http crate takes it, and so it goes on.
    exchange(gateway.api, get("/a\"b"));
    assert_eq!(upstream.last().target(), "/a\"b");
    exchange(gateway.api, get("/in.php?a=b#c"));
    assert_eq!(upstream.last().target(), "/in.php?a=b");
}

#[test]
fn responses_arrive_as_given() {
    const RESPONSE: &[u8] = b"HTTP/1.1 429 Slow Down Please\r\nDATE: Mon, 01 Jan 2024 00:00:00 GMT\r\nx-Odd-CASE: 1\r\nContent-Encoding: gzip\r\nConnection: X-Hop, keep-alive\r\nX-Hop: gone\r\nKeep-Alive: timeout=9\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nx-nocache-gateway: the upstream's own\r\nCONTENT-length: 4\r\n\r\n\x1f\x8b\x00\xff";
    let upstream = RawUpstream::start(RESPONSE);
    let gateway = Gateway::start(&upstream.url, "");
    let kept = [
        "DATE: Mon, 01 Jan 2024 00:00:00 GMT",
        "x-Odd-CASE: 1",
        "Content-Encoding: gzip",
        "Set-Cookie: a=1",
        "set-cookie: b=2",
    ];
    let response = exchange(gateway.api, get("/getBalance"));
    assert_eq!(response.first_line(), "HTTP/1.1 429 Slow Down Please");
    assert_eq!(response.body, b"\x1f\x8b\x00\xff");
    let expected = [
        &kept[..],
        &["x-nocache-gateway: the upstream's own", "CONTENT-length: 4"],
    ]
    .concat();
    assert_eq!(response.fields(), expected);

    // On a submission the field is the gateway's.
    let response = exchange(gateway.api, post("/createTask", "{}"));
    let expected = [
        &kept[..],
        &["CONTENT-length: 4", "x-nocache-gateway: skipped;reason=no-task"],
    ]
    .concat();
    assert_eq!(response.fields(), expected);
}

/// RFC 9112, section 6.3: of two framings the chunks count.
#[test]
fn a_response_with_two_framings_arrives_whole() {
    let upstream = RawUpstream::start(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n",
    );
    let gateway = Gateway::start(&upstream.url, "");
    let response = exchange(gateway.api, post("/createTask", "{}"));
    assert_eq!((response.text(), response.field("content-length")), ("whole", None));
}

#[test]
fn responses_without_a_body_get_no_field_of_ours() {
    for raw in [
        &b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"[..],
        b"HTTP/1.1 304 Not Modified\r\nX: y\r\n\r\n",
    ] {
        let upstream = RawUpstream::start(raw);
        let gateway = Gateway::start(&upstream.url, "");
        assert_eq!(exchange(gateway.api, get("/x")).fields(), ["X: y"]);
    }
    let upstream = RawUpstream::start(b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 99\r\n\r\n");
    let gateway = Gateway::start(&upstream.url, "");
    let mut client = Client::connect(gateway.api);
    client
        .0
        .write_all(b"HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    client.0.read_to_string(&mut response).unwrap();
    assert_eq!(
        response,
        "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 99\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn decision_header_can_be_switched_off() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        decision_header = false
        "#,
    );
    assert_eq!(exchange(gateway.api, post("/createTask", "{}")).decision(), "none");
}

const LARGE: usize = 64 << 20;

#[test]
#[cfg(target_os = "linux")]
fn large_bodies_stream_both_ways_without_being_held() {
    let upstream = RawUpstream::serve(|request, stream: &mut TcpStream| {
        assert_eq!(request.body.len(), LARGE);
        assert!(request.body.iter().all(|&byte| byte == b'u'));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
        stream.write_all(head.as_bytes()).is_ok() && stream.write_all(&vec![b'd'; LARGE]).is_ok()
    });
    let gateway = Gateway::start(&upstream.url, "");
    let response = exchange(gateway.api, post("/getBalance", vec![b'u'; LARGE]));
    assert_eq!(response.body.len(), LARGE);
    assert!(response.body.iter().all(|&byte| byte == b'd'));
    let (_, peak) = memory(gateway.server.pid());
    assert!(peak < LARGE / 2, "{} MiB", peak >> 20);
}

#[test]
fn a_submission_over_the_limit_is_refused_in_its_dialect() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        body_limit = "1 KiB"
        "#,
    );
    let response = exchange(gateway.api, post("/createTask", vec![b' '; 1025]));
    assert_eq!((response.status(), response.decision()), (413, "none"));
    assert!(
        response
            .text()
            .starts_with(r#"{"errorId":1,"errorCode":"ERROR_GATEWAY_BODY_TOO_LARGE""#)
    );
    let chunked = format!(
        "POST /in.php HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n500\r\n{}\r\n0\r\n\r\n",
        "a".repeat(0x500)
    );
    let response = exchange(gateway.api, chunked);
    assert_eq!(
        (response.status(), response.text()),
        (413, "ERROR_GATEWAY_BODY_TOO_LARGE")
    );
    assert_eq!(upstream.received(), []);
    assert_eq!(
        exchange(gateway.api, post("/createTask", vec![b' '; 1024])).status(),
        200
    );
    assert_eq!(
        exchange(gateway.api, post("/getBalance", vec![b' '; 4096])).status(),
        200
    );
}

#[test]
fn this_is_no_open_proxy() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        names = ["gate.internal"]
        "#,
    );
    for target in [
        upstream.url.clone(),
        format!("http://{}", gateway.api),
        "http://gate.internal:1".into(),
    ] {
        let response = exchange(gateway.api, get(&format!("{target}/res.php?a='b'")));
        assert_eq!(response.status(), 200, "{target}");
        assert_eq!(upstream.last().target(), "/res.php?a='b'");
    }
    let before = upstream.received().len();
    let response = exchange(gateway.api, get("http://evil.example/getBalance"));
    assert_eq!(response.status(), 421);
    assert!(response.text().contains("ERROR_GATEWAY_NOT_A_PROXY"));
    let response = exchange(
        gateway.api,
        b"CONNECT api.capmonster.cloud:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    assert_eq!(response.status(), 405);
    assert!(response.text().contains("not a proxy"));
    assert_eq!(upstream.received().len(), before);
}
