//! Files that change under a running gateway.

#![cfg(unix)]

mod fixtures;

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use fixtures::{Client, Folder, Gateway, OK, RawUpstream, exchange, get_from, memory, post, wait};

const TASK: &str = r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"a.example"}}"#;

fn rule(id: &str, sites: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\n{sites}\naction = \"force\"\n")
}

fn for_all(id: &str) -> String {
    rule(id, "sites = [\"a.example\"]")
}

/// Waits until a submission is decided by a rule.
fn wait_for_rule(gateway: &Gateway, id: &str) {
    let decided_by = format!("set;action=force;via=parameter;rule={id}");
    wait(|| (exchange(gateway.api, post("/createTask", TASK)).decision() == decided_by).then_some(()));
}

fn start(upstream: &RawUpstream, folder: Folder, file: &str) -> Gateway {
    let file = folder.path().join(file);
    Gateway::start_with(&upstream.url, &file, folder)
}

fn readyz(gateway: &Gateway) -> (u16, String) {
    let response = exchange(gateway.admin, get_from("localhost", "/readyz"));
    (response.status(), response.text().to_owned())
}

#[test]
fn a_file_is_followed_however_it_is_replaced() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    folder.write("c.toml", for_all("one"));
    let gateway = start(&upstream, folder, "c.toml");
    wait_for_rule(&gateway, "one");
    gateway.server.folder.rename_over("c.toml", for_all("two"));
    wait_for_rule(&gateway, "two");
    gateway.server.folder.write("c.toml", for_all("three"));
    wait_for_rule(&gateway, "three");
    fs::remove_file(gateway.server.folder.path().join("c.toml")).unwrap();
    gateway.server.folder.write("c.toml", for_all("four"));
    wait_for_rule(&gateway, "four");
}

/// Without --config: found where it is looked for, also when it appears later, and not forgotten when it goes away.
#[test]
fn a_file_that_was_looked_up_is_followed() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    let path = folder.path().to_owned();
    let mut command = fixtures::program();
    command.current_dir(&path);
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--upstream",
        &upstream.url,
    ]);
    let server = fixtures::Server::start(command, folder);
    let (api, admin) = (server.address("listening"), server.address("admin listening"));
    let gateway = Gateway { server, api, admin };
    wait_for_rule_default(&gateway);
    gateway
        .server
        .folder
        .rename_over("nocache-gateway.toml", for_all("first"));
    wait_for_rule(&gateway, "first");
    std::fs::remove_file(path.join("nocache-gateway.toml")).unwrap();
    wait(|| readyz(&gateway).1.contains("is not in force").then_some(()));
    wait_for_rule(&gateway, "first");
    gateway
        .server
        .folder
        .rename_over("nocache-gateway.toml", for_all("second"));
    wait_for_rule(&gateway, "second");
    assert_eq!(readyz(&gateway), (200, "ready\n".to_owned()));
}

#[test]
fn a_config_map_is_followed_through_its_links() {
    // As kubectl mounts it: c.toml -> ..data/c.toml, ..data -> a folder that is replaced.
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    let mount = |version: &str, text: String| {
        fs::create_dir(folder.path().join(version)).unwrap();
        folder.write(&format!("{version}/c.toml"), text);
        symlink(version, folder.path().join("..new")).unwrap();
        fs::rename(folder.path().join("..new"), folder.path().join("..data")).unwrap();
    };
    mount("..1", for_all("one"));
    symlink("..data/c.toml", folder.path().join("c.toml")).unwrap();
    let file = folder.path().join("c.toml");
    let gateway = Gateway::start_with(&upstream.url, &file, Folder::new());
    wait_for_rule(&gateway, "one");
    mount("..2", for_all("two"));
    wait_for_rule(&gateway, "two");
    fs::remove_dir_all(folder.path().join("..1")).unwrap();
    mount("..3", for_all("three"));
    wait_for_rule(&gateway, "three");
}

#[test]
fn lists_of_sites_are_followed_too() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    folder.write("c.toml", rule("listed", "sites_file = \"lists/sites.txt\""));
    fs::create_dir(folder.path().join("lists")).unwrap();
    folder.write("lists/sites.txt", "b.example\n");
    let gateway = start(&upstream, folder, "c.toml");
    wait_for_rule_default(&gateway);
    gateway
        .server
        .folder
        .write("lists/sites.txt", "b.example\na.example # new\n");
    wait_for_rule(&gateway, "listed");
}

/// Copied in this order, a configuration names a list that is not there yet.
#[test]
fn a_list_that_comes_after_its_configuration_is_found() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    folder.write("c.toml", for_all("one"));
    let gateway = start(&upstream, folder, "c.toml");
    wait_for_rule(&gateway, "one");
    let folder = &gateway.server.folder;
    folder.rename_over("c.toml", rule("two", "sites_file = \"new.txt\""));
    wait(|| (reports(&gateway) == 1).then_some(()));
    // A mistake in it is another report, and each of them one.
    folder.write("new.txt", "https://a.example/*\n");
    wait(|| (reports(&gateway) == 2).then_some(()));
    folder.write("new.txt", "a.example\n");
    wait_for_rule(&gateway, "two");
    assert_eq!(reports(&gateway), 2);
    assert_eq!(readyz(&gateway), (200, "ready\n".to_owned()));
}

fn wait_for_rule_default(gateway: &Gateway) {
    assert_eq!(
        exchange(gateway.api, post("/createTask", TASK)).decision(),
        "set;action=add;via=parameter;rule=default"
    );
}

#[test]
fn a_broken_file_leaves_the_running_rules_in_force_and_shows() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    folder.write("c.toml", for_all("one"));
    let gateway = start(&upstream, folder, "c.toml");
    assert_eq!(readyz(&gateway), (200, "ready\n".into()));
    gateway
        .server
        .folder
        .rename_over("c.toml", for_all("two").replace("force", "forse"));
    let complaint = wait(|| Some(readyz(&gateway)).filter(|(_, text)| text != "ready\n"));
    assert_eq!(
        complaint,
        (
            200,
            "ready, but: the configuration on disk is not in force (1 error); nocache-gateway check says more\n".into()
        )
    );
    wait_for_rule(&gateway, "one");
    let complaints = |gateway: &Gateway| {
        let log = gateway.server.log();
        let is_complaint = |line: &&serde_json::Value| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.contains("did you mean \"force\"?"))
        };
        log.iter().filter(is_complaint).count()
    };
    wait(|| (complaints(&gateway) == 1).then_some(()));
    gateway.server.folder.rename_over("c.toml", for_all("three"));
    wait_for_rule(&gateway, "three");
    assert_eq!(readyz(&gateway), (200, "ready\n".into()));
    assert_eq!(complaints(&gateway), 1, "it is said once");
}

/// A body may take long to arrive: what was denied meanwhile is denied.
#[test]
fn the_rules_in_force_when_a_body_has_arrived_decide() {
    use std::io::Write;
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    folder.write("c.toml", for_all("one"));
    let gateway = start(&upstream, folder, "c.toml");
    let (half, rest) = TASK.split_at(TASK.len() / 2);
    let mut client = Client::connect(gateway.api);
    write!(
        client.0,
        "POST /createTask HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{half}",
        TASK.len()
    )
    .unwrap();
    thread::sleep(std::time::Duration::from_millis(100));
    let deny = for_all("no").replace("force", "deny");
    gateway.server.folder.rename_over("c.toml", deny);
    gateway.server.wait_for("configuration reloaded", 1);
    let response = client.exchange(rest);
    assert_eq!(response.decision(), "denied;action=deny;rule=no;reason=action-deny");
    assert_eq!(upstream.received(), []);
}

#[test]
fn settings_that_want_a_restart_are_named() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    folder.write("c.toml", for_all("one"));
    let gateway = start(&upstream, folder, "c.toml");
    let changed = "[server]\nbody_limit = \"1 MiB\"\n[upstream]\ntimeout = \"1s\"\n[default]\naction = \"keep\"\n";
    gateway
        .server
        .folder
        .rename_over("c.toml", changed.to_owned() + &for_all("two"));
    let line = gateway
        .server
        .wait_for("these settings changed, but take effect only at the next start", 1);
    assert_eq!(line[0]["settings"], "server.body_limit, upstream.timeout");
    wait_for_rule(&gateway, "two");
}

/// What is shown of a proxy is the same for every password.
#[test]
fn another_password_of_the_proxy_wants_a_restart() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    let config = |password: &str| format!("[upstream]\nproxy = \"http://me:{password}@127.0.0.1:1\"\n");
    folder.write("c.toml", config("SECRET-1"));
    let gateway = start(&upstream, folder, "c.toml");
    gateway.server.folder.rename_over("c.toml", config("SECRET-2"));
    let line = gateway
        .server
        .wait_for("these settings changed, but take effect only at the next start", 1);
    assert_eq!(line[0]["settings"], "upstream.proxy");
    assert!(!format!("{:?}", gateway.server.log()).contains("SECRET"));
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// `--config <(decrypt config)`: whoever reads the pipe again finds it empty, or waits for ever.
#[test]
fn a_configuration_from_a_pipe_is_read_once() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe);
    let list = folder.write("sites.txt", "b.example\n");
    let config = rule("one", &format!("sites_file = {list:?}"));
    let writer = {
        let pipe = pipe.clone();
        thread::spawn(move || fs::write(pipe, config).unwrap())
    };
    let gateway = start(&upstream, folder, "pipe");
    writer.join().unwrap();
    gateway
        .server
        .wait_for("this is not a regular file: it was read once and is not followed", 1);
    wait_for_rule_default(&gateway);
    // The list is a regular file, and followed.
    fs::write(&list, "a.example\n").unwrap();
    wait_for_rule(&gateway, "one");
    gateway.server.signal("HUP");
    gateway.server.wait_for("configuration reloaded", 2);
    wait_for_rule(&gateway, "one");
    assert_eq!(readyz(&gateway), (200, "ready\n".to_owned()));
}

/// A slow writer truncates the file, pauses, and then writes something with a mistake in it.
#[test]
fn a_file_that_is_emptied_is_no_reload() {
    for (config, file, text) in [
        (for_all("one"), "c.toml", for_all("two")),
        (rule("one", "sites_file = \"l.txt\""), "l.txt", "a.example".to_owned()),
    ] {
        let upstream = RawUpstream::start(OK);
        let folder = Folder::new();
        folder.write("l.txt", "a.example\n");
        folder.write("c.toml", config);
        let gateway = start(&upstream, folder, "c.toml");
        let folder = &gateway.server.folder;
        wait_for_rule(&gateway, "one");
        for (times, empty) in (1..).zip(["", " \r\n", "# nothing yet\n"]) {
            folder.write(file, empty);
            let complaint = wait(|| Some(readyz(&gateway).1).filter(|text| text.contains("is not in force")));
            wait(|| (reports(&gateway) == times).then_some(()));
            assert!(complaint.starts_with("ready, but:"), "{complaint}");
            wait_for_rule(&gateway, "one");
        }
        folder.write(file, "a..example = [");
        wait(|| (reports(&gateway) == 4).then_some(()));
        wait_for_rule(&gateway, "one");
        folder.write(file, text);
        gateway.server.wait_for("configuration reloaded", 1);
        assert_eq!(readyz(&gateway), (200, "ready\n".to_owned()));
    }
}

/// How many reports of a configuration that is not in force the log has.
fn reports(gateway: &Gateway) -> usize {
    let is_report = |line: &&serde_json::Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.starts_with("configuration not reloaded")
    };
    gateway.server.log().iter().filter(is_report).count()
}

#[test]
fn a_file_that_turns_into_something_else_stops_nothing() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    folder.write("c.toml", for_all("one"));
    let gateway = start(&upstream, folder, "c.toml");
    let path = gateway.server.folder.path().join("c.toml");
    wait_for_rule(&gateway, "one");
    fs::remove_file(&path).unwrap();
    mkfifo(&path);
    wait(|| readyz(&gateway).1.contains("is no longer a regular file").then_some(()));
    wait_for_rule(&gateway, "one");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    gateway.server.signal("HUP");
    wait(|| (reports(&gateway) >= 2).then_some(()));
    wait_for_rule(&gateway, "one");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, for_all("two")).unwrap();
    wait_for_rule(&gateway, "two");
}

/// The log's own lines are file events in the watched folder. At the level trace each of them used to write more lines.
#[test]
fn a_log_beside_the_configuration_does_not_feed_itself() {
    let folder = Folder::new();
    let config = folder.write("c.toml", "");
    let log = folder.path().join("log");
    let mut child = fixtures::program()
        .args([
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "off",
            "--log-level",
            "trace",
            "--config",
        ])
        .arg(config)
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let text = || fs::read_to_string(&log).unwrap();
    wait(|| text().contains("\"listening\"").then_some(()));
    thread::sleep(std::time::Duration::from_secs(1));
    let first = text();
    thread::sleep(std::time::Duration::from_secs(1));
    let second = text();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(first, second, "an idle gateway logs nothing");
}

#[test]
fn warnings_of_a_configuration_are_logged_and_counted() {
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    let shadowed = |count: usize| (0..count).fold(for_all("one"), |config, i| config + &for_all(&format!("never-{i}")));
    folder.write("c.toml", shadowed(1));
    let gateway = start(&upstream, folder, "c.toml");
    let log = |count| wait(|| gateway.server.log().into_iter().find(|line| line["warnings"] == count));
    assert!(
        log(1)["message"]
            .as_str()
            .unwrap()
            .contains("this pattern never matches")
    );
    let ready = |rest: &str| wait(|| (readyz(&gateway).1 == format!("ready\n{rest}")).then_some(()));
    ready("the configuration has 1 warning; nocache-gateway check shows it\n");
    gateway.server.folder.rename_over("c.toml", shadowed(2));
    log(2);
    ready("the configuration has 2 warnings; nocache-gateway check shows them\n");
    gateway.server.folder.rename_over("c.toml", for_all("two"));
    ready("");
}

/// Under the rules "a" nocache goes into the body, under "b" into the key: an answer under half of each would show.
#[test]
fn a_thousand_reloads_under_load_lose_and_mix_nothing() {
    const RELOADS: usize = 1_000;
    let upstream = RawUpstream::start(OK);
    let folder = Folder::new();
    // Long enough that a leak of a rule set would be seen.
    let filler: String = (0..200).map(|i| format!("\"site-{i}.example\",")).collect();
    let config = |id: &str, via: &str| {
        format!(
            "{}[[rule]]\nid = \"filler\"\nsites = [{filler}]\naction = \"keep\"\n",
            for_all(id).replace("action", &format!("via = \"{via}\"\naction"))
        )
    };
    let configs = [config("a", "parameter"), config("b", "key")];
    folder.write("c.toml", &configs[0]);
    let gateway = start(&upstream, folder, "c.toml");
    let path = gateway.server.folder.path().to_owned();
    let replace = |text: &str| {
        let new = Path::new(&path).join("c.toml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, Path::new(&path).join("c.toml")).unwrap();
    };

    let is_over = AtomicBool::new(false);
    let (seen_a, seen_b) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = Client::connect(gateway.api);
                while !is_over.load(Ordering::Relaxed) {
                    let answer = client.exchange(post("/createTask", TASK));
                    assert_eq!(answer.status(), 200);
                    match answer.decision() {
                        "set;action=force;via=parameter;rule=a" => seen_a.fetch_add(1, Ordering::Relaxed),
                        "set;action=force;via=key;rule=b" => seen_b.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other}"),
                    };
                    thread::sleep(std::time::Duration::from_millis(1));
                }
            });
        }
        let mut early = 0;
        for count in 1..=RELOADS {
            replace(&configs[count % 2]);
            gateway.server.signal("HUP");
            wait(|| (gateway.server.count("configuration reloaded") >= count).then_some(()));
            if count == RELOADS / 10 {
                early = memory(gateway.server.pid()).0;
            }
        }
        let late = memory(gateway.server.pid()).0;
        is_over.store(true, Ordering::Relaxed);
        assert!(
            late < early + early / 4,
            "{} KiB after 100 reloads, {} KiB after 1,000",
            early >> 10,
            late >> 10
        );
    });
    let (a, b) = (seen_a.into_inner(), seen_b.into_inner());
    assert!(a > 100 && b > 100, "both were in force: {a}, {b}");
    // Every request arrived once, as its answer said.
    let arrived = upstream.received();
    let by_key = arrived
        .iter()
        .filter(|request| request.text().contains("K__nocache\"") && !request.text().contains("\"nocache\""))
        .count();
    let by_member = arrived
        .iter()
        .filter(|request| request.text().contains("\"nocache\":true") && request.text().contains("\"K\""))
        .count();
    assert_eq!((by_member, by_key), (a, b));
    assert_eq!(arrived.len(), a + b);
}
