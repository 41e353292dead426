//! `cargo bench --bench raft`: criterion's lines, one a contender.

use benches::lines::{settings, show};
use criterion::{Criterion, criterion_group, criterion_main};

fn raft(criterion: &mut Criterion) {
    show(criterion, "raft");
}

criterion_group! {
    name = benches;
    config = settings();
    targets = raft
}
criterion_main!(benches);
