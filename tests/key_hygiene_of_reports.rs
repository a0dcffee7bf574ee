//! No secret gets out of a configuration, a flag, a variable or an explained request: markers in all of them, every verb,
//! every byte that the program wrote. What it says of requests that it serves is in `key_hygiene.rs`.

#![cfg(unix)]

mod fixtures;

use std::{net::SocketAddr, path::Path};

use fixtures::{
    Folder,
    hunt::{Hunt, LEGACY_JSON, PAIRS, SHOWN_SPOT, Served, TASKS, exchange, gateway},
    refused, wait,
};

/// Broken configurations, with secrets in and beside the mistakes.
const BROKEN: [&str; 24] = [
    // What is proposed repeats none of them in another form.
    "[upstream]\napi_key = “KEY!”\nproxy = “http://me:KEY! KEY!@x.example:3128”\n",
    "[upstream]\napi_key = \"C:\\KEY!\"\n",
    "password = KEY!\napi_key = a-KEY!.b\n",
    "[[rule]]\nid = \"a\"\nsites = ['^https?://KEY!:KEY!@a\\.example/?KEY!$', \"KEY!@a.example, b.example\"]\naction = \"keep\"\n",
    "[server]\nnames = [\"https://KEY!:KEY!@gateway.internal:1/?KEY!\"]\nlisten = \"KEY!@localhost:1\"\n",
    "[server]\nnames = [\"https://KEY!:KEY!@x/?KEY!\"]\n",
    "[upstream]\nproxy = \"http://KEY!:KEY!@x.example\"\n",
    "[upstream]\nproxy = \"https://KEY!:KEY!@x.example:1/KEY!?KEY!\"\nurl = 5\n",
    "[upstream]\nproxy = [\"http://KEY!:KEY!@x.example:1#KEY!\"]\n",
    "[upstream]\nurl = \"https://KEY!:KEY!@x.example/p?KEY!#KEY!\"\n",
    "[upstream]\nurl = \"KEY!:KEY!@x.example\"\nfallback = 'http://me:KEY!/KEY!@x'\n",
    "[upstream]\napi_key = \"KEY!\"\nproxy_login = 'KEY!'\nurl = 5\nAuth-Header = \"\"\"\nKEY!\nKEY!\"\"\"\n",
    "[auth]\na = \"KEY!\"\nb = { c = [\"KEY!\", \"KEY!\"] }\n",
    "[server]\nlisten = \"http://KEY!:KEY!@127.0.0.1/?KEY!\"\ncookies = [\n  \"KEY!\",\n  \"KEY!\",\n]\n",
    "[server]\nproxy = { url = \"KEY!\", x = 'KEY!' }\nbody_limit = 7 # token: KEY!\n# password = \"KEY!\"\n",
    "[server\napi_key = \"KEY!\n",
    "api_key = \"KEY!\"\nurl = \"https://KEY!@x.example/?KEY!\nsecret = KEY!\n",
    "[[rule]]\nid = \"a\"\nsites = [\"https://KEY!:KEY!@a.example/x?KEY!\", \"KEY!@b.example\", \"c.example?t=KEY!\"]\naction = \"keep\"\n",
    "[[rule]]\nid = \"https://KEY!@x/?KEY!\"\nsites = \"https://KEY!@x/?KEY!\"\ncaptchas = [\"https://KEY!@x/?KEY!\"]\naction = \"https://KEY!@x/?KEY!\"\n",
    "[[rule]]\nid = \"a\"\nsites_file = \"list.txt\"\naction = \"keep\"\n",
    "[[rule]]\nid = \"a\"\nsites_file = \"https://KEY!@x/?KEY!\"\naction = \"keep\"\n",
    "[[test]]\nsite = \"https://KEY!:KEY!@a.example/?KEY!\"\nexpect = \"denied\"\n",
    "[[test]]\nsite = \"https://KEY!:KEY!@a.example/?KEY!\"\nexpect = \"set\"\nrule = \"https://KEY!@x/?KEY!\"\n",
    "\"https://KEY!:KEY!@x/?KEY!\" = 1\n[log]\nlevel = \"https://KEY!@x/?KEY!\"\nformat = 'x?KEY!'\n",
];

const LIST: &str = "https://KEY!:KEY!@a.example/?KEY!\n# password: KEY!\nKEY!@b.example\nd.example/?KEY!\n";

/// A valid configuration with secrets wherever it takes any text.
const VALID: &str = "# api_key = \"KEY!\"\n[upstream]\nproxy = \"http://KEY!:KEY!@127.0.0.1:1\"\n[server]\nnames = [\"gateway\"] # token=KEY!\n[admin]\nhosts = [\"KEY!:KEY!@h\"]\n[[rule]]\nid = \"a\"\nsites = [\"com\"] # https://KEY!@x/?KEY!\naction = \"keep\"\ncaptchas = [\"method=https://KEY!@x/?KEY!\"]\n";

const URL: &str = "https://KEY!:KEY!@x.example/?KEY!";

#[test]
fn no_secret_reaches_a_report_or_a_message() {
    let mut hunt = Hunt::default();
    let folder = Folder::new();
    let here = folder.path();
    for (number, broken) in BROKEN.iter().enumerate() {
        let file = folder.write("c.toml", hunt.plant(broken));
        folder.write("list.txt", hunt.plant(LIST));
        let file = file.to_str().unwrap();
        for verb in [
            &["check"][..],
            &["check", "--json"],
            &["config", "show"],
            &["serve"],
            &["explain", "--site", "a.example"],
        ] {
            // The tests are the last of them, and only `check` runs these.
            if number < 16 || verb[0] == "check" {
                hunt.run(&[verb, &["--config", file]].concat(), &[], here);
            }
        }
        hunt.run(
            &["healthcheck", "--admin-listen", "127.0.0.1:1", "--config", file],
            &[],
            here,
        );
    }
    let valid = folder.write("valid.toml", hunt.plant(VALID));
    let valid = valid.to_str().unwrap();
    for verb in [
        &["check"][..],
        &["check", "--json"],
        &["config", "show"],
        &["config", "show", "--json"],
    ] {
        hunt.run(&[verb, &["--config", valid]].concat(), &[], here);
    }
    flags_and_variables(&mut hunt, here);
    hunt.end();
}

/// What clap and the settings repeat of flags and variables.
fn flags_and_variables(hunt: &mut Hunt, here: &Path) {
    let verbs: [&[&str]; 13] = [
        &["--help"],
        &["-h"],
        &["serve", "--help"],
        &["explain", "--help"],
        &["help"],
        &["--version"],
        &["check"],
        &["check", "--json"],
        &["config", "show"],
        &["healthcheck"],
        &["schema"],
        &["completions", "bash"],
        &["init", "-"],
    ];
    for variable in [
        "UPSTREAM",
        "LISTEN",
        "ADMIN_LISTEN",
        "LOG_LEVEL",
        "CONFIG",
        "API_KEY",
        "TOKEN",
    ] {
        let name = format!("NOCACHE_GATEWAY_{variable}");
        for verb in verbs {
            let value = hunt.plant(URL);
            hunt.run(verb, &[(&name, &value)], here);
        }
    }
    for flag in [
        "--upstream",
        "--listen",
        "--admin-listen",
        "--log-level",
        "--config",
        "--api-key",
    ] {
        for verb in ["check", "serve", "explain", "healthcheck"] {
            let value = hunt.plant(URL);
            hunt.run(&[verb, flag, &value], &[], here);
            hunt.run(&[verb, &format!("{flag}={value}")], &[], here);
        }
    }
    for args in [
        "--api-key=KEY!",
        "check --api-key=KEY!",
        "check --proxy-password=KEY! --json",
        "api_key=KEY!",
        "explain --token=KEY!",
        "check token=KEY!",
        "completions https://KEY!@x/?KEY!",
        "https://KEY!@x/?KEY!",
        "check https://KEY!:KEY!@x/?KEY!",
        "explain --site a.example https://KEY!:KEY!@x/?KEY!",
        "--upstream=KEY!:KEY!@x check",
        "--upstream=http://me:KEY!/KEY!@x check",
    ] {
        let args = hunt.plant(args);
        hunt.run(&args.split(' ').collect::<Vec<_>>(), &[], here);
    }
}

/// Reloads of broken files, and one with warnings, as the running gateway tells of them.
fn reload(name: &str, served: &Served, admin: SocketAddr, hunt: &mut Hunt) {
    let ready = |expected: &str| {
        let response = exchange(
            admin,
            "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            false,
        );
        String::from_utf8(response).unwrap().contains(expected).then_some(())
    };
    for broken in BROKEN.iter().take(16) {
        let (broken, list) = (hunt.plant(broken), hunt.plant(LIST));
        served.folder.write("list.txt", list);
        served.folder.rename_over("gateway.toml", "[log]\n");
        served.signal("HUP");
        wait(|| ready("ready\n").filter(|()| ready("in force").is_none()));
        served.folder.rename_over("gateway.toml", broken);
        served.signal("HUP");
        wait(|| ready("in force"));
    }
    let valid = hunt.plant(VALID);
    served.folder.rename_over("gateway.toml", valid);
    served.signal("HUP");
    wait(|| ready("warning"));
    for target in ["/readyz?KEY!", "/KEY!", "/livez", "/metrics?KEY!"] {
        let fields = "Cookie: KEY!\r\nAuthorization: KEY!\r\nOrigin: https://KEY!\r\n";
        for host in ["localhost", "KEY!"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n");
            let request = hunt.plant(&request);
            hunt.keep(format!("{name}: an admin response"), exchange(admin, &request, false));
        }
    }
}

const EXPLAINED: [&str; 8] = [
    "https://KEY!:KEY!@gw/in.php&key=KEY!&method=userrecaptcha",
    "in.php?key=KEY!&method=userrecaptcha",
    "/in.php?key=KEY!",
    "key=KEY!&method=userrecaptcha",
    r#"{"clientKey":"KEY!","task":{}}"#,
    "https://gw/in.php?method=userrecaptcha&pageurl=https://KEY!:KEY!@a.example/?KEY!&key=KEY!",
    "https://gw/in.php?token=KEY!#KEY!",
    "https://KEY!@x/?KEY!",
];

#[test]
fn no_secret_reaches_an_explanation() {
    let mut hunt = Hunt::default();
    let folder = Folder::new();
    let here = folder.path();
    for (number, body) in TASKS.iter().chain([&LEGACY_JSON]).enumerate() {
        let file = format!("{number}.json");
        folder.write(&file, hunt.plant(&body.replace(SHOWN_SPOT, "7")));
        hunt.run(&["explain", &file], &[], here);
        hunt.run(&["explain", "--json", &file], &[], here);
    }
    let targets = PAIRS.map(|pairs| format!("http://127.0.0.1:6622/in.php?{pairs}"));
    for request in targets.iter().map(String::as_str).chain(EXPLAINED) {
        let request = hunt.plant(request);
        hunt.run(&["explain", &request], &[], here);
        hunt.run(&["explain", "--json", &request], &[], here);
        hunt.run(&["explain", &request, &request], &[], here);
    }
    let sites = folder.write(
        "sites.txt",
        hunt.plant(&format!("{URL}\na.example?KEY!\nKEY!:KEY!@b.example\n")),
    );
    let (sites, url) = (sites.to_str().unwrap(), hunt.plant(URL));
    let other = folder.write("other.toml", "[default]\naction = \"keep\"\n");
    let other = other.to_str().unwrap();
    for args in [
        &["--site", &url][..],
        &["--site", &url, "--json"],
        &["--batch", sites],
        &["--batch", sites, "--json"],
        &["--batch", sites, "--against", other],
        &["--batch", sites, "--against", other, "--json"],
        &["--batch", &url],
        &["--site", "a.example", "--captcha", &url],
        &["--site", "a.example", "--against", &url],
    ] {
        hunt.run(&[&["explain"], args].concat(), &[], here);
    }
    hunt.end();
}

#[test]
fn no_secret_reaches_the_log_at_a_reload() {
    let mut hunt = Hunt::default();
    for level in ["error", "info", "trace"] {
        let (served, _, admin) = gateway(&refused(), level, "[log]\n");
        reload(level, &served, admin, &mut hunt);
        served.end(level, &mut hunt);
    }
    hunt.end();
}
