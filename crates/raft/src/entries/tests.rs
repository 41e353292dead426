use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::types::{Payload, Term};

fn run(indices: Range<u64>) -> Entries {
    let payload = |index: u64| Payload::Command(Bytes::from(vec![0; (index % 7) as usize * 20]));
    let entry = |index| Entry { index: Index(index), term: Term(1), payload: payload(index) };
    indices.map(entry).collect()
}

/// What the chain does, on a plain list.
fn fitting(all: &[Entry], range: Range<Index>, bytes_max: u64) -> Vec<Entry> {
    let mut bytes = 0;
    let wanted = all.iter().filter(|it| range.contains(&it.index));
    let fits = |(at, entry): &(usize, &Entry)| {
        bytes += entry.size();
        *at == 0 || bytes <= bytes_max
    };
    wanted.enumerate().take_while(fits).map(|(_, entry)| entry.clone()).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    Truncate(u64),
    Release(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..9_u64).prop_map(Step::Push),
        1 => (0..12_u64).prop_map(Step::Truncate),
        1 => (0..12_u64).prop_map(Step::Release),
    ]
}

proptest! {
    #[test]
    fn chain_is_the_list_of_its_entries(
        base in 0..3_u64,
        steps in prop::collection::vec(step(), 1..30),
        reads in prop::collection::vec((0..60_u64, 0..60_u64, 0..900_u64), 20),
    ) {
        let mut chain = Chain::behind(Index(base));
        let mut list: Vec<Entry> = Vec::new();
        for step in steps {
            match step {
                Step::Push(count) => {
                    let more = run(chain.last().0 + 1..chain.last().0 + 1 + count);
                    list.extend(more.iter().cloned());
                    chain.push(more);
                }
                Step::Truncate(back) => {
                    let from = Index(chain.last().0.saturating_sub(back).max(chain.base().0 + 1));
                    chain.truncate(from);
                    list.retain(|entry| entry.index < from);
                }
                Step::Release(more) => {
                    let to = Index((chain.base().0 + more).min(chain.last().0));
                    chain.release(to);
                    list.retain(|entry| entry.index > to);
                }
            }
            prop_assert_eq!(chain.last().since(chain.base()), list.len() as u64);
            prop_assert!(chain.runs.iter().all(|run| !run.entries.is_empty()));
            for (start, len, bytes_max) in &reads {
                let start = Index(start + 1);
                let found = chain.get(start);
                prop_assert_eq!(found, list.iter().find(|it| it.index == start));
                let end = (start + *len).min(chain.last() + 1);
                if start > chain.base() && start < end {
                    let entries = chain.range(start..end, *bytes_max);
                    prop_assert_eq!(&*entries, fitting(&list, start..end, *bytes_max));
                    prop_assert_eq!(entries.bytes(), entries.iter().map(Entry::size).sum::<u64>());
                }
            }
        }
    }
}

/// What lies in one run is handed out as it is.
#[test]
fn entries_of_one_run_are_not_copied() {
    let mut chain = Chain::behind(Index(0));
    chain.push(run(1..9));
    let part = chain.range(Index(3)..Index(6), u64::MAX);
    let entry = chain.get(Index(3)).expect("it is there");
    assert!(std::ptr::eq(&raw const part[0], entry));
}
