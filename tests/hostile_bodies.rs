//! Bodies of responses at the edges of HTTP/1.1, as bytes: one that is broken is never taken for whole, what follows
//! one reaches nobody, and one that comes early is not lost.

mod fixtures;

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use fixtures::{
    After::{Close, Keep},
    Client, Gateway, Hostile, KINDS, OK, RawUpstream, Table, exchange, filled, response, step,
};

/// A response that nobody asked for, on a connection that is idle.
#[test]
fn a_late_second_response_reaches_nobody() {
    let upstream = RawUpstream::serve(|request, stream| {
        let _ = stream.write_all(OK);
        if request.target() != "/probe" {
            thread::sleep(Duration::from_millis(30));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray");
        }
        true
    });
    let gateway = Gateway::start(&upstream.url, "");
    let mut table = Table::default();
    for kind in KINDS {
        let mut client = Client::connect(gateway.api);
        client
            .0
            .write_all(&filled("POST {target} HTTP/1.1{tail}", kind))
            .unwrap();
        let mut came = response(&mut client);
        thread::sleep(Duration::from_millis(100));
        came += &format!(", {}", step(&mut client));
        table.row(kind.target, "200, in step", &came);
    }
    table.finish();
}

/// A response that has begun cannot be replaced: its connection ends before the client could take it for whole, but not
/// without a word.
#[rustfmt::skip]
#[test]
fn a_broken_body_is_never_whole() {
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstart\r\n{body}");
    let rows = [
        ("a prefix", chunked("0x5\r\nstray\r\n0\r\n\r\n"), Keep),
        ("a minus", chunked("-1\r\nstray\r\n0\r\n\r\n"), Keep),
        ("no size", chunked("\r\nstray\r\n0\r\n\r\n"), Keep),
        ("a size over 64 bits", chunked("10000000000000005\r\nstray\r\n0\r\n\r\n"), Keep),
        ("more than the size", chunked("5\r\nlonger\r\n5\r\nstray\r\n0\r\n\r\n"), Keep),
        ("a line feed after the size", chunked("5\nstray\r\n0\r\n\r\n"), Keep),
        ("a trailer without a colon", chunked("0\r\nno colon\r\n\r\n"), Keep),
        ("broken from the start", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx".to_owned(), Keep),
        ("cut off from the start", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n".to_owned(), Close),
        ("cut off in a chunk", chunked("5\r\nst"), Close),
        ("cut off after a chunk", chunked(""), Close),
        ("cut off in the last chunk", chunked("0\r\n"), Close),
        ("cut off before its length", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nstart".to_owned(), Close),
        ("a length that never comes", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nstart".to_owned(), Keep),
    ];
    let hostile = Hostile::start();
    let gateway = Gateway::start(&hostile.upstream.url, "[upstream]\nidle_timeout = \"500ms\"\n");
    let mut table = Table::default();
    for (name, response, after) in rows {
        hostile.respond(&response, after);
        // Often, since it depends on how much of it arrives at once.
        for kind in [KINDS; 5].concat() {
            let before = hostile.upstream.received().len();
            let mut client = Client::connect(gateway.api);
            client.0.write_all(&filled("POST {target} HTTP/1.1\r\nConnection: close{tail}", kind)).unwrap();
            let mut all = Vec::new();
            let end = client.0.read_to_end(&mut all);
            let all = all.escape_ascii().to_string();
            let is_timeout = end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            let is_whole = all.contains("0\\r\\n\\r\\n") && all.contains("chunked");
            let sent = hostile.upstream.received().len() - before;
            let is_stray = all.contains("stray");
            let came = format!("{all} timeout={is_timeout} whole={is_whole} stray={is_stray} sent={sent}");
            // Either a part of it, or a response of the gateway's own.
            let cut = "HTTP/1.1 200 OK*timeout=false whole=false stray=false sent=1";
            let own = "HTTP/1.1 50*timeout=false whole=false stray=false sent=1";
            table.row(&format!("{name}, {}", kind.target), &format!("{cut} or {own}"), &came);
            assert_eq!(exchange(gateway.api, fixtures::get("/probe")).status(), 200, "{name}");
        }
    }
    table.finish();
}

/// On a submission the field is the gateway's alone, in the header section and in the trailers.
#[rustfmt::skip]
#[test]
fn an_upstream_cannot_forge_the_decision() {
    let hostile = Hostile::start();
    let gateway = Gateway::start(&hostile.upstream.url, "");
    let mut table = Table::default();
    let trailers = "X-Sum: 1\r\nX-Nocache-Gateway: forged";
    let chunks = format!("\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n{{ok}}\r\n0\r\n{trailers}\r\n\r\n");
    let length = "\r\nContent-Length: 27\r\n\r\n{ok}";
    for response in [
        format!("HTTP/1.1 200 OK\r\nX-Nocache-Gateway: forged{length}"),
        format!("HTTP/1.1 200 OK\r\nX-Nocache-Gateway: forged\r\nx-nocache-gateway: forged{length}"),
        format!("HTTP/1.1 200 OK{chunks}"),
        format!("HTTP/1.1 200 OK\r\nTrailer: x-nocache-gateway{chunks}"),
        format!("HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-Nocache-Gateway{chunks}"),
    ] {
        hostile.respond(&response, Keep);
        for kind in &KINDS[..2] {
            let mut client = Client::connect(gateway.api);
            let request = "POST {target} HTTP/1.1\r\nTE: trailers\r\nConnection: TE, close{tail}";
            client.0.write_all(&filled(request, *kind)).unwrap();
            let mut all = String::new();
            client.0.read_to_string(&mut all).unwrap();
            let fields = all.to_lowercase().matches("x-nocache-gateway: ").count();
            let came = format!("forged={} fields={fields}", all.contains("forged"));
            table.row(&format!("{}, {}", response.escape_debug(), kind.target), "forged=false fields=1", &came);
        }
    }
    table.finish();
}

/// The bytes of a body that follow the response to HEAD are not the next response.
#[rustfmt::skip]
#[test]
fn a_body_in_response_to_head_reaches_nobody() {
    let hostile = Hostile::start();
    let gateway = Gateway::start(&hostile.upstream.url, "");
    let mut table = Table::default();
    let stray = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
    for (name, response) in [
        ("a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("a body", stray),
        ("a response", &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{stray}", stray.len())),
        ("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstray\r\n0\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    ] {
        hostile.respond(response, Keep);
        for target in ["/in.php?pageurl=a.example", "/res.php", "/createTask"] {
            let mut client = Client::connect(gateway.api);
            client.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            write!(client.0, "HEAD {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.0.read(&mut byte).is_ok_and(|length| length > 0) {
                head.push(byte[0]);
            }
            let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
            let came = format!("{line}, {}", step(&mut client));
            table.row(&format!("{name}, {target}"), "HTTP/1.1 200 OK, in step", &came);
        }
    }
    table.finish();
}

/// What an upstream does that refuses a body early.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// It closes at once with bytes unread, which resets the connection.
    Reset,
    /// The same a moment later, when the response has certainly arrived.
    LateReset,
    /// It closes its half and reads on.
    HalfClose,
    /// It reads no more and waits.
    Stop,
}

fn refusing_upstream(refusal: Refusal) -> (String, Arc<Mutex<usize>>) {
    const TOO_LARGE: &[u8] =
        b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 27\r\n\r\n{\"errorId\":0,\"taskId\":4321}";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let serve = move |mut stream: TcpStream| {
        let mut start = [0; 1000];
        let _ = stream.read_exact(&mut start);
        *counted.lock().unwrap() += 1;
        let _ = stream.write_all(TOO_LARGE);
        match refusal {
            Refusal::Reset => {}
            Refusal::LateReset => thread::sleep(Duration::from_millis(100)),
            Refusal::HalfClose => {
                let _ = stream.shutdown(Shutdown::Write);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            }
            Refusal::Stop => thread::sleep(Duration::from_secs(4)),
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    (url, count)
}

/// A response that has arrived wins over a write that fails.
#[test]
fn an_early_413_reaches_the_client() {
    let mut table = Table::default();
    for refusal in [Refusal::Reset, Refusal::LateReset, Refusal::HalfClose, Refusal::Stop] {
        let (url, count) = refusing_upstream(refusal);
        let gateway = Gateway::start(&url, "[upstream]\ntimeout = \"3s\"\n");
        for (name, length) in [("small", 5_000), ("large", 5_000_000)] {
            for kind in KINDS {
                // Often, since it depends on which of the two the gateway notices first.
                let mut came = BTreeSet::new();
                for _ in 0..5 {
                    let before = *count.lock().unwrap();
                    let mut client = Client::connect(gateway.api);
                    client.0.set_read_timeout(Some(Duration::from_secs(6))).unwrap();
                    let mut sender = client.0.try_clone().unwrap();
                    let sending = thread::spawn(move || {
                        let head = format!("POST {} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n", kind.target);
                        let _ = sender.write_all(&[head.as_bytes(), &vec![b' '; length]].concat());
                    });
                    let began = Instant::now();
                    let response = response(&mut client);
                    let late = if began.elapsed() > Duration::from_secs(2) {
                        ", late"
                    } else {
                        ""
                    };
                    came.insert(format!("{response}{late}, sent {}", *count.lock().unwrap() - before));
                    drop(client);
                    let _ = sending.join();
                }
                let came = came.into_iter().collect::<Vec<_>>().join(" and ");
                table.row(&format!("{refusal:?}, {name}, {}", kind.target), "413, sent 1", &came);
            }
        }
    }
    table.finish();
}
