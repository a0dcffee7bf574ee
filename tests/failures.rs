//! What a client sees when the upstream fails, and that nothing is sent twice.

mod fixtures;

use std::{io::Write, thread, time::Duration};

use fixtures::{Client, Gateway, OK, RawUpstream, exchange, get, post, refused};

const TASK: &str = r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"a.example"}}"#;
const LEGACY: &str = "/in.php?key=K&method=userrecaptcha&pageurl=a.example";
const SET: &str = "set;action=add;via=parameter;rule=default";

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
    let answer = exchange(gateway.api, get("/x"));
    assert_eq!(answer.status(), 502);
    assert!(
        answer.text().contains("failed the TLS handshake") && answer.text().contains("ca_file"),
        "{}",
        answer.text()
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
    let gateway = Gateway::start(&upstream.url, "[upstream]\ntimeout = \"100ms\"\n");
    let answer = exchange(gateway.api, post("/createTask", TASK));
    assert_eq!((answer.status(), answer.decision()), (504, SET));
    assert_eq!(exchange(gateway.api, post("/getTaskResult", "{}")).status(), 503);
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn a_connection_that_the_upstream_closes_at_rest_costs_no_submission() {
    // Keeps no connection, and does not say so.
    let upstream = RawUpstream::serve(|_, stream| {
        stream.write_all(OK).unwrap();
        false
    });
    let gateway = Gateway::start(&upstream.url, "");
    exchange(gateway.api, post("/createTask", TASK));
    thread::sleep(Duration::from_millis(50));
    for count in 2..=200 {
        let answer = exchange(gateway.api, post("/createTask", TASK));
        assert_eq!((answer.status(), upstream.received().len()), (200, count));
    }
}

#[test]
fn connections_are_used_again_but_by_submissions_only_when_fresh() {
    use std::sync::{Arc, Mutex};
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = peers.clone();
    let upstream = RawUpstream::serve(move |_, stream| {
        seen.lock().unwrap().push(stream.peer_addr().unwrap());
        stream.write_all(OK).is_ok()
    });
    let gateway = Gateway::start(&upstream.url, "[upstream]\nreuse_idle = \"300ms\"\n");
    let mut client = Client::connect(gateway.api);
    let mut send = |request: Vec<u8>| {
        assert_eq!(client.exchange(request).status(), 200);
        // The connection goes to rest a moment after its answer.
        thread::sleep(Duration::from_millis(50));
        *peers.lock().unwrap().last().unwrap()
    };
    let first = send(post("/createTask", TASK));
    assert_eq!(send(post("/createTask", TASK)), first, "it rested briefly");
    thread::sleep(Duration::from_millis(400));
    let second = send(post("/createTask", TASK));
    assert_ne!(second, first, "it rested too long for a submission");
    thread::sleep(Duration::from_millis(400));
    assert_eq!(send(post("/getTaskResult", "{}")), second, "but not for a poll");
}
