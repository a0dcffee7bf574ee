//! A path to the upstream that dies without a word, as when a laptop was suspended or a link is lost. The test makes two
//! network namespaces of its own, and takes the upstream's address away.

#![cfg(target_os = "linux")]

mod fixtures;

use fixtures::{Folder, in_a_network};

/// Two upstreams and a proxy are beyond the path. Prints a line for each poll: what was polled, the status, and the seconds it took.
const SCRIPT: &str = r#"
set -eu
unshare --net sleep 120 & peer=$!
until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
there() { nsenter --target $peer --net "$@"; }
ip link set lo up
ip link add near type veth peer name far netns $peer
ip address add 192.0.2.1/24 dev near
ip link set near up
there ip address add 192.0.2.2/24 dev far
there ip link set far up
# Known for ever, so that the system does not find out by asking for it.
ip neighbour replace 192.0.2.2 lladdr "$(there ip -oneline link show far | sed -n 's/.*link\/ether \([^ ]*\).*/\1/p')" dev near nud permanent

there "$GATEWAY" sandbox --listen 192.0.2.2:8000 2>sandbox.log &
# It takes a request and says nothing.
there python3 -c '
import socket, time
listener = socket.create_server(("192.0.2.2", 8001))
kept = []
while True: kept.append(listener.accept())
' &
there microsocks -i 192.0.2.2 -p 8002 >microsocks.log 2>&1 &
gateway() { # PORT UPSTREAM CONFIG
  "$GATEWAY" --listen 127.0.0.1:1$1 --admin-listen off --upstream http://192.0.2.2:$2 --config $3 2>gateway-$1.log &
}
gateway 8000 8000 empty.toml
gateway 8001 8001 empty.toml
gateway 8002 8001 proxy.toml
poll() { # NAME PORT
  curl --silent --output /dev/null --max-time 50 \
    --write-out "$1 %{http_code} %{time_total}\n" --data '{"clientKey":"K","taskId":1}' "http://127.0.0.1:1$2/getTaskResult" || true
}
for port in 8001 8002; do
  until (exec 3<>/dev/tcp/192.0.2.2/$port) 2>/dev/null; do sleep 0.05; done
done
for log in sandbox gateway-8000 gateway-8001 gateway-8002; do
  until grep -q listening $log.log; do sleep 0.05; done
done
poll alive 8000
poll waiting 8001 &
waiting=$!
poll proxied 8002 &
proxied=$!
sleep 1
there ip address delete 192.0.2.2/24 dev far
poll pooled 8000
wait $waiting $proxied
"#;

#[test]
fn a_dead_path_costs_no_client_its_whole_timeout() {
    let folder = Folder::new();
    folder.write("empty.toml", "");
    folder.write("proxy.toml", "[upstream]\nproxy = \"socks5://192.0.2.2:8002\"\n");
    let (printed, errors) = in_a_network(&folder, SCRIPT);
    println!("{printed}");
    let poll = |name: &str| {
        let line = printed
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let line = line.unwrap_or_else(|| panic!("no {name} in {printed}{errors}"));
        let (status, seconds) = line.split_once(' ').unwrap();
        (status.to_owned(), seconds.parse::<f64>().unwrap())
    };
    assert_eq!(poll("alive").0, "200", "{printed}{errors}");
    // The system counts in doubling steps, so 10 s are up to 20 s; the upstream's timeout is 60 s.
    for (name, limit) in [("pooled", 21.0), ("waiting", 31.0), ("proxied", 31.0)] {
        let (status, seconds) = poll(name);
        assert!(status == "503" && (5.0..limit).contains(&seconds), "{printed}{errors}");
    }
}
