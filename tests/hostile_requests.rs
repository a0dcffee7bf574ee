//! Requests at the edges of HTTP/1.1, as bytes: each is forwarded with one meaning or refused, and never makes two
//! requests of one or leaves a connection out of step. Every row is sent as a submission of each dialect and as a poll,
//! and followed by a plain request on the same connection. tests/hostile_connections.rs has what is not one line of a
//! table.

mod fixtures;

use fixtures::{
    Want::{self, Bare, Closed, Own, OwnLast, Refused, Served, ServedLast},
    run_requests,
};

/// Bodies and heads that stop coming are given up soon.
const SOON: &str = "[server]\nbody_timeout = \"300ms\"\nhead_timeout = \"1s\"\n";

const INCOMPLETE: Want = OwnLast(408, "ERROR_GATEWAY_BODY_INCOMPLETE");
const CODING: Want = Own(501, "ERROR_GATEWAY_TRANSFER_CODING");

/// A table of field lines and a body, after a plain request line and Host.
fn run_fields(rows: &[(&str, &str, Want)]) {
    let rows: Vec<_> = rows
        .iter()
        .map(|(fields, body, want)| {
            let template = format!("POST {{target}} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}");
            (fields.escape_debug().to_string(), template, *want)
        })
        .collect();
    run_requests(
        SOON,
        rows.iter().map(|(name, template, want)| (&**name, &**template, *want)),
    );
}

#[rustfmt::skip]
#[test]
fn a_request_has_one_length() {
    run_fields(&[
        ("Content-Length: {n}", "{body}", Served),
        ("Content-Length: {n}\r\nContent-Length: {n}", "{body}", Served),
        ("Content-Length: {n}\r\nContent-Length: 5", "{body}", Bare(400)),
        ("Content-Length: 5\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("Content-Length: {n}, {n}", "{body}", Bare(400)),
        ("Content-Length: +{n}", "{body}", Bare(400)),
        ("Content-Length: -1", "{body}", Bare(400)),
        ("Content-Length:   {n}  ", "{body}", Served),
        ("Content-Length:\t{n}", "{body}", Served),
        ("Content-Length: 000{n}", "{body}", Served),
        ("Content-Length:", "{body}", Bare(400)),
        ("Content-Length: 0x20", "{body}", Bare(400)),
        ("Content-Length: {n}.0", "{body}", Bare(400)),
        ("Content-Length: {n};x", "{body}", Bare(400)),
        ("Content-Length: 18446744073709551616", "{body}", Bare(400)),
        ("Content-Length: 99999999999999999999999999999999", "{body}", Bare(400)),
        ("Content-Length: \u{b2}", "{body}", Bare(400)),
        ("Content_Length: 5\r\nContent-Length: {n}", "{body}", Served),
        ("Content-Length: 999", "{body}", INCOMPLETE),
        // Too large as a submission, incomplete as a poll.
        ("Content-Length: 99999999999999", "{body}", Refused("4")),
    ]);
}

#[rustfmt::skip]
#[test]
fn a_transfer_coding_other_than_chunked_is_refused() {
    run_fields(&[
        ("Transfer-Encoding: chunked", "{chunks}", Served),
        ("Transfer-Encoding: Chunked", "{chunks}", Served),
        ("Transfer-Encoding:  chunked ", "{chunks}", Served),
        ("Transfer-Encoding:chunked", "{chunks}", Served),
        ("TRANSFER-ENCODING: CHUNKED", "{chunks}", Served),
        ("Transfer-Encoding: gzip", "{body}", Bare(400)),
        ("Transfer-Encoding: identity", "{body}", Bare(400)),
        ("Transfer-Encoding: identity\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("Transfer-Encoding: xchunked", "{chunks}", Bare(400)),
        ("Transfer-Encoding: chunkedx", "{chunks}", Bare(400)),
        ("Transfer-Encoding: \"chunked\"", "{chunks}", Bare(400)),
        ("Transfer-Encoding: chunked;q=1", "{chunks}", Bare(400)),
        ("Transfer-Encoding: chunked, identity", "{chunks}", Bare(400)),
        ("Transfer-Encoding: chunked, gzip", "{chunks}", Bare(400)),
        ("Transfer-Encoding:", "{chunks}", Bare(400)),
        ("Transfer-Encoding: ,", "{chunks}", Bare(400)),
        ("Transfer-Encoding: \u{b}chunked", "{chunks}", Bare(400)),
        ("Transfer-Encoding: gzip, chunked", "{chunks}", CODING),
        ("Transfer-Encoding: identity, chunked", "{chunks}", CODING),
        ("Transfer-Encoding: chunked, chunked", "{chunks}", CODING),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "{chunks}", CODING),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "{chunks}", Bare(400)),
        // Two lines say the same as one with a comma (RFC 9110, section 5.3): coded twice.
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "{chunks}", CODING),
    ]);
}

/// RFC 9112, section 6.3: of two framings the chunks count, the length is not forwarded, and the connection ends.
#[rustfmt::skip]
#[test]
fn chunks_win_over_a_length() {
    let coding_last = OwnLast(501, "ERROR_GATEWAY_TRANSFER_CODING");
    run_fields(&[
        ("Content-Length: {n}\r\nTransfer-Encoding: chunked", "{chunks}", ServedLast),
        ("Transfer-Encoding: chunked\r\nContent-Length: {n}", "{chunks}", ServedLast),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "{chunks}", ServedLast),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", "{chunks}", ServedLast),
        ("Content-Length: 9999\r\nTransfer-Encoding: chunked", "{chunks}", ServedLast),
        ("Transfer-Encoding: chunked\r\nContent-Length: 9999", "{chunks}", ServedLast),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0", "{chunks}", ServedLast),
        ("Content-Length: -1\r\nTransfer-Encoding: chunked", "{chunks}", Bare(400)),
        ("Content-Length: 0\r\nTransfer-Encoding: gzip, chunked", "{chunks}", coding_last),
        ("Content-Length: {n}\r\nTransfer_Encoding: chunked", "{body}", Served),
    ]);
}

#[rustfmt::skip]
#[test]
fn chunks_are_unambiguous_or_refused() {
    let long = format!("9;{}\r\n{{start}}\r\n{{end}}\r\n", "a".repeat(20_000));
    let zeros = format!("{}9\r\n{{start}}\r\n{{end}}\r\n", "0".repeat(20_000));
    let trailers = |count: usize| format!("9\r\n{{start}}\r\n{{end}}{}\r\n", "X-Sum: 1\r\n".repeat(count));
    let (some, many, endless) = (trailers(200), trailers(300), trailers(5000));
    let rows = [
        ("an extension", "9;a=b\r\n{start}\r\n{end}\r\n", Served),
        ("an extension without a value", "9;a\r\n{start}\r\n{end}\r\n", Served),
        ("a quoted extension", "9;a=\"b;c\"\r\n{start}\r\n{end}\r\n", Served),
        ("leading zeros", "0009\r\n{start}\r\n{end}\r\n", Served),
        ("a space after the size", "9 \r\n{start}\r\n{end}\r\n", Served),
        ("trailers", "9\r\n{start}\r\n{end}X-Sum: 1\r\n\r\n", Served),
        ("trailers that frame", "9\r\n{start}\r\n{end}Content-Length: 5\r\nHost: y\r\n\r\n", Served),
        ("zeros as the last chunk", "9\r\n{start}\r\n{hex}\r\n{rest}\r\n000\r\n\r\n", Served),
        ("a prefix", "0x9\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("a minus", "-1\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("a plus", "+9\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("a space in front of the size", " 9\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("no size", "\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("an extension without a size", ";a=b\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("a letter", "g\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("two sizes", "9 9\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("a size over 64 bits", "10000000000000009\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("a size of 64 bits", "FFFFFFFFFFFFFFFF\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("a line feed after the size", "9\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("a carriage return after the size", "9\r{start}\r\n{end}\r\n", INCOMPLETE),
        ("a line feed after the chunk", "9\r\n{start}\n{end}\r\n", INCOMPLETE),
        ("a line feed in an extension", "9;a\nb\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("more than the size", "9\r\n{start}x\r\n{end}\r\n", INCOMPLETE),
        ("less than the size", "a\r\n{start}\r\n{end}\r\n", INCOMPLETE),
        ("a trailer without a colon", "9\r\n{start}\r\n{end}no colon\r\n\r\n", INCOMPLETE),
        ("a trailer with a NUL", "9\r\n{start}\r\n{end}X: a\0b\r\n\r\n", INCOMPLETE),
        ("no last chunk", "9\r\n{start}\r\n{hex}\r\n{rest}\r\n", INCOMPLETE),
        ("no end of the trailers", "9\r\n{start}\r\n{end}", INCOMPLETE),
        ("cut off in a chunk", "9\r\n{start}\r\n{hex}\r\nx", INCOMPLETE),
        ("cut off in a size", "9\r\n{start}\r\n1", INCOMPLETE),
        ("a long extension", &*long, INCOMPLETE),
        ("20,000 zeros", &zeros, Served),
        ("200 trailers", &some, Served),
        ("300 trailers", &many, INCOMPLETE),
        ("5,000 trailers", &endless, INCOMPLETE),
    ];
    let heads = rows.map(|(name, body, want)| {
        let fields = "Host: x\r\nTrailer: X-Sum, Host, Content-Length\r\nTransfer-Encoding: chunked";
        (name, format!("POST {{target}} HTTP/1.1\r\n{fields}\r\n\r\n{body}"), want)
    });
    run_requests(SOON, heads.iter().map(|(name, template, want)| (*name, &**template, *want)));
}

#[rustfmt::skip]
#[test]
fn a_request_line_has_three_parts_and_a_known_version() {
    let chunked = "POST {target} HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}";
    run_requests(SOON, [
        ("line feeds", "POST {target} HTTP/1.1\nHost: x\nContent-Length: {n}\n\n{body}", Served),
        ("an empty line first", "\r\nPOST {target} HTTP/1.1{tail}", Served),
        ("a carriage return", "POST {target} HTTP/1.1\rX: y{tail}", Bare(400)),
        ("two spaces", "POST  {target} HTTP/1.1{tail}", Bare(400)),
        ("two spaces in front of the version", "POST {target}  HTTP/1.1{tail}", Bare(400)),
        ("a space after the version", "POST {target} HTTP/1.1 {tail}", Bare(400)),
        ("a tab", "POST\t{target} HTTP/1.1{tail}", Bare(400)),
        ("a space in front of the method", " POST {target} HTTP/1.1{tail}", Bare(400)),
        ("a NUL in the target", "POST {target}\0 HTTP/1.1{tail}", Bare(400)),
        ("no version", "POST {target}{tail}", Bare(400)),
        ("HTTP/0.9", "POST {target}\r\n", Bare(400)),
        ("HTTP/1.0", "POST {target} HTTP/1.0{tail}", ServedLast),
        ("HTTP/1.0 that stays", "POST {target} HTTP/1.0\r\nConnection: keep-alive{tail}", Served),
        ("HTTP/1.0 without Host", "POST {target} HTTP/1.0\r\nContent-Length: {n}\r\n\r\n{body}", ServedLast),
        ("HTTP/1.0 with chunks", chunked, Bare(400)),
        ("HTTP/1.2", "POST {target} HTTP/1.2{tail}", Bare(400)),
        ("HTTP/2.0", "POST {target} HTTP/2.0{tail}", Bare(400)),
        ("http/1.1", "POST {target} http/1.1{tail}", Bare(400)),
        ("HTTP/1.10", "POST {target} HTTP/1.10{tail}", Bare(400)),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Closed),
    ]);
}

#[rustfmt::skip]
#[test]
fn a_field_line_is_a_name_a_colon_and_a_value() {
    run_fields(&[
        ("X-A: a\r\n b\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\r\n\tb\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("Content-Length:\r\n {n}", "{body}", Bare(400)),
        ("Transfer-Encoding:\r\n chunked", "{chunks}", Bare(400)),
        ("X-A: a\r\n \r\nContent-Length: {n}", "{body}", Bare(400)),
        (" X-A: a\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\rb\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\rContent-Length: 5\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\r\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\nContent-Length: {n}", "{body}", Served),
        ("X-A : a\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("Content-Length : {n}", "{body}", Bare(400)),
        ("Content-Length\t: {n}", "{body}", Bare(400)),
        ("Transfer-Encoding : chunked", "{chunks}", Bare(400)),
        (": a\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("no colon\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("nocolon\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X\0A: a\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X\u{1}A: a\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X\u{ff}A: a\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X(A: a\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\0b\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\u{1}b\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\u{b}b\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\u{1b}b\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\u{7f}b\r\nContent-Length: {n}", "{body}", Bare(400)),
        ("X-A: a\u{80}\u{ff}b\r\nContent-Length: {n}", "{body}", Served),
        ("X-A:\r\nContent-Length: {n}", "{body}", Served),
        ("X-A: \ta\tb\t\r\nContent-Length: {n}", "{body}", Served),
        ("X_A!#$%&'*+-.^`|~: a\r\nContent-Length: {n}", "{body}", Served),
    ]);
}

/// A request of so many fields, Host and Content-Length among them.
fn with_fields(count: usize) -> String {
    let more: String = (2..count).map(|number| format!("\r\nx-{number}: 1")).collect();
    format!("POST {{target}} HTTP/1.1{more}{{tail}}")
}

#[rustfmt::skip]
#[test]
fn a_head_has_a_size_and_a_number_of_fields() {
    let long = |length: usize| format!("POST {{target}} HTTP/1.1\r\nX: {}{{tail}}", "a".repeat(length));
    let (fits, too_long) = (long(60_000), long(70_000));
    let endless = format!("POST {{target}} HTTP/1.1\r\nX: {}", "a".repeat(80_000));
    let counts = [2, 100, 101, 256, 257, 1000].map(with_fields);
    run_requests(SOON, [
        ("60,000 bytes", &*fits, Served),
        ("70,000 bytes", &too_long, Bare(431)),
        ("a field without an end", &endless, Bare(431)),
        ("2 fields", &counts[0], Served),
        ("100 fields", &counts[1], Served),
        ("101 fields", &counts[2], Served),
        ("256 fields", &counts[3], Served),
        ("257 fields", &counts[4], Bare(431)),
        ("1,000 fields", &counts[5], Bare(431)),
    ]);
}

#[rustfmt::skip]
#[test]
fn one_host_or_none_is_served_and_two_are_refused() {
    run_requests(SOON, [
        ("none", "POST {target} HTTP/1.1\r\nContent-Length: {n}\r\n\r\n{body}", Served),
        ("empty", "POST {target} HTTP/1.1\r\nHost:\r\nContent-Length: {n}\r\n\r\n{body}", Served),
        ("another", "POST {target} HTTP/1.1\r\nHost: 2captcha.com\r\nContent-Length: {n}\r\n\r\n{body}", Served),
        ("odd", "POST {target} HTTP/1.1\r\nHost: a b/c@d\r\nContent-Length: {n}\r\n\r\n{body}", Served),
        ("two", "POST {target} HTTP/1.1\r\nHost: y{tail}", Refused("400 ")),
        ("two equal", "POST {target} HTTP/1.1\r\nhOST: x{tail}", Refused("400 ")),
        ("one of two empty", "POST {target} HTTP/1.1\r\nHost:{tail}", Refused("400 ")),
    ]);
}
