//! Recorded histories of real threads on few keys: one order of all calls explains every answer,
//! while memtables become tables beneath them, tables are merged and values lie apart.

use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::thread;

use harness::check::history::{History, Log, Recorder};
use harness::check::linearizable::check;
use harness::check::model::Model as Sequential;
use harness::sim::SimDisk;

use super::*;
use crate::planted::{Bug, plant};

const THREADS: usize = 4;
const KEYS: usize = 4;
const CALLS: u64 = 250;
const ROUNDS: u64 = 6;
/// The length of one mark in a value: a value of two lies apart.
const MARK: usize = 24;

/// The marks in a value, in their order.
type Value = Option<Vec<u64>>;

#[derive(Clone, Debug)]
enum Call {
    Get(u64),
    Put(u64, u64),
    /// Two marks.
    PutLong(u64, u64),
    Delete(u64),
    /// Removes the keys from this on and below the next.
    DeleteRange(u64),
    /// Another mark behind those that there are.
    Merge(u64, u64),
    /// One value for another, `None` for absence.
    Exchange(u64, Value, Value),
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Done,
    Value(Value),
    Changed(bool),
}

/// What one key holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Cell(Value);

impl Sequential for Cell {
    type Op = Call;
    type Ret = Answer;
    type Key = u64;

    fn key(op: &Call) -> u64 {
        match op {
            Call::Get(key)
            | Call::Put(key, _)
            | Call::PutLong(key, _)
            | Call::Delete(key)
            | Call::DeleteRange(key)
            | Call::Merge(key, _)
            | Call::Exchange(key, ..) => *key,
        }
    }

    fn apply(&mut self, op: &Call) -> Answer {
        match op {
            Call::Get(_) => return Answer::Value(self.0.clone()),
            Call::Put(_, mark) => self.0 = Some(vec![*mark]),
            Call::PutLong(_, mark) => self.0 = Some(vec![*mark; 2]),
            Call::Delete(_) | Call::DeleteRange(_) => self.0 = None,
            Call::Merge(_, mark) => self.0.get_or_insert_default().push(*mark),
            Call::Exchange(_, expected, new) => {
                let is_equal = self.0 == *expected;
                if is_equal {
                    self.0.clone_from(new);
                }
                return Answer::Changed(is_equal);
            }
        }
        Answer::Done
    }

    fn is_observation(op: &Call, ret: &Answer) -> bool {
        matches!(op, Call::Get(_)) || *ret == Answer::Changed(false)
    }
}

fn bytes(marks: &[u64]) -> Vec<u8> {
    marks.iter().flat_map(|mark| mark.to_le_bytes().repeat(MARK / 8)).collect()
}

fn marks(bytes: &[u8]) -> Vec<u64> {
    let marks = bytes.chunks(MARK).map(|chunk| {
        let (mark, rest) = chunk.split_at(8);
        assert_eq!(mark.repeat(2), rest, "a value is whole");
        u64::from_le_bytes(mark.try_into().expect("eight bytes"))
    });
    marks.collect()
}

fn answer(db: &Db, call: &Call) -> Result<Answer> {
    match call {
        Call::Get(at) => return Ok(Answer::Value(db.get(&key(*at))?.map(|it| marks(&it)))),
        Call::Put(at, mark) => db.put(&key(*at), &bytes(&[*mark]))?,
        Call::PutLong(at, mark) => db.put(&key(*at), &bytes(&[*mark; 2]))?,
        Call::Delete(at) => db.delete(&key(*at))?,
        Call::DeleteRange(at) => db.delete_range(&key(*at), &key(*at + 1))?,
        Call::Merge(at, mark) => db.merge(&key(*at), &bytes(&[*mark]))?,
        Call::Exchange(at, expected, new) => {
            let [expected, new] = [expected, new].map(|it| it.as_deref().map(bytes));
            let changed = db.compare_and_set(&key(*at), expected.as_deref(), new.as_deref())?;
            return Ok(Answer::Changed(changed));
        }
    }
    Ok(Answer::Done)
}

/// Some calls of one thread. What it exchanges is what it saw last, so that some succeed.
fn calls(db: &Db, log: &mut Log<Call, Answer>, mut random: SplitMix64) {
    let mut seen: [Value; KEYS] = Default::default();
    for _ in 0..CALLS {
        let (at, mark) = (random.below(KEYS as u64), random.below(1_000));
        let last = &mut seen[usize::try_from(at).expect("few keys")];
        let call = match random.below(20) {
            0..8 => Call::Get(at),
            8..11 => Call::Put(at, mark),
            11..13 => Call::PutLong(at, mark),
            13 => Call::Delete(at),
            14 => Call::DeleteRange(at),
            15..17 => Call::Merge(at, mark),
            17 => Call::Exchange(at, last.clone(), None),
            _ => Call::Exchange(at, last.clone(), Some(vec![mark; 2])),
        };
        let answer = log.record(call, |call| answer(db, call).expect("the disk is well"));
        if let Answer::Value(value) = answer {
            last.clone_from(value);
        }
    }
}

/// What some threads did, while another merges again and again. All of them have the bug.
fn record(options: &Options, seed: u64, bug: Option<Bug>) -> History<Call, Answer> {
    let db = &open(&SimDisk::new(seed).mount(), options).expect("the disk is well");
    let recorder = Recorder::new();
    let (barrier, is_over) = (&Barrier::new(THREADS + 1), &AtomicBool::new(false));
    let logs = thread::scope(|scope| {
        let merger = scope.spawn(move || {
            plant(bug);
            barrier.wait();
            while !is_over.load(Ordering::Relaxed) {
                db.settle().and_then(|()| db.compact()).expect("the disk is well");
            }
        });
        let callers: Vec<_> = (0..THREADS as u64)
            .map(|thread| {
                let mut log = recorder.log();
                scope.spawn(move || {
                    plant(bug);
                    barrier.wait();
                    calls(db, &mut log, SplitMix64::new(seed * THREADS as u64 + thread));
                    log
                })
            })
            .collect();
        let logs: Vec<_> = callers.into_iter().map(|it| it.join().expect("it calls")).collect();
        is_over.store(true, Ordering::Relaxed);
        merger.join().expect("it merges");
        logs
    });
    let stats = db.stats();
    assert!(stats.flushes > 3 && stats.merges > 0, "little happened beneath: {stats}");
    History::from_logs(logs)
}

fn settings() -> [Options; 2] {
    let apart = Options { value_threshold: Some(2 * MARK), ..tiny() };
    [Options { background: Background::Threads, ..apart.clone() }, apart]
}

#[test]
fn every_answer_has_its_moment() {
    for seed in 0..ROUNDS {
        for options in settings() {
            let verdict = check(&Cell::default(), &record(&options, seed, None));
            assert!(verdict.is_linearizable(), "seed {seed}, {:?}: {verdict}", options.background);
        }
    }
}

#[test]
fn an_answer_from_before_the_last_write_is_found() {
    let [_, options] = settings();
    // Whether it shows depends on luck.
    let is_found = |seed| {
        let history = record(&options, seed, Some(Bug::ReadBehind));
        !check(&Cell::default(), &history).is_linearizable()
    };
    assert!((0..ROUNDS).any(is_found), "no answer was too old");
}
