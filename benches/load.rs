//! What it takes to load a configuration, as whole processes, against the number of rules, tests and invalid lines: ten
//! times as many have to take about ten times as long.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn rules(count: usize) -> String {
    let mut text = String::new();
    for i in 0..count {
        let _ = writeln!(
            text,
            "[[rule]]\nid = \"r{i}\"\nsites = [\"site-{i}.example\"]\naction = \"force\""
        );
    }
    text
}

fn tests(count: usize, rule: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for i in 0..count {
        let rule = rule(i);
        let _ = writeln!(
            text,
            "[[test]]\nsite = \"site-{i}.example\"\nexpect = \"set\"\nrule = \"{rule}\""
        );
    }
    text
}

fn write(name: &str, text: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if let Err(error) = fs::write(&file, text) {
        eprintln!("{} cannot be written: {error}", file.display());
    }
    file
}

fn run(arguments: &[&str], config: &Path, code: i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nocache-gateway"));
    command.args(arguments).arg("--config").arg(config).env_clear();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert_eq!(status.ok().and_then(|status| status.code()), Some(code));
}

fn measure(
    criterion: &mut Criterion,
    name: &str,
    counts: &[usize],
    arguments: &[&str],
    code: i32,
    text: impl Fn(usize) -> String,
) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    for &count in counts {
        let config = write(&format!("load-{count}.toml"), &text(count));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| run(arguments, &config, code));
        });
    }
}

fn load(criterion: &mut Criterion) {
    // A port that needs no look-up of a name.
    let check = ["check", "--upstream", "http://127.0.0.1:9"];
    let explain = ["explain", "--site", "a.example"];
    measure(criterion, "rules", &[1_000, 10_000, 100_000], &explain, 0, rules);
    measure(criterion, "rules, checked", &[1_000, 10_000], &check, 0, rules);
    let passing = |count| rules(count) + &tests(count, |i| format!("r{i}"));
    measure(criterion, "tests", &[1_000, 10_000], &check, 0, passing);
    let lost = |count| rules(count) + &tests(count, |i| format!("s{i}"));
    measure(criterion, "tests of unknown rules", &[1_000, 10_000], &check, 2, lost);
    let wrong = |count| rules(count).replace("force", "forse");
    measure(criterion, "rules with mistakes", &[1_000, 10_000], &check, 2, wrong);
    let list = |count: usize| {
        write("load.txt", &"https://a.example\n".repeat(count));
        "[[rule]]\nid = \"list\"\nsites_file = \"load.txt\"\naction = \"keep\"\n".to_owned()
    };
    measure(criterion, "a list of mistakes", &[1_000, 10_000], &check, 2, list);
}

criterion_group!(benches, load);
criterion_main!(benches);
