//! `[upstream] proxy` against raw sockets: what a proxy is asked, and what is made of odd responses.

mod fixtures;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use fixtures::{
    EDITED, Folder, Gateway, OK, PATIENCE, RawUpstream, Server, TASK, exchange, post, program, read_message, refused,
    serve_each,
};

/// A proxy that reads once before each of its responses; after the last it closes, or falls silent.
fn responding(responses: &[&[u8]], is_silent: bool) -> SocketAddr {
    let responses: Vec<Vec<u8>> = responses.iter().map(|response| response.to_vec()).collect();
    serve_each(move |mut stream| {
        for response in &responses {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(response);
        }
        if is_silent {
            thread::sleep(PATIENCE);
        }
        // Otherwise what is unread would make the close a reset.
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = stream.read(&mut [0; 4096]);
    })
}

fn start(upstream: &str, scheme: &str, proxy: SocketAddr, more: &str) -> Gateway {
    Gateway::start(upstream, &format!("[upstream]\nproxy = \"{scheme}://{proxy}\"\n{more}"))
}

#[rustfmt::skip]
#[test]
fn what_does_not_respond_as_a_proxy_is_told_so() {
    let endless = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'a'; 1 << 20]].concat();
    let quick = "connect_timeout = \"300ms\"\n";
    let negotiate = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n";
    let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>";
    let mut number = 0;
    for (scheme, responses, is_silent, cause, text) in [
        ("http", [b"".as_slice()].as_slice(), false, "proxy-protocol", "connection closed before message completed"),
        ("http", &[b"\x00\x01\x02\r\n\r\n"], false, "proxy-protocol", "invalid HTTP"),
        ("http", &[b"SSH-2.0-OpenSSH_9.2\r\n"], true, "proxy-protocol", "invalid HTTP"),
        ("http", &[b"<html><body>hello</body></html>"], false, "proxy-protocol", "invalid HTTP"),
        ("http", &[b"\x05\xff"], false, "proxy-protocol", "invalid HTTP"),
        ("http", &[&endless], false, "proxy-protocol", "head is too large"),
        ("http", &[page], true, "proxy-protocol", "it sent more than a response to CONNECT"),
        ("http", &[b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"], true, "proxy-protocol", "it sent more"),
        ("http", &[b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n"], true, "proxy-refused", "it responded 302"),
        ("http", &[b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n<html>"], true, "proxy-refused", "it responded 502"),
        ("http", &[b"HTTP/1.0 403 Forbidden\r\n\r\n<html>"], false, "proxy-refused", "it responded 403"),
        ("http", &[negotiate], true, "proxy-refused", "the gateway knows no other way"),
        ("http", &[], true, "proxy-timeout", "within 300ms ([upstream] connect_timeout)"),
        ("http", &[b"HTTP/1.1 100 Continue\r\n\r\n"], true, "proxy-timeout", "within 300ms"),
        ("socks5", &[b"".as_slice()], false, "proxy-protocol", "unexpected end of file"),
        ("socks5", &[b"HTTP/1.1 400 Bad Request\r\n\r\n"], true, "proxy-protocol", "Invalid response version"),
        ("socks5", &[b"\x05\x01"], true, "proxy-protocol", "unknown method or reply"),
        ("socks5", &[b"\x05\xff"], true, "proxy-refused", "it requires a user and a password"),
        ("socks5", &[b"\x05\x02"], true, "proxy-refused", "it requires a user and a password"),
        ("socks5", &[b"\x05\x00", b""], false, "proxy-protocol", "unexpected end of file"),
        ("socks5", &[b"\x05\x00", b"\x04\x00\x00\x01"], true, "proxy-protocol", "Invalid response version"),
        ("socks5", &[b"\x05\x00", b"\x05\x01\x00\x01\0\0\0\0\0\0"], true, "proxy-refused", "it replied: general failure"),
        ("socks5", &[b"\x05\x00", b"\x05\x02\x00\x01\0\0\0\0\0\0"], true, "proxy-refused", "it replied: connection not allowed"),
        ("socks5", &[b"\x05\x00", b"\x05\x03\x00\x01\0\0\0\0\0\0"], true, "proxy-refused", "it replied: network unreachable"),
        ("socks5", &[b"\x05\x00", b"\x05\x04\x00\x01\0\0\0\0\0\0"], true, "proxy-refused", "it replied: host unreachable"),
        ("socks5", &[b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0"], true, "proxy-refused", "it replied: connection refused"),
        ("socks5", &[b"\x05\x00", b"\x05\x06\x00\x01\0\0\0\0\0\0"], true, "proxy-refused", "it replied: TTL expired"),
        ("socks5", &[b"\x05\x00", b"\x05\x07\x00\x01\0\0\0\0\0\0"], true, "proxy-refused", "it replied: command not supported"),
        ("socks5", &[b"\x05\x00", b"\x05\x08\x00\x01\0\0\0\0\0\0"], true, "proxy-refused", "it replied: address type not supported"),
        ("socks5", &[b"\x05\x00", b"\x05\x09\x00\x01\0\0\0\0\0\0"], true, "proxy-protocol", "unknown method or reply"),
        ("socks5", &[], true, "proxy-timeout", "within 300ms"),
        ("socks5h", &[b"\x05\x00"], true, "proxy-timeout", "within 300ms"),
    ] {
        number += 1;
        let settings = if cause == "proxy-timeout" { quick } else { "" };
        let gateway = start("http://127.0.0.1:9", scheme, responding(responses, is_silent), settings);
        let response = exchange(gateway.api, post("/createTask", TASK));
        let record = gateway.server.wait_for("submission", 1).pop().unwrap();
        assert_eq!((response.status(), record["cause"].as_str()), (502, Some(cause)), "{number}: {record}");
        assert!(response.text().contains(text) && response.text().contains("[upstream] proxy"), "{number}: {}", response.text());
    }
}

#[test]
fn tls_through_a_proxy_is_part_of_the_connect_timeout() {
    let proxy = responding(&[b"HTTP/1.1 200 OK\r\n\r\n"], true);
    let gateway = start(
        "https://upstream.example",
        "http",
        proxy,
        "connect_timeout = \"300ms\"\n",
    );
    let response = exchange(gateway.api, post("/createTask", TASK));
    assert!(response.text().contains("within 300ms"), "{}", response.text());
    assert_eq!(gateway.server.wait_for("submission", 1)[0]["cause"], "proxy-timeout");
}

/// A proxy that keeps the first bytes of each connection that ask it for a connection, and then joins it to an upstream.
fn joining(upstream: &RawUpstream, is_socks: bool, kept: Arc<Mutex<Vec<Vec<u8>>>>) -> SocketAddr {
    let upstream: SocketAddr = upstream.url.trim_start_matches("http://").parse().unwrap();
    serve_each(move |mut stream| {
        let mut asked = [0; 4096];
        if is_socks {
            let mut read = |stream: &mut TcpStream| {
                let length = stream.read(&mut asked).unwrap();
                kept.lock().unwrap().push(asked[..length].to_owned());
                asked[..length].to_owned()
            };
            let methods = read(&mut stream);
            let has_password = methods.contains(&2);
            stream
                .write_all(if has_password { b"\x05\x02" } else { b"\x05\x00" })
                .unwrap();
            if has_password {
                read(&mut stream);
                stream.write_all(b"\x01\x00").unwrap();
            }
            read(&mut stream);
            stream.write_all(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00").unwrap();
        } else {
            let head = read_message(&mut stream, false).unwrap();
            kept.lock().unwrap().push(head.head.into_bytes());
            stream
                .write_all(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
                .unwrap();
        }
        let other = TcpStream::connect(upstream).unwrap();
        let (mut from, mut to) = (other.try_clone().unwrap(), stream.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut stream, &mut &other);
        let _ = other.shutdown(Shutdown::Both);
    })
}

#[test]
fn a_proxy_is_asked_for_the_target_and_the_request_is_as_without_it() {
    let connect = |target: &str, more: &str| {
        vec![format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{more}\r\n").into_bytes()]
    };
    let authorization = "Proxy-Authorization: Basic bWU6cDp3\r\n";
    let by_name = |length: u8| [&[5, 1, 0, 3, length], b"upstream.example".as_slice(), &[0x1f, 0x90]].concat();
    let none = b"\x05\x01\x00".to_vec();
    let password = [b"\x05\x02\x00\x02".to_vec(), b"\x01\x02me\x03p:w".to_vec()];
    let [methods, user] = password;
    let v4 = b"\x05\x01\x00\x01\x7f\x00\x00\x01\x1f\x90".to_vec();
    let v6 = [b"\x05\x01\x00\x04".as_slice(), &[0; 15], &[1, 0x1f, 0x90]].concat();
    for (scheme, userinfo, url, connect_to, host, expected) in [
        (
            "http",
            "",
            "http://upstream.example:8080",
            "",
            "upstream.example:8080",
            connect("upstream.example:8080", ""),
        ),
        (
            "http",
            "",
            "http://upstream.example.",
            "",
            "upstream.example.",
            connect("upstream.example.:80", ""),
        ),
        (
            "http",
            "me:p%3Aw@",
            "http://[::1]:8080",
            "",
            "[::1]:8080",
            connect("[::1]:8080", authorization),
        ),
        (
            "http",
            "",
            "http://upstream.example:8080",
            "[2001:db8::1]:81",
            "upstream.example:8080",
            connect("[2001:db8::1]:81", ""),
        ),
        (
            "socks5h",
            "",
            "http://upstream.example:8080",
            "",
            "upstream.example:8080",
            vec![none.clone(), by_name(16)],
        ),
        (
            "socks5h",
            "me:p:w@",
            "http://127.0.0.1:8080",
            "",
            "127.0.0.1:8080",
            vec![methods, user, v4.clone()],
        ),
        (
            "socks5",
            "",
            "http://[::1]:8080",
            "",
            "[::1]:8080",
            vec![none.clone(), v6],
        ),
        (
            "socks5",
            "",
            "http://upstream.example:8080",
            "127.0.0.1:8080",
            "upstream.example:8080",
            vec![none, v4],
        ),
    ] {
        let upstream = RawUpstream::start(OK);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let proxy = joining(&upstream, scheme != "http", kept.clone());
        let connect_to = match connect_to {
            "" => String::new(),
            address => format!("connect_to = \"{address}\"\n"),
        };
        let config = format!("[upstream]\nproxy = \"{scheme}://{userinfo}{proxy}\"\n{connect_to}");
        let gateway = Gateway::start(url, &config);
        for _ in 0..2 {
            assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200, "{url}");
            // The connection is idle a moment after its response.
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(
            *kept.lock().unwrap(),
            expected,
            "{scheme} {url}: one connection for both"
        );
        let request = upstream.last();
        assert_eq!(request.first_line(), "POST /createTask HTTP/1.1");
        assert_eq!(
            request.fields(),
            [format!("Host: {host}"), format!("Content-Length: {}", EDITED.len())]
        );
        assert_eq!(request.text(), EDITED);
    }
}

#[test]
fn socks5_looks_the_name_up_here() {
    let addresses: Vec<SocketAddr> = std::net::ToSocketAddrs::to_socket_addrs("localhost:8080")
        .unwrap()
        .collect();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    let proxy = serve_each(move |mut stream| {
        let mut buffer = [0; 100];
        let _ = stream.read(&mut buffer);
        stream.write_all(b"\x05\x00").unwrap();
        let length = stream.read(&mut buffer).unwrap();
        kept.lock().unwrap().push(buffer[3..length].to_owned());
        stream.write_all(b"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00").unwrap();
        let _ = stream.read(&mut buffer);
    });
    let gateway = start("http://localhost:8080", "socks5", proxy, "");
    let response = exchange(gateway.api, post("/createTask", TASK));
    assert!(response.text().contains("network unreachable"), "{}", response.text());
    let expected: Vec<Vec<u8>> = addresses
        .iter()
        .map(|address| match address {
            SocketAddr::V4(v4) => [[1].as_slice(), &v4.ip().octets(), &[0x1f, 0x90]].concat(),
            SocketAddr::V6(v6) => [[4].as_slice(), &v6.ip().octets(), &[0x1f, 0x90]].concat(),
        })
        .collect();
    assert_eq!(*asked.lock().unwrap(), expected);
    let gateway = start("http://no-such-host.invalid", "socks5", proxy, "");
    let response = exchange(gateway.api, post("/createTask", TASK));
    assert!(
        response
            .text()
            .contains("the upstream's name no-such-host.invalid could not be resolved"),
        "{}",
        response.text()
    );
}

#[test]
fn a_proxy_that_is_the_gateway_itself_is_a_loop() {
    let address: SocketAddr = refused().trim_start_matches("http://").parse().unwrap();
    let folder = Folder::new();
    let file = folder.write("c.toml", format!("[upstream]\nproxy = \"http://{address}\"\n"));
    let args = [
        "--listen",
        &address.to_string(),
        "--admin-listen",
        "off",
        "--upstream",
        "http://127.0.0.1:9",
    ];
    let command = |verb: &str| {
        let mut command = program();
        command.arg(verb).args(args).arg("--config").arg(&file);
        command
    };
    let checked = command("check").output().unwrap();
    let text = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(
        checked.status.success() && text.contains("is this gateway itself; [upstream] proxy has to name another"),
        "{text}"
    );
    let server = Server::start(command("serve"), folder);
    let response = exchange(server.address("listening"), post("/createTask", TASK));
    assert!(
        response.text().contains("is this gateway itself"),
        "{}",
        response.text()
    );
    assert_eq!(server.wait_for("submission", 1)[0]["cause"], "loop");
}

/// The first try of a machine behind a proxy is to set these.
#[test]
fn proxy_variables_are_named_and_not_obeyed() {
    let upstream = RawUpstream::start(OK);
    let nowhere = refused();
    let secret = nowhere.replace("http://", "http://me:secret@");
    let folder = || Folder::new();
    let config = format!("[upstream]\nproxy = \"{nowhere}\"\n");
    for (variables, config, named) in [
        (&["HTTP_PROXY"][..], "", "HTTP_PROXY is set"),
        (&["https_proxy"], "", "https_proxy is set"),
        (&["HTTPS_PROXY", "all_proxy"], "", "HTTPS_PROXY, all_proxy are set"),
        (&["HTTP_PROXY"], &config, ""),
        (&["NO_PROXY"], "", ""),
    ] {
        let folder = folder();
        let file = folder.write("c.toml", config);
        let command = |args: &[&str]| {
            let mut command = program();
            command
                .args(args)
                .args(["--upstream", &upstream.url, "--config"])
                .arg(&file);
            command.envs(variables.iter().map(|name| (name, &secret)));
            command
        };
        let check = |args: &[&str]| {
            let output = command(args).output().unwrap();
            assert!(output.status.success());
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        let is_told = |text: &str| match named {
            "" => !text.contains("_PROXY") && !text.contains("_proxy is"),
            named => text.matches(&format!("{named} and not obeyed")).count() == 1,
        };
        for args in [&["check"][..], &["check", "--json"]] {
            let text = check(args);
            assert!(is_told(&text) && !text.contains("secret"), "{text}");
        }
        let server = Server::start(
            command(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off"]),
            folder,
        );
        let status = exchange(server.address("listening"), post("/createTask", TASK)).status();
        assert_eq!(
            status,
            if named.is_empty() && variables == ["HTTP_PROXY"] {
                502
            } else {
                200
            }
        );
        let log = format!("{:?}", server.log());
        assert!(is_told(&log) && !log.contains("secret"), "{log}");
    }
}
