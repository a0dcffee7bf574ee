//! The time that the core takes: reading, deciding and editing, without the network.

mod cases;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nocache_gateway::{LoggedSubmission, rewrite, submission::CaptchaNames};

fn submissions(criterion: &mut Criterion) {
    let rules = cases::rules(1_000);
    for case in cases::usual().into_iter().chain(cases::worst()) {
        let mut group = criterion.benchmark_group(case.name);
        let length = if case.body.is_empty() {
            case.target.len()
        } else {
            case.body.len()
        };
        group.throughput(Throughput::Bytes(length as u64));
        let reading = cases::read(&case, &rules);
        let plan = rewrite::plan(&reading, &rules);
        group.bench_function("read", |bencher| {
            bencher.iter(|| black_box(cases::read(black_box(&case), &rules)));
        });
        group.bench_function("decide", |bencher| {
            bencher.iter(|| black_box(rewrite::plan(black_box(&reading), &rules)));
        });
        group.bench_function("edit", |bencher| {
            bencher.iter(|| black_box(cases::edit(black_box(&case).request(), &plan)));
        });
        group.bench_function("whole", |bencher| {
            bencher.iter(|| black_box(cases::whole(black_box(&case), &rules)));
        });
        group.finish();
    }
}

fn rules(criterion: &mut Criterion) {
    let captcha = CaptchaNames::default().of_type("RecaptchaV2Task", false);
    let mut group = criterion.benchmark_group("rules");
    for patterns in [1, 10, 100, 1_000, 10_000, 100_000] {
        let rules = cases::rules(patterns);
        for (name, sites) in cases::sites(patterns) {
            let mut site = sites.iter().cycle();
            group.bench_function(BenchmarkId::new(name, patterns), |bencher| {
                bencher.iter(|| {
                    site.next()
                        .map(|site| black_box(rules.decide(black_box(site), &captcha)))
                });
            });
        }
    }
    group.finish();
}

/// A record on its way to the log's queue. What the writer's thread does is not in it.
fn log(criterion: &mut Criterion) {
    let logged = LoggedSubmission::begin();
    criterion.bench_function("log/record to queue", |bencher| {
        // No more than the queue takes.
        bencher.iter_batched(|| logged.empty(), |_| logged.log(), BatchSize::NumIterations(1_000));
    });
}

criterion_group!(benches, submissions, rules, log);
criterion_main!(benches);
