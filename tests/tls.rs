//! The TLS listener: whose certificate it shows, and what becomes of clients that speak to the wrong port.

mod fixtures;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use fixtures::{
    Client, EDITED, Folder, Gateway, OK, RawUpstream, SET, TASK, TlsClient, ca_init, exchange, get, local_ca, post,
    program, run, wait, with_local_ca,
};

const LISTENS: &str = "[server.tls]\nlisten = \"127.0.0.1:0\"\n";

/// A gateway with a TLS listener and a local CA.
fn start(upstream: &RawUpstream, config: &str) -> (Gateway, SocketAddr) {
    let (folder, file) = with_local_ca(&format!("{config}\n{LISTENS}"));
    let gateway = Gateway::start_with(&upstream.url, &file, folder);
    let address = gateway.server.logged_address("listening over TLS");
    (gateway, address)
}

/// A certificate for localhost and its key, as PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn submissions_over_tls_are_rewritten_and_the_rest_passes() {
    let upstream = RawUpstream::start(OK);
    let (gateway, address) = start(&upstream, "");
    for name in ["localhost", "127.0.0.1"] {
        let mut client = TlsClient::connect(address, name, &local_ca(&gateway.server.folder)).unwrap();
        assert_eq!(client.exchange(post("/createTask", TASK)).decision(), SET, "{name}");
        assert_eq!(upstream.last().text(), EDITED);
        assert_eq!(client.exchange(post("/getTaskResult", "{}")).status(), 200);
        assert_eq!(upstream.last().text(), "{}");
    }
}

#[test]
fn only_http_1_1_is_offered() {
    let upstream = RawUpstream::start(OK);
    let (gateway, address) = start(&upstream, "");
    let ca = local_ca(&gateway.server.folder);
    let connect = |protocols: &[&str]| {
        let client = TlsClient::over(TcpStream::connect(address).unwrap(), "localhost", &ca, protocols);
        client
            .map(|client| client.protocol().map(<[u8]>::to_vec))
            .map_err(|error| error.to_string())
    };
    assert_eq!(connect(&["h2", "http/1.1"]), Ok(Some(b"http/1.1".to_vec())));
    assert_eq!(connect(&[]), Ok(None));
    assert!(connect(&["h2"]).unwrap_err().contains("NoApplicationProtocol"));
}

#[test]
fn a_client_gets_a_certificate_for_the_gateways_names_alone() {
    let upstream = RawUpstream::start(OK);
    let config = "[server]\nnames = [\"gate.internal\"]\n[server.proxy]\nnames = [\"2captcha.com\"]";
    let (gateway, address) = start(&upstream, config);
    let ca = local_ca(&gateway.server.folder);
    for (name, expected) in [
        ("localhost", true),
        ("LOCALHOST", true),
        ("127.0.0.1", true),
        ("gate.internal", true),
        ("2captcha.com", true),
        ("www.2captcha.com", false),
        ("bank.example", false),
    ] {
        assert_eq!(TlsClient::connect(address, name, &ca).is_ok(), expected, "{name}");
    }
    let warned = gateway.server.wait_for(
        "a client asks for a name that there is no certificate for: list it in [server] names, [server.proxy] names or [server.hosts] names",
        1,
    );
    assert_eq!(
        (&warned[0]["peer"], &warned[0]["cause"]),
        (&"127.0.0.1".into(), &"no-certificate".into())
    );
    assert_eq!(warned.len(), 1, "two clients from one address");
}

/// A certificate of one's own is shown for any name, and followed like the configuration.
#[test]
fn a_certificate_that_changes_is_shown_to_the_next_connection() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    let write = |(certificate, key): &(String, String)| {
        folder.rename_over("cert.pem", certificate);
        folder.rename_over("key.pem", key);
    };
    let (first, second) = (certificate(), certificate());
    write(&first);
    let config = format!("{LISTENS}certificate = \"cert.pem\"\nkey = \"key.pem\"\n");
    let file = folder.write("gateway.toml", config);
    let trusted = folder.write("trusted.pem", first.0.clone() + &second.0);
    let path = folder.path().to_owned();
    let gateway = Gateway::start_with(&upstream.url, &file, folder);
    let address = gateway.server.logged_address("listening over TLS");
    let shown = || {
        TlsClient::connect(address, "localhost", &trusted)
            .unwrap()
            .certificate()
    };
    let before = shown();
    let mut open = TlsClient::connect(address, "localhost", &trusted).unwrap();

    // Half of it is there: the first is still shown, and the log and /readyz say why, and rules are not loaded again for it.
    fs::write(path.join("cert.pem"), &second.0).unwrap();
    let ready = || exchange(gateway.admin, get_ready()).text().to_owned();
    wait(|| ready().contains("the certificate on disk is not shown").then_some(()));
    assert_eq!(shown(), before);
    let loaded = gateway.server.count("configuration reloaded");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(gateway.server.count("configuration reloaded"), loaded);
    fs::write(path.join("key.pem"), &second.1).unwrap();
    let after = wait(|| Some(shown()).filter(|shown| *shown != before));
    wait(|| (ready() == "ready\n").then_some(()));

    assert_ne!(after, before);
    assert_eq!(
        open.exchange(post("/createTask", TASK)).decision(),
        SET,
        "an open connection goes on"
    );
    let logged = gateway.server.log();
    let complaint = logged.iter().find(|line| line["level"] == "ERROR").unwrap()["message"]
        .as_str()
        .unwrap();
    assert!(
        complaint.starts_with("certificate not reloaded, the previous one is still shown: "),
        "{complaint}"
    );
    assert!(!logged.iter().any(|line| line.to_string().contains("PRIVATE")));
}

fn get_ready() -> &'static [u8] {
    b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
}

/// Each mistake of a client is told at most once a minute, however often it comes.
#[test]
fn a_client_at_the_wrong_port_is_told_and_warned_about_once() {
    const TLS_TO_PLAIN: &str = "a client speaks TLS to a port without TLS: give it the address with http:// instead of https://, or the port of [server.tls]";
    const PLAIN_TO_TLS: &str = "a client does not speak TLS to a port with TLS: give it the address with https:// instead of http://, or the port of [server] listen";
    const DISTRUSTED: &str =
        "a client does not trust the certificate: nocache-gateway ca show says how to make it trust the local CA";
    let upstream = RawUpstream::start(OK);
    let (gateway, address) = start(&upstream, "[log]\nlevel = \"debug\"");
    let ca = local_ca(&gateway.server.folder);
    let other = gateway.server.folder.write("other.pem", certificate().0);
    for _ in 0..3 {
        let response = exchange(address, post("/createTask", TASK));
        assert_eq!(response.status(), 400);
        assert_eq!(response.field("connection"), Some("close"));
        let description = "this port speaks TLS: give your client the address with https:// instead of http://";
        assert!(response.text().contains(description), "{}", response.text());
        assert!(TlsClient::connect(address, "localhost", &other).is_err());
        // What TLS libraries know as "wrong version number", and then a clean close.
        let mut client = Client::connect(gateway.api);
        client.0.write_all(&client_hello(&ca)).unwrap();
        let mut bytes = Vec::new();
        client.0.read_to_end(&mut bytes).unwrap();
        assert!(bytes.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
    }
    for (message, cause) in [
        (TLS_TO_PLAIN, "tls-to-plain"),
        (PLAIN_TO_TLS, "plain-to-tls"),
        (DISTRUSTED, "certificate-refused"),
    ] {
        let is_record = |line: &&serde_json::Value| matches!(line["message"].as_str(), Some("request" | "submission"));
        wait(|| {
            let log = gateway.server.log();
            (log.iter()
                .filter(is_record)
                .filter(|line| line["cause"] == cause)
                .count()
                == 3)
                .then_some(())
        });
        assert_eq!(gateway.server.wait_for(message, 1).len(), 1, "{message}");
    }
    assert!(upstream.received().is_empty());
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).decision(), SET);
}

/// The first flight of a TLS client.
fn client_hello(ca: &Path) -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ca = ca.to_owned();
    let client = std::thread::spawn(move || TlsClient::connect(address, "localhost", &ca).is_ok());
    let mut bytes = vec![0; 4096];
    let (mut stream, _) = listener.accept().unwrap();
    let length = stream.read(&mut bytes).unwrap();
    drop(stream);
    assert!(!client.join().unwrap());
    bytes.truncate(length);
    bytes
}

/// Node and others close without an alert if they do not trust a certificate.
#[test]
fn a_client_that_ends_its_handshake_is_warned_of() {
    let upstream = RawUpstream::start(OK);
    let (gateway, address) = start(&upstream, "");
    let hello = client_hello(&local_ca(&gateway.server.folder));
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(&hello).unwrap();
    assert!(client.read(&mut [0; 4096]).unwrap() > 0, "the certificate");
    drop(client);
    let warned = gateway.server.wait_for(
        "a client ended its TLS handshake without a word: perhaps it does not trust the certificate (nocache-gateway ca show)",
        1,
    );
    assert_eq!(warned[0]["cause"], "handshake-ended");
}

/// A handshake is held to the time of a head, and an idle client to that of an idle connection.
#[test]
fn a_handshake_that_does_not_go_on_ends() {
    let upstream = RawUpstream::start(OK);
    let limits = "[server]\nhead_timeout = \"500ms\"\nkeep_alive = \"2s\"\n[log]\nlevel = \"debug\"";
    let (gateway, address) = start(&upstream, limits);
    let ended_after = |bytes: &[u8]| {
        let mut client = Client::connect(address).0;
        client.write_all(bytes).unwrap();
        let began = Instant::now();
        let _closed_or_reset = client.read(&mut [0]);
        began.elapsed().as_millis()
    };
    let (begun, silent) = (ended_after(&[22, 3, 1]), ended_after(b""));
    assert!((400..1900).contains(&begun), "{begun} ms");
    assert!((1900..10_000).contains(&silent), "{silent} ms");
    let timed_out = gateway
        .server
        .log()
        .iter()
        .filter(|line| line["cause"] == "head-timeout")
        .count();
    assert_eq!(timed_out, 1, "an idle connection is no failure");
}

/// rustls would log it as a warning.
#[test]
fn a_name_that_a_client_asks_for_is_not_logged() {
    let upstream = RawUpstream::start(OK);
    let (gateway, address) = start(&upstream, "[log]\nlevel = \"trace\"");
    let hello = client_hello(&local_ca(&gateway.server.folder));
    let at = hello.windows(9).position(|bytes| bytes == b"localhost").unwrap();
    for name in [b"SECRETKEY", b"SECRET!EY", b"SECRET EY", b"127.0.0.1"] {
        let mut odd = hello.clone();
        odd[at..at + 9].copy_from_slice(name);
        let mut client = Client::connect(address).0;
        client.write_all(&odd).unwrap();
        let _closed_or_reset = client.read_to_end(&mut Vec::new());
    }
    assert_eq!(exchange(gateway.api, post("/createTask", TASK)).decision(), SET);
    gateway.server.wait_for("submission", 1);
    for line in gateway.server.log() {
        let line = line.to_string();
        // Names that are addresses were logged in hexadecimal digits.
        assert!(!line.contains("SECRET") && !line.contains("3132372e"), "{line}");
    }
}

/// A pipe can be read once. Neither it nor what it turns into holds up the reload of rules.
#[cfg(unix)]
#[test]
fn a_certificate_from_a_pipe_is_read_once() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    let (chain, key) = certificate();
    let pipe = folder.path().join("cert.pem");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    folder.write("key.pem", &key);
    let trusted = folder.write("trusted.pem", &chain);
    let config = format!("{LISTENS}certificate = \"cert.pem\"\nkey = \"key.pem\"\n");
    let file = folder.write("gateway.toml", &config);
    let path = folder.path().to_owned();
    let writer = std::thread::spawn(move || fs::write(pipe, chain).unwrap());
    let gateway = Gateway::start_with(&upstream.url, &file, folder);
    writer.join().unwrap();
    let address = gateway.server.logged_address("listening over TLS");
    assert!(TlsClient::connect(address, "localhost", &trusted).is_ok());
    fs::write(path.join("gateway.toml"), config + "[default]\naction = \"keep\"\n").unwrap();
    gateway.server.wait_for("configuration reloaded", 1);
    assert_eq!(
        exchange(gateway.api, post("/createTask", TASK)).decision(),
        "kept;action=keep;rule=default;reason=action-keep"
    );
    assert!(TlsClient::connect(address, "localhost", &trusted).is_ok());
}

/// Programs of the time before SNI get a certificate for every name.
#[test]
fn a_client_that_names_no_host_gets_a_certificate_for_all() {
    let upstream = RawUpstream::start(OK);
    let (gateway, address) = start(&upstream, "[server.proxy]\nnames = [\"2captcha.com\"]");
    let ca = local_ca(&gateway.server.folder);
    for name in ["2captcha.com", "localhost"] {
        let told = openssl(address, &ca, &["-noservername"], name);
        assert!(told.contains("Verification: OK"), "{name}: {told}");
    }
}

/// What OpenSSL's client says of the certificate it gets, if it is to be for `host`.
fn openssl(address: SocketAddr, ca: &Path, asks_for: &[&str], host: &str) -> String {
    let output = std::process::Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-brief", "-verify_hostname", host])
        .args(["-connect", &address.to_string(), "-CAfile", ca.to_str().unwrap()])
        .args(asks_for)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A name that is none would make an authority for every name, or one that no client can use.
#[test]
fn only_hosts_are_names_of_the_gateway() {
    for (name, expected) in [
        ("", false),
        (".", false),
        ("*.2captcha.com", false),
        ("2captcha.com:443", false),
        ("https://2captcha.com", false),
        ("2captcha.com/", false),
        ("a b", false),
        ("user@2captcha.com", false),
        ("com", false),
        ("co.uk", false),
        ("..", false),
        ("2captcha.com", true),
        ("2CAPTCHA.com.", true),
        ("bücher.example", true),
        ("gateway", true),
        ("192.0.2.7", true),
        ("[2001:db8::1]", true),
    ] {
        for section in ["server", "server.proxy", "server.hosts"] {
            let folder = Folder::new();
            let file = folder.write("gateway.toml", format!("[{section}]\nnames = [\"{name}\"]\n"));
            let made = ca_init(&file, &[]);
            assert_eq!(made.status.success(), expected, "{section} {name:?}: {made:?}");
            assert_eq!(local_ca(&folder).exists(), expected, "{section} {name:?}");
            let told = String::from_utf8_lossy(&made.stderr);
            assert!(expected || told.contains("gateway.toml:2:"), "{told}");
        }
        let folder = Folder::new();
        let made = ca_init(&folder.write("gateway.toml", ""), &[name]);
        assert_eq!(made.status.success(), expected, "--name {name:?}: {made:?}");
    }
}

#[test]
fn what_is_probably_not_intended_is_told_by_check_and_the_start() {
    let upstream = RawUpstream::start(OK);
    let (folder, file) = with_local_ca(LISTENS);
    let key = folder.path().join("nocache-gateway-ca/ca-key.pem");
    #[cfg(unix)]
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(&file, format!("{LISTENS}[server.proxy]\nnames = [\"2captcha.com\"]\n")).unwrap();
    let output = run(&["--config", file.to_str().unwrap(), "check"]);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    let gateway = Gateway::start_with(&upstream.url, &file, folder);
    let logged = gateway
        .server
        .wait_for("listeners, names or certificates are probably not as intended", 3);
    for (number, expected) in [
        "[server.proxy] has names and no listen",
        "others can read the private key ",
        "the local CA is not for 2captcha.com: ",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(told.contains(expected), "{told}");
        assert!(
            logged[number]["doubt"].as_str().unwrap().starts_with(expected),
            "{logged:?}"
        );
    }
    let summary = String::from_utf8(output.stdout).unwrap();
    assert!(summary.contains("over TLS    [127.0.0.1:0]"), "{summary}");
}

/// Not for mail, programs or clients.
#[test]
fn the_local_ca_is_for_servers_alone() {
    let (folder, _) = with_local_ca(LISTENS);
    let output = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-purpose", "-in", local_ca(&folder).to_str().unwrap()])
        .output()
        .unwrap();
    let purposes = String::from_utf8(output.stdout).unwrap();
    let of_ca = |name: &str| purposes.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(of_ca("SSL server CA").ends_with("Yes"), "{purposes}");
    for purpose in ["SSL client CA", "S/MIME signing CA", "S/MIME encryption CA"] {
        assert!(of_ca(purpose).ends_with("No"), "{purposes}");
    }
}

/// A connection on which a handshake is due holds up nobody.
#[test]
fn a_silent_client_does_not_hold_up_a_stop() {
    let upstream = RawUpstream::start(OK);
    let (mut gateway, address) = start(&upstream, "");
    let silent = TcpStream::connect(address).unwrap();
    let mut begun = TcpStream::connect(address).unwrap();
    begun.write_all(&[22, 3, 1]).unwrap();
    let mut idle = TlsClient::connect(address, "localhost", &local_ca(&gateway.server.folder)).unwrap();
    assert_eq!(idle.exchange(get("/")).status(), 200);
    let began = Instant::now();
    gateway.server.signal("TERM");
    assert_eq!(gateway.server.wait(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop((silent, begun));
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_at_the_start() {
    let (own, other) = (certificate(), certificate());
    let pair = "certificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    for (cert, key, settings, message) in [
        ("", "", "", "there is no local CA in "),
        (
            &*own.0,
            &*own.1,
            "certificate = \"cert.pem\"\n",
            "certificate and key belong together",
        ),
        (
            &*own.0,
            &*own.1,
            "key = \"key.pem\"\n",
            "certificate and key belong together",
        ),
        (&*own.0, &*other.1, pair, "cert.pem cannot be used with its key"),
        ("", &*own.1, pair, "there is no certificate in "),
        (&*own.0, "", pair, "key.pem cannot be read"),
        (&*own.1, &*own.0, pair, "there is no certificate in "),
        (
            &*own.0,
            &*own.1,
            "certificate = \"none.pem\"\nkey = \"key.pem\"\n",
            "none.pem: No such file",
        ),
    ] {
        let folder = Folder::new();
        folder.write("cert.pem", cert);
        folder.write("key.pem", key);
        let file = folder.write("gateway.toml", format!("{LISTENS}{settings}"));
        let file = file.to_str().unwrap();
        for verb in ["check", "serve"] {
            let output = run(&["--config", file, verb]);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(told.contains(message), "{verb} {settings:?}: {told}");
            assert!(!told.contains("PRIVATE"));
            assert_eq!(output.status.code(), Some(2), "{verb} {settings:?}: {told}");
        }
    }
}

/// The key of another authority, or none: neither is taken for a local CA.
#[test]
fn a_local_ca_that_is_not_whole_is_refused() {
    let (folder, file) = with_local_ca(LISTENS);
    let (other, _) = with_local_ca(LISTENS);
    let path = |folder: &Folder, name: &str| folder.path().join("nocache-gateway-ca").join(name);
    let key = path(&folder, "ca-key.pem");
    let told = |verb: &[&str]| {
        let output = run(&[&["--config", file.to_str().unwrap()], verb].concat());
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    for (prepare, verb, expected) in [
        (
            "key of another",
            "check",
            "were not made by nocache-gateway ca init together (",
        ),
        ("no key", "check", "ca-key.pem: No such file"),
        ("no key", "ca init", "there is a local CA, or half of one, in "),
        ("nothing", "check", "there is no local CA in "),
    ] {
        match prepare {
            "key of another" => drop(fs::copy(path(&other, "ca-key.pem"), &key).unwrap()),
            "no key" => drop(fs::remove_file(&key)),
            _ => fs::remove_file(path(&folder, "ca.pem")).unwrap(),
        }
        let told = told(&verb.split(' ').collect::<Vec<_>>());
        assert!(told.contains(expected), "{prepare}, {verb}: {told}");
    }
}

#[test]
fn ca_init_makes_an_authority_for_the_configured_names_and_never_a_second() {
    let folder = Folder::new();
    let config = r#"
        [server]
        names = ["gate.internal"]
        [server.hosts]
        names = ["2captcha.com"]
        [upstream]
        fallback = "https://ru.api.capmonster.cloud"
    "#;
    let file = folder.write("gateway.toml", config);
    let made = ca_init(&file, &["192.0.2.7", "bücher.example"]);
    let told = String::from_utf8(made.stdout).unwrap();
    for name in [
        "localhost",
        "127.0.0.0/8",
        "::1",
        "gate.internal",
        "2captcha.com",
        "api.capmonster.cloud",
        "ru.api.capmonster.cloud",
        "192.0.2.7",
        "xn--bcher-kva.example",
    ] {
        assert!(told.contains(name), "{name}: {told}");
    }
    let (certificate, key) = (local_ca(&folder), folder.path().join("nocache-gateway-ca/ca-key.pem"));
    let before = fs::read(&key).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = ca_init(&file, &[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("it was left as it is"));
    assert_eq!(fs::read(&key).unwrap(), before);

    let shown = program()
        .args(["ca", "show", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for word in [
        "NODE_EXTRA_CA_CERTS",
        "REQUESTS_CA_BUNDLE",
        "curl",
        "keytool",
        ".NET",
        "Go ",
        "certutil",
        "security add-trusted-cert",
        "update-ca-certificates",
    ] {
        assert!(shown.contains(word), "{word}");
    }
    assert!(shown.contains(certificate.canonicalize().unwrap().to_str().unwrap()));
    assert!(!shown.contains("PRIVATE") && !told.contains("PRIVATE"));
}

/// Clients that trust the authority trust it for nothing else, by the rules of OpenSSL too.
#[test]
fn what_the_local_ca_issues_holds_before_openssl() {
    let upstream = RawUpstream::start(OK);
    let (gateway, address) = start(&upstream, "");
    let ca = local_ca(&gateway.server.folder);
    let verified = |name: &str| openssl(address, &ca, &["-servername", "localhost"], name);
    assert!(
        verified("localhost").contains("Verification: OK"),
        "{}",
        verified("localhost")
    );
    assert!(
        verified("bank.example").contains("hostname mismatch"),
        "{}",
        verified("bank.example")
    );
}
