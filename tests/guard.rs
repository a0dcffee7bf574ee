//! Clients that risk the vendor's ban: what they are warned of, and what the gateway answers itself if it is asked to.

mod fixtures;

use std::{thread::sleep, time::Duration};

use fixtures::{
    Client, Gateway, Message, OK, RawUpstream, SandboxServer, TASK, exchange, get, get_from, post, post_with, run,
    text, wait,
};
use serde_json::{Value, json};

fn create(client: &mut Client) -> u64 {
    let created: Value = serde_json::from_str(client.exchange(post("/createTask", TASK)).text()).unwrap();
    created["taskId"].as_u64().unwrap()
}

fn poll(client: &mut Client, id: u64) -> Message {
    client.exchange(post("/getTaskResult", format!(r#"{{"clientKey":"K","taskId":{id}}}"#)))
}

fn polls_at(sandbox: &SandboxServer) -> u64 {
    let tasks: Value = serde_json::from_str(exchange(sandbox.address, get("/sandbox/tasks")).text()).unwrap();
    tasks
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["polls"].as_u64().unwrap())
        .sum()
}

fn warnings(gateway: &Gateway) -> Vec<Value> {
    let log = gateway.server.log();
    log.into_iter().filter(|event| event["warning"].is_string()).collect()
}

fn sandbox_and_gateway(polls: &str, config: &str) -> (SandboxServer, Gateway) {
    let sandbox = SandboxServer::start(&["--polls", polls]);
    let gateway = Gateway::start(&format!("http://{}", sandbox.address), config);
    (sandbox, gateway)
}

#[test]
fn fast_polls_are_warned_of_and_sent() {
    let (sandbox, gateway) = sandbox_and_gateway("1000", "");
    let mut client = Client::connect(gateway.api);
    let id = create(&mut client);
    for _ in 0..105 {
        let response = poll(&mut client, id);
        assert_eq!(
            (response.status(), response.field("x-nocache-gateway-guard")),
            (200, None)
        );
    }
    assert_eq!(polls_at(&sandbox), 105);
    let warned = wait(|| Some(warnings(&gateway)).filter(|warned| warned.len() == 2));
    let named: Vec<&str> = warned.iter().map(|event| event["warning"].as_str().unwrap()).collect();
    assert_eq!(named, ["fast-polls", "many-polls"]);
    assert_eq!(
        (&warned[0]["client"], &warned[0]["level"]),
        (&json!("127.0.0.1"), &json!("WARN"))
    );
    let metrics = exchange(gateway.admin, get_from("localhost", "/metrics"));
    assert!(
        metrics
            .text()
            .contains(r#"client_warnings_total{warning="fast-polls"} 98"#),
        "{}",
        metrics.text()
    );
    let listed = exchange(gateway.admin, get_from("localhost", "/api/warnings"));
    let listed: Value = serde_json::from_str(listed.text()).unwrap();
    let shown = |number: usize| {
        (
            &listed["warnings"][number]["warning"],
            &listed["warnings"][number]["times"],
        )
    };
    assert_eq!(shown(0), (&json!("many-polls"), &json!(6)), "{listed}");
    assert_eq!(shown(1), (&json!("fast-polls"), &json!(98)), "{listed}");
    let stats = run(&["stats", "--admin-listen", &gateway.admin.to_string()]);
    let stats = text(&stats.stdout);
    assert!(
        stats.contains("warning: a client has polled a task 100 times or more")
            && stats.contains("(127.0.0.1, 6 times"),
        "{stats}"
    );
    let page = exchange(gateway.admin, get_from("localhost", "/"));
    assert!(
        page.text().contains("A client polls a task more often than every 2 s"),
        "{}",
        page.text()
    );
}

#[test]
fn responses_can_carry_the_warning() {
    let (_sandbox, gateway) = sandbox_and_gateway("1000", "[guard]\nwarning_header = true\n");
    let mut client = Client::connect(gateway.api);
    let id = create(&mut client);
    let warning = |response: &Message| response.field("x-nocache-gateway-warning").map(str::to_owned);
    assert_eq!(warning(&poll(&mut client, id)), None);
    assert_eq!(warning(&poll(&mut client, id)).as_deref(), Some("fast-polls"));
    let mistaken = TASK.replacen(r#""type""#, r#""no_cache":true,"type""#, 1);
    let response = client.exchange(post("/createTask", mistaken));
    assert_eq!(warning(&response).as_deref(), Some("nocache-misspelled"));
    assert!(response.decision().starts_with("set"));
}

#[test]
fn paced_polls_are_answered_here() {
    let (sandbox, gateway) = sandbox_and_gateway("1", "[guard]\npolls = \"pace\"\n");
    let mut client = Client::connect(gateway.api);
    let id = create(&mut client);
    assert!(
        poll(&mut client, id).text().contains(r#""errorCode":null"#),
        "the vendor's own"
    );
    let paced = poll(&mut client, id);
    assert_eq!(
        (paced.status(), paced.text()),
        (200, r#"{"errorId":0,"status":"processing"}"#)
    );
    assert_eq!(paced.field("x-nocache-gateway-guard"), Some("paced"));
    assert_eq!(paced.field("content-type"), Some("application/json; charset=utf-8"));
    for (query, body) in [
        ("", "CAPCHA_NOT_READY"),
        ("&json=1", r#"{"request":"CAPCHA_NOT_READY","status":0}"#),
    ] {
        let paced = client.exchange(get(&format!("/res.php?key=K&action=get&id={id}{query}")));
        assert_eq!((paced.status(), paced.text()), (200, body));
        assert_eq!(paced.field("x-nocache-gateway-guard"), Some("paced"));
    }
    assert_eq!(polls_at(&sandbox), 1);
    sleep(Duration::from_millis(1_900));
    assert!(poll(&mut client, id).text().contains("03AGsandbox"));
    // What the gateway did not see created is the vendor's business.
    let unknown = poll(&mut client, 5);
    assert!(unknown.text().contains("WRONG_CAPTCHA_ID") && poll(&mut client, 5).text() == unknown.text());
    assert!(warnings(&gateway).is_empty(), "{:?}", warnings(&gateway));
}

#[test]
fn ids_that_cannot_be_one_are_answered_here() {
    let rows = [
        (
            post("/getTaskResult", r#"{"clientKey":"K","taskId":""}"#),
            "ERROR_WRONG_ID_FORMAT",
        ),
        (
            post("/getTaskResult", r#"{"taskId":"ERROR_DOMAIN_NOT_ALLOWED"}"#),
            "ERROR_WRONG_ID_FORMAT",
        ),
        (
            get("/res.php?key=K&action=get&id=ERROR_ZERO_BALANCE"),
            "ERROR_WRONG_ID_FORMAT",
        ),
        (get("/res.php?key=K&action=get&id="), "ERROR_WRONG_ID_FORMAT"),
    ];
    let sent_on = [
        get("/res.php?key=K&action=get&ids=1,2&id="),
        post("/getTaskResult", r#"{"clientKey":"K","taskId":"5f0c-uuid"}"#),
        post("/getTaskResult", r#"{"clientKey":"K"}"#),
        get("/res.php?key=K&action=getbalance"),
        post("/reportIncorrectTokenCaptcha", r#"{"taskId":""}"#),
    ];
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    for (request, code) in &rows {
        let response = exchange(gateway.api, request);
        assert!(response.text().contains(code), "{}", response.text());
        assert_eq!(
            (response.status(), response.field("x-nocache-gateway-guard")),
            (200, Some("wrong-id"))
        );
    }
    assert!(upstream.received().is_empty());
    for request in &sent_on {
        exchange(gateway.api, request);
    }
    assert_eq!(upstream.received().len(), sent_on.len());
    let off = Gateway::start(&upstream.url, "[guard]\npolls = \"off\"\n");
    for (request, _) in &rows {
        exchange(off.api, request);
    }
    assert_eq!(upstream.received().len(), sent_on.len() + rows.len());
}

#[test]
fn an_outage_is_told_as_processing() {
    for (config, status, guard) in [("[guard]\noutage = \"503\"\n", 503, None), ("", 200, Some("outage"))] {
        let (mut sandbox, gateway) = sandbox_and_gateway("1", config);
        let mut client = Client::connect(gateway.api);
        let id = create(&mut client);
        wait(|| (gateway.server.log().iter().any(|event| event["decision"] == "set")).then_some(()));
        sandbox.server.signal("KILL");
        sandbox.server.wait();
        let response = poll(&mut client, id);
        assert_eq!(
            (response.status(), response.field("x-nocache-gateway-guard")),
            (status, guard),
            "{config}"
        );
        assert_eq!(poll(&mut client, 5).status(), 503, "a task that is not known");
        // The log says what happened in either case.
        wait(|| (gateway.server.log().iter().any(|event| event["cause"] == "connect")).then_some(()));
        assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 502);
    }
}

/// Polls that found no upstream earn no ban, and are not held against the bot when it is back.
#[test]
fn polls_in_an_outage_are_not_counted() {
    let (mut sandbox, gateway) = sandbox_and_gateway("1", "");
    let mut client = Client::connect(gateway.api);
    let id = create(&mut client);
    sandbox.server.signal("KILL");
    sandbox.server.wait();
    for _ in 0..110 {
        poll(&mut client, id);
    }
    let metrics = exchange(gateway.admin, get_from("localhost", "/metrics"));
    let many = metrics
        .text()
        .lines()
        .find(|line| line.contains(r#"warning="many-polls""#));
    assert!(many.is_some_and(|line| line.ends_with(" 0")), "{many:?}");
}

/// A browser asks first whether it may send a poll. That is none, and what it is told is the vendor's.
#[test]
fn a_preflight_request_is_no_poll() {
    let (sandbox, gateway) = sandbox_and_gateway("1", "[guard]\npolls = \"pace\"\n");
    let mut client = Client::connect(gateway.api);
    let id = create(&mut client);
    let target = format!("/res.php?key=K&action=get&id={id}");
    for _ in 0..3 {
        let preflight = client.exchange([&b"OPTIONS"[..], &get(&target)[3..]].concat());
        assert_eq!(preflight.field("x-nocache-gateway-guard"), None, "{}", preflight.text());
    }
    let before = polls_at(&sandbox);
    assert_eq!(client.exchange(get(&target)).field("x-nocache-gateway-guard"), None);
    assert_eq!(polls_at(&sandbox), before + 1);
}

#[test]
fn mistakes_with_nocache_are_named_once_per_client() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let submit = |agent: &str, from: &str, to: &str| {
        let fields = format!("Host: g\r\nUser-Agent: {agent}");
        exchange(
            gateway.api,
            post_with(&fields, "/createTask", TASK.replacen(from, to, 1)),
        );
    };
    for agent in ["bot/1", "bot/1", "bot/2"] {
        submit(agent, r#""type""#, r#""noCache":true,"type""#);
        submit(agent, r#""task""#, r#""nocache":true,"task""#);
    }
    let warned = wait(|| Some(warnings(&gateway)).filter(|warned| warned.len() == 4));
    let pairs: Vec<String> = warned
        .iter()
        .map(|event| format!("{} {}", event["client"], event["warning"]))
        .collect();
    assert_eq!(
        pairs,
        [
            r#""bot/1 at 127.0.0.1" "nocache-misspelled""#,
            r#""bot/1 at 127.0.0.1" "nocache-at-root""#,
            r#""bot/2 at 127.0.0.1" "nocache-misspelled""#,
            r#""bot/2 at 127.0.0.1" "nocache-at-root""#,
        ]
    );
}

#[test]
fn a_key_that_fails_again_and_again_is_warned_of() {
    let (_sandbox, gateway) = sandbox_and_gateway("1", "");
    for _ in 0..4 {
        exchange(
            gateway.api,
            get("/in.php?key=zero-balance&method=userrecaptcha&googlekey=g&pageurl=https://a.example/"),
        );
    }
    let warned = wait(|| warnings(&gateway).pop());
    assert_eq!(warned["warning"], "key-errors");
    let log = gateway.server.log();
    assert!(!log.iter().any(|event| event.to_string().contains("zero-balance")));
}
