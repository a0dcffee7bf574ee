//! Many clients, slow or large, take neither the places nor the memory nor the threads of the others.

mod fixtures;

use std::{
    io::{ErrorKind, Write},
    net::SocketAddr,
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use fixtures::{Client, Gateway, Message, OK, RawUpstream, SET, TASK, exchange, get_from, memory, post, wait};
use flate2::{Compression, write::GzEncoder};

/// A client that announces a body of `length` bytes and sends only the first of them.
fn slow_sender(api: SocketAddr, target: &str, length: usize, sent: usize) -> Client {
    let mut client = Client::connect(api);
    write!(
        client.0,
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    client.0.write_all(&vec![b' '; sent]).unwrap();
    client
}

/// Waits until another large body is refused beside slow ones. Returns the slow senders and the refusal.
fn refused_beside<const N: usize>(
    api: SocketAddr,
    targets: [&str; N],
    length: usize,
    other: &[u8],
) -> ([Client; N], Message) {
    wait(|| {
        let slow = targets.map(|target| slow_sender(api, target, length, length - 1));
        thread::sleep(Duration::from_millis(100));
        let refused = exchange(api, other);
        // The other may have come first, and one of the slow ones was refused.
        let is_waiting = |client: &Client| {
            client.0.set_nonblocking(true).unwrap();
            let silent = client
                .0
                .peek(&mut [0])
                .is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            client.0.set_nonblocking(false).unwrap();
            silent
        };
        (refused.status() == 503 && slow.iter().all(is_waiting)).then_some((slow, refused))
    })
}

/// A createTask as clients send it: about 350 bytes.
fn usual_task() -> String {
    let url = "https://shop.example/login?".to_owned() + &"a".repeat(190);
    let task = format!(r#"{{"type":"RecaptchaV2Task","websiteURL":"{url}","websiteKey":"6Lc","isInvisible":false}}"#);
    format!(r#"{{"clientKey":"K","task":{task}}}"#)
}

#[test]
fn slow_senders_stop_nobody() {
    let allowed = rlimit::increase_nofile_limit(8_000).unwrap();
    assert!(allowed >= 8_000, "this system allows {allowed} open files");
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let mut large: Vec<Client> = (0..8)
        .map(|_| slow_sender(gateway.api, "/createTask", 32 << 20, 1 << 20))
        .collect();
    let mut small: Vec<Client> = (0..2000)
        .map(|number| slow_sender(gateway.api, ["/createTask", "/res.php"][number % 2], 1 << 10, 100))
        .collect();
    for _ in 0..20 {
        let response = exchange(gateway.api, post("/createTask", usual_task()));
        assert_eq!((response.status(), response.decision()), (200, SET));
        assert_eq!(exchange(gateway.api, post("/getTaskResult", "{}")).status(), 200);
        for client in large.iter_mut().chain(small.iter_mut().step_by(100)) {
            client.0.write_all(b" ").unwrap();
        }
    }
    assert_eq!(upstream.received().len(), 40);
    // Whoever is slow is served, too.
    let client = &mut small[1];
    client.0.write_all(&[b' '; (1 << 10) - 100]).unwrap();
    assert_eq!(client.read().status(), 200);
}

#[test]
fn large_bodies_are_refused_beyond_the_budget_and_small_ones_are_served() {
    let upstream = RawUpstream::start(OK);
    let config = "[server]\nbody_budget = \"1 MiB\"\n";
    let gateway = Gateway::start(&upstream.url, config);
    let length = 600 << 10;
    let large = post("/createTask", " ".repeat(length));
    let ([mut slow], refused) = refused_beside(gateway.api, ["/createTask"], length, &large);
    assert_eq!(refused.decision(), "none");
    assert!(refused.text().contains("body_budget"), "{}", refused.text());
    let count = upstream.received().len();
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).decision(), SET);
    assert_eq!(exchange(gateway.api, post("/getTaskResult", "{}")).status(), 200);
    let legacy = format!("method=userrecaptcha&pageurl=a.example&json=1&x={}", "a".repeat(length));
    let refused = exchange(gateway.api, post("/in.php", legacy));
    let expected = r#"{"request":"ERROR_SERVICE_NOT_AVAILABLE","status":0}"#;
    assert_eq!((refused.status(), refused.text()), (503, expected));
    assert_eq!(upstream.received().len(), count + 2);
    // What is refused, sent or given up is free again.
    slow.0.write_all(b" ").unwrap();
    assert_eq!(slow.read().status(), 200);
    drop(slow_sender(gateway.api, "/createTask", length, length - 1));
    wait(|| (exchange(gateway.api, &large).status() == 200).then_some(()));
}

#[test]
fn bodies_that_arrive_slowly_take_a_quarter_of_the_places() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "[server]\nmax_in_flight = 8\n");
    let length = 100 << 10;
    // So large that they are still arriving when the first 64 KiB have been read.
    let [task, other] = ["/createTask", "/getBalance"].map(|target| post(target, " ".repeat(1 << 20)));
    let (mut slow, refused) = refused_beside(gateway.api, ["/createTask", "/getBalance"], length, &task);
    assert!(refused.text().contains("max_in_flight"), "{}", refused.text());
    assert_eq!(exchange(gateway.api, &other).status(), 503);
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
    for client in &mut slow {
        client.0.write_all(b" ").unwrap();
        assert_eq!(client.read().status(), 200);
    }
    wait(|| (exchange(gateway.api, &other).status() == 200).then_some(()));
}

/// An in.php with 33 KB of gzip, in which there are 32 MiB of `byte`.
fn bomb(byte: u8) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![byte; 32 << 20]).unwrap();
    let body = encoder.finish().unwrap();
    let length = body.len();
    let head =
        format!("POST /in.php HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
    [head.into_bytes(), body].concat()
}

/// While the upstream thinks, only what is sent is held: what was read of a body and its decoded form are dropped before.
#[rustfmt::skip]
#[test]
#[cfg(target_os = "linux")]
fn only_what_is_sent_is_held_while_the_upstream_thinks() {
    const MIB: usize = 1 << 20;
    let picture = format!(r#""body":"{}""#, "A".repeat(4 * MIB));
    let members: String = (0..4 * MIB / 12).map(|number| format!(r#","m{number:06}":1"#)).collect();
    let rows = [
        ("33 KB of gzip: 32 MiB of `&`", bomb(b'&'), 34),
        ("4 MiB of `&`", post("/in.php", "&".repeat(4 * MIB)), 8),
        ("4 MiB of `;`", post("/in.php", ";".repeat(4 * MIB)), 12),
        ("a picture of 4 MiB", post("/createTask", TASK.replace("}}", &format!(",{picture}}}}}"))), 16),
        ("4 MiB of members", post("/createTask", TASK.replace("}}", &format!("{members}}}}}"))), 12),
    ];
    println!("| body | 1: at most | 1: while waiting | 8: at most | 8: while waiting |");
    println!("|---|--:|--:|--:|--:|");
    for (name, request, peak) in rows {
        let (release, released) = mpsc::channel();
        let released = Mutex::new(released);
        let upstream = RawUpstream::serve(move |_, stream| {
            released.lock().unwrap().recv().unwrap();
            stream.write_all(OK).is_ok()
        });
        let gateway = Gateway::start(&upstream.url, "");
        let before = memory(gateway.server.pid());
        let mut clients = Vec::new();
        let mut line = format!("| {name} |");
        for count in [1, 8] {
            for _ in clients.len()..count {
                let mut client = Client::connect(gateway.api);
                client.0.write_all(&request).unwrap();
                clients.push(client);
            }
            let begin = Instant::now();
            while upstream.received().len() < count {
                // Without optimisation, and beside other tests.
                assert!(begin.elapsed() < Duration::from_secs(120), "{line}");
                thread::sleep(Duration::from_millis(20));
            }
            let sent = count * request.len();
            // What is free goes back to the system a moment later.
            let held = wait(|| {
                let held = memory(gateway.server.pid()).0.saturating_sub(before.0);
                (held < 2 * sent + 16 * MIB).then_some(held)
            });
            let most = memory(gateway.server.pid()).1 - before.1;
            line += &format!(" {} KiB | {} KiB |", most >> 10, held >> 10);
            // Of what is decoded and read there is as much at once as there are threads to read it.
            let judges = count.min(thread::available_parallelism().unwrap().get());
            assert!(most < sent + (judges * peak + 16) * MIB, "{line}");
        }
        println!("{line}");
        for _ in 0..clients.len() {
            release.send(()).unwrap();
        }
        for client in &mut clients {
            assert_eq!(client.read().status(), 200);
        }
    }
}

/// A gateway that is quiet after many clients does not keep the memory that these needed.
#[test]
#[cfg(target_os = "linux")]
fn what_many_clients_needed_is_given_back() {
    const MIB: usize = 1 << 20;
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let before = memory(gateway.server.pid()).0;
    let mut clients: Vec<Client> = (0..500)
        .map(|_| slow_sender(gateway.api, "/createTask", 40 << 10, 39 << 10))
        .collect();
    wait(|| (memory(gateway.server.pid()).0 > before + 16 * MIB).then_some(()));
    for client in &mut clients {
        client.0.write_all(&[b' '; 1 << 10]).unwrap();
        assert_eq!(client.read().status(), 200);
    }
    drop(clients);
    wait(|| (memory(gateway.server.pid()).0 < before + 8 * MIB).then_some(()));
}

/// While as many large bodies are read as there are threads that serve, these serve others.
#[test]
fn long_readings_hold_up_nobody() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let bomb = bomb(b';');
    let begin = Instant::now();
    assert_eq!(exchange(gateway.api, &bomb).status(), 200);
    let alone = begin.elapsed();
    let count = 2 * thread::available_parallelism().unwrap().get();
    let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(gateway.api)).collect();
    for client in &mut clients {
        client.0.write_all(&bomb).unwrap();
    }
    let mut longest = Duration::ZERO;
    let mut asked = 0;
    while upstream.received().len() <= count {
        let begin = Instant::now();
        assert_eq!(exchange(gateway.admin, get_from("localhost", "/livez")).status(), 200);
        longest = longest.max(begin.elapsed());
        asked += 1;
    }
    println!("one body: {alone:?}; the longest of {asked} requests to /livez while {count} are read: {longest:?}");
    assert!(asked > 10 && longest < alone / 2, "{alone:?} {longest:?} {asked}");
    for client in &mut clients {
        assert_eq!(client.read().status(), 200);
    }
}
