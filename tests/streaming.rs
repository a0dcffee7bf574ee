//! Pictures of createTask that no rule covers are passed on while they arrive; whatever has to be read is held until it is
//! whole.

mod fixtures;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use fixtures::{Client, Gateway, OK, PATIENCE, RawUpstream, TASK, exchange, post, post_with, serve_each, wait};

const NOT_COVERED: &str = "skipped;reason=captcha-not-covered";

/// So long that nothing between client and gateway holds all of it.
const LENGTH: usize = 2 << 20;

fn picture() -> String {
    picture_with(r#""type":"ImageToTextTask""#)
}

/// A createTask with members in front of its picture.
fn picture_with(members: &str) -> String {
    format!(
        r#"{{"clientKey":"K","task":{{{members},"body":"{}"}}}}"#,
        "A".repeat(LENGTH)
    )
}

/// An upstream that tells what arrives, as it arrives: nothing at the end of a connection. It never responds.
fn watching() -> (String, mpsc::Receiver<Vec<u8>>) {
    let (tell, told) = mpsc::channel();
    let address = serve_each(move |mut stream: TcpStream| {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = stream.read(&mut buffer).unwrap_or_default();
            if tell.send(buffer[..length].to_vec()).is_err() || length == 0 {
                break;
            }
        }
    });
    (format!("http://{address}"), told)
}

/// An upstream that responds when it is told to.
fn gated() -> (RawUpstream, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let upstream = RawUpstream::serve(move |_, stream| {
        released.lock().unwrap().recv().unwrap();
        stream.write_all(OK).is_ok()
    });
    (upstream, release)
}

/// A client that has sent the first half of a request, a moment ago: what comes next comes second.
fn half_sent(gateway: &Gateway, request: &[u8]) -> Client {
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&request[..request.len() / 2]).unwrap();
    thread::sleep(Duration::from_millis(100));
    client
}

#[test]
fn a_picture_is_passed_on_while_it_arrives() {
    let (url, arrived) = watching();
    let gateway = Gateway::start(&url, "");
    let request = post("/createTask", picture());
    let mut client = half_sent(&gateway, &request);
    let mut received = Vec::new();
    while received.len() < LENGTH / 4 {
        received.extend(arrived.recv_timeout(PATIENCE).unwrap());
    }
    client.0.write_all(&request[request.len() / 2..]).unwrap();
    while !received.ends_with(b"\"}}") {
        received.extend(arrived.recv_timeout(PATIENCE).unwrap());
    }
    assert!(received.ends_with(picture().as_bytes()), "byte for byte");
}

#[test]
fn it_is_what_it_would_be_if_it_were_held() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "[log]\nlevel = \"debug\"\n");
    let site = picture_with(r#""websiteURL":"https://shop.example/a","type":"ComplexImageTask""#);
    // A mistake behind the beginning is the vendor's to find.
    for (number, body) in [
        picture(),
        site,
        picture() + "}",
        picture().replace("\"}}", "\",\"type\":\"RecaptchaV2Task\"}}"),
    ]
    .iter()
    .enumerate()
    {
        let response = exchange(gateway.api, post("/createTask", body));
        assert_eq!((response.status(), response.decision()), (200, NOT_COVERED));
        assert!(response.body == OK[OK.len() - 27..]);
        assert!(upstream.last().body == body.as_bytes(), "byte for byte");
        let record = wait(|| {
            let log = gateway.server.log().into_iter();
            log.filter(|line| line["message"] == "submission").nth(number)
        });
        assert_eq!(record["bytes_in"], body.len(), "{record}");
        let site = body.contains("shop").then_some("shop.example");
        assert_eq!(record["site"].as_str(), site, "{record}");
    }
    // The same connection takes what is to be read.
    let mut client = Client::connect(gateway.api);
    for _ in 0..3 {
        assert_eq!(client.exchange(post("/createTask", picture())).decision(), NOT_COVERED);
        assert!(
            client
                .exchange(post("/createTask", TASK))
                .decision()
                .starts_with("set;")
        );
    }
    let asking = post_with("Host: x\r\nExpect: 100-continue", "/createTask", picture());
    let head = asking.len() - picture().len();
    client.0.write_all(&asking[..head]).unwrap();
    assert_eq!(client.read().status(), 100);
    assert_eq!(client.exchange(&asking[head..]).decision(), NOT_COVERED);
}

#[test]
fn what_has_to_be_read_is_held() {
    let covering = |action: &str, captcha: &str| {
        format!("[[rule]]\nid = \"r\"\nsites = [\"*\"]\ncaptchas = [\"{captcha}\"]\naction = \"{action}\"\n")
    };
    let chunked = |body: &str| {
        let head = "POST /createTask HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes()
    };
    // It is not: but its bytes are those of a picture, and what they are decoded to is not.
    let gzip = |body: &str| post_with("Host: x\r\nContent-Encoding: gzip", "/createTask", body);
    for (config, request) in [
        ("", post("/createTask", picture_with(r#""type":"RecaptchaV2Task""#))),
        ("", post("/createTask", picture_with(r#""a":1"#))),
        ("", post("/in.php", picture())),
        ("", chunked(&picture())),
        ("", gzip(&picture())),
        (&covering("add", "ImageToTextTask"), post("/createTask", picture())),
        (&covering("keep", "*"), post("/createTask", picture())),
        (&covering("deny", "TurnstileTask"), post("/createTask", picture())),
    ] {
        let (url, arrived) = watching();
        let gateway = Gateway::start(&url, config);
        let client = half_sent(&gateway, &request);
        let early = arrived.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "{config}{:?}", String::from_utf8_lossy(&request[..200]));
        drop(client);
    }
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "[server]\nbody_limit = \"1 MiB\"\n");
    assert_eq!(exchange(gateway.api, post("/createTask", picture())).status(), 413);
    assert_eq!(upstream.received(), []);
}

/// Nobody gets the rest of a picture, and nothing is sent again.
#[test]
fn a_picture_that_does_not_arrive_whole_is_cut_off() {
    for is_left in [true, false] {
        let (url, arrived) = watching();
        let gateway = Gateway::start(&url, "[server]\nbody_timeout = \"300ms\"\n");
        let request = post("/createTask", picture());
        let mut client = half_sent(&gateway, &request);
        arrived.recv_timeout(PATIENCE).unwrap();
        let submissions = || {
            let log = gateway.server.log().into_iter();
            log.filter(|line| line["message"] == "submission").collect::<Vec<_>>()
        };
        if is_left {
            drop(client);
        } else {
            let response = client.read();
            assert_eq!((response.status(), response.decision()), (408, NOT_COVERED));
            assert!(
                response.text().contains("the upstream got part of it"),
                "{}",
                response.text()
            );
        }
        let rest: Vec<_> = std::iter::from_fn(|| arrived.recv_timeout(Duration::from_millis(800)).ok()).collect();
        let (end, parts) = rest.split_last().unwrap();
        assert!(end.is_empty() && parts.iter().all(|part| !part.is_empty() && !part.starts_with(b"POST")));
        let records = submissions();
        let causes: Vec<_> = records.iter().map(|record| record["cause"].as_str()).collect();
        assert!(
            matches!(causes[..], [Some("client-gone" | "client-body")]),
            "{records:?}"
        );
    }
}

/// Its task exists and is paid for: what the vendor says of it is read, as for any other submission.
#[test]
fn a_picture_that_was_sent_is_followed_when_its_client_goes() {
    let (upstream, release) = gated();
    let gateway = Gateway::start(&upstream.url, "");
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&post("/createTask", picture())).unwrap();
    wait(|| upstream.received().pop());
    // Longer than a client may take to close its sending side and still count as there.
    thread::sleep(Duration::from_millis(300));
    drop(client);
    thread::sleep(Duration::from_millis(100));
    release.send(()).unwrap();
    let record = wait(|| {
        gateway
            .server
            .log()
            .into_iter()
            .find(|line| line["message"] == "submission")
    });
    assert_eq!(record["upstream_status"], 200, "{record}");
}

/// The upstream has its time from when the request is whole.
#[test]
fn the_upstreams_time_begins_when_the_picture_is_whole() {
    let pause = Arc::new(AtomicU64::new(700));
    let of_upstream = pause.clone();
    let upstream = RawUpstream::serve(move |_, stream| {
        thread::sleep(Duration::from_millis(of_upstream.load(Ordering::Relaxed)));
        stream.write_all(OK).is_ok()
    });
    let gateway = Gateway::start(&upstream.url, "[upstream]\ntimeout = \"1s\"\n");
    let request = post("/createTask", picture());
    let slowly = || {
        let mut client = half_sent(&gateway, &request);
        thread::sleep(Duration::from_millis(1_500));
        let begin = Instant::now();
        let status = client.exchange(&request[request.len() / 2..]).status();
        (status, begin.elapsed())
    };
    assert_eq!(slowly().0, 200);
    pause.store(3_000, Ordering::Relaxed);
    let (status, waited) = slowly();
    assert!(
        status == 504 && waited > Duration::from_millis(900) && waited < Duration::from_millis(2_500),
        "{waited:?}"
    );
}

/// A client that drips is the client's fault, and in time.
#[test]
fn a_picture_that_drips_is_given_up() {
    let (url, arrived) = watching();
    let gateway = Gateway::start(&url, "[server]\nbody_timeout = \"500ms\"\n");
    let request = post("/createTask", picture());
    let mut client = half_sent(&gateway, &request);
    let mut sender = client.0.try_clone().unwrap();
    let begin = Instant::now();
    let drip = thread::spawn(move || {
        while begin.elapsed() < PATIENCE && sender.write_all(b"A").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let response = client.read();
    assert_eq!(response.status(), 408);
    assert!(begin.elapsed() > Duration::from_millis(900) && begin.elapsed() < PATIENCE / 2);
    drop((client, arrived));
    drip.join().unwrap();
}

/// A response that comes before the picture is whole ends the connection, and says nothing of how long others may be idle.
#[test]
fn an_early_response_to_a_picture_ends_its_connection_alone() {
    const EARLY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}";
    let opened = Arc::new(AtomicU64::new(0));
    let count = opened.clone();
    let address = serve_each(move |mut stream: TcpStream| {
        count.fetch_add(1, Ordering::Relaxed);
        let mut buffer = vec![0; 64 << 10];
        // The response to a picture comes after its first bytes; everything else is small.
        while let Ok(1..) = stream.read(&mut buffer) {
            let is_picture = buffer.starts_with(b"POST /createTask");
            buffer.fill(0);
            let written = stream.write_all(if is_picture { EARLY } else { OK });
            if is_picture || written.is_err() {
                thread::sleep(Duration::from_millis(300));
                break;
            }
        }
    });
    let gateway = Gateway::start(&format!("http://{address}"), "");
    let request = post("/createTask", picture());
    let mut client = half_sent(&gateway, &request);
    assert_eq!(client.read().status(), 429);
    drop(client);
    thread::sleep(Duration::from_millis(500));
    for _ in 0..5 {
        assert_eq!(exchange(gateway.api, post("/getTaskResult", "{}")).status(), 200);
    }
    assert_eq!(opened.load(Ordering::Relaxed), 2, "the polls share a connection");
}

/// A gateway that stops meanwhile says so, and nobody gets the rest.
#[test]
fn a_stop_cuts_a_picture_off() {
    let (url, arrived) = watching();
    let gateway = Gateway::start(&url, "[server]\nshutdown_grace = \"300ms\"\n");
    let mut client = half_sent(&gateway, &post("/createTask", picture()));
    arrived.recv_timeout(PATIENCE).unwrap();
    gateway.server.signal("TERM");
    let response = client.read();
    assert_eq!((response.status(), response.decision()), (502, NOT_COVERED));
    let rest = std::iter::from_fn(|| arrived.recv_timeout(PATIENCE).ok()).take_while(|part| !part.is_empty());
    assert!(rest.map(|part| part.len()).sum::<usize>() < LENGTH);
}

/// A picture is one of the quarter of bodies that arrive until it has arrived, and not until its response is there.
#[test]
fn a_picture_that_has_arrived_makes_room_for_the_next() {
    let (upstream, release) = gated();
    let gateway = Gateway::start(&upstream.url, "[server]\nmax_in_flight = 4\n");
    let request = post("/createTask", picture());
    let mut first = half_sent(&gateway, &request);
    let refused = wait(|| Some(exchange(gateway.api, &request)).filter(|response| response.status() == 503));
    assert!(refused.text().contains("max_in_flight"), "{}", refused.text());
    first.0.write_all(&request[request.len() / 2..]).unwrap();
    wait(|| (upstream.received().len() == 1).then_some(()));
    let mut second = Client::connect(gateway.api);
    second.0.write_all(&request).unwrap();
    wait(|| (upstream.received().len() == 2).then_some(()));
    for client in [&mut first, &mut second] {
        release.send(()).unwrap();
        assert_eq!(client.read().status(), 200);
    }
}

/// What a picture may fill of all buffers counts as held until it has arrived, and no more than is still to come.
#[test]
fn pictures_that_arrive_share_the_budget() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "[server]\nbody_budget = \"2 MiB\"\n");
    let request = post("/createTask", picture());
    let mut first = half_sent(&gateway, &request);
    let refused = wait(|| Some(exchange(gateway.api, &request)).filter(|response| response.status() == 503));
    assert!(refused.text().contains("body_budget"), "{}", refused.text());
    first.0.write_all(&request[request.len() / 2..]).unwrap();
    assert_eq!(first.read().status(), 200);
    assert_eq!(exchange(gateway.api, &request).status(), 200);

    let gateway = Gateway::start(&upstream.url, "[server]\nbody_budget = \"1 MiB\"\n");
    let smaller = picture().replacen(&"A".repeat(LENGTH - (300 << 10)), "", 1);
    assert_eq!(exchange(gateway.api, post("/createTask", smaller)).status(), 200);
}
