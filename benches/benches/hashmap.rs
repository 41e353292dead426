//! `cargo bench --bench hashmap`: criterion's lines, one a contender.

use benches::lines::{settings, show};
use criterion::{Criterion, criterion_group, criterion_main};

fn hashmap(criterion: &mut Criterion) {
    show(criterion, "hashmap");
}

criterion_group! {
    name = benches;
    config = settings();
    targets = hashmap
}
criterion_main!(benches);
