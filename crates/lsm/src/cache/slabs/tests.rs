//! Tests of the slabs: bytes stay what they are, and memory comes back.

use harness::rng::SplitMix64;

use super::*;
use crate::cache::Slots;
use crate::table::Block;

const CAPACITY: usize = 8 << 20;

fn tenant() -> Tenant {
    let shelf: Arc<dyn super::super::Shelf> = Slots::<Block>::new(1, 1);
    (Arc::downgrade(&shelf), 0)
}

fn slabs() -> Arc<Slabs> {
    Slabs::new(CAPACITY).expect("it is large enough, and there is memory")
}

/// How many slabs have memory.
fn held(slabs: &Slabs) -> usize {
    let state = slabs.state.lock();
    state.slabs.len() - state.vacant.len()
}

#[test]
fn bytes_stay_while_others_come_and_go() {
    let slabs = slabs();
    let mut random = SplitMix64::new(1);
    let mut all: Vec<(Bytes, Vec<u8>)> = Vec::new();
    let mut housed = 0;
    for number in 0..20_000_u64 {
        let len = usize::try_from(random.below(20_000)).expect("small");
        let bytes = vec![number.to_le_bytes()[0]; len];
        let inside = Bytes::from(bytes.clone()).housed(&slabs, tenant());
        housed += usize::from(inside.home.is_some());
        all.push((inside, bytes));
        if all.len() > 200 {
            let at = usize::try_from(random.below(200)).expect("small");
            let (inside, bytes) = all.swap_remove(at);
            assert_eq!(*inside, *bytes);
        }
    }
    assert!(housed > 10_000, "{housed} were in slabs");
    assert!(all.iter().all(|(inside, bytes)| **inside == **bytes), "the rest is whole as well");
    assert!(held(&slabs) > 0);
    drop(all);
    assert_eq!((held(&slabs), slabs.free()), (0, 0), "all went back");
}

/// Slots are at most a sixteenth longer than what they are for.
#[test]
fn slots_are_about_as_long_as_what_is_in_them() {
    for bytes in LEN_MIN..20_000 {
        let len = slot_len(bytes);
        assert!(len >= bytes && len <= bytes + bytes / 16, "{bytes} bytes in {len}");
    }
}

#[test]
fn where_no_slot_is_left_bytes_stay_where_they_are() {
    let slabs = slabs();
    let most = 2 * CAPACITY / 4_096;
    let all: Vec<_> =
        (0..most).map(|_| Bytes::from(vec![7; 4_096]).housed(&slabs, tenant())).collect();
    let own = all.iter().filter(|it| it.home.is_none()).count();
    assert!(own > 0 && own < most / 2, "{own} of {most} have memory of their own");
    assert!(all.iter().all(|it| **it == [7; 4_096]));
}
