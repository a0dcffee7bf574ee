//! Responses at the edges of HTTP/1.1, as bytes: each reaches the client with one meaning, or the client is told in its
//! dialect; the request is sent once, and no byte of a response reaches the request after it. Every row is the response
//! to a submission of each dialect and to a poll, and is followed by a plain request on the client's connection.
//! tests/hostile_bodies.rs has the bodies of responses.

mod fixtures;

use fixtures::{
    After::{self, Close, Keep},
    Gateway, Hostile, KINDS, Kind, Table, exchange, filled, outcome,
};

/// What has to come of a response: the client's status and body, or the gateway's own response.
fn expected(want: &str, kind: Kind) -> String {
    let of = |want: &str| {
        let client = match (want, kind.target) {
            ("502", "/getTaskResult") => "503 ERROR_SERVICE_NOT_AVAILABLE",
            ("502", _) => "502 ERROR_SERVICE_NOT_AVAILABLE",
            (passed, _) => passed,
        };
        format!("{client}, in step; POST {} {}", kind.target, kind.forwarded)
    };
    want.split(" or ").map(of).collect::<Vec<_>>().join(" or ")
}

/// Runs a table: a name, the response, what the upstream does then, and what has to come of it.
fn run_responses(rows: &[(&str, &str, After, &str)]) {
    let hostile = Hostile::start();
    let config = "[upstream]\ntimeout = \"2s\"\nidle_timeout = \"1s\"\n";
    let gateway = Gateway::start(&hostile.upstream.url, config);
    let mut table = Table::default();
    for (name, response, after, want) in rows {
        hostile.respond(response, *after);
        for kind in KINDS {
            let request = filled("POST {target} HTTP/1.1{tail}", kind);
            let came = outcome(&gateway, &hostile.upstream, &request, 1);
            table.row(&format!("{name}, {}", kind.target), &expected(want, kind), &came);
        }
    }
    table.finish();
}

#[rustfmt::skip]
#[test]
fn a_response_has_one_length() {
    const H: &str = "HTTP/1.1 200 OK\r\n";
    let row = |fields: &str, body: &str| format!("{H}{fields}\r\n\r\n{body}");
    let rows = [
        ("Content-Length: 27", "{ok}", Keep, "200"),
        ("Content-Length: 27\r\nContent-Length: 27", "{ok}", Keep, "200"),
        ("Content-Length: 27, 27", "{ok}", Keep, "200 or 502"),
        ("Content-Length: 27\r\nContent-Length: 5", "{ok}", Keep, "502"),
        ("Content-Length: 5\r\nContent-Length: 27", "{ok}", Keep, "502"),
        ("Content-Length: 27, 5", "{ok}", Keep, "502"),
        ("Content-Length: -1", "{ok}", Keep, "502"),
        ("Content-Length: +27", "{ok}", Keep, "502"),
        ("Content-Length: 0x1b", "{ok}", Keep, "502"),
        ("Content-Length: 27.0", "{ok}", Keep, "502"),
        ("Content-Length:", "{ok}", Keep, "502"),
        ("Content-Length: 18446744073709551616", "{ok}", Keep, "502"),
        ("Content-Length:  27 ", "{ok}", Keep, "200"),
        ("Content-Length: 027", "{ok}", Keep, "200"),
        ("Transfer-Encoding: chunked", "1b\r\n{ok}\r\n0\r\n\r\n", Keep, "200"),
        ("Transfer-Encoding: CHUNKED", "1B;a=b\r\n{ok}\r\n00\r\nX: y\r\n\r\n", Keep, "200"),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "1b\r\n{ok}\r\n0\r\n\r\n", Keep, "200"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 99", "1b\r\n{ok}\r\n0\r\n\r\n", Keep, "200"),
        ("Transfer-Encoding: chunked\r\nContent-Length: x", "1b\r\n{ok}\r\n0\r\n\r\n", Keep, "200 or 502"),
        ("X: y", "{ok}", Close, "200"),
        ("Connection: keep-alive", "{ok}", Close, "200"),
        // Until the connection ends (RFC 9112, section 6.3).
        ("Transfer-Encoding: identity", "{ok}", Close, "200 or 502"),
        // The field ends here, so a coding that stays on the body must not pass.
        ("Transfer-Encoding: gzip, chunked", "1b\r\n{ok}\r\n0\r\n\r\n", Keep, "502"),
        ("Transfer-Encoding: gzip", "{ok}", Close, "502"),
        ("Transfer-Encoding: chunked, chunked", "1b\r\n{ok}\r\n0\r\n\r\n", Keep, "502"),
        ("Transfer-Encoding: xchunked", "{ok}", Close, "502"),
    ];
    let rows = rows.map(|(fields, body, after, want)| (fields, row(fields, body), after, want));
    run_responses(&rows.each_ref().map(|(name, response, after, want)| (*name, &**response, *after, *want)));
}

#[rustfmt::skip]
#[test]
fn a_status_line_names_a_version_and_a_status() {
    const T: &str = "\r\nContent-Length: 27\r\n\r\n{ok}";
    let rows = [
        ("HTTP/1.1 200 OK", Keep, "200"),
        ("HTTP/1.1 200", Keep, "200"),
        ("HTTP/1.1 200 ", Keep, "200"),
        ("HTTP/1.1 200 Tr\u{e8}s  Bien", Keep, "200"),
        ("HTTP/1.0 200 OK", Keep, "200"),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive", Keep, "200"),
        ("HTTP/1.1 999 Odd", Keep, "999"),
        ("HTTP/1.1 000 OK", Keep, "502"),
        ("HTTP/1.1 99 OK", Keep, "502"),
        ("HTTP/1.1 099 OK", Keep, "502"),
        ("HTTP/1.1 1000 OK", Keep, "502"),
        ("HTTP/1.1 -200 OK", Keep, "502"),
        ("HTTP/1.1 2x0 OK", Keep, "502"),
        ("HTTP/1.1 200OK", Keep, "502"),
        ("HTTP/1.1 200 O\0K", Keep, "502"),
        ("HTTP/1.1 200 O\rK", Keep, "502"),
        ("HTTP/1.1  200 OK", Keep, "502"),
        ("HTTP/1.1\t200 OK", Keep, "502"),
        ("HTTP/1.2 200 OK", Keep, "502"),
        ("HTTP/2 200 OK", Keep, "502"),
        ("http/1.1 200 OK", Keep, "502"),
        ("ICY 200 OK", Keep, "502"),
        ("hello", Close, "502"),
        ("", Close, "502"),
    ];
    let rows = rows.map(|(line, after, want)| (line, format!("{line}{T}"), after, want));
    run_responses(&rows.each_ref().map(|(name, response, after, want)| (*name, &**response, *after, *want)));
}

#[rustfmt::skip]
#[test]
fn odd_field_lines_of_a_response_are_passed_on_whole_or_not_at_all() {
    let rows = [
        ("X: a\r\n b", "502"),
        ("X: a\r\n\tb", "502"),
        ("X: a\n b", "502"),
        ("X : a", "502"),
        ("Content-Type\t: text/plain", "502"),
        (" X: a", "502"),
        (": a", "502"),
        ("no colon", "502"),
        ("X\0: a", "502"),
        ("X: a\0b", "502"),
        ("X: a\u{1}b", "502"),
        ("X: a\rb", "502"),
        ("X: a\u{7f}b", "502"),
        ("X: \u{80}\u{ff}", "200"),
        ("X:", "200"),
        ("X: a\nY: b", "200"),
        ("Connection: content-length, host, x\r\nX: a", "200"),
        ("Connection: close", "200"),
        ("Upgrade: h2c\r\nConnection: upgrade", "200"),
        ("Trailer: X-Sum", "200"),
    ];
    let rows = rows.map(|(fields, want)| {
        (fields, format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: 27\r\n\r\n{{ok}}"), Keep, want)
    });
    run_responses(&rows.each_ref().map(|(name, response, after, want)| (*name, &**response, *after, *want)));
    run_responses(&[("line feeds", "HTTP/1.1 200 OK\nContent-Length: 27\n\n{ok}", Keep, "200")]);
}

#[rustfmt::skip]
#[test]
fn a_response_head_has_a_size_and_a_number_of_fields() {
    let fields = |count: usize| {
        let more: String = (1..count).map(|number| format!("x-{number}: 1\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{more}Content-Length: 27\r\n\r\n{{ok}}")
    };
    let long = |length: usize| {
        let value = "a".repeat(length);
        format!("HTTP/1.1 200 OK\r\nX: {value}\r\nContent-Length: 27\r\n\r\n{{ok}}")
    };
    run_responses(&[
        ("100 fields", &fields(100), Keep, "200"),
        ("101 fields", &fields(101), Keep, "200"),
        ("1,024 fields", &fields(1024), Keep, "200"),
        ("1,025 fields", &fields(1025), Keep, "502"),
        ("10,000 fields", &fields(10_000), Keep, "502"),
        ("250,000 bytes", &long(250_000), Keep, "200"),
        ("270,000 bytes", &long(270_000), Keep, "502"),
    ]);
}

#[rustfmt::skip]
#[test]
fn what_follows_a_response_reaches_nobody() {
    const STRAY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{ok}";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n{ok}\r\n0\r\n\r\n";
    let chunks = "5\r\nstray\r\n0\r\n\r\n";
    let rows = [
        ("a second response", format!("{ok}{STRAY}"), "200"),
        ("a byte", format!("{ok}x"), "200"),
        ("line ends", format!("{ok}\r\n\r\n"), "200"),
        ("a response after chunks", format!("{chunked}{STRAY}"), "200"),
        ("a response after no body", format!("HTTP/1.1 204 No Content\r\n\r\n{STRAY}"), "204 bare"),
        ("a body of 204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nstray".to_owned(), "204 bare"),
        ("chunks of 204", format!("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"), "204 bare"),
        ("a body of 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nstray".to_owned(), "304 bare"),
        ("a length of 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(), "304 bare"),
        ("an interim response", format!("{ok}HTTP/1.1 100 Continue\r\n\r\n"), "200"),
    ];
    run_responses(&rows.each_ref().map(|(name, response, want)| (*name, &**response, Keep, *want)));
}

#[rustfmt::skip]
#[test]
fn interim_responses_are_not_the_response() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{ok}";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows = [
        ("100", format!("HTTP/1.1 100 Continue\r\n\r\n{ok}"), Keep, "200"),
        ("102", format!("HTTP/1.1 102 Processing\r\n\r\n{ok}"), Keep, "200"),
        ("103", format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{ok}"), Keep, "200"),
        ("103 with framing fields", format!("{hints}{ok}"), Keep, "200"),
        ("199", format!("HTTP/1.1 199 Odd\r\n\r\n{ok}"), Keep, "200"),
        ("each", format!("HTTP/1.1 100 A\r\n\r\nHTTP/1.1 102 B\r\n\r\nHTTP/1.1 103 C\r\n\r\n{ok}"), Keep, "200"),
        ("1,000 of them", "HTTP/1.1 102 Processing\r\n\r\n".repeat(1000) + ok, Keep, "200"),
        ("100 alone", "HTTP/1.1 100 Continue\r\n\r\n".to_owned(), Close, "502"),
        ("101", format!("HTTP/1.1 101 Other\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n{ok}"), Keep, "502"),
    ];
    run_responses(&rows.each_ref().map(|(name, response, after, want)| (*name, &**response, *after, *want)));
}

#[rustfmt::skip]
#[test]
fn a_connection_field_of_a_response_takes_only_what_it_may() {
    let hostile = Hostile::start();
    let gateway = Gateway::start(&hostile.upstream.url, "");
    let mut table = Table::default();
    for (fields, arrives, ends) in [
        ("Connection: x-foo\r\nX-Foo: 1\r\nX-Bar: 1", "x-bar", "connection x-foo"),
        ("Connection: x-foo\r\nConnection: X-BAR\r\nX-Foo: 1\r\nX-Bar: 1", "", "connection x-foo x-bar"),
        ("Connection: content-length, content-type\r\nContent-Type: a/b", "content-length content-type", "connection"),
        ("Connection: content-encoding\r\nContent-Encoding: identity", "content-encoding", "connection"),
        ("Connection: upgrade\r\nUpgrade: h2c", "", "connection upgrade"),
        ("Keep-Alive: timeout=60\r\nProxy-Connection: keep-alive", "", "keep-alive proxy-connection"),
        ("TE: trailers", "", "te"),
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: 27\r\n\r\n{{ok}}");
        hostile.respond(&response, Keep);
        for kind in KINDS {
            let response = exchange(gateway.api, filled("POST {target} HTTP/1.1{tail}", kind));
            let missing = arrives.split_whitespace().filter(|name| response.field(name).is_none());
            let left = ends.split_whitespace().filter(|name| response.field(name).is_some());
            let came = missing.map(|name| format!("without {name} ")).chain(left.map(|name| format!("with {name} ")));
            table.row(&format!("{}, {}", fields.escape_debug(), kind.target), "", &came.collect::<String>());
        }
    }
    table.finish();
}
