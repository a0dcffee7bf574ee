//! The ledger, from requests on the wire to what `/api/stats` and `stats` say.

mod fixtures;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use fixtures::{
    Client, Gateway, Message, OK, RawUpstream, SandboxServer, TASK, exchange, get, get_from,
    ledger::{Bot, ask, bots, buy, totals_of_ledger, totals_of_sandbox},
    post, post_with, run, text, wait,
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

#[test]
fn the_totals_are_those_of_the_sandbox() {
    let sandbox = SandboxServer::start(&["--polls", "2", "--fail-every", "7"]);
    let config = "[[rule]]\nid = \"plain\"\nsites = [\"*.plain.example\"]\naction = \"keep\"\n";
    let gateway = Gateway::start(&format!("http://{}", sandbox.address), config);
    let mut bots = bots(&gateway);
    (0..300).for_each(|number| buy(&mut bots, number));
    let expected = totals_of_sandbox(&sandbox);
    assert!(expected.len() > 6, "{expected:?}");
    let all: u64 = expected.values().map(|row| row[0]).sum();
    assert_eq!(all, 300);
    assert!(
        expected.values().any(|row| row[2] > 0) && expected.values().any(|row| row[5] > 0),
        "{expected:?}"
    );
    // The last record is written after its response.
    wait(|| (totals_of_ledger(&gateway, 24) == expected).then_some(()));
}

#[test]
fn a_task_is_followed_to_its_report() {
    let sandbox = SandboxServer::start(&["--polls", "1"]);
    let gateway = Gateway::start(
        &format!("http://{}", sandbox.address),
        "[[rule]]\nid = \"shop\"\nsites = [\"a.example\"]\naction = \"force\"\n",
    );
    let mut bot = Bot {
        client: Client::connect(gateway.api),
        is_legacy: false,
    };
    let id = bot.create("a.example", "RecaptchaV2Task");
    let task = || ask(&gateway, &format!("/api/tasks/{id}"));
    wait(|| task()["taskId"].is_u64().then_some(()));
    let created = task();
    for (member, value) in [
        ("site", json!("a.example")),
        ("captcha", json!("recaptcha-v2")),
        ("rule", json!("shop")),
        ("nocache", json!(true)),
        ("polls", json!(0)),
        ("outcome", Value::Null),
    ] {
        assert_eq!(created[member], value, "{created}");
    }
    while !bot.poll(&id) {}
    bot.poll(&id);
    wait(|| (task()["polls"] == 3).then_some(()));
    assert_eq!(task()["outcome"], "ready");
    assert!(task()["solveMs"].is_u64());
    let feedback = |body: &str| exchange(gateway.admin, post_with("Host: localhost", "/api/feedback", body)).status();
    assert_eq!(feedback(&format!(r#"{{"taskId":{id},"outcome":"bad"}}"#)), 200);
    assert_eq!(task()["reported"], "bad");
    assert_eq!(feedback(&format!(r#"{{"taskId":"{id}","outcome":"good"}}"#)), 200);
    assert_eq!(task()["reported"], "good");
    assert_eq!(ask(&gateway, "/api/tasks?limit=5").as_array().unwrap().len(), 1);
    for (body, status) in [
        (r#"{"taskId":1,"outcome":"bad"}"#, 404),
        (r#"{"taskId":7654321,"outcome":"fine"}"#, 400),
        (r#"{"taskId":7654321}"#, 400),
        (r#"{"taskId":[],"outcome":"bad"}"#, 400),
        ("", 400),
    ] {
        assert_eq!(feedback(body), status, "{body}");
    }
    // Nothing of it was sent on.
    let tasks = exchange(sandbox.address, get("/sandbox/tasks"));
    assert!(tasks.text().contains(r#""report":null"#), "{}", tasks.text());
    for target in ["/api/tasks/1", "/api/tasks/x"] {
        assert_eq!(
            exchange(gateway.admin, get_from("localhost", target)).status(),
            404,
            "{target}"
        );
    }
    for target in ["/api/tasks?limit=0", "/api/tasks?limit=x", "/api/stats?hours=25"] {
        assert_eq!(
            exchange(gateway.admin, get_from("localhost", target)).status(),
            400,
            "{target}"
        );
    }
}

/// Whatever the form of the vendor's response: compressed, chunked, cut into pieces; or an error.
#[test]
fn responses_are_read_in_every_form() {
    let gzipped = {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(br#"{"errorId":0,"taskId":11}"#).unwrap();
        gzip.finish().unwrap()
    };
    let upstream = RawUpstream::serve(move |request: &Message, stream| {
        let mut respond = |bytes: &[u8]| stream.write_all(bytes).unwrap();
        let body = request.text();
        if body.contains("gzip.example") {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                gzipped.len()
            );
            respond(&[head.as_bytes(), &gzipped].concat());
        } else if body.contains("chunked.example") {
            let chunks = "c\r\n{\"errorId\":0\r\nd\r\n,\"taskId\":12}\r\n0\r\n\r\n";
            respond(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes());
        } else if request.head.starts_with("GET /in.php") {
            // It says less than it announced, and closes.
            respond(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nOK|765");
            return false;
        } else {
            let error = r#"{"errorId":1,"errorCode":"ERROR_ZERO_BALANCE","taskId":0}"#;
            respond(
                format!(
                    "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{error}",
                    error.len()
                )
                .as_bytes(),
            );
        }
        true
    });
    let gateway = Gateway::start(&upstream.url, "");
    let cut = get("/in.php?key=K&method=userrecaptcha&googlekey=g&pageurl=https://cut.example/");
    let mut stream = TcpStream::connect(gateway.api).unwrap();
    stream.write_all(&cut).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap_or_default();
    for site in ["gzip.example", "chunked.example", "error.example"] {
        exchange(gateway.api, post("/createTask", TASK.replace("a.example", site)));
    }
    let sums = wait(|| {
        let stats = ask(&gateway, "/api/stats");
        let sites = stats["sites"].as_array().unwrap().clone();
        (sites.len() == 3).then_some(sites)
    });
    for (site, created, refused) in [
        ("chunked.example", 1, json!({})),
        ("error.example", 0, json!({ "ERROR_ZERO_BALANCE": 1 })),
        ("gzip.example", 1, json!({})),
    ] {
        let row = sums.iter().find(|row| row["site"] == site).unwrap();
        assert_eq!(
            (&row["created"], &row["refused"]),
            (&json!(created), &refused),
            "{site}"
        );
    }
}

#[test]
fn stats_asks_the_running_gateway() {
    let sandbox = SandboxServer::start(&["--polls", "0"]);
    let gateway = Gateway::start(&format!("http://{}", sandbox.address), "");
    let admin = gateway.admin.to_string();
    let stats = |more: &[&str]| run(&[&["stats", "--admin-listen", &admin], more].concat());
    let shown = text(&stats(&[]).stdout);
    assert!(shown.contains("no submission has been sent on"), "{shown}");
    let mut bot = Bot {
        client: Client::connect(gateway.api),
        is_legacy: true,
    };
    let id = bot.create("shop.example", "RecaptchaV2Task");
    bot.poll(&id);
    bot.report(&id, false);
    let shown = wait(|| {
        let shown = text(&stats(&[]).stdout);
        shown.contains("20.7 to 100.0 %").then_some(shown)
    });
    assert!(
        shown.contains("shop.example") && shown.contains("bad of solved"),
        "{shown}"
    );
    let csv = text(&stats(&["--csv", "--since", "1h"]).stdout);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[0].starts_with("site,nocache,submissions,")
            && lines[1].starts_with("shop.example,true,1,1,0,1,0,1,1,1,0.207,1"),
        "{lines:?}"
    );
    let json: Value = serde_json::from_slice(&stats(&["--json"]).stdout).unwrap();
    assert_eq!(json["sites"][0]["site"], "shop.example");
    assert_eq!(stats(&["--since", "31d"]).status.code(), Some(2));
    assert_eq!(run(&["stats", "--admin-listen", "off"]).status.code(), Some(1));
}

#[test]
fn without_a_ledger_nothing_is_followed() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "[ledger]\nmax_tasks = 0\n");
    exchange(gateway.api, post("/createTask", TASK));
    for target in ["/api/stats", "/api/tasks", "/api/tasks/1"] {
        let response = exchange(gateway.admin, get_from("localhost", target));
        assert_eq!(response.status(), 404, "{target}");
        assert!(
            response.text().contains("[ledger] max_tasks is 0"),
            "{}",
            response.text()
        );
    }
}
