//! Records that nobody wrote, under right checksums: they are refused, or do no harm.

use super::*;
use crate::disk::group::Group;
use crate::disk::record::{Record, State};
use crate::storage::MemoryStorage;

/// Mutations of each record.
const TURNS: u32 = 30_000;

fn records() -> Vec<Record> {
    let entries: Entries = (1..=4)
        .map(|index| match index {
            2 => Entry { index: Index(2), term: Term(1), payload: Payload::Noop },
            3 => {
                let payload = Payload::Configuration(Box::new(founders()));
                Entry { index: Index(3), term: Term(1), payload }
            }
            _ => command(Index(index), Term(1), b"bytes"),
        })
        .collect();
    let hard_state = HardState { term: Term(2), vote: Some(NodeId(3)), commit: Index(1) };
    let last = Position { index: Index(2), term: Term(1) };
    let meta = snapshot(last, b"state").meta;
    let base = Position { index: Index(1), term: Term(1) };
    let state =
        State { incarnation: Incarnation(3), hard_state, meta: meta.clone(), file: 1, base };
    vec![
        Record::State(state),
        Record::Write { hard_state, snapshot: Some((meta, 1)), entries: Entries::default() },
        Record::Write { hard_state, snapshot: None, entries: entries.clone() },
        Record::Copy { entries },
    ]
}

/// One bit, one byte, a part cut off, or a part of another record put in.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut SeededRandom) {
    let mut below = |max: usize| usize::try_from(random.below(max as u64 + 1)).expect("small");
    let at = below(bytes.len() - 1);
    match below(3) {
        0 => bytes[at] ^= 1 << below(7),
        1 => bytes[at] = u8::try_from(below(255)).expect("a byte"),
        2 => bytes.truncate(at + 1),
        _ => {
            let from = below(other.len() - 1);
            let part = &other[from..=from + below(other.len() - 1 - from)];
            bytes.splice(at..at, part.iter().copied());
        }
    }
}

#[test]
fn mutated_records_are_refused_or_taken_and_never_panic() {
    let mut random = SeededRandom::new(11);
    let all: Vec<_> = records().iter().map(|record| record.encode(GroupId(5))).collect();
    let (mut read, mut taken) = (0, 0);
    for turn in 0..TURNS {
        let at = usize::try_from(random.below(all.len() as u64)).expect("small");
        let other = usize::try_from(random.below(all.len() as u64)).expect("small");
        let mut bytes = all[at].clone();
        for _ in 0..=turn % 3 {
            mutate(&mut bytes, &all[other], &mut random);
        }
        let Ok((id, record)) = Record::decode(bytes.into()) else { continue };
        read += 1;
        let again = Record::decode(record.encode(id).into());
        assert_eq!(again, Ok((id, record.clone())), "what is read is written as the same");
        let mut group = Group::new(Incarnation(0), MemoryStorage::founding(founders()));
        for known in records().into_iter().skip(2) {
            group.take(known).expect("it follows");
        }
        if group.take(record).is_some() {
            taken += 1;
            assert!(group.memory().first_index() <= group.memory().last_index() + 1);
        }
    }
    assert!(read > 1_000 && taken > 100, "{read} were read, {taken} taken");
}
