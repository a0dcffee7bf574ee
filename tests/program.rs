//! The program as a user meets it: verbs, exit codes, signals, the admin side.

mod fixtures;

use std::{fs, io::Write, process::Stdio, thread, time::Duration};

use fixtures::{
    Client, Folder, Gateway, OK, RawUpstream, SandboxServer, Server, TASK, exchange, get, get_from, post, program,
    refused, run, text, wait,
};

/// A text without the indentation that it has here, for those that are reported by line and column.
fn unindented(text: &str) -> String {
    let text = text.trim_start_matches('\n');
    let indentation = text.len() - text.trim_start().len();
    let lines = text.lines().map(|line| line.get(indentation..).unwrap_or_default());
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_demo_does_what_it_says() {
    let demo = run(&["demo"]);
    let shown = text(&demo.stdout);
    assert_eq!(demo.status.code(), Some(0), "{shown}{}", text(&demo.stderr));
    assert_eq!(shown.matches("✓ the sandbox received exactly this").count(), 6);
    assert!(shown.contains(r#""websiteKey":"6Lc"{+,"nocache":true+}}}"#));
    assert!(shown.contains("03AGsandbox.7654321.nocache-parameter"));
}

#[test]
fn a_wrong_configuration_does_not_start_and_says_where() {
    let folder = Folder::new();
    let config = r#"
        [[rule]]
        id = "a"
        sites = ["a.example"]
        action = "ad"
        "#;
    let file = folder.write("c.toml", unindented(config));
    for verb in ["check", "serve", "explain"] {
        let mut args = vec![verb, "--config", file.to_str().unwrap()];
        args.extend((verb == "explain").then_some("--site=x.example"));
        let output = run(&args);
        assert_eq!(output.status.code(), Some(2), "{verb}");
        // Where the log is JSON, what ends the gateway is one of its events.
        let report = match verb {
            "serve" => {
                let event: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
                assert_eq!(event["level"], "ERROR");
                event["message"].as_str().unwrap().to_owned()
            }
            _ => text(&output.stderr),
        };
        assert!(
            report.contains("c.toml:4:10") && report.contains("did you mean \"add\"?"),
            "{report}"
        );
        assert_eq!(text(&output.stdout), "");
    }
    let output = run(&["check", "--config", "no-such-file.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no-such-file.toml cannot be read"));

    let file = folder.write("latin1.toml", b"# ok\n# caf\xe9\n");
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    assert!(text(&output.stderr).contains("line 2 contains an invalid byte"));

    assert_eq!(run(&["serve", "--listen", "6622"]).status.code(), Some(2));
    assert_eq!(
        run(&["serve", "--upstream", "api.capmonster.cloud"]).status.code(),
        Some(2)
    );
}

#[test]
fn check_says_what_is_in_force() {
    let folder = Folder::new();
    let config = r#"
        [upstream]
        url = "http://127.0.0.1:1"
        [[rule]]
        id = "a"
        sites = ["a.example", "b.example"]
        action = "force"
        "#;
    let file = folder.write("c.toml", unindented(config));
    let output = run(&[
        "check",
        "--config",
        file.to_str().unwrap(),
        "--listen",
        "127.0.0.1:7000",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    for expected in [
        "c.toml: OK",
        "listens     [127.0.0.1:7000] (--listen)\n",
        "forwards    http://127.0.0.1:1 (",
        "c.toml:2)\n",
        "1 (2 site patterns)\n",
        "other sites add (default)",
    ] {
        assert!(shown.contains(expected), "{expected} is missing in\n{shown}");
    }
    let output = program()
        .args(["check"])
        .current_dir(folder.path())
        .env("NOCACHE_GATEWAY_CONFIG", "c.toml")
        .output()
        .unwrap();
    assert!(text(&output.stdout).contains("c.toml: OK"));
}

#[test]
fn explain_shows_decision_rule_and_bytes_with_keys_masked() {
    let folder = Folder::new();
    let rules = r#"
        # rules
        [[rule]]
        id = "shop"
        sites = ["shop.example/cart"]
        action = "force"
        via = "key"
        "#;
    let config = folder.write("c.toml", unindented(rules));
    let body = folder.write("b.json", r#"{"clientKey":"SECRET__m","task":{"type":"RecaptchaV2Task","websiteURL":"https://shop.example/cart/1","proxyPassword":"SECRET"}}"#);
    let config = config.to_str().unwrap();
    let explain = |args: &[&str]| text(&run(&[&["explain", "--config", config], args].concat()).stdout);

    let shown = explain(&[body.to_str().unwrap()]);
    for expected in [
        "captcha   recaptcha-v2 (type RecaptchaV2Task)\n",
        "site      shop.example/cart/1 (read from websiteURL)\n",
        "c.toml:2)\n",
        "decision  set;action=force;via=key;rule=shop\n",
        "edit      body at byte 23: {+__nocache+}\n",
        r#"after     {"clientKey":"***__m{+__nocache+}","task""#,
    ] {
        assert!(shown.contains(expected), "{expected} is missing in\n{shown}");
    }
    assert!(!shown.contains("SECRET"));
    assert!(explain(&[body.to_str().unwrap(), "--show-secrets"]).contains("SECRET__m"));

    let shown = explain(&["http://127.0.0.1:6622/in.php?key=SECRET&method=userrecaptcha&pageurl=https://a.example/"]);
    assert!(
        shown.contains("after     /in.php?key=***&method=userrecaptcha&pageurl=https://a.example/{+&nocache=1+}"),
        "{shown}"
    );
    assert!(explain(&["--site", "shop.example"]).contains("rule=default"));
    assert!(explain(&["--site", "shop.example/cart", "--captcha", "recaptcha-v3"]).contains("rule=shop"));
    assert!(explain(&["--site", "shop.example/cart", "--captcha", "TurnstileTask"]).contains("captcha-not-covered"));

    let json: serde_json::Value = serde_json::from_str(&explain(&[body.to_str().unwrap(), "--json"])).unwrap();
    assert_eq!(json["rule"], "shop");
    assert_eq!(json["edits"][0]["at"], 23);
    assert_eq!(json["edits"][0]["new"], "__nocache");

    let mut child = program()
        .args(["explain", "-", "--config", config])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{").unwrap();
    assert!(text(&child.wait_with_output().unwrap().stdout).contains("skipped;reason=unreadable"));
    assert_eq!(run(&["explain", "no-such-file.json"]).status.code(), Some(2));

    // Where it is not certain what is a key, nothing is shown.
    let twice = folder.write("t.json", r#"{"clientKey":"SECRET","task":{"type":"a","type":"b"}}"#);
    for request in [
        twice.to_str().unwrap(),
        "http://h/in.php?key=SECRET&method=a&method=b",
        "http://h/in.php?method=userrecaptcha;key=SECRET;pageurl=x",
    ] {
        assert!(!explain(&[request]).contains("SECRET"), "{request}");
        assert!(!explain(&[request, "--json"]).contains("SECRET"), "{request}");
        assert!(explain(&[request, "--show-secrets"]).contains("SECRET"), "{request}");
    }
}

#[test]
fn the_admin_side_tells_health_to_those_it_knows() {
    let gateway = Gateway::start(
        &refused(),
        r#"
        [admin]
        hosts = ["gate.internal"]
        "#,
    );
    let ask =
        |target: &str, fields: &str| exchange(gateway.admin, format!("GET {target} HTTP/1.1\r\n{fields}\r\n\r\n"));
    for host in ["127.0.0.1:6623", "localhost", "10.0.0.7:6623", "gate.internal"] {
        assert_eq!(ask("/livez", &format!("Host: {host}")).text(), "ok\n", "{host}");
        assert_eq!(ask("/readyz", &format!("Host: {host}")).text(), "ready\n", "{host}");
    }
    for fields in [
        "Host: evil.example",
        "Host: localhost\r\nOrigin: https://evil.example",
        "Host: localhost\r\nOrigin: null",
        "Host: localhost\r\nSec-Fetch-Site: cross-site",
    ] {
        assert_eq!(ask("/readyz", fields).status(), 403, "{fields}");
    }
    assert_eq!(ask("/nothing", "Host: localhost").status(), 404);

    let address = gateway.admin.to_string();
    let healthcheck = |address: &str| {
        let mut command = program();
        command.args(["healthcheck", "--admin-listen", address]);
        // A proxy that would fail: the gateway's own calls never take one.
        command
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .env("http_proxy", "http://127.0.0.1:1");
        command.output().unwrap().status.code()
    };
    assert_eq!(healthcheck(&address), Some(0));
    assert_eq!(healthcheck(refused().trim_start_matches("http://")), Some(1));
    let off = |listen: &str| {
        run(&["healthcheck", "--admin-listen", "off", "--listen", listen])
            .status
            .code()
    };
    assert_eq!(off(&gateway.api.to_string()), Some(0));
    assert_eq!(off(refused().trim_start_matches("http://")), Some(1));
}

/// A file that is broken by now says nothing of the gateway that runs: a probe that failed for it would end a gateway that works,
/// and the next would not start.
#[test]
fn a_broken_file_does_not_make_it_unhealthy() {
    let gateway = Gateway::start(&refused(), "");
    let folder = Folder::new();
    let healthcheck = |config: &str, args: &[&str]| {
        let file = folder.write("c.toml", config);
        let output = run(&[&["healthcheck", "--config", file.to_str().unwrap()], args].concat());
        output.status.code()
    };
    let admin = gateway.admin.to_string();
    for broken in ["[rule]\n", "= 1\n", "rul = 1\n", "\u{0}"] {
        assert_eq!(healthcheck(broken, &["--admin-listen", &admin]), Some(0), "{broken:?}");
        let of_file = format!(
            r#"
            [admin]
            listen = "{admin}"
            [server]
            {broken}
            "#
        );
        assert_eq!(healthcheck(&of_file, &[]), Some(0), "{of_file:?}");
    }
    let absent = refused();
    let absent = absent.trim_start_matches("http://");
    // Of several API listeners one may have been left out.
    let several = format!(
        r#"
        [admin]
        listen = "off"
        [server]
        listen = ["{absent}", "{}"]
        "#,
        gateway.api
    );
    assert_eq!(healthcheck(&several, &[]), Some(0));
    assert_eq!(healthcheck(&format!("{several}x = 1\n"), &[]), Some(0));
    // Whatever is wrong, it is 1: Docker reserves 2.
    assert_eq!(
        healthcheck(&format!("{several}x = 1\n"), &["--listen", absent]),
        Some(1)
    );
    assert_eq!(healthcheck("rul = 1\n", &["--admin-listen", absent]), Some(1));
}

#[test]
fn the_sandbox_stops_when_it_is_asked_to() {
    // As the first process of a container it would else have to be killed.
    for signal in ["TERM", "INT"] {
        let mut sandbox = SandboxServer::start(&[]);
        sandbox.server.signal(signal);
        assert_eq!(sandbox.server.wait(), Some(0), "{signal}");
    }
}

#[test]
fn a_stop_lets_what_runs_finish() {
    let upstream = RawUpstream::serve(|_, stream| {
        thread::sleep(Duration::from_millis(500));
        stream.write_all(OK).is_ok()
    });
    let mut gateway = Gateway::start(&upstream.url, "");
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&post("/createTask", "{}")).unwrap();
    wait(|| upstream.received().pop());
    gateway.server.signal("TERM");
    let ready = || exchange(gateway.admin, get_from("localhost", "/readyz")).status();
    wait(|| (ready() == 503).then_some(()));
    wait(|| std::net::TcpStream::connect(gateway.api).is_err().then_some(()));
    assert_eq!(ready(), 503, "the admin side responds to the end");
    let response = client.read();
    assert_eq!((response.status(), response.field("connection")), (200, Some("close")));
    assert_eq!(gateway.server.wait(), Some(0));
}

#[test]
fn a_gateway_before_itself_is_warned_of_before_anything_is_paid() {
    let folder = Folder::new();
    let address = refused();
    let port = address.rsplit(':').next().unwrap();
    for (listen, upstream, is_loop) in [
        (format!("127.0.0.1:{port}"), format!("http://localhost:{port}"), true),
        (format!("0.0.0.0:{port}"), format!("http://localhost:{port}"), true),
        (format!("127.0.0.1:{port}"), "http://localhost:1".to_owned(), false),
        (
            format!("127.0.0.1:{port}"),
            "http://no-such-host.invalid".to_owned(),
            false,
        ),
    ] {
        let config = format!(
            r#"
            [server]
            listen = "{listen}"
            [upstream]
            url = "{upstream}"
            "#
        );
        let file = folder.write("c.toml", config);
        let output = run(&["check", "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0));
        let said = text(&output.stderr);
        assert_eq!(
            said.contains("is this gateway itself"),
            is_loop,
            "{listen} {upstream}: {said}"
        );
        assert_eq!(said.contains("connect_to"), is_loop);
        let output = run(&["check", "--json", "--config", file.to_str().unwrap()]);
        assert_eq!(text(&output.stdout).contains("is this gateway itself"), is_loop);
    }
    let file = folder.write("c.toml", "");
    let command = |upstream: &str| {
        let mut command = program();
        command.args(["--listen", &format!("127.0.0.1:{port}"), "--admin-listen", "off"]);
        command.args(["--upstream", upstream, "--config", file.to_str().unwrap()]);
        command
    };
    // An address is no name that may lead elsewhere tomorrow.
    let output = command(&address).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("is this gateway itself: set [upstream] url"),
        "{}",
        text(&output.stderr)
    );
    // The same holds for the fallback; a name that leads here is warned of, also where the other is an address.
    for (url, fallback, is_certain) in [
        ("http://no-such-host.invalid", address.clone(), true),
        ("http://127.0.0.1:9", format!("http://localhost:{port}"), false),
    ] {
        let config = folder.write(
            "f.toml",
            format!("[upstream]\nurl = \"{url}\"\nfallback = \"{fallback}\"\n"),
        );
        let own = format!("127.0.0.1:{port}");
        let output = run(&["check", "--listen", &own, "--config", config.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(if is_certain { 2 } else { 0 }), "{said}");
        assert!(said.contains("is this gateway itself"), "{said}");
    }
    let server = Server::start(command(&format!("http://localhost:{port}")), folder);
    wait(|| server.log().into_iter().find(|line| line["cause"] == "loop"));
}

#[test]
fn names_and_passwords_of_urls_are_shown_nowhere() {
    let folder = Folder::new();
    let file = folder.write(
        "c.toml",
        r#"
        [upstream]
        url = "http://me:hunter2@x.example"
        "#,
    );
    let file = file.to_str().unwrap();
    for args in [
        &["check", "--config", file][..],
        &["check", "--json", "--config", file],
        &["serve", "--config", file],
        &["serve", "--upstream", "http://me:hunter2@x.example"],
        &["doctor", "--upstream", "http://me:hunter2@x.example"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(said.contains("only scheme, host and port belong here"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("me:"), "{said}");
    }
}

#[test]
fn work_that_does_not_finish_in_time_ends_with_1() {
    let upstream = RawUpstream::serve(|_, _| {
        thread::sleep(fixtures::PATIENCE);
        false
    });
    let mut gateway = Gateway::start(
        &upstream.url,
        r#"
        [server]
        shutdown_grace = "100ms"
        "#,
    );
    let mut client = Client::connect(gateway.api);
    client.0.write_all(&post("/createTask", "{}")).unwrap();
    wait(|| upstream.received().pop());
    gateway.server.signal("INT");
    assert_eq!(gateway.server.wait(), Some(1));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let gateway = Gateway::start(&refused(), "");
    let output = run(&["serve", "--listen", &gateway.api.to_string(), "--admin-listen", "off"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("cannot listen on {}", gateway.api)));
}

#[test]
fn the_sandbox_speaks_as_the_vendor_does() {
    let sandbox = SandboxServer::start(&["--polls", "1"]);
    let post = |path: &str, body: &str| exchange(sandbox.address, post(path, body)).text().to_owned();
    let ask = |target: &str| exchange(sandbox.address, get(target)).text().to_owned();
    let code = |response: String| {
        serde_json::from_str::<serde_json::Value>(&response).unwrap()["errorCode"]
            .as_str()
            .map(str::to_owned)
    };
    let task = |rest: &str| format!(r#"{{"clientKey":"K","task":{{"type":"RecaptchaV2Task"{rest}}}}}"#);

    assert_eq!(
        post("/createTask", &task(r#","nocache":true"#)),
        r#"{"errorId":0,"taskId":7654321}"#
    );
    assert_eq!(
        ask("/in.php?key=K__nocache&method=userrecaptcha&googlekey=g&pageurl=p"),
        "OK|7654322"
    );
    assert_eq!(
        ask("/in.php?key=K&method=userrecaptcha&googlekey=g&pageurl=p&json=1"),
        r#"{"request":"7654323","status":1}"#
    );

    assert!(post("/getTaskResult", r#"{"clientKey":"K","taskId":7654321}"#).contains(r#""status":"processing""#));
    assert!(
        post("/getTaskResult", r#"{"clientKey":"K","taskId":"7654321"}"#)
            .contains("03AGsandbox.7654321.nocache-parameter")
    );
    assert_eq!(ask("/res.php?key=K&action=get&id=7654322"), "CAPCHA_NOT_READY");
    assert_eq!(
        ask("/res.php?key=K&action=get&id=7654322"),
        "OK|03AGsandbox.7654322.nocache-key"
    );
    // One space of ids: a legacy task polled the other way.
    post("/getTaskResult", r#"{"clientKey":"K","taskId":7654323}"#);
    assert!(post("/getTaskResult", r#"{"clientKey":"K","taskId":7654323}"#).contains("nocache-off"));

    assert_eq!(
        post("/getBalance", r#"{"clientKey":"K"}"#),
        r#"{"balance":345.678,"errorId":0}"#
    );
    assert_eq!(ask("/res.php?key=K&action=getbalance"), "345.678");
    assert_eq!(ask("/res.php?key=K&action=reportbad&id=7654322"), "OK_REPORT_RECORDED");
    assert_eq!(ask("/res.php?key=K&action=reportgood&id=1"), "ERROR_WRONG_CAPTCHA_ID");
    assert_eq!(
        post("/reportIncorrectTokenCaptcha", r#"{"clientKey":"K","taskId":7654321}"#),
        r#"{"errorId":0,"status":"success"}"#
    );

    for (path, body, expected) in [
        (
            "/createTask",
            task("").replace("\"K\"", "\"wrong-key\""),
            "ERROR_KEY_DOES_NOT_EXIST",
        ),
        (
            "/createTask",
            task("").replace("\"K\"", "\"zero-balance\""),
            "ERROR_ZERO_BALANCE",
        ),
        ("/createTask", r#"{"clientKey":"K"}"#.into(), "ERROR_TASK_ABSENT"),
        ("/createTask", "{".into(), "ERROR_TASK_ABSENT"),
        (
            "/createTask",
            task("").replace("RecaptchaV2Task", "NoSuchTask"),
            "ERROR_TASK_NOT_SUPPORTED",
        ),
        (
            "/getTaskResult",
            r#"{"clientKey":"K","taskId":1}"#.into(),
            "WRONG_CAPTCHA_ID",
        ),
        ("/noSuchMethod", r#"{"clientKey":"K"}"#.into(), "ERROR_NO_SUCH_METHOD"),
    ] {
        assert_eq!(code(post(path, &body)).as_deref(), Some(expected), "{path} {body}");
    }
    assert_eq!(
        ask("/in.php?key=wrong-key&method=userrecaptcha"),
        "ERROR_KEY_DOES_NOT_EXIST"
    );

    let tasks = ask("/sandbox/tasks");
    assert!(
        tasks.contains(r#""nocache":"parameter""#) && tasks.contains(r#""report":"incorrect""#),
        "{tasks}"
    );
    for (host, status) in [
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("sandbox:6624", 200),
        ("evil.example:6624", 403),
        ("", 403),
    ] {
        let response = exchange(sandbox.address, get_from(host, "/sandbox/tasks"));
        assert_eq!(
            response.status(),
            status,
            "a page can make a name of its own lead here: {host:?}"
        );
    }
    assert_eq!(exchange(sandbox.address, get("/sandbox/requests")).status(), 404);
}

#[test]
fn submissions_reach_a_solution_over_tls() {
    let folder = Folder::new();
    let certificate = folder.path().join("ca.pem");
    let sandbox = SandboxServer::start(&["--record", "--tls", certificate.to_str().unwrap()]);
    let config = format!(
        r#"
        [upstream]
        ca_file = {:?}
        "#,
        certificate.to_str().unwrap()
    );
    let gateway = Gateway::start(&format!("https://localhost:{}", sandbox.address.port()), &config);
    let created = exchange(gateway.api, post("/createTask", TASK));
    assert_eq!(created.text(), r#"{"errorId":0,"taskId":7654321}"#);
    let poll = || {
        exchange(
            gateway.api,
            post("/getTaskResult", r#"{"clientKey":"K","taskId":7654321}"#),
        )
    };
    poll();
    assert!(poll().text().contains("03AGsandbox.7654321.nocache-parameter"));
    let requests: serde_json::Value =
        serde_json::from_str(exchange(gateway.api, get("/sandbox/requests")).text()).unwrap();
    assert!(
        requests[0]["body"]
            .as_str()
            .unwrap()
            .ends_with(r#""websiteURL":"a.example","nocache":true}}"#)
    );
}

#[test]
fn explain_says_what_is_wrong_with_a_shape() {
    let folder = Folder::new();
    let config = folder.write(
        "c.toml",
        "[[rule]]\nid = \"no\"\nsites = [\"x.example\"]\naction = \"deny\"\n",
    );
    let body = folder.write(
        "b.json",
        r#"{"task":{"type":"RecaptchaV2Task","websiteURL":"a.example","website_url":"x.example"}}"#,
    );
    let args = ["explain", "--config", config.to_str().unwrap(), body.to_str().unwrap()];
    let shown = text(&run(&args).stdout);
    let site = [
        "explain",
        "--config",
        config.to_str().unwrap(),
        "--site",
        "\u{feff}https://a.example",
    ];
    assert!(text(&run(&site).stdout).contains("the invisible character U+FEFF"));
    let detail = "a name is an unusual spelling of \"websiteURL\"";
    assert!(
        shown.contains("denied;reason=unreadable") && shown.contains(detail),
        "{shown}"
    );
    let json: serde_json::Value = serde_json::from_slice(&run(&[&args[..], &["--json"]].concat()).stdout).unwrap();
    assert_eq!(json["detail"], detail);
}

#[test]
fn explain_takes_many_sites_and_compares_configurations() {
    let folder = Folder::new();
    let one = folder.write(
        "one.toml",
        r#"
        [[rule]]
        id = "shop"
        sites = ["shop.example/cart"]
        action = "force"
        "#,
    );
    let two = folder.write(
        "two.toml",
        r#"
        [[rule]]
        id = "shop"
        sites = ["shop.example"]
        action = "keep"
        "#,
    );
    let sites = folder.write(
        "sites.txt",
        "# sites\nhttps://shop.example/cart\r\n\nother.example\nshop.example/a,b\nftp://x\n",
    );
    let (one, two, sites) = (one.to_str().unwrap(), two.to_str().unwrap(), sites.to_str().unwrap());
    let explain = |args: &[&str]| {
        let output = run(&[&["explain", "--config", one], args].concat());
        let is_different = args.contains(&"--against") && !output.stdout.is_empty();
        assert_eq!(output.status.code(), Some(i32::from(is_different)), "{args:?}");
        text(&output.stdout)
    };
    assert_eq!(
        explain(&["--batch", sites]),
        "site,captcha,decision,action,via,rule,reason\n\
         https://shop.example/cart,recaptcha-v2,set,force,parameter,shop,\n\
         other.example,recaptcha-v2,set,add,parameter,default,\n\
         \"shop.example/a,b\",recaptcha-v2,set,add,parameter,default,\n\
         ftp://x,recaptcha-v2,skipped,,,,bad-site\n"
    );
    let lines = explain(&["--batch", sites, "--json"]);
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((lines.lines().count(), &first["rule"]), (4, &serde_json::json!("shop")));
    assert_eq!(
        explain(&["--batch", sites, "--against", two]),
        "https://shop.example/cart\n  - set;action=force;via=parameter;rule=shop\n  + kept;action=keep;rule=shop;reason=action-keep\n\
         shop.example/a,b\n  - set;action=add;via=parameter;rule=default\n  + kept;action=keep;rule=shop;reason=action-keep\n"
    );
    let request = r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://shop.example/cart"}}"#;
    assert_eq!(
        explain(&[request, "--against", two]),
        "the request\n  - set;action=force;via=parameter;rule=shop\n  + kept;action=keep;rule=shop;reason=action-keep\n"
    );
    assert_eq!(explain(&[&request.replace("shop.", "other."), "--against", two]), "");
    let broken = explain(&[&request.replace("\"RecaptchaV2Task\"", "RecaptchaV2Task")]);
    assert!(
        broken.contains("invalid JSON at byte 33 (line 1): expected value"),
        "{broken}"
    );
    let close = explain(&["--site", "www.shop.example"]);
    assert!(
        close.contains("close     shop (") && close.contains("shop.example/cart matches the host, but not the path"),
        "{close}"
    );
    let close = explain(&["--site", "shop.example/cart", "--captcha", "TurnstileTask"]);
    assert!(
        close.contains("shop.example/cart matches, but not the captcha"),
        "{close}"
    );
    assert_eq!(
        run(&["explain", "--site", "x", "--captcha", "recaptcha-v9"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn check_warns_of_patterns_that_cannot_be_meant() {
    let folder = Folder::new();
    folder.write("list.txt", "fine.example\nwww.wide.example/x # under line 3\n");
    let config = r#"
        [[rule]]
        id = "wide"
        sites = ["wide.example", "co.uk"]
        action = "keep"
        [[rule]]
        id = "narrow"
        sites = ["=login.wide.example"]
        sites_file = "list.txt"
        action = "force"
        [[rule]]
        id = "enterprise"
        sites = ["wide.example"]
        captchas = ["recaptcha-v3-enterprise"]
        action = "add"
        "#;
    let file = folder.write("c.toml", unindented(config));
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "warnings are no mistakes");
    let report = text(&output.stderr);
    for expected in [
        "\"co.uk\" is a public suffix",
        "this pattern never matches: the rule \"wide\" in line 1 comes first",
        "c.toml:7:10",
        "list.txt:2:1",
    ] {
        assert!(report.contains(expected), "{expected} is missing in\n{report}");
    }
    assert_eq!(
        report.matches("warning[").count(),
        3,
        "another captcha is no shadow\n{report}"
    );
    let output = run(&["check", "--json", "--config", file.to_str().unwrap()]);
    let summary: serde_json::Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert_eq!(
        (&summary["valid"], &summary["patterns"]),
        (&serde_json::json!(true), &serde_json::json!(6))
    );
    assert_eq!(summary["problems"][1]["severity"], "warning");
    // Continuous integration can hold the line.
    let denied = run(&["check", "--deny-warnings", file.to_str().unwrap()]);
    assert_eq!(denied.status.code(), Some(2));
    assert!(
        text(&denied.stderr).contains("there are 3 warnings"),
        "{}",
        text(&denied.stderr)
    );
}

/// The first rule of many newcomers.
#[test]
fn check_warns_of_a_rule_that_changes_nothing() {
    let folder = Folder::new();
    let rule = |id: &str, action: &str| {
        format!("[[rule]]\nid = \"{id}\"\nsites = [\"{id}.example\"]\naction = \"{action}\"\n")
    };
    let keep = "[default]\naction = \"keep\"\n";
    for (config, doubtful) in [
        (rule("shop", "add"), Some("shop")),
        (keep.to_owned() + &rule("shop", "add"), None),
        (keep.to_owned() + &rule("shop", "keep"), Some("shop")),
        (rule("shop", "force"), None),
        // The first is an exception to the second.
        (rule("shop", "add") + &rule("rest", "keep"), None),
        (rule("rest", "keep") + &rule("shop", "add"), Some("shop")),
    ] {
        let file = folder.write("c.toml", &config);
        let output = run(&["check", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0));
        let report = text(&output.stderr);
        let expected = doubtful.map(|id| {
            format!("warning[rule-changes-nothing]: the rule \"{id}\" has no effect: every site gets the action")
        });
        match expected {
            Some(expected) => assert!(report.contains(&expected), "{config}\n{report}"),
            None => assert_eq!(report, "", "{config}"),
        }
    }
}

#[test]
fn check_takes_its_file_in_each_of_three_ways() {
    let folder = Folder::new();
    let file = folder.write("c.toml", "[default]\naction = \"keep\"\n");
    let file = file.to_str().unwrap();
    for args in [
        &["check", file][..],
        &["check", "-c", file],
        &["--config", file, "check"],
    ] {
        let output = run(args);
        assert!(
            text(&output.stdout).contains("c.toml: OK"),
            "{args:?}: {}",
            text(&output.stderr)
        );
    }
    assert_eq!(run(&["check", file, "--config", file]).status.code(), Some(2));
    // What PowerShell 5 writes by ">".
    let utf16: Vec<u8> = "\u{feff}[default]\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let file = folder.write("utf16.toml", utf16);
    let output = run(&["check", file.to_str().unwrap()]);
    assert!(
        text(&output.stderr).contains("is UTF-16 text: save it as UTF-8"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn settings_say_where_they_come_from() {
    let folder = Folder::new();
    let config = r#"
        [server]
        keep_alive = "90s"
        [admin]
        listen = "off"
        "#;
    let file = folder.write("c.toml", unindented(config));
    let mut command = program();
    command
        .args(["--listen", "127.0.0.1:1", "config", "show", "--config"])
        .arg(&file);
    command
        .env("NOCACHE_GATEWAY_UPSTREAM", "http://127.0.0.1:2")
        .env("NOCACHE_GATEWAY_LISTEN", "127.0.0.1:3");
    // Kubernetes sets this one for a Service of that name.
    command.env("NOCACHE_GATEWAY_PORT", "tcp://10.0.0.1:6622");
    let shown = text(&command.output().unwrap().stdout);
    for (setting, origin) in [
        ("listen = [\"127.0.0.1:1\"]", "--listen"),
        ("keep_alive = \"90s\"", "c.toml:2"),
        ("url = \"http://127.0.0.1:2\"", "NOCACHE_GATEWAY_UPSTREAM"),
        ("listen = \"off\"", "c.toml:4"),
        ("timeout = \"60s\"", "default"),
    ] {
        let line = shown
            .lines()
            .find(|line| line.starts_with(setting))
            .unwrap_or_else(|| panic!("{setting}\n{shown}"));
        assert!(line.ends_with(origin), "{line}");
    }
    // It is a configuration that says the same.
    let again = folder.write("again.toml", &shown);
    assert!(run(&["check", "--config", again.to_str().unwrap()]).status.success());
}

#[test]
fn init_writes_once_and_completions_are_there() {
    let folder = Folder::new();
    let init = || program().arg("init").current_dir(folder.path()).output().unwrap();
    assert_eq!(init().status.code(), Some(0));
    assert!(
        program()
            .arg("check")
            .current_dir(folder.path())
            .status()
            .unwrap()
            .success()
    );
    let again = init();
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("already exists"));
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(
            text(&run(&["completions", shell]).stdout).contains("healthcheck"),
            "{shell}"
        );
    }
}

/// The threads of the process: one that runs everything and serves, or as many more as are to serve.
#[cfg(target_os = "linux")]
#[test]
fn several_threads_serve() {
    let upstream = RawUpstream::start(OK);
    let threads = |config: &str| {
        let gateway = Gateway::start(&upstream.url, config);
        for _ in 0..4 {
            assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
        }
        fs::read_dir(format!("/proc/{}/task", gateway.server.pid()))
            .unwrap()
            .count()
    };
    // Beside those that serve there are those of the log and of the reload, and perhaps of lookups.
    let one = threads("");
    assert_eq!(threads("[server]\nworkers = 5\n"), one + 5);
}

/// Sandbox, gateway, bots and the status page, for somebody who has just cloned it.
#[test]
fn the_demo_can_go_on() {
    use std::io::{BufRead, BufReader};
    /// It ends with the test.
    struct Ending(std::process::Child);
    impl Drop for Ending {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }
    let mut command = fixtures::program();
    let mut demo = Ending(
        command
            .args(["demo", "--serve"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    let urls: Vec<String> = lines
        .by_ref()
        .take(3)
        .map(|line| line.unwrap().split_whitespace().last().unwrap().to_owned())
        .collect();
    let address = urls[0]
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .parse()
        .unwrap();
    let page = || {
        exchange(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .text()
            .to_owned()
    };
    // The made-up bots are at work.
    let page = wait(|| Some(page()).filter(|page| page.contains("class=\"swatch set\"")));
    assert!(page.contains("gmaes.example") && page.contains(&urls[1]), "{page}");
}
