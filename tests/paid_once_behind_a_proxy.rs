//! A request reaches the upstream at most once, wherever a proxy in front of it breaks off. What the upstream itself can do is
//! in `paid_once.rs`.

mod fixtures;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
    thread,
    time::Duration,
};

use fixtures::{
    Client, Gateway, Message, OK, PATIENCE, RawUpstream, TASK, exchange, post, read_message, serve_each, wait,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// It has read CONNECT and responds nothing.
    AfterConnect,
    /// It has responded 200 to CONNECT.
    Joined,
    /// It has passed on so much of the request.
    AfterHead,
    HalfOfBody,
    AllButTheLastByte,
    AfterBody,
    /// It has passed on so much of the response.
    InResponseHead,
    InResponseBody,
}

const POINTS: [Point; 8] = [
    Point::AfterConnect,
    Point::Joined,
    Point::AfterHead,
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
    Silence,
}

/// A proxy that breaks off at the first request of which the target has `?mark`, and serves all others.
#[derive(Debug)]
struct Breaking {
    upstream: SocketAddr,
    point: Point,
    how: How,
    is_reused: bool,
    has_broken: Mutex<bool>,
}

impl Breaking {
    fn is_first(&self) -> bool {
        !std::mem::replace(&mut self.has_broken.lock().unwrap(), true)
    }

    fn end(&self, stream: &TcpStream) {
        match self.how {
            How::Close => {}
            How::Reset => socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap(),
            How::Silence => thread::sleep(PATIENCE),
        }
    }

    /// One connection.
    fn serve(&self, mut stream: TcpStream) {
        if read_message(&mut stream, false).is_none() {
            return;
        }
        if !self.is_reused && self.point == Point::AfterConnect && self.is_first() {
            return self.end(&stream);
        }
        let mut upstream = TcpStream::connect(self.upstream).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        if !self.is_reused && self.point == Point::Joined && self.is_first() {
            return self.end(&stream);
        }
        while let Some(request) = read_message(&mut stream, false) {
            let breaks = request.target().contains("mark") && self.is_first();
            let until = match self.point {
                _ if !breaks => request.body.len(),
                Point::AfterHead => 0,
                Point::HalfOfBody => request.body.len() / 2,
                Point::AllButTheLastByte => request.body.len() - 1,
                _ => request.body.len(),
            };
            upstream.write_all(request.head.as_bytes()).unwrap();
            upstream.write_all(&request.body[..until]).unwrap();
            let responds = !breaks || matches!(self.point, Point::InResponseHead | Point::InResponseBody);
            if responds {
                let response = read_message(&mut upstream, true).unwrap();
                let response = [response.head.as_bytes(), &response.body].concat();
                let until = match self.point {
                    _ if !breaks => response.len(),
                    Point::InResponseHead => 20,
                    _ => response.len() - 5,
                };
                stream.write_all(&response[..until]).unwrap();
            }
            if breaks {
                // What was written is read first, before a reset throws it away.
                thread::sleep(Duration::from_millis(50));
                return self.end(&stream);
            }
        }
    }
}

#[test]
fn no_request_is_sent_twice_wherever_the_proxy_breaks_off() {
    let mut cells = Vec::new();
    for point in POINTS {
        for how in [How::Close, How::Reset, How::Silence] {
            for is_reused in [false, true] {
                // Before a request there is no connection to reuse.
                if !is_reused || !matches!(point, Point::AfterConnect | Point::Joined) {
                    cells.extend([false, true].map(|has_fallback| (point, how, is_reused, has_fallback)));
                }
            }
        }
    }
    assert_eq!(cells.len(), (8 + 6) * 3 * 2);
    thread::scope(|scope| {
        for chunk in cells.chunks(cells.len().div_ceil(8)) {
            scope.spawn(move || chunk.iter().for_each(|cell| break_off(*cell)));
        }
    });
}

fn break_off((point, how, is_reused, has_fallback): (Point, How, bool, bool)) {
    let cell = format!("{point:?}, {how:?}, reused: {is_reused}, fallback: {has_fallback}");
    let upstream = RawUpstream::start(OK);
    let breaking = Breaking {
        upstream: upstream.url.trim_start_matches("http://").parse().unwrap(),
        point,
        how,
        is_reused,
        has_broken: Mutex::new(false),
    };
    let proxy = serve_each(move |stream| breaking.serve(stream));
    let mut settings = "connect_timeout = \"1500ms\"\ntimeout = \"3s\"\nidle_timeout = \"2s\"\n".to_owned();
    if has_fallback {
        settings += "fallback = \"http://fallback.example\"\n";
    }
    let gateway = Gateway::start(
        "http://upstream.example",
        &format!("[upstream]\nproxy = \"http://{proxy}\"\n{settings}"),
    );
    if is_reused {
        assert_eq!(exchange(gateway.api, post("/warm", "{}")).status(), 200, "{cell}");
        thread::sleep(Duration::from_millis(100));
    }
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&post("/createTask?mark", TASK)).unwrap();
    let mut response = [0; 12];
    client.0.read_exact(&mut response).unwrap();
    let status = String::from_utf8_lossy(&response[9..]).into_owned();
    let arrived = || {
        let is_marked = |request: &Message| request.target().contains("mark");
        upstream.received().iter().filter(|request| is_marked(request)).count()
    };
    // Nothing was sent while there was no connection, so the fallback may have it.
    let is_saved = point == Point::AfterConnect && has_fallback;
    let arrives = is_saved || matches!(point, Point::AfterBody | Point::InResponseHead | Point::InResponseBody);
    if arrives {
        wait(|| (arrived() > 0).then_some(()));
    }
    thread::sleep(Duration::from_millis(100));
    assert_eq!(arrived(), usize::from(arrives), "{cell}: how often it arrived");
    let expected = match (point, how) {
        (Point::InResponseBody, _) => "200",
        (Point::AfterConnect, _) if is_saved => "200",
        (Point::AfterConnect, _) => "502",
        (_, How::Silence) => "504",
        _ => "502",
    };
    assert_eq!(status, expected, "{cell}");
}
