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
    Take(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..9_u64).prop_map(Step::Push),
        1 => (0..12_u64).prop_map(Step::Truncate),
        1 => (0..12_u64).prop_map(Step::Release),
        2 => (0..9_u64, 0..900_u64).prop_map(|(count, most)| Step::Take(count, most)),
    ]
}

proptest! {
    #[test]
    fn chain_is_the_list_of_its_entries(
        base in 0..3_u64,
        steps in prop::collection::vec(step(), 1..30),
        reads in prop::collection::vec((0..60_u64, 0..60_u64, 0..900_u64), 20),
    ) {
        let mut chain = Chain::behind(Position { index: Index(base), term: Term(base) });
        let mut list: Vec<Entry> = Vec::new();
        for step in steps {
            match step {
                Step::Push(count) => {
                    let last = chain.last().index.0;
                    let more = run(last + 1..last + 1 + count);
                    list.extend(more.iter().cloned());
                    chain.push(more);
                }
                Step::Truncate(back) => {
                    let (base, last) = (chain.base().index.0, chain.last().index.0);
                    let from = Index(last.saturating_sub(back).max(base + 1));
                    chain.truncate(from);
                    list.retain(|entry| entry.index < from);
                }
                Step::Release(more) => {
                    let (base, last) = (chain.base().index.0, chain.last().index.0);
                    let to = Index((base + more).min(last));
                    chain.release(to, drop);
                    chain.shed();
                    list.retain(|entry| entry.index > to);
                }
                Step::Take(count, most) => {
                    let start = chain.base().index + 1;
                    let range = start..start + count;
                    let fits = |run: &Run| run.end() == range.end && run.entries.bytes() <= most;
                    let is_given = chain.runs.front().is_some_and(fits);
                    let found = chain.take_first(&range, most);
                    prop_assert_eq!(found.is_some(), is_given);
                    if let Some(entries) = found {
                        let rest = list.split_off(entries.len());
                        prop_assert_eq!(&*entries, &list[..]);
                        list = rest;
                    }
                }
            }
            let (first, last) = (chain.base().index, chain.last().index);
            prop_assert_eq!(last.since(first), list.len() as u64);
            prop_assert_eq!(Some(chain.last().term), chain.term(last));
            chain.check_invariants();
            prop_assert!(chain.runs.iter().all(|run| !run.entries.is_empty()));
            for (start, len, bytes_max) in &reads {
                let start = Index(start + 1);
                let found = chain.get(start);
                prop_assert_eq!(found, list.iter().find(|it| it.index == start));
                let end = (start + *len).min(last + 1);
                if start > first && start < end {
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
    let mut chain = Chain::behind(Position::default());
    chain.push(run(1..9));
    let part = chain.range(Index(3)..Index(6), u64::MAX);
    let entry = chain.get(Index(3)).expect("it is there");
    assert!(std::ptr::eq(&raw const part[0], entry));
}

/// A log that keeps the last entry of a long run must not keep the run, nor the message in whose
/// bytes its commands are.
#[test]
fn released_entries_are_freed_though_they_share_a_run() {
    let frame = Bytes::from(vec![7; 10_000]);
    let payload = |at: u64| {
        let at = 1_000 * usize::try_from(at).expect("it is small");
        Payload::Command(frame.slice(at..at + 1_000))
    };
    let entry = |at| Entry { index: Index(at + 1), term: Term(1), payload: payload(at) };
    let run: Entries = (0..10).map(entry).collect();
    let (weak, mut chain) = (run.shared.as_ref().map(Arc::downgrade), Chain::default());
    let is_alive = || weak.as_ref().is_some_and(|it| it.strong_count() > 0);
    chain.push(run);
    chain.release(Index(4), drop);
    chain.shed();
    assert!(is_alive() && !frame.is_unique(), "most of the run is needed");
    chain.release(Index(8), drop);
    chain.shed();
    assert!(!is_alive() && frame.is_unique(), "two entries do not hold ten");
    let kept: Vec<_> = chain.range(Index(9)..Index(11), u64::MAX).iter().cloned().collect();
    assert_eq!(kept, [entry(8), entry(9)]);
}
