//! A request reaches the upstream at most once, wherever the upstream breaks off.
//!
//! A raw-socket upstream breaks off at every point of the exchange, by closing, by resetting or by falling silent, on a
//! fresh or on a reused connection, with and without TLS, for every shape of a submission and for polls. Each request
//! carries a mark; whatever the upstream ever reads of it is counted, on the connection that broke and on all that come
//! after. Where it reads nothing of it, the response has to be an error: a second attempt would have succeeded.

mod fixtures;

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use fixtures::{Client, Gateway, OK, TASK, wait};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The system holds the connection, nobody accepts it. On a reused one: it is closed while it is idle, and then so.
    BeforeAccept,
    /// The connection is accepted and nothing is read; on a reused one: while it is idle.
    AfterAccept,
    AfterHead,
    /// After the first byte of the body; where there is none, after the head.
    FirstByteOfBody,
    HalfOfBody,
    AllButTheLastByte,
    AfterBody,
    InResponseHead,
    InResponseBody,
}

const POINTS: [Point; 9] = [
    Point::BeforeAccept,
    Point::AfterAccept,
    Point::AfterHead,
    Point::FirstByteOfBody,
    Point::HalfOfBody,
    Point::AllButTheLastByte,
    Point::AfterBody,
    Point::InResponseHead,
    Point::InResponseBody,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Close,
    Reset,
    /// The connection stays open, and nothing more comes.
    Silence,
}

/// What is the same for all shapes.
#[derive(Clone, Copy, Debug)]
struct Break {
    point: Point,
    how: How,
    is_reused: bool,
    is_tls: bool,
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
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes();
    let form = "key=K&method=userrecaptcha&pageurl=a.example";
    let json = r#"{"key":"K","method":"userrecaptcha","pageurl":"a.example"}"#;
    let multipart = r#"--B
Content-Disposition: form-data; name=method

userrecaptcha
--B
Content-Disposition: form-data; name=pageurl

a.example
--B--
"#
    .replace('\n', "\r\n");
    let chunked = format!(
        "POST /in.php?mark={mark} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{form}\r\n0\r\n\r\n",
        form.len()
    );
    // More than sockets hold: the gateway is still writing when the upstream breaks off within it.
    static LARGE: LazyLock<String> = LazyLock::new(|| {
        let picture = "A".repeat(6 << 20);
        format!(r#"{{"task":{{"type":"RecaptchaV2Task","websiteURL":"a.example","body":"{picture}"}}}}"#)
    });
    let create = format!("/createTask?mark={mark}");
    let legacy = format!("/in.php?mark={mark}");
    let query = format!("/in.php?{form}&mark={mark}");
    let poll = format!("/getTaskResult?mark={mark}");
    let legacy_poll = format!("/res.php?key=K&action=get&id=1&mark={mark}");
    let of_parts = "Content-Type: multipart/form-data; boundary=B\r\n";
    vec![
        ("createTask", post(&create, "", TASK)),
        ("createTask, large", post(&create, "", &LARGE)),
        ("in.php GET", get(&query)),
        ("in.php POST, query", post(&query, "", "")),
        ("in.php POST, form", post(&legacy, "", form)),
        ("in.php POST, chunked form", chunked.into_bytes()),
        ("in.php POST, multipart", post(&legacy, of_parts, &multipart)),
        ("in.php POST, JSON", post(&legacy, "", json)),
        ("getTaskResult", post(&poll, "", r#"{"clientKey":"K","taskId":1}"#)),
        ("res.php", get(&legacy_poll)),
    ]
}

/// What the upstream saw: for each mark on which connections, and on which the last request without a mark came.
#[derive(Default)]
struct Seen {
    marks: HashMap<String, Vec<SocketAddr>>,
    warm: Option<SocketAddr>,
    /// Connections on which it fell silent.
    silent: Vec<Box<dyn Wire>>,
}

/// How long what is written has to be read by the other side before a reset throws it away.
const UNDER_WAY: Duration = Duration::from_millis(50);

trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// An upstream that responds to what has no mark, breaks off at the first request with each mark, and responds to any repeat.
struct Breaking {
    address: SocketAddr,
    is_accepting: AtomicBool,
    /// Whether the next connection is broken off as soon as it is accepted.
    breaks_next: AtomicBool,
    is_over: AtomicBool,
    listener: Mutex<Option<TcpListener>>,
    seen: Mutex<Seen>,
    tls: Option<(Arc<rustls::ServerConfig>, String)>,
    at: Break,
}

impl Breaking {
    fn start(at: Break) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Arc::new(Self {
            address,
            is_accepting: AtomicBool::new(true),
            breaks_next: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            listener: Mutex::new(None),
            seen: Mutex::default(),
            tls: at.is_tls.then(tls),
            at,
        });
        upstream.listen(listener);
        let served = upstream.clone();
        thread::spawn(move || {
            while !served.is_over.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
                if !served.is_accepting.load(SeqCst) {
                    continue;
                }
                let accept = served.listener.lock().unwrap().as_ref().map(TcpListener::accept);
                let Some(Ok((stream, _))) = accept else { continue };
                stream.set_nonblocking(false).unwrap();
                // Else a response waits until the tickets of TLS are acknowledged.
                stream.set_nodelay(true).unwrap();
                let served = served.clone();
                let is_broken = served.breaks_next.swap(false, SeqCst);
                thread::spawn(move || {
                    let kept = stream.try_clone().unwrap();
                    if is_broken {
                        served.end(&kept, Box::new(stream));
                    } else if let Ok(wire) = served.wire(stream) {
                        served.connection(&kept, wire);
                    }
                });
            }
        });
        upstream
    }

    fn listen(&self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        *self.listener.lock().unwrap() = Some(listener);
    }

    /// Ends what nobody accepted, and accepts from here on: there a repeat would show.
    fn accept_again(&self) {
        *self.listener.lock().unwrap() = None;
        self.listen(wait(|| TcpListener::bind(self.address).ok()));
        self.is_accepting.store(true, SeqCst);
    }

    fn wire(&self, stream: TcpStream) -> io::Result<Box<dyn Wire>> {
        let Some((config, _)) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let mut stream = rustls::StreamOwned::new(rustls::ServerConnection::new(config.clone()).unwrap(), stream);
        stream.flush()?;
        Ok(Box::new(stream))
    }

    /// Breaks a connection off.
    fn end(&self, socket: &TcpStream, wire: Box<dyn Wire>) {
        match self.at.how {
            How::Close => {}
            How::Reset => socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap(),
            How::Silence => self.seen.lock().unwrap().silent.push(wire),
        }
    }

    /// Serves one connection, until it is broken off or the gateway closes it.
    fn connection(&self, socket: &TcpStream, mut wire: Box<dyn Wire>) {
        let peer = socket.peer_addr().unwrap();
        let breaks_before_a_request = matches!(self.at.point, Point::BeforeAccept | Point::AfterAccept);
        while let Some(request) = Arriving::read_head(&mut wire) {
            let is_first = self.note(request.mark.as_deref(), peer);
            if is_first && !breaks_before_a_request {
                self.break_within(&request, &mut wire);
                return self.end(socket, wire);
            }
            read_body(&mut wire, request.length);
            // The next connection is made when this one is ended.
            let is_last = request.mark.is_none() && breaks_before_a_request;
            if is_last && self.at.point == Point::BeforeAccept {
                self.is_accepting.store(false, SeqCst);
            }
            wire.write_all(OK).unwrap();
            wire.flush().unwrap();
            if is_last {
                return self.end_while_idle(socket, wire);
            }
        }
    }

    /// Notes on which connection a request came; whether it is the first with its mark.
    fn note(&self, mark: Option<&str>, peer: SocketAddr) -> bool {
        let mut seen = self.seen.lock().unwrap();
        let Some(mark) = mark else {
            seen.warm = Some(peer);
            return false;
        };
        let connections = seen.marks.entry(mark.to_owned()).or_default();
        connections.push(peer);
        connections.len() == 1
    }

    /// Goes on with a request, and its response, up to the point at which to break off.
    fn break_within(&self, request: &Arriving, wire: &mut Box<dyn Wire>) {
        let length = request.length;
        let until = match self.at.point {
            Point::AfterHead => 0,
            Point::FirstByteOfBody => length.min(1),
            Point::HalfOfBody => length / 2,
            Point::AllButTheLastByte => length.saturating_sub(1),
            _ => length,
        };
        read_body(wire, until);
        match self.at.point {
            Point::InResponseHead => wire.write_all(&OK[..20]).unwrap(),
            Point::InResponseBody => wire.write_all(&OK[..OK.len() - 5]).unwrap(),
            _ => {}
        }
        wire.flush().unwrap();
        thread::sleep(UNDER_WAY);
    }

    /// Ends a connection after its response, when the gateway keeps it for the next request.
    fn end_while_idle(&self, socket: &TcpStream, wire: Box<dyn Wire>) {
        thread::sleep(UNDER_WAY);
        if self.at.point != Point::BeforeAccept {
            self.end(socket, wire);
        }
    }
}

/// A request of which the head has been read.
struct Arriving {
    mark: Option<String>,
    /// How long the body is said to be.
    length: usize,
}

impl Arriving {
    fn read_head(wire: &mut impl Read) -> Option<Self> {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            let wanted = read.len() + 1;
            if !read_to(wire, &mut read, wanted) {
                return None;
            }
        }
        let head = String::from_utf8_lossy(&read).into_owned();
        let length = head.lines().find_map(|line| {
            let line = line.to_ascii_lowercase();
            let length = line.strip_prefix("content-length:")?;
            Some(length.trim().parse().unwrap())
        });
        let mark = head
            .split("mark=")
            .nth(1)
            .map(|rest| rest.split([' ', '&']).next().unwrap().to_owned());
        Some(Self {
            mark,
            length: length.unwrap_or(0),
        })
    }
}

/// Reads so much of a body, or less if no more comes.
fn read_body(wire: &mut impl Read, length: usize) {
    read_to(wire, &mut Vec::new(), length);
}

/// TLS as the sandbox has it: how to speak it, and the certificate.
fn tls() -> (Arc<rustls::ServerConfig>, String) {
    let (acceptor, certificate) = nocache_gateway::sandbox::certificate::self_signed().unwrap();
    (acceptor.config().clone(), certificate)
}

/// Reads until there are so many bytes, or no more come.
fn read_to(wire: &mut impl Read, read: &mut Vec<u8>, wanted: usize) -> bool {
    let mut buffer = vec![0; wanted.saturating_sub(read.len()).min(1 << 16)];
    while read.len() < wanted {
        let piece = buffer.len().min(wanted - read.len());
        match wire.read(&mut buffer[..piece]) {
            Ok(length) if length > 0 => read.extend_from_slice(&buffer[..length]),
            _ => return false,
        }
    }
    true
}

fn start_gateway(upstream: &Breaking) -> Gateway {
    start_gateway_with(
        upstream,
        match upstream.at.how {
            How::Silence => "connect_timeout = \"1500ms\"\ntimeout = \"2s\"\nidle_timeout = \"2s\"\n",
            How::Close | How::Reset => "",
        },
    )
}

fn start_gateway_with(upstream: &Breaking, settings: &str) -> Gateway {
    let folder = fixtures::Folder::new();
    let mut config = format!("[upstream]\n{settings}");
    let mut url = format!("http://{}", upstream.address);
    if let Some((_, certificate)) = &upstream.tls {
        folder.write("ca.pem", certificate);
        config += &format!("ca_file = \"ca.pem\"\nconnect_to = \"{}\"\n", upstream.address);
        url = format!("https://localhost:{}", upstream.address.port());
    }
    let file = folder.write("gateway.toml", config);
    Gateway::start_with(&url, &file, folder)
}

/// How many connections a listener's queue holds: its receive queue (proc_net_tcp.txt of the kernel).
#[cfg(target_os = "linux")]
fn waiting_to_be_accepted(port: u16) -> u32 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listener = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|columns| columns[1].ends_with(&format!(":{port:04X}")) && columns[3] == "0A");
    u32::from_str_radix(listener.unwrap()[4].split(':').nth(1).unwrap(), 16).unwrap()
}

/// Sends each shape once; returns how many there were and how many of them reached the upstream.
fn run(at: Break) -> (usize, usize) {
    let upstream = Breaking::start(at);
    let gateway = start_gateway(&upstream);
    let names: Vec<&str> = shapes("").into_iter().map(|(name, _)| name).collect();
    let (mut cells, mut sent_once) = (0, 0);
    for (number, name) in names.into_iter().enumerate() {
        let cell = format!("{name}, {at:?}");
        let mark = number.to_string();
        let (_, request) = shapes(&mark).swap_remove(number);
        if at.is_reused {
            let warm = "GET /warm HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            assert_eq!(fixtures::exchange(gateway.api, warm).status(), 200, "{cell}");
            // The connection is idle a moment after its response, or is closed then.
            thread::sleep(2 * UNDER_WAY);
        } else {
            upstream.is_accepting.store(at.point != Point::BeforeAccept, SeqCst);
            // Those after it work: there a repeat would show.
            upstream.breaks_next.store(at.point == Point::AfterAccept, SeqCst);
        }
        let mut client = Client::connect(gateway.api);
        client.0.write_all(&request).unwrap();
        if at.point == Point::BeforeAccept && at.how != How::Silence {
            wait(|| (waiting_to_be_accepted(upstream.address.port()) > 0).then_some(()));
            // What there is room for is written.
            thread::sleep(UNDER_WAY);
            upstream.accept_again();
        }
        let mut response = Vec::new();
        let _ = client.0.read_to_end(&mut response);
        if at.point == Point::BeforeAccept && at.how == How::Silence {
            upstream.accept_again();
        }
        let response = String::from_utf8_lossy(&response).into_owned();
        let seen = upstream.seen.lock().unwrap();
        let connections = seen.marks.get(&mark).cloned().unwrap_or_default();
        // What was idle when it was closed has not been written to: a new connection is made, and it arrives there.
        let is_closed_while_idle = at.is_reused && at.point == Point::AfterAccept && at.how != How::Silence;
        let arrives = is_closed_while_idle || !matches!(at.point, Point::BeforeAccept | Point::AfterAccept);
        assert_eq!(connections.len(), usize::from(arrives), "{cell}: how often it arrived");
        if arrives && !is_closed_while_idle {
            let is_on_warm = seen.warm.is_some_and(|warm| connections == [warm]);
            assert_eq!(is_on_warm, at.is_reused, "{cell}: the connection is what the cell says");
        }
        // TLS is set up before there is an exchange that could time out.
        let has_connection = !at.is_tls || arrives || at.is_reused && at.point == Point::AfterAccept;
        let expected = match (at.point, at.how, name) {
            (Point::InResponseBody, ..) => "200",
            _ if is_closed_while_idle => "200",
            (_, _, "getTaskResult") => "503",
            (_, How::Silence, _) if has_connection => "504",
            _ => "502",
        };
        assert_eq!(response.get(9..12).unwrap_or_default(), expected, "{cell}: {response}");
        cells += 1;
        sent_once += connections.len();
    }
    upstream.is_over.store(true, SeqCst);
    (cells, sent_once)
}

#[test]
#[cfg(target_os = "linux")]
fn no_request_is_sent_twice_wherever_the_upstream_breaks_off() {
    let mut breaks = Vec::new();
    for point in POINTS {
        for how in [How::Close, How::Reset, How::Silence] {
            for is_reused in [false, true] {
                let both = [false, true];
                breaks.extend(both.map(|is_tls| Break {
                    point,
                    how,
                    is_reused,
                    is_tls,
                }));
            }
        }
    }
    let waiting = Mutex::new(breaks.into_iter());
    let next = || waiting.lock().unwrap().next();
    let (cells, sent_once) = thread::scope(|scope| {
        let workers: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    std::iter::from_fn(next)
                        .map(run)
                        .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
                })
            })
            .collect();
        let done = workers.into_iter().map(|worker| worker.join().unwrap());
        done.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    });
    assert_eq!(cells, 9 * 3 * 2 * 2 * 10);
    println!("{cells} cells, {sent_once} requests were read by the upstream, none twice");
}

/// A client goes while the gateway is still writing: what it holds of the request is not written later, when the client has perhaps
/// sent another.
#[test]
fn a_client_that_goes_away_cancels_what_is_half_sent() {
    for is_tls in [false, true] {
        let at = Break {
            point: Point::AfterBody,
            how: How::Silence,
            is_reused: false,
            is_tls,
        };
        let upstream = Breaking::start(at);
        upstream.is_over.store(true, SeqCst);
        wait(|| (Arc::strong_count(&upstream) == 1).then_some(()));
        let gateway = start_gateway_with(&upstream, "");
        let listener = upstream.listener.lock().unwrap().take().unwrap();
        listener.set_nonblocking(false).unwrap();
        let large = shapes("1")
            .into_iter()
            .find(|(name, _)| *name == "createTask, large")
            .unwrap()
            .1;
        let length = large.len();
        let client = Client::connect(gateway.api);
        thread::scope(|scope| {
            scope.spawn(|| (&client.0).write_all(&large).unwrap());
            let (stream, _) = listener.accept().unwrap();
            let mut wire = upstream.wire(stream).unwrap();
            let mut read = Vec::new();
            assert!(read_to(&mut wire, &mut read, 1000), "its beginning arrives");
            thread::sleep(Duration::from_millis(300));
            client.0.shutdown(std::net::Shutdown::Both).unwrap();
            // Long enough to be noticed.
            thread::sleep(Duration::from_secs(1));
            // What the sockets held arrives, and then its end.
            assert!(
                !read_to(&mut wire, &mut read, length),
                "{} of {length} bytes arrived",
                read.len()
            );
        });
    }
}

/// An upstream that says how long it keeps a connection is believed: a submission takes none that was idle half as long.
#[test]
fn a_keep_alive_field_limits_the_reuse() {
    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=100\r\nContent-Length: 2\r\n\r\nok";
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = peers.clone();
    let upstream = fixtures::RawUpstream::serve(move |_, stream| {
        seen.lock().unwrap().push(stream.peer_addr().unwrap());
        stream.write_all(RESPONSE).is_ok()
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

/// Whatever a stop meets, a submission that was answered arrived once, and one that was not never arrived.
#[test]
fn a_stop_under_load_loses_and_doubles_nothing() {
    let upstream = fixtures::RawUpstream::serve(|_, stream| {
        thread::sleep(Duration::from_millis(3));
        stream.write_all(OK).is_ok()
    });
    let mut gateway = Gateway::start(&upstream.url, "");
    let next = std::sync::atomic::AtomicUsize::new(0);
    let api = gateway.api;
    let send = || {
        let mark = next.fetch_add(1, SeqCst).to_string();
        let request = shapes(&mark).swap_remove(0).1;
        let mut response = [0; 12];
        let is_answered = TcpStream::connect(api)
            .is_ok_and(|mut stream| stream.write_all(&request).is_ok() && stream.read_exact(&mut response).is_ok());
        assert!(
            !is_answered || &response == b"HTTP/1.1 200",
            "{}",
            String::from_utf8_lossy(&response)
        );
        (mark, is_answered)
    };
    let sent: HashMap<String, bool> = thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let mut sent = Vec::new();
                    while sent.last().is_none_or(|(_, is_answered)| *is_answered) {
                        sent.push(send());
                    }
                    sent
                })
            })
            .collect();
        wait(|| (upstream.received().len() > 200).then_some(()));
        gateway.server.signal("TERM");
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(gateway.server.wait(), Some(0));
    let mut arrived: HashMap<String, usize> = HashMap::new();
    for request in upstream.received() {
        let mark = request.target().split("mark=").nth(1).unwrap().to_owned();
        *arrived.entry(mark).or_default() += 1;
    }
    for (mark, is_answered) in &sent {
        let times = arrived.get(mark).copied().unwrap_or_default();
        assert_eq!(times, usize::from(*is_answered), "{mark}");
    }
    assert!(arrived.len() > 200 && sent.values().filter(|is_answered| !**is_answered).count() == 16);
}
