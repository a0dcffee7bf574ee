//! What a client sees when the upstream fails, and that nothing is sent twice.

mod fixtures;

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use fixtures::{Client, Gateway, LEGACY, OK, RawUpstream, SET, TASK, exchange, get, post, refused, wait};

#[test]
fn an_upstream_that_refuses_is_told_in_the_dialect_of_the_asker() {
    let gateway = Gateway::start(&refused(), "");
    let json = exchange(gateway.api, post("/createTask", TASK));
    assert_eq!((json.status(), json.decision()), (502, SET));
    assert!(json.text().starts_with(r#"{"errorId":1,"errorCode":"ERROR_SERVICE_NOT_AVAILABLE","errorDescription":"nocache-gateway: no connection to the upstream http://127.0.0.1:"#));
    assert!(json.text().ends_with(r#""taskId":0}"#));

    let poll = exchange(gateway.api, post("/getTaskResult/", "{}"));
    assert_eq!(
        (poll.status(), poll.decision()),
        (503, "none"),
        "the vendor's SDKs read 503 as still processing"
    );
    assert_eq!(exchange(gateway.api, post("/getBalance", "{}")).status(), 502);

    let legacy = exchange(gateway.api, get(LEGACY));
    assert_eq!((legacy.status(), legacy.text()), (502, "ERROR_SERVICE_NOT_AVAILABLE"));
    let legacy = exchange(gateway.api, get("/res.php?json=1"));
    assert_eq!(legacy.text(), r#"{"request":"ERROR_SERVICE_NOT_AVAILABLE","status":0}"#);
}

#[test]
fn an_upstream_that_cannot_be_named_or_trusted_says_so() {
    let gateway = Gateway::start("http://no-such-host.invalid", "");
    assert!(
        exchange(gateway.api, get("/x"))
            .text()
            .contains("could not be resolved")
    );

    let folder = fixtures::Folder::new();
    let certificate = folder.path().join("ca.pem");
    let sandbox = fixtures::SandboxServer::start(&["--tls", certificate.to_str().unwrap()]);
    let gateway = Gateway::start(&format!("https://{}", sandbox.address), "");
    let response = exchange(gateway.api, get("/x"));
    assert_eq!(response.status(), 502);
    assert!(
        response.text().contains("failed the TLS handshake") && response.text().contains("ca_file"),
        "{}",
        response.text()
    );
}

#[test]
fn an_upstream_that_hangs_up_or_keeps_silent_got_the_request_once() {
    let upstream = RawUpstream::serve(|_, _| false);
    let gateway = Gateway::start(&upstream.url, "");
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 502);
    assert_eq!(upstream.received().len(), 1);

    let upstream = RawUpstream::serve(|_, _| {
        thread::sleep(Duration::from_secs(2));
        false
    });
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [upstream]
        timeout = "100ms"
        "#,
    );
    let response = exchange(gateway.api, post("/createTask", TASK));
    assert_eq!((response.status(), response.decision()), (504, SET));
    assert_eq!(exchange(gateway.api, post("/getTaskResult", "{}")).status(), 503);
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn a_connection_that_the_upstream_closes_while_idle_costs_no_submission() {
    // Keeps no connection, and does not say so.
    let upstream = RawUpstream::serve(|_, stream| {
        stream.write_all(OK).unwrap();
        false
    });
    let gateway = Gateway::start(&upstream.url, "");
    exchange(gateway.api, post("/createTask", TASK));
    // By then the gateway has seen the first close, even on a busy machine.
    thread::sleep(Duration::from_millis(300));
    for count in 2..=200 {
        let response = exchange(gateway.api, post("/createTask", TASK));
        assert_eq!((response.status(), upstream.received().len()), (200, count));
    }
}

#[test]
fn a_close_teaches_when_it_comes_and_not_when_it_is_looked_for() {
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = peers.clone();
    let upstream = RawUpstream::serve(move |_, stream| {
        let mut seen = seen.lock().unwrap();
        seen.push(stream.peer_addr().unwrap());
        let is_first = seen.len() == 1;
        drop(seen);
        stream.write_all(OK).unwrap();
        if is_first {
            thread::sleep(Duration::from_secs(1));
        }
        !is_first
    });
    let gateway = Gateway::start(&upstream.url, "");
    let poll_after = |milliseconds| {
        thread::sleep(Duration::from_millis(milliseconds));
        assert_eq!(exchange(gateway.api, post("/getTaskResult", "{}")).status(), 200);
        *peers.lock().unwrap().last().unwrap()
    };
    poll_after(0);
    let second = poll_after(3_000);
    assert_ne!(
        poll_after(800),
        second,
        "idle for more than half of the one second that was seen"
    );
}

#[test]
fn connections_are_used_again_but_by_submissions_only_when_fresh() {
    use std::sync::Mutex;
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = peers.clone();
    let upstream = RawUpstream::serve(move |_, stream| {
        seen.lock().unwrap().push(stream.peer_addr().unwrap());
        stream.write_all(OK).is_ok()
    });
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [upstream]
        reuse_idle = "300ms"
        "#,
    );
    let mut client = Client::connect(gateway.api);
    let mut send = |request: Vec<u8>| {
        assert_eq!(client.exchange(request).status(), 200);
        // The connection is idle a moment after its response.
        thread::sleep(Duration::from_millis(50));
        *peers.lock().unwrap().last().unwrap()
    };
    let first = send(post("/createTask", TASK));
    assert_eq!(send(post("/createTask", TASK)), first, "it was idle briefly");
    thread::sleep(Duration::from_millis(400));
    let second = send(post("/createTask", TASK));
    assert_ne!(second, first, "it was idle too long for a submission");
    thread::sleep(Duration::from_millis(400));
    assert_eq!(send(post("/getTaskResult", "{}")), second, "but not for a poll");
}

/// An upstream with TLS, by a certificate of the test's own making; its URL, and the certificate as PEM.
fn tls_upstream(prepare: impl FnOnce(&mut rcgen::CertificateParams)) -> (SocketAddr, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    prepare(&mut parameters);
    let certificate = parameters.self_signed(&key).unwrap();
    let pem = certificate.pem();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::Stream::new(&mut tls, &mut stream);
            let mut head = [0; 4096];
            if stream.read(&mut head).is_ok_and(|length| length > 0) {
                let _ = stream.write_all(OK);
            }
        }
    });
    (address, pem)
}

#[test]
fn each_fault_of_tls_has_its_own_words() {
    let folder = fixtures::Folder::new();
    let ask = |address: SocketAddr, host: &str, pem: &str| {
        let ca = folder.write("ca.pem", pem);
        let config = format!(
            r#"
            [upstream]
            connect_to = "{address}"
            ca_file = {ca:?}
            "#
        );
        let gateway = Gateway::start(&format!("https://{host}:{}", address.port()), &config);
        exchange(gateway.api, post("/createTask", TASK))
    };
    let (address, pem) = tls_upstream(|_| {});
    assert_eq!(ask(address, "localhost", &pem).status(), 200);
    let wrong_name = ask(address, "other.example", &pem);
    assert_eq!(wrong_name.status(), 502);
    assert!(
        wrong_name.text().contains("not valid for name"),
        "{}",
        wrong_name.text()
    );
    let (_, other_pem) = tls_upstream(|_| {});
    let unknown = ask(address, "localhost", &other_pem);
    assert!(
        unknown.text().contains("UnknownIssuer") || unknown.text().contains("BadSignature"),
        "{}",
        unknown.text()
    );

    let (address, pem) = tls_upstream(|parameters| {
        parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let expired = ask(address, "localhost", &pem);
    assert!(expired.text().contains("expired"), "{}", expired.text());
}

#[test]
fn an_upstream_that_speaks_something_else_is_told_so() {
    let huge: &'static [u8] = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &vec![b'a'; 1 << 20], b"\r\n\r\n"]
        .concat()
        .leak();
    for response in [
        b"SSH-2.0-OpenSSH_9.2\r\n".as_slice(),
        b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\r\n\r\n",
        huge,
    ] {
        let upstream = RawUpstream::serve(move |_, stream| {
            let _ = stream.write_all(response);
            false
        });
        let gateway = Gateway::start(&upstream.url, "");
        let response = exchange(gateway.api, post("/createTask", TASK));
        assert_eq!(response.status(), 502);
        assert!(response.text().contains("is not HTTP"), "{}", response.text());
        assert_eq!(upstream.received().len(), 1);
    }
}

#[test]
fn an_upstream_that_accepts_no_connection_in_time_is_named() {
    // A listener whose queue is full accepts nothing more.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let patience = Duration::from_millis(200);
    let queue: Vec<_> = (0..4)
        .map(|_| std::net::TcpStream::connect_timeout(&address, patience))
        .collect();
    assert!(queue.iter().any(Result::is_err), "the queue is full");
    let gateway = Gateway::start(
        &format!("http://{address}"),
        r#"
        [upstream]
        connect_timeout = "300ms"
        "#,
    );
    let response = exchange(gateway.api, post("/createTask", TASK));
    assert_eq!(response.status(), 502);
    assert!(
        response.text().contains("within 300ms ([upstream] connect_timeout)"),
        "{}",
        response.text()
    );
}

#[test]
fn a_response_that_stalls_ends_and_is_not_taken_for_whole() {
    let upstream = RawUpstream::serve(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"errorId\":0")
            .unwrap();
        thread::sleep(Duration::from_secs(3));
        false
    });
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [upstream]
        idle_timeout = "200ms"
        "#,
    );
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&post("/createTask", TASK)).unwrap();
    let start = std::time::Instant::now();
    let mut response = Vec::new();
    let _ = client.0.read_to_end(&mut response);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let response = String::from_utf8(response).unwrap();
    assert!(
        response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("{\"errorId\":0"),
        "{response}"
    );
    assert_eq!(upstream.received().len(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn an_endless_response_holds_no_memory_and_nobody_up() {
    let upstream = RawUpstream::serve(|request, stream| {
        if !request.target().starts_with("/endless") {
            return stream.write_all(OK).is_ok();
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 1 << 16], b"\r\n"].concat();
        while stream.write_all(&chunk).is_ok() {}
        false
    });
    let gateway = Gateway::start(&upstream.url, "");
    let mut endless = Client::connect(gateway.api);
    endless.0.write_all(&get("/endless")).unwrap();
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..64 {
        endless.0.read_exact(&mut buffer).unwrap();
    }
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
    let (_, peak) = fixtures::memory(gateway.server.pid());
    assert!(peak < 32 << 20, "{} MiB", peak >> 20);
}

#[test]
fn an_upstream_out_of_reach_is_named() {
    // A broadcast address has no route for TCP: the system refuses before anything is sent.
    let gateway = Gateway::start("http://255.255.255.255:6624", "");
    let response = exchange(gateway.api, post("/createTask", TASK));
    assert_eq!(response.status(), 502);
    assert!(response.text().contains("unreachable"), "{}", response.text());
    // The log is read a moment after the response.
    let causes = || gateway.server.log().into_iter().map(|line| line["cause"].clone());
    assert_eq!(wait(|| causes().find(|cause| cause.is_string())), "connect");
}

#[test]
fn a_response_may_drip_but_its_head_may_not() {
    let upstream = RawUpstream::serve(|request, stream| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
        let slow: &[u8] = if request.target() == "/slow-head" { head } else { b"" };
        if slow.is_empty() {
            let _ = stream.write_all(head);
        }
        let pieces = slow.iter().chain(b"0123456789");
        for piece in pieces {
            if stream.write_all(&[*piece]).is_err() {
                return false;
            }
            thread::sleep(Duration::from_millis(100));
        }
        true
    });
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [upstream]
        timeout = "500ms"
        idle_timeout = "500ms"
        "#,
    );
    assert_eq!(exchange(gateway.api, get("/slow-body")).text(), "0123456789");
    let response = exchange(gateway.api, get("/slow-head"));
    assert_eq!(response.status(), 504);
    assert!(response.text().contains("[upstream] timeout"), "{}", response.text());
}

/// The timer belongs to the connection: a request that uses it again has all of its time, and no more.
#[test]
fn each_request_on_a_connection_has_its_own_time() {
    let peers = Arc::new(Mutex::new(HashSet::new()));
    let seen = peers.clone();
    let upstream = RawUpstream::serve(move |request, stream| {
        seen.lock().unwrap().insert(stream.peer_addr().unwrap());
        let pause = if request.target() == "/silent" { 10_000 } else { 300 };
        thread::sleep(Duration::from_millis(pause));
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .is_ok()
    });
    let gateway = Gateway::start(&upstream.url, "[upstream]\ntimeout = \"700ms\"\n");
    for _ in 0..4 {
        assert_eq!(exchange(gateway.api, post("/getTaskResult", "{}")).text(), "ok");
    }
    let began = Instant::now();
    assert_eq!(exchange(gateway.api, get("/silent")).status(), 504);
    assert!((700..5_000).contains(&began.elapsed().as_millis()));
    assert_eq!(peers.lock().unwrap().len(), 1);
}

#[test]
fn what_the_system_says_of_a_connection_is_told() {
    let upstream = RawUpstream::serve(|_, stream| {
        socket2::SockRef::from(&*stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        false
    });
    let gateway = Gateway::start(&upstream.url, "");
    let response = exchange(gateway.api, post("/createTask", TASK));
    assert_eq!((response.status(), upstream.received().len()), (502, 1));
    assert!(
        response.text().contains("Connection reset by peer"),
        "{}",
        response.text()
    );
}

#[test]
fn an_upstream_that_closes_its_half_is_left() {
    use std::{net::Shutdown, sync::Mutex};
    // Before a response: there will be none.
    let upstream = RawUpstream::serve(|_, stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        thread::sleep(fixtures::PATIENCE);
        false
    });
    let gateway = Gateway::start(&upstream.url, "");
    let response = exchange(gateway.api, post("/createTask", TASK));
    assert_eq!((response.status(), upstream.received().len()), (502, 1));
    assert!(response.text().contains("closed the connection"), "{}", response.text());
    // After one: the next goes elsewhere, while this half is still open.
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = peers.clone();
    let upstream = RawUpstream::serve(move |_, stream| {
        seen.lock().unwrap().push(stream.peer_addr().unwrap());
        stream.write_all(OK).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        true
    });
    let gateway = Gateway::start(&upstream.url, "");
    for _ in 0..5 {
        assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
        thread::sleep(Duration::from_millis(10));
    }
    let mut peers = peers.lock().unwrap().clone();
    peers.dedup();
    assert_eq!(peers.len(), 5);
}

#[test]
fn one_that_waits_is_in_nobodys_way() {
    let upstream = RawUpstream::serve(|request, stream| {
        if request.target() == "/silent" {
            thread::sleep(fixtures::PATIENCE);
        }
        stream.write_all(OK).is_ok()
    });
    let gateway = Gateway::start(&upstream.url, "");
    let mut silent: Vec<Client> = (0..20).map(|_| Client::connect(gateway.api)).collect();
    for client in &mut silent {
        client.0.write_all(&get("/silent")).unwrap();
    }
    for _ in 0..20 {
        assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
    }
}

#[test]
fn an_upstream_that_switches_protocols_is_not_followed() {
    let upstream = RawUpstream::start(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    let gateway = Gateway::start(&upstream.url, "");
    let request = "GET /x HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let response = exchange(gateway.api, request);
    assert_eq!(response.status(), 502);
    assert!(response.text().contains("switched protocols"), "{}", response.text());
    assert_eq!(upstream.last().field("upgrade"), None);
}

#[test]
fn a_body_that_stops_on_its_way_through_is_the_clients_fault() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        body_timeout = "200ms"
        "#,
    );
    let mut client = Client::connect(gateway.api);
    client
        .0
        .write_all(b"POST /getBalance HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        .unwrap();
    let response = client.read();
    assert_eq!(response.status(), 408);
    assert!(
        response.text().contains("ERROR_GATEWAY_BODY_INCOMPLETE"),
        "{}",
        response.text()
    );
}
