//! The metrics page, from requests on the wire to what promtool says of it.

mod fixtures;

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use fixtures::{Folder, Gateway, OK, RawUpstream, TASK, exchange, post, refused, wait};

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
        "nocache_gateway_connections 0",
        "nocache_gateway_upstream_idle_connections 1",
        "nocache_gateway_upstream_connections_opened_total 1",
        "nocache_gateway_upstream_connections_reused_total 4",
        "nocache_gateway_log_lines_dropped_total 0",
        r#"nocache_gateway_client_warnings_total{warning="many-polls"} 0"#,
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

/// The alerts of config/prometheus, and their tests.
#[test]
fn alerts_fire_when_they_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus");
    for args in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let output = Command::new("promtool")
            .args(args)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let rules = std::fs::read_to_string(folder.join("alerts.yml")).unwrap();
    let tests = std::fs::read_to_string(folder.join("alerts.test.yml")).unwrap();
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    for name in names.inspect(|name| assert_known(name, &rules)) {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
    }
}

/// Every panel of the dashboard asks for metrics that there are, in a language that Prometheus reads.
#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/grafana/dashboard.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(
        (&dashboard["uid"], dashboard["schemaVersion"].is_u64()),
        (&"nocache-gateway".into(), true)
    );
    let panels = dashboard["panels"].as_array().unwrap();
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    let mut ids = Vec::new();
    for panel in panels {
        assert!(
            panel["title"].is_string() && panel["gridPos"]["w"].is_u64() && panel["type"] == "timeseries",
            "{panel}"
        );
        ids.push(&panel["id"]);
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            assert_known(panel["title"].as_str().unwrap(), expression);
            let expression = expression.replace("$__rate_interval", "5m");
            rules += &format!(
                "  - record: panel:{}_{}\n    expr: {}\n",
                panel["id"],
                ids.len(),
                Value::from(expression)
            );
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
    let folder = Folder::new();
    let file = folder.write("rules.yml", &rules);
    // The checks for style are off: what is of interest is whether Prometheus reads the expressions.
    let output = Command::new("promtool")
        .args(["check", "rules", "--lint=none"])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{rules}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Every metric that a text names is one of docs/metrics.md.
fn assert_known(what: &str, text: &str) {
    let document = include_str!("../docs/metrics.md");
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text
        .split(|c| !is_part(c))
        .filter(|word| word.starts_with("nocache_gateway_") || word.starts_with("process_"));
    let mut seen = 0;
    for name in names {
        assert!(
            document.contains(&format!("| `{}` |", name.trim_end_matches("_bucket"))),
            "{what}: {name}"
        );
        seen += 1;
    }
    assert!(seen > 0, "{what}");
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
