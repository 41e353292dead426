//! `cargo bench --bench allocator`: criterion's lines, one a contender.

use benches::lines::{settings, show};
use criterion::{Criterion, criterion_group, criterion_main};

fn allocator(criterion: &mut Criterion) {
    show(criterion, "allocator");
}

criterion_group! {
    name = benches;
    config = settings();
    targets = allocator
}
criterion_main!(benches);
