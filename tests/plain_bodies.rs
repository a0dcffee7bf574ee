//! What a deny does not let through: queries, forms, content types, codings and multipart bodies by which some reader sees a
//! denied site, of which none reaches the upstream. (The others: tests/plain_shapes.rs.)

mod fixtures;

use std::io::Write;

use fixtures::{
    Gateway, OK, RawUpstream, exchange,
    tricks::{DENY, FORM, GOOD, GOOD_QUERY, chunked, named, nothing_arrives, request, utf16},
};
use flate2::{Compression, GzBuilder, write::ZlibEncoder};

/// Forms, each sent as a query and as a body.
#[rustfmt::skip]
const FORMS: &[&str] = &[
    FORM,
    "KEY=K&METHOD=USERRECAPTCHA&PAGEURL=https://evil.example/",
    "key=K&method=userrecaptcha&%70ageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://evil.example/&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&PageUrl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl[]=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl%5B%5D=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl[0]=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl[=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl%00=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl%00x=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&%00pageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&+pageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&%20pageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl+=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&pageurl%09=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&%0apageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&%EF%BB%BFpageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&%u0070ageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&%2570ageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&%252570ageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&page.url=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&page_url=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&page%20url=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&%EF%BD%90ageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&page%E2%80%8Burl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&page%C2%ADurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/;pageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&x=1;pageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&x=1;pageurl[]=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&x=1;+pageurl=https://evil.example/",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&x=1;method=hcaptcha",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&x=1;version=v3",
    "key=K&method=userrecaptcha&pageurl=https://good.example/&x=1;enterprise=1",
    "key=K&x=1;method=userrecaptcha;pageurl=https://evil.example/",
    "key=K&method=userrecaptcha&method=userrecaptcha&pageurl=https://good.example/",
    "key=K&method[]=userrecaptcha&pageurl=https://evil.example/",
    "key=K&method=hcaptcha&method%00=userrecaptcha&pageurl=https://good.example/",
    "key=K&m%C4%97thod=userrecaptcha&pageurl=https://evil.example/",
    "key=K&metho%F0%9D%90%9D=userrecaptcha&method=hcaptcha&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&version=v3%20&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&version=4&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&version=v3&version=v3&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&version[]=v3&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&enterprise=2&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&enterprise=%201&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&enterprise=yes&pageurl=https://good.example/",
    "key=K&method=userrecaptcha&Enterpri%C5%BFe=1&pageurl=https://good.example/",
    "key=K&method=userrecaptcha%20&pageurl=https://evil.example/",
    "key=K&method=%EF%BD%95serrecaptcha&pageurl=https://evil.example/",
    "key=K&method=user_recaptcha&pageurl=https://evil.example/",
    "key=K&pageurl=https://evil.example/",
    "key=K&method=&pageurl=https://evil.example/",
    "key=K&method=hcaptcha&pageurl=ftp://evil.example/",
    "key=K&method=hcaptcha&pageurl=https://evil.example/",
    "_charset_=utf-16&key=K&method=userrecaptcha&pageurl=https://good.example/",
];

#[test]
fn no_form_gets_a_denied_site_through() {
    let mut rows = named(FORMS, |form| request("GET", &format!("/in.php?{form}"), "", b""));
    let urlencoded = "Content-Type: application/x-www-form-urlencoded\r\n";
    rows.extend(named(FORMS, |form| {
        request("POST", "/in.php", urlencoded, form.as_bytes())
    }));
    nothing_arrives("queries and forms", rows, 100);
}

#[rustfmt::skip]
#[test]
fn no_form_split_between_query_and_body_gets_a_denied_site_through() {
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let chunks = "Transfer-Encoding: chunked\r\n";
    let evil = "pageurl=https://evil.example/";
    let rows: Vec<(&str, &str, &str, Vec<u8>)> = vec![
        ("two sites", GOOD_QUERY, form, evil.into()),
        ("the same site twice", GOOD_QUERY, form, "pageurl=https://good.example/".into()),
        ("a part of it each", "/in.php?key=K&method=userrecaptcha", form, evil.into()),
        ("chunks", GOOD_QUERY, chunks, chunked(evil)),
        ("chunks without a query", "/in.php", chunks, chunked(FORM)),
        ("an array", GOOD_QUERY, form, format!("x&{}", evil.replace('=', "[]=")).into()),
        ("a byte order mark in front", GOOD_QUERY, form, format!("\u{feff}{evil}").into()),
        ("a NUL in front", GOOD_QUERY, form, format!("\0{evil}").into()),
        ("a blank in front", GOOD_QUERY, form, format!(" {evil}").into()),
        ("a line break in front", GOOD_QUERY, form, format!("\r\n{evil}").into()),
        ("a NUL in the name", GOOD_QUERY, form, b"page\0url=https://evil.example/".to_vec()),
        ("a byte that is not UTF-8", GOOD_QUERY, form, b"\xffpageurl=https://evil.example/".to_vec()),
        ("a lead byte of GBK", GOOD_QUERY, form, b"x=\x81&pageurl=https://evil.example/".to_vec()),
        ("UTF-16", GOOD_QUERY, form, utf16(evil)),
        ("UTF-16 with a mark", GOOD_QUERY, form, [b"\xff\xfe".to_vec(), utf16(evil)].concat()),
        ("UTF-7", GOOD_QUERY, "Content-Type: application/x-www-form-urlencoded; charset=utf-7\r\n", b"+AHA-ageurl=https://evil.example/".to_vec()),
        ("a JSON body", GOOD_QUERY, "Content-Type: application/json\r\n", b"{\"pageurl\":\"https://evil.example/\"}".to_vec()),
        ("JSON behind a comment", GOOD_QUERY, "Content-Type: application/json\r\n", b"/**/{\"pageurl\":\"https://evil.example/\"}".to_vec()),
        ("JSON behind a line comment", GOOD_QUERY, "Content-Type: application/json\r\n", b"//\n{\"pageurl\":\"https://evil.example/\"}".to_vec()),
        ("JSON behind a blank", GOOD_QUERY, "Content-Type: application/json\r\n", "\u{a0}{\"pageurl\":\"https://evil.example/\"}".into()),
        ("JSON behind a mark", GOOD_QUERY, "Content-Type: application/json\r\n", "\u{feff}{\"pageurl\":\"https://evil.example/\"}".into()),
        ("JSON behind a vertical tab", GOOD_QUERY, "Content-Type: text/json\r\n", b"\x0b{\"pageurl\":\"https://evil.example/\"}".to_vec()),
        ("an array of JSON", GOOD_QUERY, "Content-Type: application/json\r\n", b"[{\"pageurl\":\"https://evil.example/\"}]".to_vec()),
        ("a string of JSON", GOOD_QUERY, "Content-Type: application/json\r\n", b"\"pageurl=https://evil.example/\"".to_vec()),
        ("JSON of another type name", GOOD_QUERY, "Content-Type: application/vnd.api+json\r\n", b"/**/{\"pageurl\":\"https://evil.example/\"}".to_vec()),
        ("a form as JSON", GOOD_QUERY, "Content-Type: application/json\r\n", b"x=1".to_vec()),
        ("JSON as a form", "/in.php", form, b"{\"method\":\"userrecaptcha\",\"pageurl\":\"https://good.example/\",\"x\":\"&pageurl=https://evil.example/&\"}".to_vec()),
        ("JSON as a form, in an array", "/in.php", form, b"{\"method\":\"userrecaptcha\",\"pageurl\":\"https://good.example/\",\"x\":\"&pageurl[]=https://evil.example/&\"}".to_vec()),
        ("JSON as anything", "/in.php", "", b"{\"method\":\"userrecaptcha\",\"pageurl\":\"https://good.example/\",\"x\":\"&pageurl=https://evil.example/&\"}".to_vec()),
        ("legacy JSON", "/in.php", "Content-Type: application/json\r\n", b"{\"method\":\"userrecaptcha\",\"pageurl\":\"https://evil.example/\"}".to_vec()),
        ("legacy JSON, an array", "/in.php", "Content-Type: application/json\r\n", b"{\"method\":\"userrecaptcha\",\"pageurl\":[\"https://evil.example/\"]}".to_vec()),
        ("legacy JSON, twice", "/in.php", "Content-Type: application/json\r\n", b"{\"method\":\"userrecaptcha\",\"pageurl\":\"https://good.example/\",\"pageUrl\":\"https://evil.example/\"}".to_vec()),
        ("legacy JSON, a method that is a number", "/in.php", "Content-Type: application/json\r\n", b"{\"method\":1,\"pageurl\":\"https://evil.example/\"}".to_vec()),
        ("an XML body", GOOD_QUERY, "Content-Type: application/json;charset=utf-16\r\n", utf16("{\"pageurl\":\"https://evil.example/\"}")),
    ];
    let rows = rows.into_iter().map(|(name, target, fields, body)| (name.to_owned(), request("POST", target, fields, &body)));
    nothing_arrives("query and body", rows.collect(), 30);
}

/// Content-Type fields of a submission that is not denied, with which some reader reads another charset, syntax or boundary.
#[rustfmt::skip]
const CONTENT_TYPES: &[&str] = &[
    "Content-Type: application/x-www-form-urlencoded; charset=utf-16",
    "Content-Type: application/x-www-form-urlencoded; charset=UTF-16LE",
    "Content-Type: application/x-www-form-urlencoded; charset=\"utf-32\"",
    "Content-Type: application/x-www-form-urlencoded; charset=utf-7",
    "Content-Type: application/x-www-form-urlencoded; charset=gbk",
    "Content-Type: application/x-www-form-urlencoded; charset=shift_jis",
    "Content-Type: application/x-www-form-urlencoded; charset=ibm037",
    "Content-Type: application/x-www-form-urlencoded; charset=utf-8; charset=utf-16",
    "Content-Type: application/x-www-form-urlencoded; charset = utf-16",
    "Content-Type: application/x-www-form-urlencoded; charset*=utf-8''utf-16",
    "Content-Type: application/x-www-form-urlencoded; charset*0=utf-; charset*1=16",
    "Content-Type: application/x-www-form-urlencoded;charset=utf-8, application/json",
    "Content-Type: application/json, multipart/form-data; boundary=B",
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Type: application/json",
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Type: application/x-www-form-urlencoded",
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Type: multipart/form-data; boundary=B",
    "Content-Type: x multipart/form-data; boundary=B",
    "Content-Type: \"multipart/form-data\"; boundary=B",
    "Content-Type: text/plain; x=multipart/form-data; boundary=B",
    "Content-Type: multipart; boundary=B",
    "Content-Type: multipart/mixed; boundary=B",
    "Content-Type: multipart/form-data",
    "Content-Type: application/x-www-form-urlencoded; charset=\u{fc}",
    "Content-Encoding: utf-16\r\nContent-Type: application/x-www-form-urlencoded",
    "Content-Encoding: compress",
    "Content-Encoding: gzip, gzip",
    "Content-Encoding: gzip",
    "Content-Encoding: deflate",
    "Content-Encoding: br",
    "Content-Encoding: zstd",
    "Content-Encoding: gzip\r\nConnection: content-encoding",
    "Content-Encoding: x-unknown\r\nConnection: content-encoding",
    "Transfer-Encoding: gzip, chunked",
];

#[test]
fn no_content_type_or_coding_gets_a_denied_site_through() {
    let rows = named(CONTENT_TYPES, |field| {
        request("POST", "/in.php", &format!("{field}\r\n"), GOOD.as_bytes())
    });
    nothing_arrives("content types and codings", rows, 30);
}

/// Brotli that is stored: first a byte-aligned metadata block with other bytes, then the body (RFC 7932, section 9.2).
fn brotli(hidden: &[u8], body: &[u8]) -> Vec<u8> {
    // A window of 64 KiB, no last block, metadata, a length of one byte.
    let bits = 0b10_1100 | (hidden.len() as u32 - 1) << 7;
    let metadata = bits.to_le_bytes();
    // No last block, a length of 16 bits, stored.
    let stored = ((body.len() as u32 - 1) << 3 | 1 << 19).to_le_bytes();
    [&metadata[..2], hidden, &stored[..3], body, &[3]].concat()
}

#[rustfmt::skip]
#[test]
fn no_coding_hides_a_denied_site() {
    // It has nocache already, so that nothing is edited.
    let good = &format!("{GOOD}&nocache=1");
    let hidden = "&pageurl=https://evil.example/&";
    let gzip = |builder: GzBuilder, body: &str| {
        let mut encoder = builder.write(Vec::new(), Compression::none());
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zlib = |body: &str| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    // What is there in plain sight to a reader that does not decode, or skips what another reads.
    let hides: Vec<(&str, &str, Vec<u8>)> = vec![
        ("a gzip header's extra field", "gzip", gzip(GzBuilder::new().extra(hidden), good)),
        ("a gzip header's file name", "gzip", gzip(GzBuilder::new().filename(hidden), good)),
        ("a gzip header's comment", "x-gzip", gzip(GzBuilder::new().comment(hidden), good)),
        ("brotli's metadata", "br", brotli(hidden.as_bytes(), good.as_bytes())),
        ("an empty gzip member", "gzip", [gzip(GzBuilder::new().comment(hidden), ""), gzip(GzBuilder::new(), good)].concat()),
    ];
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, DENY);
    for (name, coding, body) in hides {
        for connection in ["", "Connection: Content-Encoding\r\n"] {
            let fields = format!("Content-Encoding: {coding}\r\n{connection}");
            let before = upstream.received().len();
            let response = exchange(gateway.api, request("POST", "/in.php", &fields, &body));
            let arrived = upstream.received().split_off(before);
            assert_eq!(arrived.len(), 1, "{name}: {}", response.decision());
            assert_eq!(arrived[0].text(), good, "{name}");
            assert_eq!(arrived[0].field("content-encoding"), None, "{name}");
        }
    }
    let evil = FORM.as_bytes();
    let denied: Vec<(&str, &str, Vec<u8>)> = vec![
        ("the site", "gzip", gzip(GzBuilder::new(), FORM)),
        ("the site in brotli", "br", brotli(GOOD.as_bytes(), evil)),
        ("the site in zlib", "deflate", zlib(FORM)),
        ("the site in raw deflate", "deflate", zlib(FORM).split_off(2)),
        ("two members", "gzip", [gzip(GzBuilder::new(), GOOD), gzip(GzBuilder::new(), hidden)].concat()),
        ("the site behind a member", "gzip", [gzip(GzBuilder::new(), GOOD), evil.to_vec()].concat()),
        ("the site behind brotli", "br", [brotli(b"x", GOOD.as_bytes()), evil.to_vec()].concat()),
        ("the site behind zlib", "deflate", [zlib(GOOD), evil.to_vec()].concat()),
        ("gzip twice", "gzip, gzip", gzip(GzBuilder::new(), GOOD)),
        ("gzip that is none", "gzip", evil.to_vec()),
        ("deflate that is gzip", "deflate", gzip(GzBuilder::new(), FORM)),
        ("zstd that is none", "zstd", evil.to_vec()),
        ("a coding that nobody knows", "exi", evil.to_vec()),
        ("a list with nothing", "gzip,,", evil.to_vec()),
        ("a coding in quotes", "\"gzip\"", gzip(GzBuilder::new(), FORM)),
        ("the site as it is", "identity", evil.to_vec()),
        ("the site as UTF-8", "utf-8", evil.to_vec()),
    ];
    let rows = denied.into_iter().map(|(name, coding, body)| {
        (name.to_owned(), request("POST", "/in.php", &format!("Content-Encoding: {coding}\r\n"), &body))
    });
    nothing_arrives("codings", rows.collect(), 17);
}

const PAGEURL: &str = "Content-Disposition: form-data; name=pageurl\r\n\r\nhttps://evil.example/";
const OTHER: &str = "Content-Disposition: form-data; name=x\r\n\r\n1";

/// Multipart bodies beside a query for a site that is not denied; without a Content-Type of its own it has the boundary B.
#[rustfmt::skip]
fn multiparts() -> Vec<(&'static str, &'static str, String)> {
    let one = format!("--B\r\n{PAGEURL}\r\n--B--\r\n");
    let with = |from: &str, to: &str| one.replace(from, to);
    vec![
        ("the denied site", "", one.clone()),
        ("an empty filename", "", with("name=pageurl", "name=pageurl; filename=\"\"")),
        ("a filename", "", with("name=pageurl", "name=pageurl; filename=x")),
        ("a filename in front", "", with("name=pageurl", "filename=x; name=pageurl")),
        ("an extended filename", "", with("name=pageurl", "name=pageurl; filename*=utf-8''x")),
        ("a blank filename", "", with("name=pageurl", "name=pageurl; filename")),
        ("after the end", "", format!("--B\r\n{OTHER}\r\n--B--\r\n{one}")),
        ("after the end, no line break", "", format!("--B\r\n{OTHER}\r\n--B--{one}")),
        ("after an end that goes on", "", format!("--B\r\n{OTHER}\r\n--B--x\r\n{one}")),
        ("after an end with blanks", "", format!("--B\r\n{OTHER}\r\n--B-- \r\n{one}")),
        ("in the epilogue as text", "", format!("--B\r\n{OTHER}\r\n--B--\r\n{PAGEURL}")),
        ("in the preamble", "", format!("x--B\r\n{PAGEURL}\r\n\r\n--B\r\n{OTHER}\r\n--B--\r\n")),
        ("in the preamble, LF", "", format!("x\n--B\r\n{PAGEURL}\r\n\r\n--B\r\n{OTHER}\r\n--B--\r\n")),
        ("in the preamble, LF throughout", "", format!("--B\n{}\r\n--B\r\n{OTHER}\r\n--B--\r\n", PAGEURL.replace('\r', ""))),
        ("two line breaks in front", "", format!("\r\n\r\n{one}")),
        ("a preamble", "", format!("This is a message\r\n{one}")),
        ("two line breaks behind", "", format!("--B\r\n{OTHER}\r\n--B--\r\n\r\n")),
        ("LF delimiters in a value", "", format!("--B\r\n{OTHER}\n--B\n{PAGEURL}\n--B\r\n--B--\r\n")),
        ("LF delimiters in a value, CRLF behind", "", format!("--B\r\n{OTHER}\n--B\r\n{PAGEURL}\r\n--B--\r\n")),
        ("CR delimiters in a value", "", format!("--B\r\n{OTHER}\r--B\r{PAGEURL}\r\n--B--\r\n")),
        ("LF throughout", "", with("\r\n", "\n")),
        ("a delimiter in a file", "", format!("--B\r\nContent-Disposition: form-data; name=x; filename=y\r\n\r\n\n--B\n{PAGEURL}\r\n--B--\r\n")),
        ("a delimiter within a line", "", format!("--B\r\n{OTHER} --B\r\n{PAGEURL}\r\n--B--\r\n")),
        ("blanks behind a delimiter", "", format!("--B\r\n{OTHER}\r\n--B \t\r\n{PAGEURL}\r\n--B--\r\n")),
        ("no line break before the end", "", format!("--B\r\n{OTHER}--B\r\n{PAGEURL}\r\n--B--\r\n")),
        ("no end", "", format!("--B\r\n{PAGEURL}\r\n")),
        ("name twice", "", with("name=pageurl", "name=x; name=pageurl")),
        ("name twice, the first", "", with("name=pageurl", "name=pageurl; name=x")),
        ("an extended name", "", with("name=pageurl", "name=x; name*=utf-8''pageurl")),
        ("an extended name alone", "", with("name=pageurl", "name*=utf-8''pageurl")),
        ("a continued name", "", with("name=pageurl", "name*0=page; name*1=url")),
        ("an encoded word", "", with("name=pageurl", "name=\"=?utf-8?B?cGFnZXVybA==?=\"")),
        ("an encoded word in Q", "", with("name=pageurl", "name=\"=?utf-8?Q?pageurl?=\"")),
        ("an escaped name", "", with("name=pageurl", "name=\"page\\url\"")),
        ("an escaped quote", "", with("name=pageurl", "name=\"x\\\"; name=\\\"pageurl\"")),
        ("an escaped quote in a filename", "", with("name=pageurl", "name=x; filename=\"a\\\"; name=\\\"pageurl\"")),
        ("a name within a filename", "", with("name=pageurl", "name=x; filename=\"a; name=pageurl\"")),
        ("a percent-encoded name", "", with("name=pageurl", "name=\"%70ageurl\"")),
        ("an array", "", with("name=pageurl", "name=\"pageurl[]\"")),
        ("a NUL", "", with("name=pageurl", "name=\"pageurl\0\"")),
        ("blanks in the name", "", with("name=pageurl", "name=\" pageurl\"")),
        ("a name in single quotes", "", with("name=pageurl", "name='pageurl'")),
        ("half a quoted name", "", with("name=pageurl", "name=\"pageurl")),
        ("a name with more behind the quotes", "", with("name=pageurl", "name=\"page\"url")),
        ("a mark in the name", "", with("name=pageurl", "name=\"\u{feff}pageurl\"")),
        ("no equals sign", "", with("name=pageurl", "name pageurl")),
        ("two dispositions", "", with("Content-D", "Content-Disposition: form-data; name=x\r\nContent-D")),
        ("two dispositions, the first", "", with("pageurl\r\n", "pageurl\r\nContent-Disposition: form-data; name=x\r\n")),
        ("a folded disposition", "", with("data; name", "data;\r\n name")),
        ("a blank before the colon", "", with("Disposition:", "Disposition :")),
        ("a blank before the field", "", with("Content-Disp", " Content-Disp")),
        ("another disposition", "", with("form-data;", "attachment;")),
        ("no disposition", "", "--B\r\nContent-Type: text/plain; name=pageurl\r\n\r\nhttps://evil.example/\r\n--B--\r\n".into()),
        ("UTF-16 of a part", "", format!("--B\r\nContent-Type: text/plain; charset=utf-16\r\n{PAGEURL}\r\n--B--\r\n").replace("name=pageurl", "name=x")),
        ("UTF-7 of a part", "", format!("--B\r\nContent-Type: text/plain; charset=utf-7\r\n{OTHER}\r\n--B--\r\n")),
        ("base64 of a part", "", format!("--B\r\nContent-Transfer-Encoding: base64\r\n{OTHER}\r\n--B--\r\n")),
        ("quoted-printable", "", format!("--B\r\nContent-Transfer-Encoding: quoted-printable\r\n{OTHER}\r\n--B--\r\n")),
        ("a length that is wrong", "", format!("--B\r\nContent-Length: 99\r\n{OTHER}\r\n--B--\r\n")),
        ("a length that is no number", "", format!("--B\r\nContent-Length: 1x\r\n{OTHER}\r\n--B--\r\n")),
        ("two types of a part", "", format!("--B\r\nContent-Type: text/plain\r\nContent-Type: text/plain\r\n{OTHER}\r\n--B--\r\n")),
        ("another field of a part", "", format!("--B\r\nX-A: b\r\n{OTHER}\r\n--B--\r\n")),
        ("a multipart in a part", "", format!("--B\r\nContent-Type: multipart/mixed; boundary=C\r\nContent-Disposition: form-data; name=x\r\n\r\n--C\r\n{PAGEURL}\r\n--C--\r\n--B--\r\n")),
        ("the same site again", "", with("evil.example", "good.example")),
        ("two sites", "", format!("--B\r\n{PAGEURL}\r\n--B\r\n{PAGEURL}\r\n--B--\r\n")),
        ("_charset_", "", format!("--B\r\nContent-Disposition: form-data; name=\"_charset_\"\r\n\r\nutf-16\r\n--B\r\n{OTHER}\r\n--B--\r\n")),
        ("a boundary with a comma", "multipart/form-data; boundary=B,C", with("--B", "--B,C")),
        ("a boundary that ends at a comma", "multipart/form-data; boundary=C,x=1", with("--B", "--C")),
        ("a quoted boundary with a comma", "multipart/form-data; boundary=\"B,C\"", with("--B", "--B,C")),
        ("a boundary with an escape", "multipart/form-data; boundary=\"\\B\"", one.clone()),
        ("a boundary with an escape and a decoy", "multipart/form-data; boundary=\"\\B\"", format!("--\\B\r\n{PAGEURL}\r\n--\\B--\r\n")),
        ("two boundaries", "multipart/form-data; boundary=C; boundary=B", format!("--C\r\n{OTHER}\r\n--B\r\n{PAGEURL}\r\n--B--\r\n--C--\r\n")),
        ("two boundaries, the first", "multipart/form-data; boundary=B; boundary=C", format!("--B\r\n{OTHER}\r\n--C\r\n{PAGEURL}\r\n--C--\r\n--B--\r\n")),
        ("an extended boundary", "multipart/form-data; boundary=C; boundary*=us-ascii''B", format!("--C\r\n{OTHER}\r\n--B\r\n{PAGEURL}\r\n--B--\r\n--C--\r\n")),
        ("a boundary in single quotes", "multipart/form-data; boundary='B'; x", one.clone()),
        ("a boundary with a blank, unquoted", "multipart/form-data; boundary=B C", with("--B", "--B C")),
        ("a boundary that ends in a blank", "multipart/form-data; boundary=\"B \"", with("--B", "--B ")),
        ("a boundary with other characters", "multipart/form-data; boundary=B{}", with("--B", "--B{}")),
        ("a boundary that is not ASCII", "multipart/form-data; boundary=\"B\u{e9}\"", with("--B", "--B\u{e9}")),
        ("a boundary within another parameter", "multipart/form-data; x=\"; boundary=B\"; boundary=C", one.clone()),
        ("a long boundary", "multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x", with("--B", "--0123456789012345678901234567890123456789012345678901234567890123456789x")),
        ("a charset of all", "multipart/form-data; charset=utf-16; boundary=B", format!("--B\r\n{OTHER}\r\n--B--\r\n")),
        ("a related multipart", "multipart/related; boundary=B", one.clone()),
        ("a type in capitals with a blank", "MULTIPART/FORM-DATA ; BOUNDARY=B", one.clone()),
        ("no parts", "", "--B--\r\n".into()),
        ("a multipart as a form", "application/x-www-form-urlencoded", format!("x&{}", with("\r\n", "&pageurl=https://evil.example/&"))),
    ]
}

#[test]
fn no_multipart_body_gets_a_denied_site_through() {
    let rows = multiparts().into_iter().map(|(name, content_type, body)| {
        let content_type = if content_type.is_empty() {
            "multipart/form-data; boundary=B"
        } else {
            content_type
        };
        let fields = format!("Content-Type: {content_type}\r\n");
        (name.to_owned(), request("POST", GOOD_QUERY, &fields, body.as_bytes()))
    });
    nothing_arrives("multipart bodies", rows.collect(), 80);
}
