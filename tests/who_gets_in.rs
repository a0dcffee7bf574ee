//! Who reaches the gateway by which address, in a network of the test's own: its loopback interface has two addresses of
//! other networks, too, so that a peer can come from there.

#![cfg(target_os = "linux")]

mod fixtures;

use std::collections::HashMap;

use fixtures::{Folder, in_a_network};

const SCRIPT: &str = r#"
set -eu
ip link set lo up
ip address add 192.0.2.1/32 dev lo
ip address add 198.51.100.1/32 dev lo
wait_for() { # WORDS FILE
  for _ in $(seq 200); do grep -q "$1" $2 && return; sleep 0.05; done
  cat $2 >&2
  exit 1
}
start() { # NAME LISTEN WORDS-OF-ITS-LOG
  "$GATEWAY" --config $1.toml --listen $2 --admin-listen off --upstream http://127.0.0.1:8000 2>$1.log &
  wait_for "$3" $1.log
}
"$GATEWAY" sandbox --listen 127.0.0.1:8000 2>sandbox.log &
wait_for listening sandbox.log
start open 0.0.0.0:1000,[::]:1000 '\[::\]:1000'
start own 127.0.0.1:1001 listening
start some 0.0.0.0:1002 listening
ask() { # NAME URL CURL-OPTIONS
  curl --silent --noproxy '*' --max-time 10 --write-out " %{http_code}" --output $1.body "${@:3}" "$2" >$1.status || true
  echo "$1$(cat $1.status) $(cat $1.body 2>/dev/null | tr '\n' ' ')"
}
task='{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://a.example"}}'
ask open-4 http://127.0.0.1:1000/createTask --data "$task"
ask open-6 http://[::1]:1000/createTask --data "$task"
ask open-other http://192.0.2.1:1000/createTask --data "$task"
ask some-loopback http://127.0.0.1:1002/createTask --data "$task"
ask some-allowed http://198.51.100.1:1002/createTask --data "$task"
ask some-refused http://192.0.2.1:1002/createTask --data "$task"
ask some-refused-poll http://192.0.2.1:1002/getTaskResult --data '{}'
ask some-refused-legacy "http://192.0.2.1:1002/in.php?key=K&method=userrecaptcha"
ask some-refused-json "http://192.0.2.1:1002/res.php?key=K&json=1&header_acao=1" --include
echo "some-causes $(grep -c '"cause":"peer-not-allowed"' some.log)"
for name in open own some; do echo "$name-warnings $(grep -c 'other machines can reach this address' $name.log || true)"; done
"#;

#[test]
fn peers_are_served_by_their_address() {
    let folder = Folder::new();
    folder.write("open.toml", "");
    folder.write("own.toml", "");
    folder.write(
        "some.toml",
        "[server]\nallow = [\"198.51.100.0/24\"]\n[log]\nlevel = \"debug\"\n",
    );
    let (printed, errors) = in_a_network(&folder, SCRIPT);
    println!("{printed}");
    let lines: HashMap<&str, &str> = printed.lines().filter_map(|line| line.split_once(' ')).collect();
    for (name, expected) in [
        // The usual pair of addresses, with one port.
        ("open-4", "200 {\"errorId\":0,"),
        ("open-6", "200 {\"errorId\":0,"),
        ("open-other", "200 {\"errorId\":0,"),
        ("open-warnings", "2"),
        ("own-warnings", "0"),
        ("some-warnings", "0"),
        // The rows of a peer that is not allowed in docs/failures.md.
        ("some-causes", "4"),
        ("some-loopback", "200 {\"errorId\":0,"),
        ("some-allowed", "200 {\"errorId\":0,"),
        (
            "some-refused",
            "403 {\"errorId\":1,\"errorCode\":\"ERROR_GATEWAY_PEER_NOT_ALLOWED\"",
        ),
        (
            "some-refused-poll",
            "403 {\"errorId\":1,\"errorCode\":\"ERROR_GATEWAY_PEER_NOT_ALLOWED\"",
        ),
        ("some-refused-legacy", "403 ERROR_GATEWAY_PEER_NOT_ALLOWED"),
        ("some-refused-json", "403 HTTP/1.1 403 Forbidden"),
    ] {
        let came = lines.get(name).copied().unwrap_or("nothing");
        assert!(came.starts_with(expected), "{name}: {came}\n{printed}{errors}");
    }
    let json = lines["some-refused-json"].to_lowercase();
    for part in [
        "access-control-allow-origin: *",
        r#"{"request":"error_gateway_peer_not_allowed","status":0}"#,
    ] {
        assert!(json.contains(part), "{json}");
    }
}
