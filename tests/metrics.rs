//! The metrics page, from requests on the wire to what promtool says of it.

mod fixtures;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use fixtures::{Gateway, OK, RawUpstream, TASK, exchange, post, refused, wait};

/// The page, as a scraper that accepts `accept` gets it, and its media type.
fn page(gateway: &Gateway, accept: &str) -> (String, String) {
    let response = exchange(
        gateway.admin,
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"),
    );
    assert_eq!(response.status(), 200);
    (
        response.text().to_owned(),
        response.field("content-type").unwrap().to_owned(),
    )
}

/// Waits until the page has a line. A record is written after its response.
fn wait_for_line(gateway: &Gateway, line: &str) {
    wait(|| page(gateway, "*/*").0.lines().any(|shown| shown == line).then_some(()));
}

#[test]
fn requests_are_counted_where_they_end() {
    let upstream = RawUpstream::start(OK);
    let config = "[[rule]]\nid = \"shop\"\nsites = [\"shop.example\"]\naction = \"force\"\n";
    let gateway = Gateway::start(&upstream.url, config);
    for _ in 0..3 {
        exchange(gateway.api, post("/createTask", TASK));
    }
    exchange(
        gateway.api,
        post("/createTask", TASK.replace("a.example", "shop.example")),
    );
    exchange(gateway.api, post("/getTaskResult", r#"{"clientKey":"K","taskId":1}"#));
    for line in [
        r#"nocache_gateway_submissions_total{dialect="json",captcha="recaptcha-v2",decision="set",reason="",rule="default"} 3"#,
        r#"nocache_gateway_submissions_total{dialect="json",captcha="recaptcha-v2",decision="set",reason="",rule="shop"} 1"#,
        r#"nocache_gateway_requests_total{endpoint="createTask",status="200"} 4"#,
        r#"nocache_gateway_requests_total{endpoint="getTaskResult",status="200"} 1"#,
        r#"nocache_gateway_upstream_duration_seconds_count{endpoint="getTaskResult"} 1"#,
        "nocache_gateway_in_flight 0",
        "nocache_gateway_rules 1",
    ] {
        wait_for_line(&gateway, line);
    }
    let (page, media_type) = page(&gateway, "*/*");
    assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!page.contains("shop.example") && !page.contains("a.example"), "{page}");
    check_with_promtool(&page);
}

#[test]
fn a_scraper_gets_the_format_that_it_asks_for() {
    let gateway = Gateway::start(&refused(), "");
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let (open_metrics, media_type) = page(&gateway, prometheus);
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open_metrics.ends_with("# EOF\n"), "{open_metrics}");
    exchange(gateway.api, post("/createTask", TASK));
    wait_for_line(
        &gateway,
        r#"nocache_gateway_failures_total{fault="upstream",cause="connect"} 1"#,
    );
    wait_for_line(
        &gateway,
        r#"nocache_gateway_requests_total{endpoint="createTask",status="502"} 1"#,
    );
    check_with_promtool(&page(&gateway, "text/plain").0);
}

/// `promtool check metrics` reads the page and finds nothing against Prometheus' conventions.
fn check_with_promtool(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, which tests/packages installs");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{page}");
}
