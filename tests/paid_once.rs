//! A request reaches the upstream at most once, wherever the upstream breaks off.
//!
//! A raw-socket upstream breaks off at every point of the exchange, by closing or by resetting, on a fresh or on a reused
//! connection, for every shape of a submission and for polls. Each request carries a mark; whatever the upstream ever
//! reads of it is counted, on the connection that broke and on all that come after.

mod fixtures;

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use fixtures::{Client, Gateway, OK, wait};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The connection is accepted and nothing is read; on a reused one: while it rests.
    AfterAccept,
    AfterHead,
    /// After the first byte of the body; where there is none, after the head.
    FirstByteOfBody,
    HalfOfBody,
    AfterBody,
    InAnswersHead,
    InAnswersBody,
}

const POINTS: [Point; 7] = [
    Point::AfterAccept,
    Point::AfterHead,
    Point::FirstByteOfBody,
    Point::HalfOfBody,
    Point::AfterBody,
    Point::InAnswersHead,
    Point::InAnswersBody,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Close,
    Reset,
}

/// Every shape of a submission, and the polls, with the mark in its target.
fn shapes(mark: &str) -> Vec<(&'static str, Vec<u8>)> {
    let post = |target: &str, fields: &str, body: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let query = format!("key=K&method=userrecaptcha&pageurl=a.example&mark={mark}");
    let multipart = "--B\r\nContent-Disposition: form-data; name=method\r\n\r\nuserrecaptcha\r\n--B\r\nContent-Disposition: form-data; name=pageurl\r\n\r\na.example\r\n--B--\r\n";
    let form = "key=K&method=userrecaptcha&pageurl=a.example";
    vec![
        (
            "createTask",
            post(
                &format!("/createTask?mark={mark}"),
                "",
                r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"a.example"}}"#,
            ),
        ),
        ("in.php GET", format!("GET /in.php?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()),
        ("in.php POST, query", post(&format!("/in.php?{query}"), "", "")),
        ("in.php POST, form", post(&format!("/in.php?mark={mark}"), "", form)),
        (
            "in.php POST, chunked form",
            format!("POST /in.php?mark={mark} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n", form.len())
                .into_bytes(),
        ),
        (
            "in.php POST, multipart",
            post(&format!("/in.php?mark={mark}"), "Content-Type: multipart/form-data; boundary=B\r\n", multipart),
        ),
        (
            "in.php POST, JSON",
            post(&format!("/in.php?mark={mark}"), "", r#"{"key":"K","method":"userrecaptcha","pageurl":"a.example"}"#),
        ),
        ("getTaskResult", post(&format!("/getTaskResult?mark={mark}"), "", r#"{"clientKey":"K","taskId":1}"#)),
        ("res.php", format!("GET /res.php?key=K&action=get&id=1&mark={mark} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()),
    ]
}

/// What the upstream saw: for each mark how often, and on which connections.
#[derive(Default)]
struct Seen {
    marks: HashMap<String, Vec<SocketAddr>>,
    warm: Vec<SocketAddr>,
}

struct Breaking {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Breaking {
    /// An upstream that answers what has no mark, breaks off at the first request with each mark, and answers any repeat.
    fn start(point: Point, how: How, breaks_fresh: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let kept = seen.clone();
        thread::spawn(move || {
            let mut count = 0;
            for stream in listener.incoming().map_while(Result::ok) {
                count += 1;
                // With nothing read, every second fresh connection works: there a repeat would show.
                if breaks_fresh && point == Point::AfterAccept && count % 2 == 1 {
                    end(stream, how);
                    continue;
                }
                let kept = kept.clone();
                thread::spawn(move || connection(stream, point, how, &kept));
            }
        });
        Self { url, seen }
    }
}

fn end(stream: TcpStream, how: How) {
    if how == How::Reset {
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    drop(stream);
}

/// Reads until there are so many bytes, or no more come.
fn read_to(stream: &mut TcpStream, read: &mut Vec<u8>, wanted: usize) -> bool {
    let mut byte = [0];
    while read.len() < wanted {
        match stream.read(&mut byte) {
            Ok(1) => read.push(byte[0]),
            _ => return false,
        }
    }
    true
}

fn connection(mut stream: TcpStream, point: Point, how: How, seen: &Mutex<Seen>) {
    let peer = stream.peer_addr().unwrap();
    loop {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            let wanted = read.len() + 1;
            if !read_to(&mut stream, &mut read, wanted) {
                return;
            }
        }
        let head = String::from_utf8_lossy(&read).into_owned();
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")
                    .map(|n| n.trim().parse::<usize>().unwrap())
            })
            .unwrap_or(0);
        let head_length = read.len();
        let mark = head
            .split("mark=")
            .nth(1)
            .map(|rest| rest.split([' ', '&']).next().unwrap().to_owned());
        let is_first = match &mark {
            None => {
                seen.lock().unwrap().warm.push(peer);
                false
            }
            Some(mark) => {
                let mut seen = seen.lock().unwrap();
                let connections = seen.marks.entry(mark.clone()).or_default();
                connections.push(peer);
                connections.len() == 1
            }
        };
        let until = match point {
            Point::AfterHead => 0,
            Point::FirstByteOfBody => length.min(1),
            Point::HalfOfBody => length / 2,
            _ => length,
        };
        if !is_first || point == Point::AfterAccept {
            read_to(&mut stream, &mut read, head_length + length);
            stream.write_all(OK).unwrap();
            if mark.is_none() && point == Point::AfterAccept {
                return end(stream, how);
            }
            continue;
        }
        read_to(&mut stream, &mut read, head_length + until);
        match point {
            Point::InAnswersHead => stream.write_all(&OK[..20]).unwrap(),
            Point::InAnswersBody => stream.write_all(&OK[..OK.len() - 5]).unwrap(),
            _ => {}
        }
        // What is written has to leave before a reset throws it away.
        thread::sleep(Duration::from_millis(2));
        return end(stream, how);
    }
}

#[test]
fn no_request_is_sent_twice_wherever_the_upstream_breaks_off() {
    let mut cells = 0;
    let mut sent_once = 0;
    for point in POINTS {
        for how in [How::Close, How::Reset] {
            for is_reused in [false, true] {
                let upstream = Breaking::start(point, how, !is_reused);
                let gateway = Gateway::start(&upstream.url, "");
                let names: Vec<&str> = shapes("").into_iter().map(|(name, _)| name).collect();
                for (number, name) in names.into_iter().enumerate() {
                    let cell = format!(
                        "{name}, {point:?}, {how:?}, {}",
                        if is_reused { "reused" } else { "fresh" }
                    );
                    let mark = number.to_string();
                    let (_, request) = shapes(&mark).swap_remove(number);
                    if is_reused {
                        let warm = Client::connect(gateway.api)
                            .exchange("GET /warm HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                        assert_eq!(warm.status(), 200, "{cell}");
                        // The connection goes to rest a moment after its answer.
                        thread::sleep(Duration::from_millis(10));
                    }
                    let mut client = Client::connect(gateway.api);
                    client.0.write_all(&request).unwrap();
                    let mut answer = Vec::new();
                    let _ = client.0.set_read_timeout(Some(Duration::from_millis(300)));
                    let _ = client.0.read_to_end(&mut answer);
                    let answer = String::from_utf8_lossy(&answer).into_owned();
                    let seen = upstream.seen.lock().unwrap();
                    let connections = seen.marks.get(&mark).cloned().unwrap_or_default();
                    assert!(connections.len() <= 1, "{cell}: sent {} times", connections.len());
                    if point != Point::AfterAccept {
                        assert_eq!(connections.len(), 1, "{cell}: it was sent");
                        let is_on_warm = seen.warm.last() == connections.first();
                        assert_eq!(is_on_warm, is_reused, "{cell}: the connection is what the cell says");
                    }
                    let expected: &[&str] = match (point, name) {
                        (Point::InAnswersBody, _) => &["200"],
                        (Point::AfterAccept, "getTaskResult") => &["200", "503"],
                        (Point::AfterAccept, _) => &["200", "502"],
                        (_, "getTaskResult") => &["503"],
                        _ => &["502"],
                    };
                    let status = answer.get(9..12).unwrap_or_default();
                    assert!(expected.contains(&status), "{cell}: {answer}");
                    cells += 1;
                    sent_once += connections.len();
                }
            }
        }
    }
    assert_eq!(cells, 7 * 2 * 2 * 9);
    println!("{cells} cells, {sent_once} requests reached the upstream, none twice");
}

/// A client that goes away takes its request with it: the upstream's connection is closed, and nothing is sent again.
#[test]
fn a_client_that_goes_away_cancels_its_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Gateway::start(&format!("http://{}", listener.local_addr().unwrap()), "");
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&shapes("1").swap_remove(0).1).unwrap();
    let (mut upstream, _) = listener.accept().unwrap();
    let request = fixtures::read_message(&mut upstream, false).unwrap();
    assert!(request.text().contains("nocache"));
    drop(client);
    upstream.set_read_timeout(Some(fixtures::PATIENCE)).unwrap();
    assert_eq!(upstream.read(&mut [0]).unwrap(), 0, "the gateway closed it");
    listener.set_nonblocking(true).unwrap();
    thread::sleep(Duration::from_millis(100));
    assert!(listener.accept().is_err(), "and opened no other");
}

/// An upstream that says how long it keeps a connection is believed: a submission takes none that rested half as long.
#[test]
fn a_keep_alive_field_limits_the_reuse() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=100\r\nContent-Length: 2\r\n\r\nok";
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = peers.clone();
    let upstream = fixtures::RawUpstream::serve(move |_, stream| {
        seen.lock().unwrap().push(stream.peer_addr().unwrap());
        stream.write_all(ANSWER).is_ok()
    });
    let gateway = Gateway::start(&upstream.url, "");
    let send = || {
        let before = peers.lock().unwrap().len();
        assert_eq!(
            fixtures::exchange(gateway.api, shapes("1").swap_remove(0).1).status(),
            200
        );
        wait(|| peers.lock().unwrap().get(before).copied())
    };
    let first = send();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(send(), first);
    thread::sleep(Duration::from_millis(600));
    assert_ne!(send(), first, "reuse_idle is 2 s, but the upstream said 1 s");
}
