//! Instructions and allocations of the core, compared with `benches/baseline.txt`: time differs from machine to machine
//! and from run to run, these do not. `benches/README.md` says how to run it.

mod cases;

use std::{
    env,
    error::Error,
    fs,
    hint::black_box,
    path::Path,
    process::{Command, ExitCode},
};

use nocache_gateway::{LoggedSubmission, rewrite, rules::RuleSet, submission::CaptchaNames};

/// How far a count of instructions may be from the baseline's, in percent.
const TOLERANCE: f64 = 5.0;
/// The argument of a process that is counted.
const COUNTED: &str = "--counted";
/// The environment variable that has the baseline written anew.
const UPDATE: &str = "UPDATE_BASELINE";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if env::args().any(|argument| argument == COUNTED) {
        run_all();
        return Ok(ExitCode::SUCCESS);
    }
    if cfg!(debug_assertions) {
        return Err("the counts are those of an optimised build: cargo bench --locked --bench counts".into());
    }
    let table = Table {
        made_with: made_with()?,
        rows: count()?,
    };
    print!("{}", table.text());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/baseline.txt");
    if env::var_os(UPDATE).is_some() {
        fs::write(&file, table.text())?;
        return Ok(ExitCode::SUCCESS);
    }
    let baseline = Table::of(&fs::read_to_string(&file)?).ok_or("benches/baseline.txt is malformed")?;
    let differences = table.differences(&baseline);
    if differences.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "\ncounts that differ from benches/baseline.txt, instructions by more than {TOLERANCE} % or allocations:"
    );
    differences.iter().for_each(|difference| eprintln!("  {difference}"));
    if table.made_with != baseline.made_with {
        eprintln!("the tools differ, which alone can be the reason; compare with an older commit that passed:");
        eprintln!("  baseline: {}\n  now:      {}", baseline.made_with, table.made_with);
    }
    eprintln!("if they are meant to differ, write the baseline anew, and say why in the same commit:");
    eprintln!("  {UPDATE}=1 cargo bench --locked --bench counts");
    Ok(ExitCode::FAILURE)
}

// === What is counted ===

/// Runs every case once in front of valgrind, and prints its name and its allocations.
fn run_all() {
    let all_rules = rule_sets(100);
    let rules = &all_rules[0];
    for case in cases::usual().into_iter().chain(cases::worst()) {
        let reading = cases::read(&case, rules);
        let plan = rewrite::plan(&reading, rules);
        run(case.name, "read", 1, || cases::read(black_box(&case), rules));
        run(case.name, "decide", all_rules.len(), || {
            all_rules
                .iter()
                .for_each(|rules| drop(black_box(rewrite::plan(black_box(&reading), rules))));
        });
        run(case.name, "edit", 1, || cases::edit(black_box(&case).request(), &plan));
        run(case.name, "whole", 1, || {
            drop(black_box(cases::whole(black_box(&case), rules)))
        });
    }
    let logged = LoggedSubmission::begin();
    // Room is made by the first lines.
    (0..8).for_each(|_| logged.log());
    run("log", "record to queue", 1, || logged.log());
    let captcha = CaptchaNames::default().of_type("RecaptchaV2Task", false);
    for patterns in [1, 100, 10_000] {
        let all_rules = rule_sets(patterns);
        for (name, sites) in cases::sites(patterns) {
            run(
                &format!("{patterns} rules"),
                name,
                all_rules.len() * sites.len(),
                || {
                    for rules in &all_rules {
                        sites.iter().for_each(|site| {
                            black_box(rules.decide(black_box(site), &captcha));
                        });
                    }
                },
            );
        }
    }
}

/// The same rules several times. The hasher differs from one to the next and from run to run: what a decision costs is the
/// mean of all.
fn rule_sets(patterns: usize) -> Vec<RuleSet> {
    (0..16).map(|_| cases::rules(patterns)).collect()
}

/// Runs what is `repeats` times the same.
fn run<R>(case: &str, step: &str, repeats: usize, mut work: impl FnMut() -> R) {
    let allocations = allocation_counter::measure(|| drop(black_box(work()))).count_total;
    counted(work);
    println!("{case}: {step}\t{repeats}\t{allocations}");
}

/// The name of [`counted`] to valgrind.
const COUNTER: &str = "counts::counted";

/// Valgrind counts in here, and writes a file at its end.
#[inline(never)]
fn counted<R>(mut work: impl FnMut() -> R) {
    black_box(work());
}

/// The rows that this program prints under valgrind, with the instructions that valgrind counts.
fn count() -> Result<Vec<Row>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counts");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .args([format!("--toggle-collect={COUNTER}"), format!("--dump-after={COUNTER}")])
        .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
        .arg(env::current_exe()?)
        .arg(COUNTED)
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .output()
        .map_err(|error| format!("valgrind cannot be run (tests/packages installs it): {error}"))?;
    let printed = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("valgrind failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(printed.lines()) {
        let words: Vec<&str> = line.split('\t').collect();
        let [name, repeats, allocations] = words[..] else {
            return Err(format!("an unexpected line: {line:?}").into());
        };
        let repeats: u64 = repeats.parse()?;
        let dump = fs::read_to_string(folder.join(format!("out.{number}")))
            .map_err(|error| format!("valgrind wrote no file for {name:?}; is {COUNTER} a function? ({error})"))?;
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: "));
        rows.push(Row {
            name: name.to_owned(),
            instructions: total
                .ok_or("a file of valgrind without a total")?
                .trim()
                .parse::<u64>()?
                / repeats,
            allocations: allocations.parse::<u64>()?.div_ceil(repeats),
        });
    }
    Ok(rows)
}

/// What the counts depend on beside this repository.
fn made_with() -> Result<String, Box<dyn Error>> {
    let of = |program: &str, argument: &str| -> Result<String, Box<dyn Error>> {
        let output = Command::new(program).arg(argument).output();
        let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let rustc = of("rustc", "--version")?;
    let libc = of("getconf", "GNU_LIBC_VERSION")?;
    let valgrind = of("valgrind", "--version")?;
    Ok([&rustc, &libc, &valgrind, processor()].join(", "))
}

/// The instructions that libraries choose their code by.
fn processor() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    let name = match std::is_x86_feature_detected!("avx2") {
        true => "x86_64 with AVX2",
        false => "x86_64 without AVX2",
    };
    #[cfg(not(target_arch = "x86_64"))]
    let name = env::consts::ARCH;
    name
}

// === Tables ===

struct Table {
    made_with: String,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    instructions: u64,
    allocations: u64,
}

impl Table {
    const MADE_WITH: &str = "# made with ";

    fn text(&self) -> String {
        let rows = self
            .rows
            .iter()
            .map(|row| format!("{:<60} {:>12} {:>12}\n", row.name, row.instructions, row.allocations));
        let head = format!(
            "{}{}\n# {:<58} {:>12} {:>12}\n",
            Self::MADE_WITH,
            self.made_with,
            "case: step",
            "instructions",
            "allocations"
        );
        head + &rows.collect::<String>()
    }

    fn of(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let made_with = lines.next()?.strip_prefix(Self::MADE_WITH)?.to_owned();
        let row = |line: &str| {
            let (line, allocations) = line.rsplit_once(' ')?;
            let (name, instructions) = line.trim_end().rsplit_once(' ')?;
            Some(Row {
                name: name.trim_end().to_owned(),
                instructions: instructions.parse().ok()?,
                allocations: allocations.parse().ok()?,
            })
        };
        let rows = lines
            .filter(|line| !line.starts_with('#'))
            .map(row)
            .collect::<Option<_>>()?;
        Some(Self { made_with, rows })
    }

    fn differences(&self, baseline: &Self) -> Vec<String> {
        let find = |rows: &'_ [Row], name: &str| rows.iter().position(|row| row.name == name);
        let mut found = Vec::new();
        for row in &self.rows {
            match find(&baseline.rows, &row.name).map(|at| &baseline.rows[at]) {
                None => found.push(format!("{}: not in the baseline", row.name)),
                Some(before) => found.extend(row.difference(before)),
            }
        }
        let lost = baseline.rows.iter().filter(|row| find(&self.rows, &row.name).is_none());
        found.extend(lost.map(|row| format!("{}: in the baseline alone", row.name)));
        found
    }
}

impl Row {
    fn difference(&self, before: &Self) -> Option<String> {
        let percent = (self.instructions as f64 / before.instructions as f64 - 1.0) * 100.0;
        if percent.abs() <= TOLERANCE && self.allocations == before.allocations {
            return None;
        }
        Some(format!(
            "{}: {} instructions, before {} ({percent:+.1} %); {} allocations, before {}",
            self.name, self.instructions, before.instructions, self.allocations, before.allocations
        ))
    }
}
