//! Clients that close their connection, or their sending side, before they have their response.

#![cfg(unix)]

mod fixtures;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::{Arc, Barrier, Mutex},
    thread,
    time::{Duration, Instant},
};

use fixtures::{
    Client, Gateway, LEGACY, Message, OK, PATIENCE, RawUpstream, TASK, exchange, get, post, read_message, wait,
};
use serde_json::Value;

/// Longer than a client may take to close its sending side and still count as there.
const LATE: Duration = Duration::from_millis(300);

fn start(upstream: &RawUpstream, server: &str) -> Gateway {
    Gateway::start(
        &upstream.url,
        &format!("[server]\n{server}\n[log]\nlevel = \"debug\"\n"),
    )
}

/// The records so far, of submissions and of other requests.
fn records(gateway: &Gateway, count: usize) -> Vec<Value> {
    wait(|| {
        let log = gateway.server.log();
        let is_record = |line: &Value| line["message"] == "submission" || line["message"] == "request";
        let records: Vec<Value> = log.into_iter().filter(is_record).collect();
        (records.len() >= count).then_some(records)
    })
}

/// An upstream whose responses wait for the test, and that tells what became of each connection after its response.
struct Gated {
    upstream: RawUpstream,
    gate: Arc<Barrier>,
    /// Whether the gateway took each response: it keeps the connection, or closes it.
    is_taken: Arc<Mutex<Vec<bool>>>,
}

impl Gated {
    fn start(response: &'static [u8]) -> Self {
        let gate = Arc::new(Barrier::new(2));
        let is_taken = Arc::<Mutex<Vec<bool>>>::default();
        let (of_upstream, taken) = (gate.clone(), is_taken.clone());
        let upstream = RawUpstream::serve(move |_, stream| {
            of_upstream.wait();
            let is_sent = stream.write_all(response).is_ok();
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            // Open, with nothing to read; or closed by the gateway.
            let is_open = stream
                .read(&mut [0])
                .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
            taken.lock().unwrap().push(is_sent && is_open);
            false
        });
        Self {
            upstream,
            gate,
            is_taken,
        }
    }

    fn taken(&self) -> bool {
        wait(|| self.is_taken.lock().unwrap().pop())
    }
}

fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_client_that_closes_its_sending_side_with_its_request_is_served() {
    let upstream = RawUpstream::serve(|_, stream| {
        thread::sleep(2 * LATE);
        stream.write_all(OK).is_ok()
    });
    let gateway = start(&upstream, "");
    let old = "GET /res.php?action=get HTTP/1.0\r\n\r\n".as_bytes().to_vec();
    let requests = [
        post("/createTask", TASK),
        get(LEGACY),
        post("/getTaskResult", "{}"),
        old,
    ];
    for (number, request) in requests.iter().enumerate() {
        let mut client = Client::connect(gateway.api);
        client.0.write_all(request).unwrap();
        client.0.shutdown(Shutdown::Write).unwrap();
        let response = String::from_utf8(read_all(&mut client.0)).unwrap();
        assert!(response.starts_with("HTTP/1."), "{number}: {response}");
        assert!(
            response.ends_with("{\"errorId\":0,\"taskId\":4321}"),
            "{number}: {response}"
        );
        let record = &records(&gateway, number + 1)[number];
        assert_eq!(
            (&record["cause"], &record["status"]),
            (&Value::Null, &200.into()),
            "{record}"
        );
    }
    assert_eq!(upstream.received().len(), requests.len());
}

/// hyper must not hear of the end before the last byte has been written.
#[test]
fn a_half_closed_client_gets_a_large_response_whole() {
    const LENGTH: usize = 8 << 20;
    for framing in ["Content-Length: 8388608\r\n", "Transfer-Encoding: chunked\r\n"] {
        let upstream = RawUpstream::serve(move |_, stream| {
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n").as_bytes())
                .unwrap();
            let is_chunked = framing.contains("chunked");
            for _ in 0..LENGTH / 65536 {
                let chunk = [b'x'; 65536];
                match is_chunked {
                    true => stream.write_all(&[b"10000\r\n", &chunk[..], b"\r\n"].concat()).unwrap(),
                    false => stream.write_all(&chunk).unwrap(),
                }
            }
            if is_chunked {
                stream.write_all(b"0\r\n\r\n").unwrap();
            }
            true
        });
        let gateway = start(&upstream, "");
        let mut client = Client::connect(gateway.api);
        client.0.write_all(&get("/large")).unwrap();
        client.0.shutdown(Shutdown::Write).unwrap();
        thread::sleep(2 * LATE);
        let response: Message = read_message(&mut client.0, true).unwrap();
        assert_eq!(response.body.len(), LENGTH, "{framing}");
        assert_eq!(read_all(&mut client.0), b"");
    }
}

/// Its task exists and is paid for.
#[test]
fn the_response_to_a_submission_is_read_though_its_client_has_gone() {
    for is_reset in [false, true] {
        let gated = Gated::start(OK);
        let gateway = start(&gated.upstream, "max_in_flight = 1");
        let mut client = Client::connect(gateway.api);
        client.0.write_all(&post("/createTask", TASK)).unwrap();
        wait(|| gated.upstream.received().pop());
        if is_reset {
            // Unread bytes make the close a reset.
            socket2::SockRef::from(&client.0)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        } else {
            thread::sleep(LATE);
        }
        drop(client);
        thread::sleep(LATE);
        assert_eq!(
            exchange(gateway.api, get("/x")).status(),
            503,
            "its place is still taken"
        );
        gated.gate.wait();
        assert!(gated.taken(), "the gateway keeps the connection, reset: {is_reset}");
        let record = records(&gateway, 2)
            .into_iter()
            .find(|record| record["message"] == "submission")
            .unwrap();
        assert_eq!(
            (&record["cause"], &record["level"]),
            (&"client-gone".into(), &"INFO".into()),
            "{record}"
        );
        assert_eq!(record["upstream_status"], 200, "{record}");
        assert_eq!(gated.upstream.received().len(), 1);
    }
}

/// A client that closed its sending side late may still listen: then it gets the number of its task.
#[test]
fn a_client_that_still_listens_gets_the_number_of_its_task() {
    let gated = Gated::start(OK);
    let gateway = start(&gated.upstream, "");
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&post("/createTask", TASK)).unwrap();
    wait(|| gated.upstream.received().pop());
    thread::sleep(LATE);
    client.0.shutdown(Shutdown::Write).unwrap();
    thread::sleep(LATE);
    gated.gate.wait();
    assert!(String::from_utf8(read_all(&mut client.0)).unwrap().contains("4321"));
}

#[test]
fn a_poll_is_cancelled_when_its_client_goes() {
    let upstream = RawUpstream::serve(|_, stream| {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the gateway closed it");
        false
    });
    let gateway = start(&upstream, "");
    for (number, request) in [post("/getTaskResult", "{}"), get("/res.php?action=get&id=1")]
        .iter()
        .enumerate()
    {
        let mut client = Client::connect(gateway.api);
        client.0.write_all(request).unwrap();
        wait(|| (upstream.received().len() > number).then_some(()));
        thread::sleep(LATE);
        let closed = Instant::now();
        drop(client);
        let record = &records(&gateway, number + 1)[number];
        assert!(closed.elapsed() < PATIENCE / 4);
        let facts = ["cause", "status", "upstream_status"].map(|name| &record[name]);
        assert_eq!(facts, [&"client-gone".into(), &Value::Null, &Value::Null], "{record}");
    }
}

/// An upstream that never ends its response keeps the exchange for a MiB, not for ever.
#[test]
fn no_more_than_a_mebibyte_is_read_for_a_client_that_has_gone() {
    let (done, is_done) = std::sync::mpsc::channel();
    let done = Mutex::new(done);
    let upstream = RawUpstream::serve(move |_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap();
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 1 << 16], b"\r\n"].concat();
        let chunks = (0..1024).take_while(|_| stream.write_all(&chunk).is_ok()).count();
        done.lock().unwrap().send(chunks).unwrap();
        false
    });
    let gateway = start(&upstream, "");
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&post("/createTask", TASK)).unwrap();
    client.0.read_exact(&mut [0; 1 << 17]).unwrap();
    thread::sleep(LATE);
    drop(client);
    let chunks = is_done.recv_timeout(PATIENCE).unwrap();
    assert!(chunks < 1024, "{chunks} chunks of 64 KiB");
    assert_eq!(records(&gateway, 1)[0]["cause"], "client-gone");
}

#[test]
fn a_client_that_has_gone_does_not_hold_up_a_stop() {
    let gated = Gated::start(OK);
    let mut gateway = start(&gated.upstream, "");
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&post("/createTask", TASK)).unwrap();
    wait(|| gated.upstream.received().pop());
    thread::sleep(LATE);
    drop(client);
    thread::sleep(LATE);
    let asked = Instant::now();
    gateway.server.signal("TERM");
    assert_eq!(gateway.server.wait(), Some(0));
    assert!(asked.elapsed() < PATIENCE / 4, "{:?}", asked.elapsed());
    assert_eq!(records(&gateway, 1)[0]["cause"], "client-gone");
    gated.gate.wait();
}
