//! Criterion lines of the rate limiter: the familiar statistics, one line a contender.
//!
//! Criterion measures one contender after the other; for ratios use the duel.

use std::time::Duration;

use benches::lines;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn rate_limiter(criterion: &mut Criterion) {
    let single = lines::all().into_iter().filter(|line| line.threads == 1);
    for line in single.filter(|line| line.build == "rate-limiter") {
        let mut group = criterion.benchmark_group(format!("rate-limiter/{}", line.workload));
        group.throughput(Throughput::Elements(1));
        for contender in &line.contenders {
            let subject = (contender.make)().expect("every contender supports every line");
            let mut round = 0;
            group.bench_function(contender.name, |bencher| {
                bencher.iter_custom(|operations| {
                    round += 1;
                    lines::elapsed(&*subject, round, operations)
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = rate_limiter
}
criterion_main!(benches);
