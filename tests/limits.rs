//! Overload and slowness: each is refused in time, and none of it is paid for.

mod fixtures;

use std::{
    io::{Read, Write},
    thread,
    time::{Duration, Instant},
};

use fixtures::{
    ALREADY_ON, Client, EDITED, Gateway, OK, RawUpstream, SET, TASK, exchange, get, get_from, memory, post, wait,
};
use flate2::{Compression, write};

/// How long the gateway keeps a connection on which nothing more is sent.
fn lasts(client: &mut Client) -> Duration {
    let start = Instant::now();
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).unwrap();
    start.elapsed()
}

#[test]
fn an_idle_connection_is_no_slow_head() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        head_timeout = "300ms"
        keep_alive = "2s"
        "#,
    );
    // A head that does not end.
    let mut slow = Client::connect(gateway.api);
    slow.0.write_all(b"POST /createTask HTTP/1.1\r\nHost: x\r\n").unwrap();
    let lasted = lasts(&mut slow);
    assert!(
        lasted >= Duration::from_millis(250) && lasted < Duration::from_millis(1500),
        "{lasted:?}"
    );
    // One that comes a byte at a time, never still for long.
    let mut dripping = Client::connect(gateway.api);
    let start = Instant::now();
    while dripping.0.write_all(b"G").is_ok() && start.elapsed() < fixtures::PATIENCE {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    // A connection that is idle for longer than a head may take, before its first request and between two.
    let mut idle = Client::connect(gateway.api);
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(700));
        assert_eq!(idle.exchange(post("/createTask", TASK)).status(), 200);
    }
    let lasted = lasts(&mut idle);
    assert!(lasted >= Duration::from_millis(1900), "{lasted:?}");
    // A response that takes longer than both.
    let upstream = RawUpstream::serve(|_, stream| {
        thread::sleep(Duration::from_millis(2500));
        stream.write_all(OK).is_ok()
    });
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        head_timeout = "300ms"
        keep_alive = "500ms"
        "#,
    );
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
}

#[test]
fn a_body_that_stops_coming_reaches_nobody() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        body_timeout = "200ms"
        "#,
    );
    let whole = post("/createTask", TASK);
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&whole[..whole.len() - 1]).unwrap();
    let response = client.read();
    assert_eq!(response.status(), 408);
    assert!(response.text().contains("ERROR_GATEWAY_BODY_INCOMPLETE"));
    assert_eq!(upstream.received(), []);
}

#[test]
fn a_body_that_drips_is_given_up() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        body_timeout = "300ms"
        "#,
    );
    let mut client = Client::connect(gateway.api);
    client
        .0
        .write_all(b"POST /createTask HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        .unwrap();
    let start = Instant::now();
    let mut sender = client.0.try_clone().unwrap();
    let drip = thread::spawn(move || {
        // Never still for as long as body_timeout.
        while start.elapsed() < Duration::from_secs(5) && sender.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let response = client.read();
    assert_eq!(response.status(), 408);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(upstream.received(), []);
    drop(client);
    drip.join().unwrap();
}

/// A client that sends all of its body before it reads is not cut off before it can read why it is refused.
#[test]
fn a_refusal_of_a_large_body_can_be_read() {
    let (release, released) = std::sync::mpsc::channel();
    let released = std::sync::Mutex::new(released);
    let upstream = RawUpstream::serve(move |_, stream| {
        released.lock().unwrap().recv().unwrap();
        stream.write_all(OK).is_ok()
    });
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        body_limit = "1 MiB"
        max_in_flight = 1
        "#,
    );
    let large = vec![b' '; 8 << 20];
    let announced = exchange(gateway.api, post("/createTask", &large));
    assert_eq!(announced.status(), 413);
    let mut chunked = b"POST /createTask HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n800000\r\n".to_vec();
    chunked.extend_from_slice(&large);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    assert_eq!(exchange(gateway.api, chunked).status(), 413);
    assert_eq!(upstream.received(), []);
    let mut busy = Client::connect(gateway.api);
    busy.0.write_all(&post("/createTask", TASK)).unwrap();
    wait(|| upstream.received().pop());
    assert_eq!(exchange(gateway.api, post("/getBalance", &large)).status(), 503);
    release.send(()).unwrap();
    assert_eq!(busy.read().status(), 200);
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn beyond_max_in_flight_requests_are_refused_at_once() {
    let upstream = RawUpstream::serve(|_, stream| {
        thread::sleep(Duration::from_millis(600));
        stream.write_all(OK).is_ok()
    });
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        max_in_flight = 2
        "#,
    );
    let mut busy: Vec<Client> = (0..2).map(|_| Client::connect(gateway.api)).collect();
    for client in &mut busy {
        client.0.write_all(&post("/createTask", TASK)).unwrap();
    }
    wait(|| (upstream.received().len() == 2).then_some(()));
    let start = Instant::now();
    let json = exchange(gateway.api, post("/createTask", TASK));
    assert_eq!((json.status(), json.decision()), (503, "none"));
    assert!(json.text().contains("ERROR_SERVICE_NOT_AVAILABLE") && json.text().contains("max_in_flight"));
    let plain = exchange(gateway.api, get("/in.php?method=userrecaptcha"));
    assert_eq!((plain.status(), plain.text()), (503, "ERROR_SERVICE_NOT_AVAILABLE"));
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    for client in &mut busy {
        assert_eq!(client.read().status(), 200);
    }
    // And it is as before.
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
    assert_eq!(upstream.received().len(), 3);
}

fn compressed(coding: &str, body: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = write::GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => ruzstd::encoding::compress_to_vec(body, ruzstd::encoding::CompressionLevel::Fastest),
        // As an uncompressed meta-block (RFC 7932, section 9.2): window 16 bits, then MLEN - 1 in 16 bits, then the bytes.
        "br" => {
            let length = body.len() - 1;
            let bits = (length as u32) << 4 | 1 << 20;
            let mut coded = vec![bits as u8, (bits >> 8) as u8, (bits >> 16) as u8];
            coded.extend_from_slice(body);
            coded.push(3);
            coded
        }
        other => panic!("{other}"),
    }
}

fn coded_post(coding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /createTask HTTP/1.1\r\nHost: x\r\nContent-Encoding: {coding}\r\nContent-Digest: stale\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn compressed_submissions_are_read_and_sent_on_plain_only_if_edited() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        body_limit = "64 KiB"
        "#,
    );
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let response = exchange(gateway.api, coded_post(coding, &compressed(coding, TASK.as_bytes())));
        assert_eq!((response.status(), response.decision()), (200, SET), "{coding}");
        let arrived = upstream.last();
        assert_eq!(
            (arrived.text(), arrived.field("content-encoding")),
            (EDITED, None),
            "{coding}"
        );
        assert_eq!(arrived.field("content-digest"), None);

        let untouched = compressed(coding, EDITED.as_bytes());
        let response = exchange(gateway.api, coded_post(coding, &untouched));
        assert_eq!(response.decision(), ALREADY_ON, "{coding}");
        let arrived = upstream.last();
        assert_eq!(
            (&arrived.body, arrived.field("content-encoding")),
            (&untouched, Some(coding))
        );
        assert_eq!(arrived.field("content-digest"), Some("stale"));
    }
    let count = upstream.received().len();
    for coding in ["gzip", "zstd"] {
        let bomb = compressed(coding, &vec![b' '; 1 << 24]);
        assert!(bomb.len() < 64 << 10, "{coding}: {}", bomb.len());
        let response = exchange(gateway.api, coded_post(coding, &bomb));
        assert_eq!(response.status(), 413, "{coding}");
    }
    assert_eq!(upstream.received().len(), count);
    for (coding, body, reason) in [
        ("lzma", TASK.as_bytes(), "encoding-unknown"),
        ("gzip, br", TASK.as_bytes(), "encoding-unknown"),
        ("gzip", b"nonsense", "unreadable"),
    ] {
        let response = exchange(gateway.api, coded_post(coding, body));
        assert_eq!(response.decision(), format!("skipped;reason={reason}"));
        assert_eq!(upstream.last().body, body);
    }
    // The coded body of a request that is no submission is not read.
    let head =
        "POST /getBalance HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x01\x02\x03";
    assert_eq!(exchange(gateway.api, head).status(), 200);
}

#[test]
#[cfg(target_os = "linux")]
fn ten_thousand_idle_connections_are_in_nobodys_way() {
    const HALF: usize = 5_000;
    let allowed = rlimit::increase_nofile_limit(12_000).unwrap();
    assert!(allowed >= 12_000, "this system allows {allowed} open files");
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        max_connections = 11000
        head_timeout = "60s"
        "#,
    );
    let before = memory(gateway.server.pid()).0;
    let idle: Vec<Client> = (0..HALF).map(|_| Client::connect(gateway.api)).collect();
    let slow: Vec<Client> = (0..HALF)
        .map(|_| {
            let mut client = Client::connect(gateway.api);
            client.0.write_all(b"POST /createTask HTTP/1.1\r\n").unwrap();
            client
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
    }
    let after = memory(gateway.server.pid()).0;
    let each = (after - before) / (2 * HALF);
    println!("{} KiB for each of {} connections", each >> 10, 2 * HALF);
    assert!(each < 32 << 10, "{each} bytes for each");
    // All of them are still served.
    for client in slow.into_iter().take(50) {
        let mut client = client;
        let rest = format!("Host: x\r\nContent-Length: {}\r\n\r\n{TASK}", TASK.len());
        assert_eq!(client.exchange(rest).status(), 200);
    }
    for mut client in idle.into_iter().take(50) {
        assert_eq!(client.exchange(post("/createTask", TASK)).status(), 200);
    }
}

#[test]
fn beyond_max_connections_others_wait_until_one_ends() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        max_connections = 2
        "#,
    );
    let mut two: Vec<Client> = (0..2).map(|_| Client::connect(gateway.api)).collect();
    for client in &mut two {
        assert_eq!(client.exchange(post("/createTask", TASK)).status(), 200);
    }
    let mut third = Client::connect(gateway.api);
    third.0.write_all(&post("/createTask", TASK)).unwrap();
    third.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(third.0.read(&mut [0]).is_err(), "nothing is answered");
    assert_eq!(upstream.received().len(), 2);
    two.pop();
    third.0.set_read_timeout(Some(fixtures::PATIENCE)).unwrap();
    assert_eq!(third.read().status(), 200);
    assert_eq!(upstream.received().len(), 3);
}

#[test]
fn max_connections_is_of_all_listeners_together() {
    let upstream = RawUpstream::start(OK);
    let folder = fixtures::Folder::new();
    let file = folder.write(
        "c.toml",
        r#"
        [server]
        max_connections = 2
        "#,
    );
    let mut command = fixtures::program();
    command.args(["--listen", "127.0.0.1:0,127.0.0.2:0", "--admin-listen", "off"]);
    command.args(["--upstream", &upstream.url, "--config"]).arg(file);
    let server = fixtures::Server::start(command, folder);
    let addresses = [server.address("listening"), server.address("listening")];
    let mut clients = addresses.map(Client::connect);
    for client in &mut clients {
        assert_eq!(client.exchange(post("/createTask", TASK)).status(), 200);
    }
    for address in addresses {
        let mut third = Client::connect(address);
        third.0.write_all(&post("/createTask", TASK)).unwrap();
        third.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(third.0.read(&mut [0]).is_err(), "nothing is answered");
    }
    assert_eq!(upstream.received().len(), 2);
}

/// A refused request whose body nobody reads leaves no connection behind.
#[test]
fn a_connection_ends_with_its_client_after_a_refusal_too() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        "[server]\nmax_connections = 2\nbody_limit = \"64 KiB\"\n",
    );
    let large = post("/createTask", vec![b' '; 110_000]);
    let two_hosts = b"POST /createTask HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    let foreign = post("http://evil.example/createTask", TASK);
    for (request, status) in [(large, 413), (two_hosts, 400), (foreign, 421)] {
        for _ in 0..3 {
            // Beyond two the next one waits until one of those before has ended.
            assert_eq!(exchange(gateway.api, &request).status(), status);
        }
    }
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
}

/// Some clients end a body with an empty line.
#[test]
fn an_empty_line_behind_a_body_begins_no_head() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "[server]\nhead_timeout = \"200ms\"\n");
    let mut client = Client::connect(gateway.api);
    assert_eq!(client.exchange(post("/createTask", TASK)).status(), 200);
    client.0.write_all(b"\r\n").unwrap();
    thread::sleep(Duration::from_millis(600));
    assert_eq!(client.exchange(post("/createTask", TASK)).status(), 200);
}

#[test]
fn a_head_beyond_its_limit_is_refused() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        head_limit = "16 KiB"
        "#,
    );
    let head = |length: usize| format!("GET /x HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(length));
    assert_eq!(exchange(gateway.api, head(15 << 10)).status(), 200);
    let response = exchange(gateway.api, head(17 << 10));
    assert_eq!((response.status(), response.text()), (431, ""));
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn a_response_that_its_client_does_not_take_ends() {
    let (sender, ended) = std::sync::mpsc::channel();
    let upstream = RawUpstream::serve(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 1 << 16], b"\r\n"].concat();
        while stream.write_all(&chunk).is_ok() {}
        let _ = sender.send(Instant::now());
        false
    });
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        body_timeout = "500ms"
        max_in_flight = 1
        "#,
    );
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&get("/endless")).unwrap();
    // One that takes it, however long it lasts, keeps it.
    let start = Instant::now();
    let mut buffer = vec![0; 1 << 16];
    while start.elapsed() < Duration::from_millis(1200) {
        client.0.read_exact(&mut buffer).unwrap();
    }
    assert!(ended.try_recv().is_err());
    // One that takes nothing any longer loses it, and its place is free.
    let stopped = Instant::now();
    let closed = ended.recv_timeout(fixtures::PATIENCE).unwrap() - stopped;
    assert!(closed >= Duration::from_millis(400), "{closed:?}");
    wait(|| (exchange(gateway.api, "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n").status() == 200).then_some(()));
}

#[test]
#[cfg(target_os = "linux")]
fn a_submission_costs_a_small_multiple_of_its_size() {
    const SIZE: usize = 16 << 20;
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let before = memory(gateway.server.pid()).1;
    let picture = "A".repeat(SIZE);
    let body = format!(r#"{{"task":{{"type":"RecaptchaV2Task","websiteURL":"a.example","body":"{picture}"}}}}"#);
    assert_eq!(exchange(gateway.api, post("/createTask", &body)).decision(), SET);
    let after = memory(gateway.server.pid()).1;
    assert!(
        after - before < 5 * SIZE,
        "{} MiB for a submission of {} MiB",
        (after - before) >> 20,
        SIZE >> 20
    );
}

/// A frame of zstd is decoded up to its window before a byte of it comes out, and says itself how large that is.
#[test]
#[cfg(target_os = "linux")]
fn a_bomb_of_zstd_costs_no_more_than_the_limit() {
    // RFC 8878, section 3.1.1: magic; no content size, a window; 2^(10 + 17) = 128 MiB. Then 1,000 blocks of 128 KiB of one byte.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3];
    for number in 0..1000 {
        let header: u32 = u32::from(number == 999) | 1 << 1 | (128 << 10) << 3;
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.push(b' ');
    }
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        body_limit = "1 MiB"
        "#,
    );
    let before = memory(gateway.server.pid()).1;
    assert_eq!(exchange(gateway.api, coded_post("zstd", &bomb)).status(), 413);
    let after = memory(gateway.server.pid()).1;
    assert!(after - before < 16 << 20, "{} MiB", (after - before) >> 20);
    assert_eq!(upstream.received(), []);
}

#[test]
fn a_gateway_that_leads_to_itself_says_so() {
    for upstream_host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost"] {
        let is_literal = upstream_host != "localhost";
        // Its own address as upstream, as a hosts file can make it: port 0 does not tell before the start, so by a port that
        // is free now.
        let free = fixtures::refused();
        let address = free.trim_start_matches("http://");
        let folder = fixtures::Folder::new();
        let file = folder.write("c.toml", "");
        let mut gateway = fixtures::program();
        gateway.args(["--listen", address, "--admin-listen", "off"]);
        let upstream = free.replace("127.0.0.1", upstream_host);
        gateway.args(["--upstream", &upstream, "--config"]).arg(file);
        if is_literal {
            let output = gateway.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{upstream_host}: {said}");
            assert!(said.contains("is this gateway itself: set [upstream] url"), "{said}");
            continue;
        }
        let server = fixtures::Server::start(gateway, folder);
        let response = exchange(server.address("listening"), post("/createTask", TASK));
        assert_eq!(response.status(), 502, "{upstream_host}");
        assert!(
            response.text().contains("is this gateway itself") && response.text().contains("connect_to"),
            "{}",
            response.text()
        );
    }
}

fn start_with_fallback(first: &str, fallback: &RawUpstream) -> Gateway {
    let config = format!(
        r#"
        [upstream]
        fallback = "{}"
        "#,
        fallback.url
    );
    Gateway::start(first, &config)
}

#[test]
fn the_fallback_is_used_only_while_no_connection_can_be_made() {
    let first = fixtures::refused();
    let fallback = RawUpstream::start(OK);
    let gateway = start_with_fallback(&first, &fallback);
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
    assert_eq!(
        fallback.last().field("host").unwrap(),
        fallback.url.trim_start_matches("http://")
    );
    // A first that responds, however badly, is not replaced.
    let broken = RawUpstream::serve(|_, _| false);
    let gateway = start_with_fallback(&broken.url, &fallback);
    let count = fallback.received().len();
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 502);
    assert_eq!((broken.received().len(), fallback.received().len()), (1, count));
}

#[test]
fn the_first_is_used_again_once_it_is_back() {
    let address = fixtures::refused();
    let fallback = RawUpstream::start(OK);
    let gateway = start_with_fallback(&address, &fallback);
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
    let first = RawUpstream::serve_on(
        std::net::TcpListener::bind(address.trim_start_matches("http://")).unwrap(),
        |_, stream| stream.write_all(OK).is_ok(),
    );
    let mut sent = 1;
    wait(|| {
        assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
        sent += 1;
        thread::sleep(Duration::from_millis(100));
        first.received().pop()
    });
    assert_eq!(
        first.received().len() + fallback.received().len(),
        sent,
        "each went one way"
    );
}

#[test]
fn a_stop_waits_for_its_delay_and_says_not_ready() {
    let upstream = RawUpstream::start(OK);
    let mut gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        shutdown_delay = "600ms"
        "#,
    );
    let ready = || exchange(gateway.admin, get_from("localhost", "/readyz")).status();
    assert_eq!(ready(), 200);
    gateway.server.signal("TERM");
    wait(|| (ready() == 503).then_some(()));
    assert_eq!(
        exchange(gateway.api, post("/createTask", TASK)).status(),
        200,
        "it still accepts"
    );
    assert_eq!(gateway.server.wait(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let upstream = RawUpstream::serve(|_, _| {
        thread::sleep(fixtures::PATIENCE);
        false
    });
    let mut gateway = Gateway::start(&upstream.url, "");
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&post("/createTask", TASK)).unwrap();
    wait(|| upstream.received().pop());
    gateway.server.signal("TERM");
    gateway.server.wait_for(
        "shutting down: requests in flight may finish within the grace; a second signal stops at once",
        1,
    );
    gateway.server.signal("TERM");
    assert_eq!(gateway.server.wait(), Some(1));
}
