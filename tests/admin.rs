//! The admin side: what it says of the process and its configuration, and bots that ask it by mistake.

mod fixtures;

use fixtures::{Folder, Gateway, OK, RawUpstream, TASK, exchange, get_from, post, post_with, refused, run, text, wait};
use serde_json::{Value, json};

/// A POST by the name that a bot on this machine uses.
fn post_here(target: &str) -> Vec<u8> {
    post_with("Host: localhost", target, "{}")
}

fn ready(gateway: &Gateway) -> Value {
    let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n";
    serde_json::from_str(exchange(gateway.admin, request).text()).unwrap()
}

#[test]
fn readyz_says_what_is_in_force() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    let file = folder.write(
        "gateway.toml",
        "[[rule]]\nid = \"shop\"\nsites = [\"co.uk\"]\naction = \"force\"\n",
    );
    let gateway = Gateway::start_with(&upstream.url, &file, folder);
    let first = ready(&gateway);
    assert_eq!(first["status"], "ready");
    assert_eq!(first["api"], json!([format!("http://{}", gateway.api)]));
    assert_eq!(
        (&first["rules"], &first["configuration"]["generation"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(first["configuration"]["lastReload"], Value::Null);
    assert!(
        first["configuration"]["warnings"][0]
            .as_str()
            .unwrap()
            .contains("public suffix"),
        "{first}"
    );
    assert_eq!(first["upstream"]["lastResponse"], Value::Null);
    exchange(gateway.api, post("/createTask", TASK));
    wait(|| (ready(&gateway)["upstream"]["lastResponse"]["status"] == 200).then_some(()));

    std::fs::write(&file, "[log]\nlevel = \"debug\"\n").unwrap();
    let second = wait(|| Some(ready(&gateway)).filter(|ready| ready["configuration"]["generation"] == 2));
    assert_eq!(
        (&second["rules"], &second["configuration"]["warnings"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(second["configuration"]["needsRestart"], json!(["log.level"]));
    assert_eq!(second["configuration"]["lastReload"]["error"], Value::Null);

    std::fs::write(&file, "rul = 1\n").unwrap();
    let third = wait(|| Some(ready(&gateway)).filter(|ready| ready["configuration"]["notInForce"].is_string()));
    assert_eq!(third["configuration"]["generation"], 2);
    assert!(
        third["configuration"]["lastReload"]["error"]
            .as_str()
            .unwrap()
            .contains("1 error"),
        "{third}"
    );
}

#[test]
fn readyz_says_why_the_upstream_failed() {
    let gateway = Gateway::start(&refused(), "");
    exchange(gateway.api, post("/createTask", TASK));
    let failure = wait(|| Some(ready(&gateway)["upstream"]["lastFailure"].clone()).filter(Value::is_object));
    assert_eq!(failure["cause"], "connect");
    assert!(
        failure["error"].as_str().is_some_and(|error| !error.is_empty()),
        "{failure}"
    );
}

#[test]
fn config_show_running_shows_what_runs() {
    let folder = Folder::new();
    let config = "[server]\nmax_in_flight = 7\n\n[[rule]]\nid = \"shop\"\nsites = [\"a.example\"]\naction = \"keep\"\n";
    let file = folder.write("gateway.toml", config);
    let gateway = Gateway::start_with(&refused(), &file, folder);
    let admin = gateway.admin.to_string();
    let shown = |more: &[&str]| run(&[&["config", "show", "--running", "--admin-listen", &admin], more].concat());
    let output = shown(&[]);
    let (running, file) = (text(&output.stdout), file.display());
    for line in [
        "max_in_flight = 7",
        "[[rule]]",
        "id = \"shop\"",
        "sites = [\"a.example\"]",
        "[upstream]",
    ] {
        assert!(running.contains(line), "{line}: {running}");
    }
    assert!(running.contains(&format!("{file}:4")), "{running}");
    let json: Value = serde_json::from_slice(&shown(&["--json"]).stdout).unwrap();
    assert_eq!(json["server.max_in_flight"]["value"], 7);
    let nobody = run(&["config", "show", "--running", "--admin-listen", "127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        text(&nobody.stderr).contains("is the gateway running?"),
        "{}",
        text(&nobody.stderr)
    );
}

/// A bot that was given the admin port.
#[test]
fn a_bot_at_the_wrong_port_is_told_the_right_one() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let address = format!("http://{}", gateway.api);
    for path in ["/createTask", "/getTaskResult", "/getBalance"] {
        let response = exchange(gateway.admin, post_here(path));
        let body: Value = serde_json::from_str(response.text()).unwrap();
        assert_eq!(
            (response.status(), &body["errorCode"]),
            (200, &json!("ERROR_GATEWAY_WRONG_PORT")),
            "{path}"
        );
        assert!(body["errorDescription"].as_str().unwrap().contains(&address), "{body}");
    }
    for (target, expected) in [
        ("/in.php?key=K", "ERROR_GATEWAY_WRONG_PORT".to_owned()),
        (
            "/res.php?json=1",
            r#"{"request":"ERROR_GATEWAY_WRONG_PORT","status":0}"#.to_owned(),
        ),
    ] {
        assert_eq!(
            exchange(gateway.admin, get_from("localhost", target)).text(),
            expected,
            "{target}"
        );
    }
    assert_eq!(exchange(gateway.admin, get_from("localhost", "/nothing")).status(), 404);
    // The API refuses as it responds.
    let large = post_with("Host: localhost", "/api/feedback", "x".repeat(3 << 20));
    for (request, status) in [
        (post_here("/api/nothing"), 404),
        (get_from("localhost", "/api/nothing"), 404),
        (get_from("localhost", "/api/feedback"), 405),
        (post_here("/api/stats"), 405),
        (large, 413),
    ] {
        let response = exchange(gateway.admin, &request);
        let body: Value = serde_json::from_str(response.text()).unwrap_or_default();
        assert!(body["error"].is_string(), "{status}: {}", response.text());
        assert_eq!(response.status(), status);
        assert_eq!(response.field("allow").is_some(), status == 405, "{status}");
    }
    assert!(upstream.received().is_empty());
}

#[test]
fn the_level_of_the_log_can_be_changed() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let change = |content_type: &str, body: &str| {
        let fields = format!("Host: localhost\r\nContent-Type: {content_type}");
        exchange(gateway.admin, post_with(&fields, "/api/log-level", body))
    };
    let polls = || {
        gateway
            .server
            .log()
            .iter()
            .filter(|event| event["endpoint"] == "getTaskResult")
            .count()
    };
    let poll = || exchange(gateway.api, post("/getTaskResult", r#"{"clientKey":"K","taskId":1}"#));
    poll();
    assert_eq!(
        change("application/json", r#"{"level":"debug"}"#).text(),
        "{\"level\":\"debug\"}\n"
    );
    gateway
        .server
        .wait_for("the log's level was changed until the next start", 1);
    assert_eq!(polls(), 0);
    poll();
    wait(|| (polls() == 1).then_some(()));
    let form = "application/x-www-form-urlencoded";
    let led_back = change(form, "level=info");
    assert_eq!((led_back.status(), led_back.field("location")), (303, Some("/")));
    poll();
    // What a script of a bot sends by curl's default type is JSON all the same.
    assert_eq!(change(form, r#"{"level":"warn"}"#).status(), 200);
    let shown = exchange(gateway.admin, get_from("localhost", "/api/log-level"));
    assert_eq!(shown.text(), "{\"level\":\"warn\"}\n");
    assert_eq!(polls(), 1);
    for body in [r#"{"level":"loud"}"#, "{}", "", "level=loud"] {
        assert_eq!(change("application/json", body).status(), 400, "{body}");
    }
}
