//! Promises of docs/reference.md at the edges of others: values given twice, statuses, forms of the gateway's responses.

mod fixtures;

use std::{
    collections::HashSet,
    io::Write,
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex},
};

use fixtures::{
    Client, EDITED, Folder, Gateway, OK, RawUpstream, SET, Server, TASK, exchange, get, post, program, refused, run,
    wait,
};

const DENY: &str = r#"
[[rule]]
id = "no"
sites = ["a.example"]
action = "deny"
"#;

#[test]
fn head_of_in_php_is_read_like_get() {
    let upstream = RawUpstream::start(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    let gateway = Gateway::start(&upstream.url, "");
    let target = "/in.php?key=K&method=userrecaptcha&pageurl=a.example";
    let mut client = Client::connect(gateway.api);
    write!(
        client.0,
        "HEAD {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    std::io::Read::read_to_string(&mut client.0, &mut response).unwrap();
    assert!(response.contains(&format!("x-nocache-gateway: {SET}")), "{response}");
    assert_eq!(upstream.last().target(), format!("{target}&nocache=1"));
}

#[test]
fn of_values_given_twice_the_last_counts() {
    let upstream = RawUpstream::start(OK);
    let config = r#"
        [[rule]]
        id = "by-key"
        sites = ["a.example"]
        action = "add"
        via = "key"
    "#;
    let gateway = Gateway::start(&upstream.url, config);
    let twice = TASK.replace(r#""clientKey":"K""#, r#""clientKey":"A","clientKey":"B""#);
    exchange(gateway.api, post("/createTask", &twice));
    assert_eq!(upstream.last().text(), twice.replace(r#""B""#, r#""B__nocache""#));

    let enterprise = "skipped;reason=captcha-not-covered";
    let set = "set;action=add;via=key;rule=by-key";
    let task = TASK.replace("RecaptchaV2Task", "RecaptchaV3TaskProxyless");
    for (members, decision) in [
        (r#""isEnterprise":false,"isEnterprise":true"#, enterprise),
        (r#""isEnterprise":true,"isEnterprise":false"#, set),
    ] {
        let body = task.replace(r#""type""#, &format!("{members},\"type\""));
        assert_eq!(
            exchange(gateway.api, post("/createTask", body)).decision(),
            decision,
            "{members}"
        );
    }
    for (query, decision) in [
        ("enterprise=0&enterprise=1", enterprise),
        ("enterprise=1&enterprise=0", set),
        ("version=v2&enterprise=1&version=v3&enterprise=0", set),
    ] {
        let target = format!("/in.php?key=K&method=userrecaptcha&pageurl=a.example&{query}");
        assert_eq!(exchange(gateway.api, get(&target)).decision(), decision, "{query}");
    }
    let denied = Gateway::start(&upstream.url, DENY);
    for (query, is_json) in [("json=0&json=1", true), ("json=1&json=0", false)] {
        let target = format!("/in.php?method=userrecaptcha&pageurl=a.example&{query}");
        assert_eq!(
            exchange(denied.api, get(&target)).text().starts_with('{'),
            is_json,
            "{query}"
        );
    }
}

#[test]
fn two_content_types_matter_only_if_their_boundaries_differ() {
    let upstream = RawUpstream::start(OK);
    let forward = Gateway::start(&upstream.url, "");
    let deny = Gateway::start(&upstream.url, &DENY.replace("a.example", "b.example"));
    let form = "method=userrecaptcha&pageurl=a.example";
    let part =
        |name: &str, value: &str| format!("--B\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n");
    let parts = part("method", "userrecaptcha") + &part("pageurl", "a.example") + "--B--\r\n";
    let boundary = |text: &str| format!("multipart/form-data; boundary={text}");
    for (path, types, body, decision) in [
        (
            "/createTask",
            ["text/plain".to_owned(), "application/json".to_owned()],
            TASK,
            SET,
        ),
        ("/createTask", [boundary("A"), boundary("B")], TASK, SET),
        ("/in.php", ["text/plain".to_owned(), "text/html".to_owned()], form, SET),
        ("/in.php", ["text/plain".to_owned(), boundary("B")], &parts, SET),
        ("/in.php", [boundary("B"), boundary("\"B\"")], &parts, SET),
        (
            "/in.php",
            [boundary("A"), boundary("B")],
            &parts,
            "skipped;reason=ambiguous",
        ),
    ] {
        let [first, second] = &types;
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {first}\r\nContent-Type: {second}\r\nContent-Length: {length}\r\n\r\n{body}",
        );
        assert_eq!(exchange(forward.api, &request).decision(), decision, "{path} {types:?}");
        assert_eq!(
            exchange(deny.api, &request).decision(),
            "denied;reason=unreadable",
            "{path} {types:?}"
        );
    }
}

#[test]
fn a_character_set_is_no_content_coding() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let length = TASK.len();
    let request = format!(
        "POST /createTask HTTP/1.1\r\nHost: x\r\nContent-Encoding: UTF-8\r\nContent-Length: {length}\r\n\r\n{TASK}"
    );
    assert_eq!(exchange(gateway.api, request).decision(), SET);
    let arrived = upstream.last();
    assert_eq!(
        (arrived.text(), arrived.field("content-encoding")),
        (EDITED, Some("UTF-8"))
    );
}

/// Whatever the gateway responds itself, and to which legacy request.
#[rustfmt::skip]
#[test]
fn a_wish_for_json_in_the_body_counts() {
    let denies = Gateway::start(&refused(), DENY);
    let fails = Gateway::start(&refused(), "[server]\nbody_limit = \"1 KiB\"\n");
    let full = Gateway::start(&refused(), "[server]\nbody_budget = \"1 KiB\"\n");
    let large = format!("&x={}", "a".repeat(2 << 10));
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n1\r\n--b--\r\n";
    for (gateway, target, body, status, json, code) in [
        (&denies, "/in.php", "method=userrecaptcha&pageurl=a.example&json=1", 200, true, "ERROR_DOMAIN_NOT_ALLOWED"),
        (&denies, "/in.php", r#"{"method":"userrecaptcha","pageurl":"a.example","json":1}"#, 200, true, "ERROR_DOMAIN_NOT_ALLOWED"),
        (&denies, "/in.php", "method=userrecaptcha&pageurl=a.example", 200, false, "ERROR_DOMAIN_NOT_ALLOWED"),
        (&fails, "/in.php", "method=base64&json=1", 502, true, "ERROR_SERVICE_NOT_AVAILABLE"),
        (&fails, "/in.php", &format!("json=1{large}"), 413, true, "ERROR_GATEWAY_BODY_TOO_LARGE"),
        (&fails, "/in.php", &large, 413, false, "ERROR_GATEWAY_BODY_TOO_LARGE"),
        (&fails, "/res.php", "action=get&id=1&json=1", 502, true, "ERROR_SERVICE_NOT_AVAILABLE"),
        (&fails, "/res.php", r#"{"action":"get","id":1,"json":"1"}"#, 502, true, "ERROR_SERVICE_NOT_AVAILABLE"),
        (&fails, "/res.php", multipart, 502, true, "ERROR_SERVICE_NOT_AVAILABLE"),
        (&fails, "/res.php", &format!("json=1{large}"), 502, true, "ERROR_SERVICE_NOT_AVAILABLE"),
        (&fails, "/res.php", "action=get&id=1", 502, false, "ERROR_SERVICE_NOT_AVAILABLE"),
        (&full, "/in.php?json=1", &large, 503, true, "ERROR_SERVICE_NOT_AVAILABLE"),
        (&full, "/res.php?json=1", &large, 503, true, "ERROR_SERVICE_NOT_AVAILABLE"),
    ] {
        let content_type = match body.starts_with("--") {
            true => "multipart/form-data; boundary=b",
            false => "text/plain",
        };
        let fields = format!("Host: x\r\nContent-Type: {content_type}\r\nContent-Length: {}", body.len());
        let head = format!("POST {target} HTTP/1.1\r\n{fields}\r\n\r\n");
        let response = exchange(gateway.api, head + body);
        let expected = match json {
            true => format!(r#"{{"request":"{code}","status":0}}"#),
            false => code.to_owned(),
        };
        let name = &body[..body.len().min(60)];
        assert_eq!((response.status(), response.text()), (status, &*expected), "{target} {name}");
    }
    let origin = "POST /res.php HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\nheader_acao=1";
    let response = exchange(fails.api, origin);
    assert_eq!((response.status(), response.field("access-control-allow-origin")), (502, Some("*")));
    assert_eq!(exchange(fails.api, post("/res.php", "")).field("access-control-allow-origin"), None);
}

#[test]
fn the_gateways_own_responses_hold_no_secret() {
    let deny =
        "[[rule]]\nid = \"no\"\nsites = [\"denied.example\"]\naction = \"deny\"\n[default]\nunreadable = \"forward\"\n";
    let gateway = Gateway::start(&refused(), deny);
    let body = r#"{"clientKey":"SECRET","task":{"type":"RecaptchaV2Task","websiteURL":"https://a.example/?SECRET","proxyPassword":"SECRET","cookies":"SECRET"}}"#;
    let mut seen = HashSet::new();
    for request in [
        post("/createTask", body),
        post("/createTask", body.replace("a.example", "denied.example")),
        post("/createTask?SECRET", &body[..40]),
        get("/in.php?key=SECRET&method=userrecaptcha&pageurl=https://a.example/?SECRET"),
        post("/getTaskResult?SECRET", r#"{"clientKey":"SECRET"}"#),
        b"CONNECT SECRET:443 HTTP/1.1\r\nHost: SECRET\r\n\r\n".to_vec(),
        b"GET http://SECRET.example/SECRET HTTP/1.1\r\nHost: SECRET\r\n\r\n".to_vec(),
    ] {
        let response = exchange(gateway.api, request);
        seen.insert(response.status());
        assert!(
            !format!("{response:?}").to_lowercase().contains("secret"),
            "{response:?}"
        );
    }
    assert_eq!(seen, HashSet::from([200, 405, 421, 502, 503]));
}

#[test]
fn on_get_task_result_only_server_errors_become_503() {
    let gateway = Gateway::start(&refused(), "[server]\nbody_timeout = \"100ms\"\n");
    for (request, status) in [
        (
            "POST /getTaskResult HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
            503,
        ),
        (
            "POST /getTaskResult HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            503,
        ),
        (
            "GET http://other.example/getTaskResult HTTP/1.1\r\nHost: x\r\n\r\n",
            421,
        ),
    ] {
        assert_eq!(exchange(gateway.api, request).status(), status, "{request}");
    }
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "[server]\nbody_timeout = \"100ms\"\n");
    let request = "POST /getTaskResult HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{";
    assert_eq!(exchange(gateway.api, request).status(), 408);
}

#[test]
fn a_refusal_before_the_decision_carries_none() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(
        &upstream.url,
        "[server]\nbody_timeout = \"100ms\"\nhead_limit = \"1 MiB\"\n",
    );
    let late = "POST /createTask HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{".to_owned();
    let long = "a".repeat(65_480);
    let long = format!("GET /in.php?method=userrecaptcha&pageurl=a.example&x={long} HTTP/1.1\r\nHost: x\r\n\r\n");
    for (request, status) in [(late, 408), (long, 414)] {
        let response = exchange(gateway.api, request);
        assert_eq!((response.status(), response.decision()), (status, "none"));
    }
    assert_eq!(upstream.received(), []);
}

#[test]
fn a_refused_client_that_expects_to_be_asked_is_not_asked() {
    let gateway = Gateway::start(&refused(), "[server]\nbody_limit = \"1 KiB\"\n");
    let request = "POST /createTask HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9999\r\n\r\n";
    assert_eq!(exchange(gateway.api, request).status(), 413, "and no 100 before it");
}

#[test]
fn a_head_of_more_than_256_fields_is_refused() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let request = |fields: usize| {
        let fields: String = (0..fields).map(|number| format!("x-{number}: 1\r\n")).collect();
        format!("GET /x HTTP/1.1\r\n{fields}\r\n")
    };
    assert_eq!(exchange(gateway.api, request(256)).status(), 200);
    assert_eq!(exchange(gateway.api, request(257)).status(), 431);
}

#[test]
fn a_response_of_1024_fields_and_256_kib_is_passed_on_and_a_larger_one_is_named() {
    let upstream = RawUpstream::serve(|request, stream| {
        let (_, query) = request.target().split_once('?').unwrap();
        let (fields, length) = query.split_once('x').unwrap();
        let (fields, length): (usize, usize) = (fields.parse().unwrap(), length.parse().unwrap());
        let fields: String = (0..fields)
            .map(|number| format!("x-{number}: {}\r\n", "y".repeat(length)))
            .collect();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{fields}\r\nok").is_ok()
    });
    let gateway = Gateway::start(&upstream.url, "");
    for (fields, length, status) in [(1023, 1, 200), (1024, 1, 502), (8, 32_000, 200), (9, 32_000, 502)] {
        let target = format!("/in.php?{fields}x{length}");
        assert_eq!(exchange(gateway.api, get(&target)).status(), status, "{target}");
    }
    let failures = wait(|| {
        let failures = gateway
            .server
            .log()
            .into_iter()
            .filter(|line| line["cause"] == "not-http");
        Some(failures.collect::<Vec<_>>()).filter(|failures| failures.len() == 2)
    });
    for line in failures {
        assert!(line["error"].as_str().unwrap().contains("too large"), "{line}");
    }
}

#[test]
fn a_connection_that_the_response_ends_is_not_reused() {
    for response in [
        &b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"[..],
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let peers = Arc::new(Mutex::new(HashSet::<SocketAddr>::new()));
        let seen = peers.clone();
        let upstream = RawUpstream::serve(move |_, stream| {
            seen.lock().unwrap().insert(stream.peer_addr().unwrap());
            stream.write_all(response).is_ok()
        });
        let gateway = Gateway::start(&upstream.url, "");
        for _ in 0..3 {
            assert_eq!(exchange(gateway.api, post("/getTaskResult", "{}")).status(), 200);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(peers.lock().unwrap().len(), 3, "{}", response.escape_ascii());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn too_few_open_files_are_warned_of_at_the_start() {
    let folder = Folder::new();
    let file = folder.write("c.toml", "");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", r#"ulimit -n 256 && exec "$@""#, "sh"]);
    command.arg(program().get_program());
    command
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "off", "--config"])
        .arg(file);
    let server = Server::start(command, folder);
    server.address("listening");
    let warning = server.log().into_iter().find(|line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("fewer open files"))
    });
    assert_eq!(warning.expect("a warning")["allowed"], 256);
}

#[test]
fn a_configuration_that_cannot_be_read_is_not_the_defaults() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("nocache-gateway.toml")).unwrap();
    let output = program().arg("check").current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nocache-gateway.toml cannot be read"));
}

#[test]
fn a_configured_type_name_can_move_a_built_in_one() {
    let folder = Folder::new();
    let file = folder.write("c.toml", "[captchas]\nrecaptcha-v3 = [\"RecaptchaV2Task\"]\n");
    let file = file.to_str().unwrap();
    let shown = run(&[
        "explain",
        "--config",
        file,
        "--site",
        "a.example",
        "--captcha",
        "RecaptchaV2Task",
    ]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("recaptcha-v3 (type RecaptchaV2Task)"));
}

#[test]
fn the_pretty_log_is_for_people() {
    let folder = Folder::new();
    let file = folder.write("c.toml", "[log]\nformat = \"pretty\"\n");
    let mut command = program();
    command
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "off", "--config"])
        .arg(file);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    while !line.contains("listening") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        line.contains(" INFO listening address=127.0.0.1:") && !line.contains('\u{1b}'),
        "{line}"
    );
}

#[test]
fn what_browsers_send_for_other_sites_is_refused_where_that_is_set() {
    let upstream = RawUpstream::start(OK);
    let open = Gateway::start(&upstream.url, "");
    let closed = Gateway::start(&upstream.url, "[server]\ncross_site = \"deny\"\n");
    for (fields, is_refused) in [
        ("", false),
        ("Origin: http://localhost:3000\r\n", false),
        ("Sec-Fetch-Site: same-origin\r\n", false),
        ("Origin: https://evil.example\r\n", true),
        ("Sec-Fetch-Site: cross-site\r\n", true),
        ("Sec-Fetch-Site: none\r\nOrigin: null\r\n", true),
    ] {
        for target in ["POST /createTask", "GET /in.php?json=1", "OPTIONS /getTaskResult"] {
            let request = format!("{target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}Content-Length: 0\r\n\r\n");
            assert_eq!(exchange(open.api, &request).status(), 200, "{fields}");
            let before = upstream.received().len();
            let response = exchange(closed.api, &request);
            assert_eq!(
                response.status(),
                if is_refused { 403 } else { 200 },
                "{target} {fields}"
            );
            assert_eq!(response.text().contains("ERROR_GATEWAY_CROSS_SITE"), is_refused);
            assert_eq!(upstream.received().len() == before, is_refused, "{target} {fields}");
        }
    }
}
