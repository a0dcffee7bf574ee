//! No secret gets out of a request: markers in every field that can hold one, every failure, every level, every byte that
//! the gateway wrote. What it says of its configuration is in `key_hygiene_of_reports.rs`.

#![cfg(unix)]

mod fixtures;

use std::net::{TcpListener, TcpStream};

use base64::{Engine, prelude::BASE64_STANDARD};

use fixtures::{
    Folder, RawUpstream,
    hunt::{Hunt, LEGACY_JSON, PAIRS, PARTS, Served, TASKS, exchange, free, gateway, request},
    program, refused, wait,
};

/// Header fields that hold secrets, and others with a secret where none belongs.
const FIELDS: &str = "Authorization: Bearer KEY!\r\nCookie: a=KEY!\r\nProxy-Authorization: Basic KEY!\r\nX-Api-Key: KEY!\r\nUser-Agent: KEY!\r\nReferer: https://KEY!:KEY!@x/?KEY!\r\nX-KEY!: KEY!\r\n";

/// Requests that are not as they should be, whole.
const RAW: [&str; 20] = [
    "GET /KEY! HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET /in.php&key=KEY! HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "POST /createTask/%KEY!?KEY! HTTP/1.1\r\nHost: KEY!\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "GET /res.php?key=KEY!&action=get&id=KEY! HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET http://KEY!:KEY!@KEY!.example/KEY!?KEY! HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "CONNECT KEY!:443 HTTP/1.1\r\nHost: KEY!\r\nConnection: close\r\n\r\n",
    "KEY! / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET /?KEY! HTTP/9.9\r\nHost: KEY!\r\n\r\n",
    "GET /?KEY! KEY! HTTP/1.1\r\nHost: KEY!\r\n\r\n",
    "GET / HTTP/1.1\r\nKEY! KEY!\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: KEY!\r\n\r\n",
    "POST /createTask HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: KEY!, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
    "POST /createTask HTTP/1.1\r\nHost: x\r\nContent-Encoding: KEY!\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "POST /in.php HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=KEY!\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "POST /createTask HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nKEY!\r\nKEY!\r\n",
    "POST /createTask?KEY! HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{\"clientKey\":\"KEY!\"",
    "POST /createTask?KEY! HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n{\"clientKey\":\"KEY!\"",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nKEY!",
    "\x16\x03\x01KEY!",
    "OPTIONS /in.php?key=KEY! HTTP/1.1\r\nHost: x\r\nOrigin: https://KEY!\r\nConnection: close\r\n\r\n",
];

/// All requests to a gateway.
fn requests(hunt: &mut Hunt) -> Vec<String> {
    let mut requests = Vec::new();
    let fields = hunt.plant(FIELDS);
    for task in TASKS {
        requests.push(request("POST /createTask", &fields, &hunt.plant(task)));
        requests.push(request("POST /getTaskResult", &fields, &hunt.plant(task)));
    }
    for pairs in PAIRS {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        requests.push(request(&format!("GET /in.php?{}", hunt.plant(pairs)), &fields, ""));
        requests.push(request(&format!("POST /in.php?{}", hunt.plant(pairs)), &fields, ""));
        requests.push(request(&format!("GET /in.php?json=1&{}", hunt.plant(pairs)), "", ""));
        requests.push(request("POST /in.php", form, &hunt.plant(pairs)));
        requests.push(request("POST /res.php", form, &hunt.plant(pairs)));
    }
    requests.push(request("POST /in.php", "", &hunt.plant(LEGACY_JSON)));
    let multipart = "Content-Type: multipart/form-data; boundary=B\r\n";
    requests.push(request("POST /in.php", multipart, &hunt.plant(PARTS)));
    requests.extend(RAW.map(|raw| hunt.plant(raw)));
    let large = hunt.plant(r#"{"clientKey":"KEY!","body":""#) + &"A".repeat(4000);
    requests.push(request("POST /createTask", "", &large));
    let head = format!("X-Large: {}{}\r\n", hunt.plant("KEY!"), "a".repeat(20_000));
    requests.push(request("POST /createTask", &head, "{}"));
    requests
}

#[test]
fn no_secret_reaches_a_log_or_a_response_at_any_level() {
    let mut hunt = Hunt::default();
    let requests = requests(&mut hunt);
    let limits = "[server]\nbody_limit = \"2 KiB\"\nhead_limit = \"16 KiB\"\nbody_timeout = \"300ms\"\nhead_timeout = \"300ms\"\n";
    let deny = "[[rule]]\nid = \"no\"\nsites = [\"denied.example\"]\naction = \"deny\"\n";
    let upstream = RawUpstream::start(fixtures::OK);
    let cut_off = RawUpstream::serve(|_, _| false);
    for level in ["error", "warn", "info", "debug", "trace"] {
        for (name, url, rules) in [
            ("accepting", &upstream.url, deny.to_owned()),
            (
                "refused",
                &refused(),
                format!("{deny}[default]\nunreadable = \"forward\"\n"),
            ),
            ("cut off", &cut_off.url, String::new()),
        ] {
            let name = format!("{level}, {name}");
            let (served, api, admin) = gateway(url, level, &format!("{limits}{rules}"));
            std::thread::scope(|scope| {
                let chunks = requests.chunks(requests.len().div_ceil(8));
                let tasks: Vec<_> = chunks
                    .map(|chunk| {
                        scope.spawn(move || {
                            let both = |request: &String| [false, true].map(|closes| exchange(api, request, closes));
                            chunk.iter().flat_map(both).collect::<Vec<_>>()
                        })
                    })
                    .collect();
                for response in tasks.into_iter().flat_map(|task| task.join().unwrap()) {
                    hunt.keep(format!("{name}: a response"), response);
                }
            });
            for page in ["/metrics", "/config", "/readyz", "/api/tasks", "/api/stats"] {
                let request = format!(
                    "GET {page} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
                );
                hunt.keep(format!("{name}: {page}"), exchange(admin, &request, false));
            }
            served.end(&name, &mut hunt);
        }
    }
    for level in ["info", "trace"] {
        let [address, _] = free();
        let mut command = program();
        command.args(["sandbox", "--listen", &address.to_string(), "--log-level", level]);
        let served = Served::start(command, Folder::new());
        wait(|| TcpStream::connect(address).ok());
        for request in &requests {
            hunt.keep(
                format!("sandbox, {level}: a response"),
                exchange(address, request, false),
            );
        }
        served.end("sandbox", &mut hunt);
    }
    hunt.end();
}

/// The user and the password of `[upstream] proxy`, as they are written and as they are sent, whatever the proxy does.
#[test]
fn no_credentials_of_a_proxy_reach_a_log_or_a_response() {
    let mut hunt = Hunt::default();
    let closes = RawUpstream::serve(|_, _| false);
    let refuses = RawUpstream::start(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    );
    let joins = RawUpstream::serve(|request, stream| {
        let response: &[u8] = match request.first_line().starts_with("CONNECT") {
            true => b"HTTP/1.1 200 OK\r\n\r\n",
            false => fixtures::OK,
        };
        std::io::Write::write_all(stream, response).is_ok()
    });
    // It sends back what it gets.
    let echoes = TcpListener::bind("127.0.0.1:0").unwrap();
    let echo = format!("http://{}", echoes.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in echoes.incoming().map_while(Result::ok) {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    let nowhere = refused();
    for level in ["info", "trace"] {
        for scheme in ["http", "socks5", "socks5h"] {
            for url in [&closes.url, &refuses.url, &joins.url, &echo, &nowhere] {
                let userinfo = hunt.plant("KEY!:KEY!");
                hunt.seek(&BASE64_STANDARD.encode(&userinfo), "Proxy-Authorization");
                let address = url.trim_start_matches("http://");
                let config =
                    format!("[upstream]\nconnect_timeout = \"500ms\"\nproxy = \"{scheme}://{userinfo}@{address}\"\n");
                let (served, api, _) = gateway("http://upstream.invalid", level, &config);
                let name = format!("{level}, {scheme}, {url}");
                let response = exchange(api, &request("POST /createTask", "", fixtures::TASK), false);
                assert!(response.starts_with(b"HTTP/1.1 "), "{name}");
                hunt.keep(format!("{name}: a response"), response);
                served.end(&name, &mut hunt);
            }
        }
    }
    assert!(joins.received().len() >= 4, "CONNECT and the request, at both levels");
    hunt.end();
}
