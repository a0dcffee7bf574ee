//! Requests at the edges of HTTP/1.1, as bytes: what a Connection field takes away, targets with a host, methods,
//! pipelining, Expect, and refusals while a body arrives. No connection gets out of step.

mod fixtures;

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use fixtures::{
    Client, Gateway, KINDS, OK, RawUpstream, Table,
    Want::{self, Bare, Own, OwnLast, Refused, Served, ServedLast},
    arrivals, filled, outcome, response, step,
};

/// What arrived upstream since a number of requests, but for the request that asks whether a connection is in step.
fn since(upstream: &RawUpstream, before: usize) -> String {
    let mut arrived = upstream.received().split_off(before);
    arrived.retain(|message| message.target() != "/probe");
    arrivals(&arrived)
}

#[rustfmt::skip]
#[test]
fn a_connection_field_ends_here_with_what_it_may_name() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let mut table = Table::default();
    let settings = "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA";
    let java = format!("Connection: Upgrade, HTTP2-Settings\r\n{settings}");
    // Field lines; what comes of them; the names that arrive; those that do not.
    let rows: [(&str, Want, &str, &str); 14] = [
        ("Connection: x-foo\r\nX-Foo: 1\r\nX-Bar: 2", Served, "x-bar", "connection x-foo"),
        ("Connection: keep-alive, X-FOO ,x-bar\r\nX-Foo: 1\r\nX-Bar: 2", Served, "", "connection x-foo x-bar"),
        ("Connection: x-foo\r\nX-Foo: 1\r\nConnection: x-bar\r\nX-Bar: 2", Served, "", "connection x-foo x-bar"),
        ("Connection: close, x-foo\r\nX-Foo: 1", ServedLast, "", "connection x-foo"),
        ("Connection: x-foo\r\nConnection: close\r\nX-Foo: 1", ServedLast, "", "connection x-foo"),
        ("Connection: content-length, host, transfer-encoding", Served, "content-length host", "connection"),
        ("Connection: content-type\r\nContent-Type: text/plain", Served, "content-type", "connection"),
        ("Connection: content-encoding\r\nContent-Encoding: identity", Served, "content-encoding", "connection"),
        ("Connection: \"x-foo\", ;;, \u{ff}\r\nX-Foo: 1", Served, "x-foo", "connection"),
        ("TE: trailers\r\nConnection: TE", Served, "", "te connection"),
        ("TE: trailers, deflate;q=0.5", Served, "", "te"),
        (&java, Served, "", "connection upgrade http2-settings"),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nSec-X: y", Served, "sec-x", "connection upgrade"),
        ("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive", Served, "", "keep-alive proxy-connection"),
    ];
    for (fields, want, arrives, ends) in rows {
        for kind in KINDS {
            let before = upstream.received().len();
            let template = format!("POST {{target}} HTTP/1.1\r\n{fields}{{tail}}");
            let mut came = outcome(&gateway, &upstream, &filled(&template, kind), 1);
            if let Some(arrived) = upstream.received().get(before) {
                let missing = arrives.split_whitespace().filter(|name| arrived.field(name).is_none());
                let left = ends.split_whitespace().filter(|name| arrived.field(name).is_some());
                came.extend(missing.map(|name| format!(" without {name}")));
                came.extend(left.map(|name| format!(" with {name}")));
            }
            table.row(&format!("{}, {}", fields.escape_debug(), kind.target), &want.of(kind), &came);
        }
    }
    table.finish();
}

#[rustfmt::skip]
#[test]
fn a_target_with_a_host_is_served_if_that_is_ours() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let port = gateway.api.port().to_string();
    let of_upstream = upstream.url.trim_start_matches("http://").to_owned();
    let foreign = Own(421, "ERROR_GATEWAY_NOT_A_PROXY");
    let mut table = Table::default();
    for (authority, want) in [
        ("http://127.0.0.1:{port}", Served),
        ("http://localhost:{port}", Served),
        ("HTTP://LOCALHOST:{port}", Served),
        ("http://{upstream}", Served),
        ("http://evil.example", foreign),
        ("https://evil.example:443", foreign),
        ("http://127.0.0.1:{port}@evil.example", foreign),
        ("http://me@127.0.0.1:{port}", foreign),
        ("http://me:pw@{upstream}", foreign),
        ("http://localhost.evil.example:{port}", foreign),
        ("http://localhost:{port}.evil.example", Refused("4")),
        ("http://127.0.0.1:{port}.evil.example", Refused("4")),
        ("http://127.0.0.1:+{port}", Refused("4")),
        ("http://127.0.0.1:99999", Refused("4")),
        ("http://evil.example\\@127.0.0.1:{port}", Bare(400)),
        ("http://127.0.0.1:{port}:80", Bare(400)),
        ("http://[::1", Bare(400)),
        ("http://", Bare(400)),
    ] {
        let authority = authority.replace("{port}", &port).replace("{upstream}", &of_upstream);
        for kind in KINDS {
            let template = format!("POST {authority}{{target}} HTTP/1.1{{tail}}");
            let came = outcome(&gateway, &upstream, &filled(&template, kind), 1);
            table.row(&format!("{authority}, {}", kind.target), &want.of(kind), &came);
        }
    }
    table.finish();
}

#[rustfmt::skip]
#[test]
fn other_methods_keep_the_connection_in_step() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let [task, form, poll] = KINDS;
    let chunked = "GET {target} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}";
    let refused = "405 ERROR_GATEWAY_NOT_A_PROXY, *; nothing".to_owned();
    let unread = |method: &str| format!("200, in step; {method} /createTask {}", task.body);
    let read = format!("200, in step; GET /in.php {}", form.forwarded);
    let mut table = Table::default();
    for (kind, template, expected) in [
        // A GET with a body is read like a POST, where GET is read.
        (form, "GET {target} HTTP/1.1{tail}", read.clone()),
        (form, chunked, read),
        (task, "GET {target} HTTP/1.1{tail}", unread("GET")),
        (task, chunked, unread("GET")),
        (poll, "GET {target} HTTP/1.1{tail}", format!("200, in step; GET /getTaskResult {}", poll.body)),
        (task, "post {target} HTTP/1.1{tail}", unread("post")),
        (task, "TRACE {target} HTTP/1.1{tail}", unread("TRACE")),
        (task, "OPTIONS * HTTP/1.1\r\n\r\n", "200, in step; OPTIONS * ".to_owned()),
        (task, "OPTIONS * HTTP/1.1{tail}", format!("200, in step; OPTIONS * {}", task.body)),
        (task, "CONNECT evil.example:443 HTTP/1.1\r\n\r\n", refused.clone()),
        (task, "CONNECT evil.example:443 HTTP/1.1{tail}", refused.clone()),
        (task, "CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n", refused.clone()),
        (task, "CONNECT / HTTP/1.1\r\n\r\n", refused),
    ] {
        table.row(template, &expected, &outcome(&gateway, &upstream, &filled(template, kind), 1));
    }
    table.finish();
}

/// The response to HEAD has the length of a body that does not follow.
#[test]
fn head_is_followed_by_no_body() {
    let upstream = RawUpstream::serve(|request, stream| {
        let body = if request.first_line().starts_with("HEAD") {
            27
        } else {
            0
        };
        stream.write_all(&OK[..OK.len() - body]).is_ok()
    });
    let gateway = Gateway::start(&upstream.url, "");
    let mut table = Table::default();
    for target in ["/in.php?pageurl=a.example", "/res.php", "/createTask", "/getTaskResult"] {
        let mut client = Client::connect(gateway.api);
        let second = "GET /y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        write!(client.0, "HEAD {target} HTTP/1.1\r\nHost: x\r\n\r\n{second}").unwrap();
        let mut all = String::new();
        let _ = client.0.read_to_string(&mut all);
        let starts: Vec<_> = all
            .split("\r\n\r\n")
            .map(|part| part.lines().next().unwrap_or(""))
            .collect();
        let expected = r#"HTTP/1.1 200 OK + HTTP/1.1 200 OK + {"errorId":0,"taskId":4321}"#;
        table.row(target, expected, &starts.join(" + "));
        assert!(all.contains("Content-Length: 27"), "{target}: {all}");
    }
    table.finish();
    assert_eq!(upstream.received().len(), 8);
}

#[test]
fn pipelined_requests_have_their_responses_in_order() {
    let upstream = RawUpstream::serve(|request, stream| {
        let body = format!("response to {}", request.target());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).is_ok()
    });
    let gateway = Gateway::start(&upstream.url, "");
    let plain = "POST {target} HTTP/1.1{tail}";
    let chunked = "POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}";
    let both = "POST {target} HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}";
    let mut table = Table::default();
    for (first, second) in [
        (plain, plain),
        (chunked, plain),
        (plain, chunked),
        (chunked, chunked),
        (both, plain),
    ] {
        for one in KINDS {
            for two in KINDS {
                let requests = [filled(first, one), filled(second, two)].concat();
                let arrival = |kind: fixtures::Kind| format!("POST {} {}", kind.target, kind.forwarded);
                let expected = match first == both {
                    // The connection ends with the first: what follows could have been meant as its body.
                    true => format!("200 response to {}, no response, ended; {}", one.target, arrival(one)),
                    false => format!(
                        "200 response to {}, 200 response to {}, in step; {} + {}",
                        one.target,
                        two.target,
                        arrival(one),
                        arrival(two)
                    ),
                };
                let name = requests.escape_ascii().to_string();
                table.row(&name, &expected, &outcome(&gateway, &upstream, &requests, 2));
            }
        }
    }
    table.finish();
}

#[test]
fn whoever_expects_100_gets_it_only_if_the_body_is_read() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        "[server]\nbody_timeout = \"1s\"\nbody_limit = \"1 KiB\"\n",
    );
    let mut table = Table::default();
    // The body is sent after an interim response.
    let mut run = |name: String, head: Vec<u8>, body: &str, expected: &str| {
        let before = upstream.received().len();
        let mut client = Client::connect(gateway.api);
        client.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.0.write_all(&head).unwrap();
        let mut came = String::new();
        if !body.is_empty() {
            let mut interim = [0; 25];
            let _ = client.0.read_exact(&mut interim);
            came = format!("{}, ", interim.escape_ascii());
            client.0.write_all(body.as_bytes()).unwrap();
        }
        came += &response(&mut client);
        came += &format!(", {}; ", step(&mut client));
        table.row(&name, expected, &(came + &since(&upstream, before)));
    };
    for kind in KINDS {
        for expect in ["100-continue", "100-Continue"] {
            let fields = format!("Host: x\r\nExpect: {expect}\r\nContent-Length: {{n}}");
            let head = format!("POST {{target}} HTTP/1.1\r\n{fields}\r\n\r\n");
            let expected = format!("HTTP/1.1 100 Continue\\r\\n\\r\\n, {}", Served.of(kind));
            run(
                format!("{expect}, {}", kind.target),
                filled(&head, kind),
                kind.body,
                &expected,
            );
        }
        let other = filled("POST {target} HTTP/1.1\r\nExpect: other{tail}", kind);
        run(format!("other, {}", kind.target), other, "", &Served.of(kind));
        // Refused unread. What follows on the connection could be the body.
        let foreign =
            "POST http://evil.example{target} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {n}\r\n\r\n";
        let refused = OwnLast(421, "ERROR_GATEWAY_NOT_A_PROXY").of(kind);
        // Often, since the next request could be taken for the body only if it arrives just then.
        for _ in 0..20 {
            run(format!("refused, {}", kind.target), filled(foreign, kind), "", &refused);
        }
    }
    let large = b"POST /createTask HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9999\r\n\r\n".to_vec();
    let expected = "413 ERROR_GATEWAY_BODY_TOO_LARGE, ended; nothing";
    run("too large".to_owned(), large, "", expected);
    table.finish();
}

/// The rest of a refused body is not the next request.
#[rustfmt::skip]
#[test]
fn a_refusal_may_come_while_the_body_arrives() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "[server]\nbody_timeout = \"2s\"\nbody_limit = \"1 KiB\"\n");
    let mut table = Table::default();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let (large, foreign) = ("413 ERROR_GATEWAY_BODY_TOO_LARGE", "421 ERROR_GATEWAY_NOT_A_PROXY");
    for (target, length, refusal) in [
        ("/createTask", 2000, large),
        ("/in.php", 2000, "413 ERROR_GATEWAY_BODY_TOO_LARGE"),
        ("http://evil.example/createTask", 200, foreign),
        ("http://evil.example/getTaskResult", 200, foreign),
    ] {
        let before = upstream.received().len();
        let mut client = Client::connect(gateway.api);
        client.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let body = " ".repeat(length - smuggled.len()) + smuggled;
        let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        client.0.write_all((head + &body[..100]).as_bytes()).unwrap();
        let mut came = response(&mut client);
        client.0.write_all(&body.as_bytes()[100..]).unwrap();
        came += &format!(", {}; ", step(&mut client));
        table.row(target, &format!("{refusal}, in step; nothing"), &(came + &since(&upstream, before)));
    }
    table.finish();
}

/// An upstream that responds to a header section at once and keeps every byte of each connection.
fn hasty_upstream() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(Mutex::new(Vec::new()));
    let kept = connections.clone();
    thread::spawn(move || {
        for (number, mut stream) in listener.incoming().map_while(Result::ok).enumerate() {
            kept.lock().unwrap().push(String::new());
            let kept = kept.clone();
            thread::spawn(move || {
                let mut byte = [0];
                while stream.read(&mut byte).is_ok_and(|length| length > 0) {
                    let mut kept = kept.lock().unwrap();
                    kept[number].push(byte[0].into());
                    if kept[number].ends_with("\r\n\r\n") {
                        let _ = stream.write_all(OK);
                    }
                }
            });
        }
    });
    (url, connections)
}

/// A response in front of the end of the request's body is the response, and the rest of that body is no request.
#[test]
fn an_early_response_leaves_no_connection_out_of_step() {
    let (url, connections) = hasty_upstream();
    let gateway = Gateway::start(&url, "[server]\nbody_timeout = \"2s\"\n");
    let mut table = Table::default();
    // A smaller body is held until it is whole, and no upstream can respond early to it.
    let begun = "1234567890".repeat(7000);
    for (name, fields, halves) in [
        (
            "length",
            "Content-Length: 70010",
            [begun.clone(), "abcdefghij".to_owned()],
        ),
        (
            "chunks",
            "Transfer-Encoding: chunked",
            [
                format!("{:x}\r\n{begun}\r\n", 70_000),
                "a\r\nabcdefghij\r\n0\r\n\r\n".to_owned(),
            ],
        ),
    ] {
        let before = connections.lock().unwrap().len();
        let mut client = Client::connect(gateway.api);
        client.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(
            client.0,
            "POST /getTaskResult HTTP/1.1\r\n{fields}\r\n\r\n{}",
            halves[0]
        )
        .unwrap();
        let mut came = response(&mut client);
        thread::sleep(Duration::from_millis(50));
        let _ = client.0.write_all(halves[1].as_bytes());
        came += &format!(", {}", step(&mut client));
        table.row(name, "200, *", &came);
        thread::sleep(Duration::from_millis(50));
        for (number, bytes) in connections.lock().unwrap().iter().enumerate().skip(before) {
            let is_whole = bytes.contains("abcdefghij");
            let glued = bytes.find("/probe").is_some() && bytes.contains("1234567890") && !is_whole;
            table.row(
                &format!("{name}, connection {number}: {:?}", bytes.replace(&begun, "...")),
                "false",
                &glued.to_string(),
            );
        }
    }
    table.finish();
}
