//! Programs with a fixed address: a hosts file points its name at the gateway.

#![cfg(target_os = "linux")]

mod fixtures;

use fixtures::{Folder, in_a_network, program, run};

/// Runs a script in a network of its own, where the hosts file is `hosts` of its folder, with a local CA, the sandbox on
/// 127.0.0.1:6624 and the gateway.
fn with_hosts_file(config: &str, hosts: &str, script: &str) -> String {
    let folder = Folder::new();
    folder.write("gateway.toml", config);
    folder.write("hosts", format!("127.0.0.1 localhost\n{hosts}"));
    let script = format!(
        r#"set -eu
        ip link set lo up
        mount --bind hosts /etc/hosts
        "$GATEWAY" ca init --config gateway.toml >made
        "$GATEWAY" sandbox --listen 127.0.0.1:6624 --record 2>sandbox.log &
        "$GATEWAY" --config gateway.toml 2>log &
        for _ in $(seq 200); do grep -q 'admin listening' log && grep -q listening sandbox.log && break; sleep 0.05; done
        ca=nocache-gateway-ca/ca.pem
        {script}
        "#
    );
    let (output, errors) = in_a_network(&folder, &script);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert!(
        output.trim_end().ends_with("end of the script"),
        "{output}\n{errors}\n{log}"
    );
    output
}

const CONFIG: &str = r#"
    [server.hosts]
    names = ["2captcha.com", "api.anti-captcha.com", "api.deathbycaptcha.com"]
    [upstream]
    url = "http://127.0.0.1:6624"
"#;

const HOSTS: &str = "127.0.0.1 2captcha.com api.anti-captcha.com\n127.0.0.1 api.deathbycaptcha.com\n";

#[test]
fn names_of_the_hosts_file_lead_to_the_upstream_over_tls_and_without() {
    let output = with_hosts_file(
        CONFIG,
        HOSTS,
        r#"
        legacy='in.php?key=K&method=userrecaptcha&googlekey=k&pageurl=https://a.example/'
        task='{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://a.example/"}}'
        ask() { curl -sS --noproxy '*' --cacert $ca -D - "$@" | tr -d '\r' | grep -i -e '^x-nocache' -e '^OK' -e '^{'; }
        ask "https://2captcha.com/$legacy"
        ask "http://2captcha.com/$legacy"
        ask -d "$task" https://api.anti-captcha.com/createTask
        ask -d "$task" http://api.anti-captcha.com/createTask
        curl -sS --noproxy '*' --cacert $ca -o passed -w '%{http_code}\n' -F username=u https://api.deathbycaptcha.com/api/captcha
        curl -sS --noproxy '*' --cacert $ca --connect-to ::127.0.0.1:443 https://bank.example/ 2>&1 | head -1
        curl -sS --noproxy '*' http://127.0.0.1:6624/sandbox/requests >requests
        grep -c 'nocache' requests; grep -o '"target":"[^"]*"' requests
        "$GATEWAY" hosts --config gateway.toml
        echo end of the script
        "#,
    );
    for expected in [
        "x-nocache-gateway: set;action=add;via=parameter;rule=default\nOK|7654321\n",
        "x-nocache-gateway: set;action=add;via=parameter;rule=default\nOK|7654322\n",
        "x-nocache-gateway: set;action=add;via=parameter;rule=default\n{\"errorId\":0,\"taskId\":7654323}",
        "x-nocache-gateway: set;action=add;via=parameter;rule=default\n{\"errorId\":0,\"taskId\":7654324}",
        "\"target\":\"/api/captcha\"",
        "curl: (35)",
        "127.0.0.1 2captcha.com\n127.0.0.1 api.anti-captcha.com\n127.0.0.1 api.deathbycaptcha.com\n",
        "2captcha.com            points at the gateway\n",
        "api.deathbycaptcha.com  points at the gateway (has a protocol of its own: passes through unread, not tested)\n",
    ] {
        assert!(output.contains(expected), "{expected:?} is not in:\n{output}");
    }
}

/// The hosts file takes the vendor's own name, too: without `connect_to` the gateway would be its own upstream.
#[test]
fn an_upstream_that_the_hosts_file_points_here_is_a_loop_without_connect_to() {
    let config = r#"
        [server.hosts]
        names = ["api.capmonster.cloud"]
        [upstream]
        url = "http://api.capmonster.cloud"
    "#;
    let script = r#"
        curl -sS --noproxy '*' --cacert $ca -w '%{http_code}\n' -d '{"clientKey":"K"}' https://api.capmonster.cloud/getBalance
        "$GATEWAY" hosts --config gateway.toml 2>&1 || echo "exit $?"
        "$GATEWAY" check --config gateway.toml 2>&1 | head -1
        echo end of the script
    "#;
    let hosts = "127.0.0.1 api.capmonster.cloud\n";
    let output = with_hosts_file(config, hosts, script);
    for expected in [
        "is this gateway itself",
        "502\n",
        "warning: the hosts file points the upstream's own name api.capmonster.cloud at this machine; [upstream] connect_to must",
        "exit 1",
    ] {
        assert!(output.contains(expected), "{expected:?} is not in:\n{output}");
    }
    let output = with_hosts_file(&format!("{config}connect_to = \"127.0.0.1:6624\""), hosts, script);
    assert!(output.contains("\"balance\""), "{output}");
    assert!(
        output.contains("points at the gateway") && !output.contains("exit 1"),
        "{output}"
    );
}

#[test]
fn hosts_tells_what_is_missing_and_writes_nothing() {
    let folder = Folder::new();
    let file = folder.write("gateway.toml", CONFIG);
    let text = "127.0.0.1 2captcha.com\n65.21.216.235 api.anti-captcha.com # elsewhere\n";
    let hosts = folder.write("hosts", text);
    let mut command = program();
    command.args(["hosts", "--config"]).arg(&file).arg("--file").arg(&hosts);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "2captcha.com            points at the gateway\n",
        "api.anti-captcha.com    points to 65.21.216.235\n",
        "api.deathbycaptcha.com  is not there",
    ] {
        assert!(told.contains(expected), "{expected:?} is not in:\n{told}");
    }
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("2 of 3 names do not point at the gateway"));
    assert_eq!(std::fs::read_to_string(&hosts).unwrap(), text);
    // Comments of any encoding, a byte order mark, and an upstream that is looked up elsewhere.
    let config = CONFIG.replace(
        "http://127.0.0.1:6624\"",
        "http://2captcha.com\"\nproxy = \"socks5h://127.0.0.1:1\"",
    );
    let file = folder.write("proxied.toml", config);
    let hosts = folder.write("hosts", [b"\xef\xbb\xbf", HOSTS.as_bytes(), b"# \xfcber\n"].concat());
    let mut command = program();
    command.args(["hosts", "--config"]).arg(&file).arg("--file").arg(&hosts);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let none = run(&["hosts", "--config", folder.write("none.toml", "").to_str().unwrap()]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("[server.hosts]\nnames = [\"2captcha.com\"]"));
}
