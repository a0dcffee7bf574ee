//! The ledger's file: what it keeps over restarts, and what happens where it cannot be used.

mod fixtures;

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use fixtures::{
    Folder, Gateway, SandboxServer, Server, TASK, exchange, gateway_command, get_from,
    ledger::{BOT_KEY, Totals, ask, bots, buy, totals_of_ledger, totals_of_sandbox},
    post, run, text, wait,
};
use serde_json::{Value, json};

/// A gateway before a sandbox whose ledger is in a file.
struct Kept {
    sandbox: SandboxServer,
    folder: Folder,
    config: std::path::PathBuf,
}

impl Kept {
    fn new(sandbox: &[&str]) -> Self {
        let folder = Folder::new();
        let rule = "[[rule]]\nid = \"plain\"\nsites = [\"*.plain.example\"]\naction = \"keep\"\n";
        let config = folder.write("gateway.toml", format!("[ledger]\nfile = \"ledger.sqlite\"\n{rule}"));
        Self {
            sandbox: SandboxServer::start(sandbox),
            folder,
            config,
        }
    }

    fn start(&self) -> Gateway {
        Gateway::start_with(&self.upstream(), &self.config, Folder::new())
    }

    fn upstream(&self) -> String {
        format!("http://{}", self.sandbox.address)
    }

    /// Starts it at a time of day, in seconds since 1970, from which on an hour takes half a second. Ages go on as ever.
    fn start_at(&self, time: u64) -> Gateway {
        let mut command = gateway_command(&self.upstream(), &self.config);
        command
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME_FMT", "%s")
            .env("FAKETIME", format!("@{time} x7200"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let server = Server::start(command, Folder::new());
        let (api, admin) = (server.address("listening"), server.address("admin listening"));
        Gateway { server, api, admin }
    }
}

/// Debian's package faketime has it in a folder of the machine's architecture.
fn libfaketime() -> String {
    let found = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|architecture| format!("/usr/lib/{architecture}/faketime/libfaketime.so.1"))
        .into_iter()
        .find(|path| Path::new(path).exists());
    found.expect("tests/packages installs faketime")
}

fn stop(mut gateway: Gateway) {
    gateway.server.signal("TERM");
    assert_eq!(gateway.server.wait(), Some(0));
}

fn wait_for(gateway: &Gateway, hours: u32, expected: &Totals) {
    let is_there = || totals_of_ledger(gateway, hours) == *expected;
    let began = Instant::now();
    while !is_there() {
        let ledger = totals_of_ledger(gateway, hours);
        assert!(began.elapsed() < Duration::from_secs(10), "{ledger:#?}\n{expected:#?}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_restart_keeps_tasks_and_sums() {
    let kept = Kept::new(&["--polls", "1", "--fail-every", "7"]);
    let gateway = kept.start();
    (0..100).for_each(|number| buy(&mut bots(&gateway), number));
    // It is polled and reported only after the restart.
    let early = bots(&gateway)[0].create("late.example", "RecaptchaV2Task");
    wait(|| {
        ask(&gateway, &format!("/api/tasks/{early}"))["taskId"]
            .is_u64()
            .then_some(())
    });
    stop(gateway);

    let gateway = kept.start();
    let [legacy, json] = &mut bots(&gateway);
    while !json.poll(&early) {}
    legacy.report(&early, false);
    (100..200).for_each(|number| buy(&mut bots(&gateway), number));
    let expected = totals_of_sandbox(&kept.sandbox);
    assert!(expected[&("late.example".to_owned(), true)][4] == 1, "{expected:?}");
    wait_for(&gateway, 24, &expected);
    let task = ask(&gateway, &format!("/api/tasks/{early}"));
    assert_eq!(
        (&task["rule"], &task["captcha"], &task["reported"]),
        (&json!("default"), &json!("recaptcha-v2"), &json!("bad"))
    );
    let created = created(&task);
    stop(gateway);

    let gateway = kept.start();
    wait_for(&gateway, 24, &expected);
    // The two clocks of a process differ by a part of a millisecond, which may be the end of a second.
    let later = self::created(&ask(&gateway, &format!("/api/tasks/{early}")));
    assert!(created.abs_diff(later) <= 1, "{created} {later}");
    // The folder has no key and no token in it, in no file of SQLite's.
    for file in fs::read_dir(kept.folder.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("03AGsandbox") && !text.contains("clientKey"), "{text}");
        assert!(!text.contains(BOT_KEY), "{text}");
    }
}

/// When a task was created, in seconds of the day.
fn created(task: &Value) -> u64 {
    let time = task["created"].as_str().unwrap().split_once('T').unwrap().1;
    let parts = time.trim_end_matches('Z').split([':', '.']).take(3);
    parts.fold(0, |sum, part| sum * 60 + part.parse::<u64>().unwrap())
}

/// A process that is killed loses what is younger than a second.
#[test]
fn a_process_that_is_killed_loses_a_second_at_most() {
    let kept = Kept::new(&["--polls", "1"]);
    let mut gateway = kept.start();
    (0..50).for_each(|number| buy(&mut bots(&gateway), number));
    let expected = totals_of_sandbox(&kept.sandbox);
    wait_for(&gateway, 24, &expected);
    sleep(Duration::from_secs(1));
    gateway.server.signal("KILL");
    gateway.server.wait();
    wait_for(&kept.start(), 24, &expected);
}

/// 36 hours of traffic of both dialects with errors and reports, in 18 seconds, with two restarts and a kill: the totals are
/// the sandbox's, in memory for the last day and from the file before that.
#[test]
fn the_totals_of_days_are_those_of_the_sandbox() {
    const HOUR: u64 = 3600;
    let kept = Kept::new(&["--polls", "1", "--fail-every", "9"]);
    let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / HOUR * HOUR;
    let mut number = 0;
    for part in 0..4 {
        let gateway = kept.start_at(first + part * 9 * HOUR);
        let began = Instant::now();
        // It takes a little longer from its start to here, so that the next part may begin in the hour that this one ends in.
        while began.elapsed() < Duration::from_millis(4_300) {
            buy(&mut bots(&gateway), number);
            number += 1;
            sleep(Duration::from_millis(5));
        }
        let expected = totals_of_sandbox(&kept.sandbox);
        wait_for(&gateway, 48, &expected);
        if part == 1 {
            sleep(Duration::from_secs(1));
            let mut gateway = gateway;
            gateway.server.signal("KILL");
            gateway.server.wait();
        } else {
            stop(gateway);
        }
    }
    let gateway = kept.start_at(first + 36 * HOUR);
    let expected = totals_of_sandbox(&kept.sandbox);
    assert!(number > 500, "{number}");
    wait_for(&gateway, 48, &expected);
    // Three hours without traffic, in which the oldest hours in memory become too old.
    sleep(Duration::from_millis(1_500));
    wait_for(&gateway, 60, &expected);
    let last_day: u64 = totals_of_ledger(&gateway, 24).values().map(|row| row[0]).sum();
    let all: u64 = expected.values().map(|row| row[0]).sum();
    assert!(last_day > all / 3 && last_day < all * 9 / 10, "{last_day} of {all}");
    stop(gateway);
    // A month later all of it is forgotten, with the next change by the file, too.
    let month_later = kept.start_at(first + 33 * 24 * HOUR);
    assert!(totals_of_ledger(&month_later, 720).is_empty());
    buy(&mut bots(&month_later), number);
    stop(month_later);
    assert!(totals_of_ledger(&kept.start_at(first + 36 * HOUR), 48).is_empty());
}

fn ledger_state(gateway: &Gateway) -> Value {
    let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n";
    serde_json::from_str::<Value>(exchange(gateway.admin, request).text()).unwrap()["ledger"].clone()
}

/// Statistics are not worth a bot that stands still: the gateway serves, says what is wrong, and tries again.
#[test]
fn a_file_that_cannot_be_used_stops_nobody() {
    let kept = Kept::new(&["--polls", "1"]);
    let first = kept.start();
    assert_eq!(ledger_state(&first)["error"], Value::Null);
    buy(&mut bots(&first), 2);
    let second = kept.start();
    buy(&mut bots(&second), 3);
    assert!(
        ledger_state(&second)["error"]
            .as_str()
            .unwrap()
            .contains("in use by another process"),
        "{}",
        ledger_state(&second)
    );
    let failing = |gateway: &Gateway| {
        let page = exchange(gateway.admin, get_from("localhost", "/metrics"));
        let mut lines = page.text().lines();
        lines.find_map(|line| Some(line.strip_prefix("nocache_gateway_ledger_file_failing ")?.to_owned()))
    };
    assert_eq!(
        (failing(&first).as_deref(), failing(&second).as_deref()),
        (Some("0"), Some("1"))
    );
    for target in ["/", "/readyz"] {
        let shown = exchange(second.admin, get_from("localhost", target));
        assert!(
            shown.text().contains("is in use by another process"),
            "{}",
            shown.text()
        );
    }
    // The first ends, as in an update that starts the next before it: the second goes on with its file.
    stop(first);
    second.server.wait_for("the ledger is saved again", 1);
    wait_for(&second, 24, &totals_of_sandbox(&kept.sandbox));
    stop(second);
    for (content, error) in [
        (
            "not a database, but long enough to be one: ".repeat(100),
            "is no ledger of this version",
        ),
        (String::new(), ""),
    ] {
        for suffix in ["", "-wal"] {
            let _ = fs::remove_file(kept.folder.path().join(format!("ledger.sqlite{suffix}")));
        }
        kept.folder.write("ledger.sqlite", &content);
        let gateway = kept.start();
        assert_eq!(exchange(gateway.api, post("/createTask", TASK)).status(), 200);
        match ledger_state(&gateway)["error"].as_str() {
            Some(shown) => assert!(!error.is_empty() && shown.contains(error), "{shown}"),
            // An empty file is as good as none.
            None => assert_eq!(error, ""),
        }
        if !error.is_empty() {
            assert_eq!(
                fs::read(kept.folder.path().join("ledger.sqlite")).unwrap(),
                content.as_bytes()
            );
        }
    }
}

#[test]
fn weeks_need_a_file() {
    let kept = Kept::new(&[]);
    let stats = |gateway: &Gateway| {
        let output = run(&["stats", "--since", "30d", "--admin-listen", &gateway.admin.to_string()]);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, shown) = stats(&kept.start());
    assert!(
        code == Some(0) && shown.contains("no submission has been sent on"),
        "{shown}"
    );
    let (code, shown) = stats(&Gateway::start(&kept.upstream(), ""));
    assert!(
        code == Some(1) && shown.contains("with a file, [ledger] file, it keeps 30 days"),
        "{shown}"
    );
}
