//! `cargo bench --bench lsm`: criterion's lines, one a contender.

use benches::lines::{settings, show_costly};
use criterion::{Criterion, criterion_group, criterion_main};

fn lsm(criterion: &mut Criterion) {
    show_costly(criterion, "lsm");
}

criterion_group! {
    name = benches;
    config = settings();
    targets = lsm
}
criterion_main!(benches);
