//! `cargo bench --bench rate-limiter`: criterion's lines, one a contender.

use benches::lines::{settings, show};
use criterion::{Criterion, criterion_group, criterion_main};

fn rate_limiter(criterion: &mut Criterion) {
    show(criterion, "rate-limiter");
}

criterion_group! {
    name = benches;
    config = settings();
    targets = rate_limiter
}
criterion_main!(benches);
