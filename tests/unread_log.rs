//! A log that nobody reads stops nothing: the gateway as the child of a parent that never reads its stderr.

#![cfg(unix)]

mod fixtures;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, ChildStderr, Stdio},
    time::Instant,
};

use fixtures::{Client, Folder, PATIENCE, RawUpstream, SET, TASK, exchange, post, program, wait};
use serde_json::Value;

/// A gateway whose log is read only until it serves.
struct Unread {
    child: Child,
    stderr: BufReader<ChildStderr>,
    api: SocketAddr,
    admin: SocketAddr,
    folder: Folder,
}

impl Unread {
    fn start(upstream: &str, config: &str) -> Self {
        let folder = Folder::new();
        let file = folder.write("gateway.toml", config);
        let mut child = program()
            .args([
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--upstream",
                upstream,
            ])
            .arg("--config")
            .arg(file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut address = |message: &str| {
            let mut lines = (&mut stderr)
                .lines()
                .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
            let line = lines.find(|line| line["message"] == message).unwrap();
            line["address"].as_str().unwrap().parse().unwrap()
        };
        let (api, admin) = (address("listening"), address("admin listening"));
        Self {
            child,
            stderr,
            api,
            admin,
            folder,
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// About 400 bytes of log each: far more than a pipe and the queue hold.
const SUBMISSIONS: usize = 6_500;

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let upstream = RawUpstream::serve(|request, stream| {
        if request.target() == "/held" {
            std::thread::sleep(PATIENCE);
        }
        stream.write_all(fixtures::OK).is_ok()
    });
    let mut gateway = Unread::start(&upstream.url, "[server]\nshutdown_grace = \"1s\"\n");
    let mut client = Client::connect(gateway.api);
    for number in 0..SUBMISSIONS {
        let response = client.exchange(post("/createTask", TASK));
        assert_eq!(response.decision(), SET, "submission {number}");
    }
    assert_eq!(client.exchange(post("/getTaskResult", "{}")).status(), 200);
    let reloaded =
        "[server]\nshutdown_grace = \"1s\"\n[[rule]]\nid = \"a\"\nsites = [\"a.example\"]\naction = \"keep\"\n";
    gateway.folder.write("gateway.toml", reloaded);
    wait(|| {
        client
            .exchange(post("/createTask", TASK))
            .decision()
            .starts_with("kept")
            .then_some(())
    });
    assert_eq!(exchange(gateway.admin, get_localhost("/readyz")).text(), "ready\n");

    // Once it is read again, the log says how much of it is missing, and goes on.
    let mut counted = 0;
    let dropped = (&mut gateway.stderr)
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).expect("whole lines"))
        .inspect(|line| counted += usize::from(line["message"] == "submission"))
        .find_map(|line| line["dropped"].as_u64())
        .unwrap() as usize;
    assert!(dropped > SUBMISSIONS / 4, "{dropped}");
    let metrics = exchange(gateway.admin, get_localhost("/metrics"));
    let line = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("nocache_gateway_log_lines_dropped_total "));
    assert!(line.unwrap().parse::<usize>().unwrap() >= dropped, "{line:?} {dropped}");
    let in_all = counted + dropped;
    assert!(in_all >= SUBMISSIONS / 2, "{counted} read, {dropped} dropped");

    // And unread again, a stop is a stop, also one that fails: here with a request in flight.
    for _ in 0..SUBMISSIONS {
        client.exchange(post("/createTask", TASK));
    }
    let mut held = Client::connect(gateway.api);
    held.0.write_all(&post("/held", "")).unwrap();
    wait(|| {
        upstream
            .received()
            .iter()
            .rev()
            .any(|request| request.target() == "/held")
            .then_some(())
    });
    let asked = Instant::now();
    let status = std::process::Command::new("kill")
        .arg(gateway.child.id().to_string())
        .status()
        .unwrap();
    assert!(status.success());
    drop(client);
    let status = wait(|| gateway.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    assert!(asked.elapsed() < PATIENCE);
    let mut rest = Vec::new();
    gateway.stderr.read_to_end(&mut rest).unwrap();
    assert!(!rest.is_empty());
}

fn get_localhost(target: &str) -> Vec<u8> {
    fixtures::get_from("localhost", target)
}
