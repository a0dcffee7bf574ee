//! `doctor`: each thing that can be wrong between a bot and the API is found and named.

mod fixtures;

use std::net::TcpListener;

use fixtures::{Folder, Gateway, OK, RawUpstream, program, refused, text};
use serde_json::Value;

/// What it finds, and its exit code. The configuration is a file in a folder of its own.
fn doctor(config: &str, args: &[&str]) -> (Value, Option<i32>) {
    let folder = Folder::new();
    let file = folder.write("c.toml", config);
    let mut command = program();
    command.args(["doctor", "--json", "--config"]).arg(file).args(args);
    let output = command.current_dir(folder.path()).output().unwrap();
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    (found, output.status.code())
}

/// The findings about something, as "result: message".
fn about(found: &Value, what: &str) -> Vec<String> {
    let findings = found["findings"].as_array().unwrap().iter();
    let of = |finding: &Value| {
        let [result, message] = ["result", "message"].map(|name| finding[name].as_str().unwrap().to_owned());
        format!("{result}: {message}")
    };
    findings.filter(|finding| finding["about"] == what).map(of).collect()
}

#[test]
fn a_gateway_that_runs_well_is_ok_and_nothing_is_sent() {
    let upstream = RawUpstream::start(OK);
    let gateway = Gateway::start(&upstream.url, "");
    let (api, admin) = (gateway.api.to_string(), gateway.admin.to_string());
    let args = ["--listen", &api, "--admin-listen", &admin, "--upstream", &upstream.url];
    let (found, code) = doctor("[default]\naction = \"keep\"\n", &args);
    assert_eq!((code, &found["result"]), (Some(0), &"ok".into()), "{found:#}");
    let process = format!("(process {})", gateway.server.pid());
    for what in ["listener", "admin"] {
        let listener = about(&found, what).remove(0);
        assert!(
            listener.starts_with("ok: ") && listener.contains(&process),
            "{listener}"
        );
    }
    assert_eq!(about(&found, "gateway"), ["ok: it runs: ready"]);
    assert!(about(&found, "upstream")[0].contains(": connected in "), "{found:#}");
    assert!(
        about(&found, "configuration")[0].ends_with("c.toml: no rules, every site: keep"),
        "{found:#}"
    );
    assert!(upstream.received().is_empty());
}

#[test]
fn what_is_wrong_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let nobody = refused();
    let (found, code) = doctor(
        "",
        &["--listen", &address, "--admin-listen", "off", "--upstream", &nobody],
    );
    assert_eq!((code, &found["result"]), (Some(1), &"error".into()));
    let listener = about(&found, "listener").remove(0);
    let process = format!("(process {})", std::process::id());
    assert!(
        listener.starts_with("error: ") && listener.contains("is taken by doctor"),
        "{listener}"
    );
    assert!(listener.contains(&process), "{listener}");
    let upstream = about(&found, "upstream").remove(0);
    assert!(
        upstream.starts_with("error: no connection to the upstream"),
        "{upstream}"
    );

    let free = refused();
    let (found, code) = doctor(
        "",
        &["--listen", free.trim_start_matches("http://"), "--upstream", &free],
    );
    assert_eq!(code, Some(1));
    assert!(about(&found, "listener")[0].ends_with("is free"), "{found:#}");

    let (found, code) = doctor("[rule]\nid = \"a\"\n", &[]);
    assert_eq!(
        (code, about(&found, "configuration")),
        (Some(1), vec!["error: there is a mistake in it".to_owned()])
    );

    let tls = "[server.tls]\nlisten = \"127.0.0.1:0\"\n[ledger]\nfile = \"no-such-folder/l.sqlite\"\n";
    let (found, _) = doctor(
        tls,
        &[
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "off",
            "--upstream",
            &nobody,
        ],
    );
    assert!(
        about(&found, "certificates")[0].starts_with("error: there is no local CA"),
        "{found:#}"
    );
    assert!(about(&found, "ledger")[0].starts_with("error: "), "{found:#}");
}

/// The gateway that runs may have other flags, and another program may be at the admin port.
#[test]
fn what_runs_is_compared_with_what_is_looked_at() {
    let (upstream, other) = (RawUpstream::start(OK), RawUpstream::start(OK));
    let gateway = Gateway::start(&upstream.url, "");
    let (api, admin) = (gateway.api.to_string(), gateway.admin.to_string());
    let args = ["--listen", &api, "--admin-listen", &admin, "--upstream", &other.url];
    let (found, code) = doctor("", &args);
    assert_eq!((code, &found["result"]), (Some(0), &"warning".into()));
    let expected = format!(
        "warning: it forwards to {}, and this configuration to {}",
        upstream.url, other.url
    );
    assert!(about(&found, "gateway")[1].starts_with(&expected), "{found:#}");

    let elsewhere = other.url.trim_start_matches("http://");
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        elsewhere,
        "--upstream",
        &upstream.url,
    ];
    let (found, _) = doctor("", &args);
    assert!(
        about(&found, "gateway")[0].contains("is not the admin listener of a gateway"),
        "{found:#}"
    );
}

/// It can be pasted into a report.
#[test]
fn no_secret_is_in_it() {
    let nobody = refused().replace("http://", "http://me:hunter2@");
    let config = format!("[upstream]\nproxy = \"{nobody}\"\n");
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "off",
        "--upstream",
        "http://127.0.0.1:1",
    ];
    let (found, code) = doctor(&config, &args);
    assert_eq!(code, Some(1));
    assert!(!found.to_string().contains("hunter2"), "{found:#}");
    let folder = Folder::new();
    let mut command = program();
    let output = command
        .args([
            "doctor",
            "--admin-listen",
            "off",
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            "http://127.0.0.1:1",
        ])
        .env("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:1")
        .env("NOCACHE_GATEWAY_UPSTRAEM", "http://me:hunter2@127.0.0.1:1")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(
        said.contains("HTTPS_PROXY is set") && said.contains("did you mean NOCACHE_GATEWAY_UPSTREAM?"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}
