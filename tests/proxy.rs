//! The proxy: a client with a fixed address reaches the gateway by HTTPS_PROXY, and nobody reaches anything else.

mod fixtures;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    time::{Duration, Instant},
};

use fixtures::{
    Client, EDITED, Gateway, LEGACY, Message, OK, RawUpstream, SET, TASK, TlsClient, local_ca, post, program,
    read_message, wait, with_local_ca,
};

const CONFIG: &str = r#"
    [server.proxy]
    listen = "127.0.0.1:0"
    names = ["api.capmonster.cloud", "2captcha.com"]
    [log]
    level = "debug"
"#;

struct Proxy {
    gateway: Gateway,
    address: SocketAddr,
    ca: PathBuf,
}

impl Proxy {
    fn start(upstream: &RawUpstream, config: &str) -> Self {
        let (folder, file) = with_local_ca(&format!("{CONFIG}{config}"));
        let gateway = Gateway::start_with(&upstream.url, &file, folder);
        Self {
            address: gateway.server.logged_address("listening as a proxy"),
            ca: local_ca(&gateway.server.folder),
            gateway,
        }
    }

    /// A connection on which CONNECT was granted.
    fn tunnel(&self, authority: &str) -> TcpStream {
        let mut client = Client::connect(self.address);
        let response = granted(&mut client, connect(authority));
        assert_eq!(response.fields(), Vec::<&str>::new());
        client.0
    }

    fn over_tls(&self, authority: &str, server_name: &str) -> std::io::Result<TlsClient> {
        TlsClient::over(self.tunnel(authority), server_name, &self.ca, &["http/1.1"])
    }
}

fn connect(authority: &str) -> String {
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Connection: keep-alive\r\n\r\n")
}

/// Asks for a tunnel, which begins behind the head of the response.
fn granted(client: &mut Client, request: String) -> Message {
    client.0.write_all(request.as_bytes()).unwrap();
    let response = read_message(&mut client.0, false).expect("a response");
    assert_eq!(response.first_line(), "HTTP/1.1 200 OK", "{request}");
    response
}

fn for_host(host: &str, target: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[test]
fn a_client_with_a_fixed_address_is_served_through_the_proxy() {
    let upstream = RawUpstream::start(OK);
    let proxy = Proxy::start(&upstream, "");
    let host = "api.capmonster.cloud";
    let check = |response: Message, way: &str| {
        assert_eq!(response.decision(), SET, "{way}");
        let arrived = upstream.last();
        assert_eq!((arrived.target(), arrived.text()), ("/createTask", EDITED), "{way}");
        assert_eq!(arrived.field("host"), upstream.url.strip_prefix("http://"), "{way}");
    };
    let task = for_host(host, "/createTask", TASK);
    let mut client = proxy.over_tls("api.capmonster.cloud:443", host).unwrap();
    check(client.exchange(&task), "CONNECT");
    let poll = client.exchange(for_host(host, "/getTaskResult", "{}"));
    assert_eq!((poll.status(), upstream.last().text()), (200, "{}"), "the same tunnel");
    let mut plain = Client(proxy.tunnel("api.capmonster.cloud:80"));
    check(plain.exchange(&task), "CONNECT for http");
    let absolute = format!("http://{host}/createTask");
    check(
        Client::connect(proxy.address).exchange(for_host(host, &absolute, TASK)),
        "absolute-form",
    );
    let mut client = proxy.over_tls("2captcha.com:443", "2captcha.com").unwrap();
    let legacy = format!("GET {LEGACY} HTTP/1.1\r\nHost: 2captcha.com\r\n\r\n");
    assert_eq!(client.exchange(legacy).decision(), SET);
    assert_eq!(upstream.last().target(), format!("{LEGACY}&nocache=1"));
}

/// Whoever asks for anything else is told why, and nothing is dialled.
#[test]
fn it_is_no_open_proxy() {
    let upstream = RawUpstream::start(OK);
    let proxy = Proxy::start(&upstream, "");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let port = other.local_addr().unwrap().port();
    let targets = [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("0.0.0.0:{port}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("api.capmonster.cloud:{port}"),
        format!("2captcha.com:{port}"),
    ];
    let fixed = [
        "bank.example:443",
        "bank.example:80",
        "api.capmonster.cloud.evil.example:443",
        "evil-api.capmonster.cloud:443",
        "capmonster.cloud:443",
        "ru.api.capmonster.cloud:443",
        "api.capmonster.cloud:22",
        "api.capmonster.cloud:8443",
        "api.capmonster.cloud:0",
        "api.capmonster.cloud:443:443",
        "api.capmonster.cloud:+443",
        "api.capmonster.cloud:65979",
        "2captcha.com:25",
        "169.254.169.254:80",
        "10.0.0.1:443",
        "[::]:443",
        "[2001:db8::1]:443",
        "[fe80::1%25eth0]:443",
        "user@api.capmonster.cloud:443",
        "user:pw@api.capmonster.cloud:443",
        "api.capmonster.cloud@bank.example:443",
        "bank.example@api.capmonster.cloud:443",
        "api.capmonster.cloud:443@bank.example:443",
        "localhost:443",
        "*:443",
        ":443",
        "api.capmonster.cloud/",
        "https://api.capmonster.cloud:443",
        "/",
        "*",
    ];
    let mut failed = Vec::new();
    let mut rows = 0;
    for target in targets.iter().map(String::as_str).chain(fixed) {
        let forms = [
            connect(target),
            format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n"),
            format!("GET http://{target}/ HTTP/1.1\r\nHost: api.capmonster.cloud\r\n\r\n"),
            format!("POST http://{target}/createTask HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}"),
        ];
        for request in forms {
            // A name with a path is an absolute form that is served.
            if target == "api.capmonster.cloud/" && !request.starts_with("CONNECT") {
                continue;
            }
            rows += 1;
            let mut client = Client::connect(proxy.address);
            client.0.write_all(request.as_bytes()).unwrap();
            let status = read_message(&mut client.0, true).map(|response| response.status());
            if !matches!(status, Some(400 | 403 | 405 | 421)) {
                failed.push(format!("{request:?}: {status:?}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(rows > 150, "{rows}");
    let refused = Client::connect(proxy.address).exchange(connect("bank.example:443"));
    assert_eq!(
        refused.first_line(),
        "HTTP/1.1 403 nocache-gateway serves the API's names alone, by the listener of [server.proxy]"
    );
    assert!(
        refused.text().contains("this proxy serves the upstream's names alone"),
        "{}",
        refused.text()
    );
    for content in [
        "Content-Length: 2\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    ] {
        let request = format!("CONNECT api.capmonster.cloud:443 HTTP/1.1\r\nHost: x\r\n{content}");
        let response = Client::connect(proxy.address).exchange(request);
        assert_eq!(response.first_line(), "HTTP/1.1 400 Bad Request", "{content:?}");
    }
    let direct = Client::connect(proxy.address).exchange(post("/createTask", TASK));
    assert_eq!(direct.status(), 421);
    assert!(
        direct.text().contains("this is the port of the proxy"),
        "{}",
        direct.text()
    );
    let elsewhere = Client::connect(proxy.gateway.api).exchange(connect("api.capmonster.cloud:443"));
    assert_eq!(elsewhere.status(), 405);
    assert!(elsewhere.text().contains("[server.proxy]"), "{}", elsewhere.text());
    assert!(other.accept().is_err(), "nothing else was dialled");
    assert_eq!(upstream.received(), []);
    println!("{rows} requests for other hosts were refused");
}

/// CONNECT, the TLS handshake, the target and Host name one host, or nothing is sent on.
#[test]
fn in_a_tunnel_all_names_of_the_host_are_the_same() {
    let upstream = RawUpstream::start(OK);
    let proxy = Proxy::start(&upstream, "");
    let a = "api.capmonster.cloud";
    let b = "2captcha.com";
    for (connected, server_name, host, target, expected) in [
        (a, a, a, "/createTask", 200),
        (a, a, "API.capmonster.cloud.", "/createTask", 200),
        (a, a, "api.capmonster.cloud:443", "/createTask", 200),
        (a, a, "bank.example", "https://api.capmonster.cloud/createTask", 421),
        (a, a, a, "https://api.capmonster.cloud/createTask", 200),
        (a, a, a, "https://2captcha.com/createTask", 421),
        (a, b, a, "/createTask", 421),
        (a, b, b, "/createTask", 421),
        (a, a, b, "/createTask", 421),
        (a, a, "bank.example", "/createTask", 421),
        (a, a, "127.0.0.1", "/createTask", 421),
        (a, a, "", "/createTask", 421),
        (b, b, b, "/createTask", 200),
        (b, a, b, "/createTask", 421),
    ] {
        let before = upstream.received().len();
        let mut client = proxy.over_tls(&format!("{connected}:443"), server_name).unwrap();
        let response = client.exchange(for_host(host, target, TASK));
        let row = format!("CONNECT {connected}, SNI {server_name}, Host {host:?}, {target}");
        assert_eq!(response.status(), expected, "{row}: {}", response.text());
        assert_eq!(
            upstream.received().len() - before,
            usize::from(expected == 200),
            "{row}"
        );
    }
    let mut client = proxy.over_tls("api.capmonster.cloud:443", a).unwrap();
    assert_eq!(
        client.exchange(connect("api.capmonster.cloud:443")).status(),
        405,
        "a tunnel in a tunnel"
    );
    assert!(
        proxy.over_tls("api.capmonster.cloud:443", "bank.example").is_err(),
        "there is no certificate for it"
    );
}

/// The limits of connections hold for tunnels, too.
#[test]
fn a_tunnel_is_a_connection_like_any_other() {
    let upstream = RawUpstream::start(OK);
    let limits = "[server]\nkeep_alive = \"1s\"\nhead_timeout = \"1s\"\nmax_connections = 2\n";
    let proxy = Proxy::start(&upstream, limits);
    let (first, second) = (
        proxy.tunnel("api.capmonster.cloud:443"),
        proxy.tunnel("api.capmonster.cloud:80"),
    );
    let mut third = Client::connect(proxy.address);
    third
        .0
        .write_all(connect("api.capmonster.cloud:443").as_bytes())
        .unwrap();
    third.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(third.0.read(&mut [0]).is_err(), "it waits for a place");
    // The idle time of the second ends its tunnel.
    third.0.set_read_timeout(Some(fixtures::PATIENCE)).unwrap();
    assert_eq!(
        read_message(&mut third.0, false).unwrap().first_line(),
        "HTTP/1.1 200 OK"
    );
    let mut second = second;
    assert_eq!(second.read(&mut [0]).unwrap(), 0);
    drop(first);
}

#[test]
fn a_stop_lets_requests_in_tunnels_finish_and_ends_idle_ones() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let upstream = RawUpstream::serve(move |_, stream| {
        let _ = released.lock().unwrap().recv();
        stream.write_all(OK).is_ok()
    });
    let mut proxy = Proxy::start(&upstream, "");
    let host = "api.capmonster.cloud";
    let idle = proxy.over_tls("api.capmonster.cloud:443", host).unwrap();
    let unused = proxy.tunnel("api.capmonster.cloud:443");
    let mut busy = proxy.over_tls("api.capmonster.cloud:443", host).unwrap();
    let asking = std::thread::spawn(move || busy.exchange(for_host(host, "/createTask", TASK)));
    wait(|| (!upstream.received().is_empty()).then_some(()));
    let began = Instant::now();
    proxy.gateway.server.signal("TERM");
    proxy.gateway.server.wait_for(
        "shutting down: requests in flight may finish within the grace; a second signal stops at once",
        1,
    );
    release.send(()).unwrap();
    assert_eq!(asking.join().unwrap().decision(), SET);
    assert_eq!(proxy.gateway.server.wait(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop((idle, unused));
}

/// Each request leaves one record, CONNECT too, and a client that asks for other hosts is warned about once.
#[test]
fn requests_through_the_proxy_leave_their_records() {
    let upstream = RawUpstream::start(OK);
    let proxy = Proxy::start(&upstream, "");
    let host = "api.capmonster.cloud";
    let mut client = proxy.over_tls("api.capmonster.cloud:443", host).unwrap();
    client.exchange(for_host(host, "/createTask", TASK));
    for _ in 0..2 {
        Client::connect(proxy.address).exchange(connect("bank.example:443"));
    }
    let message =
        "a client asks for a host that is not the API's: use the gateway, and its proxy, for the API's client alone";
    assert_eq!(proxy.gateway.server.wait_for(message, 1).len(), 1);
    let records = wait(|| {
        let is_record = |line: &serde_json::Value| matches!(line["message"].as_str(), Some("request" | "submission"));
        let records: Vec<_> = proxy.gateway.server.log().into_iter().filter(is_record).collect();
        (records.len() == 4).then_some(records)
    });
    let shown = |record: &serde_json::Value| format!("{} {} {}", record["method"], record["status"], record["cause"]);
    assert_eq!(
        records.iter().map(shown).collect::<Vec<_>>(),
        [
            "\"CONNECT\" 200 null",
            "\"POST\" 200 null",
            "\"CONNECT\" 403 \"not-a-proxy\"",
            "\"CONNECT\" 403 \"not-a-proxy\""
        ]
    );
    assert!(
        !proxy
            .gateway
            .server
            .log()
            .iter()
            .any(|line| line.to_string().contains("bank.example"))
    );
}

/// A client may send its first TLS bytes, or its request, without waiting for the response to CONNECT.
#[test]
fn bytes_behind_connect_are_not_lost() {
    let upstream = RawUpstream::start(OK);
    let proxy = Proxy::start(&upstream, "");
    let host = "api.capmonster.cloud";
    let eager = connect("api.capmonster.cloud:80") + &for_host(host, "/createTask", TASK);
    let mut client = Client::connect(proxy.address);
    granted(&mut client, eager);
    assert_eq!(client.read().decision(), SET);
    assert_eq!(upstream.received().len(), 1);
}

/// With every system call that reaches out recorded: nothing but the upstream is dialled, whatever clients ask for.
#[cfg(target_os = "linux")]
#[test]
fn nothing_but_the_upstream_is_dialled() {
    let upstream = RawUpstream::start(OK);
    let (folder, file) = with_local_ca(CONFIG);
    let trace = folder.path().join("trace");
    let traced = program();
    // In processes of its own, which end with it.
    let mut command = std::process::Command::new("unshare");
    let own =
        "--user --map-root-user --pid --fork --kill-child strace -f -qq -e trace=connect,sendto,sendmsg,sendmmsg -o";
    command.args(own.split(' ')).arg(&trace).arg(traced.get_program());
    for (name, value) in traced.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "off"]);
    command.args(["--upstream", &upstream.url, "--config"]).arg(&file);
    let mut server = fixtures::Server::start(command, folder);
    let address = server.logged_address("listening as a proxy");
    let ca = local_ca(&server.folder);
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let others = [
        "localhost:443",
        "[2001:db8::1]:443",
        "bank.example:80",
        "bank.example:443",
    ];
    for target in others.map(str::to_owned).into_iter().chain([other.to_string()]) {
        Client::connect(address).exchange(connect(&target));
        Client::connect(address).exchange(format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    }
    let mut client = Client::connect(address);
    granted(&mut client, connect("api.capmonster.cloud:443"));
    let mut client = TlsClient::over(client.0, "api.capmonster.cloud", &ca, &[]).unwrap();
    for host in ["api.capmonster.cloud", "bank.example"] {
        client.exchange(for_host(host, "/createTask", TASK));
    }
    client.exchange(for_host("api.capmonster.cloud", "/getTaskResult", "{}"));
    // strace and unshare end with the program.
    let child = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let gateway = child(child(&server.pid().to_string()).trim());
    let ended = std::process::Command::new("kill")
        .args(["-s", "TERM", gateway.trim()])
        .status();
    assert!(ended.unwrap().success());
    server.wait();
    let trace = std::fs::read_to_string(&trace).unwrap();
    let dialled: Vec<&str> = trace
        .lines()
        .filter(|line| line.contains("connect(") && line.contains("sin"))
        .collect();
    let port = upstream.url.rsplit(':').next().unwrap();
    let is_upstream = |line: &&str| line.contains(&format!("htons({port})")) && line.contains("\"127.0.0.1\"");
    // A socket for datagrams that is connected sends nothing; it finds which address of this machine leads to the upstream.
    assert!(dialled.iter().all(is_upstream), "{dialled:#?}");
    assert!(dialled.len() >= 2, "{dialled:#?}");
    let sent: Vec<&str> = trace
        .lines()
        .filter(|line| line.contains("sendto(") && line.contains("sin"))
        .collect();
    assert_eq!(sent, Vec::<&str>::new());
    println!("{} connects, all to the upstream", dialled.len());
}
