//! Recorded histories of every operation, of real threads on few keys, while the table is resized
//! all the time, in every stride: there must be one order of all calls that explains every answer.
//!
//! What an operation on many keys says of one is held against that key's cell: a walk looks at each
//! key at some moment, as a `get` would; a batch does to each what the single operation does.
//!
//! | module   | is                                                        |
//! |----------|-----------------------------------------------------------|
//! | `cell`   | what one key may answer                                   |
//! | `fronts` | the operations of each map and of the set, under one name |
//! | `racy`   | the same, each done wrong: none may pass                  |

mod cell;
mod fronts;
mod racy;

use std::sync::Barrier;
use std::thread;

use harness::check::history::{History, Log, Recorder};
use harness::check::linearizable::assert_linearizable;
use harness::check::replay::{find_failure, with_seeds};
use harness::rng::SplitMix64;

use crate::raw::boxed::tests::{HASHERS, Keeps};
use crate::raw::hook::{Bug, STRIDES, plant, with_stride};
use crate::word_map::tests::model::{Kind as Hash, Terrible};
use crate::{HashMap, HashSet, RandomState, Session, WordMap};
use cell::{Answer, Call, Cell};
use fronts::{SetHandle, WordHandle};
use racy::Racy;

const THREADS: u64 = 3;
const STEPS: u64 = 50;

/// The keys whose histories are kept. Others only make the table grow.
const KEYS: [u64; 5] = [0, 1, 2, 3, 4];

/// The first of the others.
const FILLER: u64 = 1_000;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Get,
    Has,
    Insert,
    TryInsert,
    GetOrInsert,
    Remove,
    RemoveIf,
    Update,
    UpdateOrInsert,
    Compute,
    Exchange,
    InsertEntry,
    ReplaceEntry,
    RemoveEntry,
    GetMany,
    HasMany,
    CountMany,
    InsertMany,
    Walk,
    Batches,
    Retain,
    Drain,
    Clear,
}

/// One thread's way into a map.
trait Handle {
    /// What it can do; an insertion and a removal come first.
    const KINDS: &'static [Kind];
    /// Values that it can hold: those below.
    const VALUES: u64 = 4;
    /// Whether a sweep removes what it found although it was replaced since.
    const SWEEPS_FOR_SURE: bool;

    /// An operation on one key.
    fn perform(&self, kind: Kind, call: &Call) -> Answer;
    /// The value of each key, by an operation that looks at many.
    fn look(&self, kind: Kind, keys: &[u64]) -> Vec<Option<u64>>;
    /// Whether each key is there.
    fn has_many(&self, keys: &[u64]) -> Vec<bool>;
    /// How many are.
    fn count_many(&self, _keys: &[u64]) -> usize {
        unreachable!("it counts no keys")
    }
    /// How many were new.
    fn insert_many(&self, entries: &[(u64, u64)]) -> usize;
    /// Removes what `visit` says shall go; or shows it what was removed; or removes all.
    fn sweep(&self, kind: Kind, visit: &mut dyn FnMut(u64, u64) -> bool);
    /// Makes the table larger or smaller.
    fn resize(&self, grows: bool);
}

type MapLog = Log<Call, Answer>;

/// What threads that call operations of these kinds are answered.
fn record<H: Handle>(
    seed: u64,
    stride: usize,
    kinds: &[Kind],
    handle: impl Fn() -> H + Sync,
) -> History<Call, Answer> {
    let recorder = Recorder::new();
    let start = Barrier::new(usize::try_from(THREADS).expect("few threads"));
    let logs: Vec<_> = thread::scope(|scope| {
        let spawn = |thread| {
            let (mut log, start, handle) = (recorder.log(), &start, &handle);
            scope.spawn(move || {
                let mut rng = SplitMix64::new(seed * 64 + thread);
                start.wait();
                with_stride(stride, || {
                    let handle = handle();
                    for step in 0..STEPS {
                        let kind = kinds[below(&mut rng, kinds.len())];
                        call(&handle, kind, &mut rng, &mut log);
                        disturb(&handle, FILLER * (thread + 1) + step, &mut rng);
                    }
                });
                log
            })
        };
        let threads: Vec<_> = (0..THREADS).map(spawn).collect();
        threads.into_iter().map(|it| it.join().expect("no operation panics")).collect()
    });
    History::from_logs(logs)
}

/// Where a key of [`KEYS`] is among them.
fn place(key: u64) -> usize {
    usize::try_from(key).expect("few keys")
}

fn below(rng: &mut SplitMix64, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).expect("below a small number")
}

/// Has the table grow or shrink now and then.
fn disturb(handle: &impl Handle, filler: u64, rng: &mut SplitMix64) {
    let fillers: Vec<_> = (0..10).map(|it| (filler + it, 0)).collect();
    match rng.below(8) {
        0 => handle.resize(true),
        1 => handle.resize(false),
        2 | 3 => {
            handle.insert_many(&fillers);
        }
        4 => {
            for (key, _) in fillers {
                handle.perform(Kind::Remove, &Call::Remove(key));
            }
        }
        _ => {}
    }
}

/// Calls an operation and records what it says of each key.
fn call<H: Handle>(handle: &H, kind: Kind, rng: &mut SplitMix64, log: &mut MapLog) {
    match kind {
        Kind::GetMany | Kind::Walk | Kind::Batches => {
            record_many(log, &Call::Get, || {
                handle.look(kind, &KEYS).into_iter().map(Answer::Value).collect()
            });
        }
        Kind::HasMany => {
            record_many(log, &Call::Has, || {
                handle.has_many(&KEYS).into_iter().map(Answer::Is).collect()
            });
        }
        Kind::CountMany => {
            record_many(log, &Call::Has, || all_or_none(handle.count_many(&KEYS)));
        }
        Kind::InsertMany => {
            let entries = KEYS.map(|key| (key, rng.below(H::VALUES)));
            record_many(log, &|key| Call::Put(key, entries[place(key)].1), || {
                all_or_none(handle.insert_many(&entries))
            });
        }
        Kind::Retain => retain(handle, log),
        Kind::Drain => drain(handle, log),
        Kind::Clear => {
            let for_sure = H::SWEEPS_FOR_SURE;
            record_many(log, &|key| Call::Vanish { key, odd_only: false, for_sure }, || {
                handle.sweep(kind, &mut |_, _| true);
                KEYS.map(|_| Answer::Is(true)).into()
            });
        }
        _ => {
            log.record(one(kind, H::VALUES, rng), |call| handle.perform(kind, call));
        }
    }
}

/// Records one call for each key, all of them under way while `run` runs.
fn record_many(log: &mut MapLog, call: &dyn Fn(u64) -> Call, run: impl FnOnce() -> Vec<Answer>) {
    let under_way = KEYS.map(|key| log.invoke(call(key)));
    for (invocation, answer) in under_way.into_iter().zip(run()) {
        log.respond(invocation, answer);
    }
}

/// What a count of keys says of each.
fn all_or_none(count: usize) -> Vec<Answer> {
    let answer = match count {
        0 => Answer::Is(false),
        count if count == KEYS.len() => Answer::Is(true),
        _ => Answer::Silent,
    };
    vec![answer; KEYS.len()]
}

/// Odd values shall go. Each key was judged by the value of some moment, and removed at another.
fn retain<H: Handle>(handle: &H, log: &mut MapLog) {
    let for_sure = H::SWEEPS_FOR_SURE;
    let judged = KEYS.map(|key| log.invoke(Call::Get(key)));
    let removed = KEYS.map(|key| log.invoke(Call::Vanish { key, odd_only: true, for_sure }));
    let mut seen = [None; KEYS.len()];
    handle.sweep(Kind::Retain, &mut |key, value| {
        if key < FILLER {
            seen[place(key)].get_or_insert(value);
        }
        value % 2 == 1
    });
    for ((judged, removed), seen) in judged.into_iter().zip(removed).zip(seen) {
        log.respond(judged, Answer::Value(seen));
        let is_to_go = seen.is_some_and(|value| value % 2 == 1);
        log.respond(removed, if is_to_go { Answer::Is(true) } else { Answer::Silent });
    }
}

/// Who is shown an entry has removed it.
fn drain<H: Handle>(handle: &H, log: &mut MapLog) {
    record_many(log, &Call::Remove, || {
        let others = if H::SWEEPS_FOR_SURE { Answer::Value(None) } else { Answer::Silent };
        let mut answers = vec![others.clone(); KEYS.len()];
        handle.sweep(Kind::Drain, &mut |key, value| {
            if key < FILLER {
                let answer = &mut answers[place(key)];
                assert_eq!(*answer, others, "key {key} is removed twice");
                *answer = Answer::Value(Some(value));
            }
            true
        });
        answers
    });
}

/// A call of an operation on one key.
fn one(kind: Kind, values: u64, rng: &mut SplitMix64) -> Call {
    let key = KEYS[below(rng, KEYS.len())];
    let value = rng.below(values);
    let mut maybe = || Some(rng.below(values + 1)).filter(|&it| it < values);
    match kind {
        Kind::Get => Call::Get(key),
        Kind::Has => Call::Has(key),
        Kind::Insert => Call::Insert(key, value),
        Kind::TryInsert => Call::TryInsert(key, value),
        Kind::GetOrInsert | Kind::InsertEntry => Call::GetOrInsert(key, value),
        Kind::Remove | Kind::RemoveEntry => Call::Remove(key),
        Kind::RemoveIf => Call::RemoveIfOdd(key),
        Kind::Update => Call::Add(key, value + 1),
        Kind::UpdateOrInsert => Call::AddOrInsert(key, value + 1),
        Kind::Compute => Call::Toggle(key, value),
        Kind::Exchange => Call::Exchange(key, maybe(), maybe()),
        Kind::ReplaceEntry => Call::Replace(key, value),
        _ => unreachable!("{kind:?} is about many keys"),
    }
}

/// Each kind of operation in each stride: among all others, and then with nothing but insertions
/// and removals, which make it meet more of them.
fn every_answer_has_its_moment<H: Handle>(
    name: &str,
    seeds: u64,
    record: impl Fn(u64, usize, &[Kind]) -> History<Call, Answer>,
) {
    with_seeds(name, seeds, |seed| {
        for stride in STRIDES {
            for &kind in H::KINDS {
                let some = [kind, kind, H::KINDS[0], H::KINDS[1]];
                for kinds in [H::KINDS, &some] {
                    assert_linearizable(&Cell::default(), &record(seed, stride, kinds));
                }
            }
        }
    });
}

fn hasher(seed: u64) -> Keeps {
    HASHERS[place(seed % HASHERS.len() as u64)]
}

#[test]
fn boxed_map() {
    every_answer_has_its_moment::<Session<'_, u64, u64, Keeps>>(
        "histories::boxed_map",
        4,
        |seed, stride, kinds| {
            let map = HashMap::with_hasher(hasher(seed));
            record(seed, stride, kinds, || map.session())
        },
    );
}

#[test]
fn map_of_words() {
    every_answer_has_its_moment::<WordHandle<'_, RandomState>>(
        "histories::map_of_words",
        4,
        |seed, stride, kinds| {
            let map = with_stride(stride, WordMap::new);
            record(seed, stride, kinds, || WordHandle::new(&map))
        },
    );
}

/// All keys in one bin, which has an annex, then a block.
#[test]
fn map_of_words_in_one_bin() {
    every_answer_has_its_moment::<WordHandle<'_, Terrible>>(
        "histories::map_of_words_in_one_bin",
        2,
        |seed, stride, kinds| {
            let map = WordMap::with_hasher(Terrible(Hash::Constant));
            record(seed, stride, kinds, || WordHandle::new(&map))
        },
    );
}

#[test]
fn set() {
    every_answer_has_its_moment::<SetHandle<'_>>("histories::set", 4, |seed, stride, kinds| {
        let set = HashSet::with_hasher(hasher(seed));
        record(seed, stride, kinds, || SetHandle::new(&set))
    });
}

/// An operation that looks first and acts later is noticed, whichever it is.
#[test]
fn operations_in_two_steps_are_refused() {
    for &kind in Racy::KINDS {
        let failure = find_failure(500, |seed| {
            let map = WordMap::new();
            let kinds = [kind, Kind::Insert, Kind::Remove];
            let history = record(seed, 1, &kinds, || Racy(&map));
            assert_linearizable(&Cell::default(), &history);
        });
        assert!(failure.is_some(), "{kind:?} in two steps passes");
    }
}

/// A resize that loses entries is noticed, whatever an operation moves.
#[test]
fn skipped_copy_is_found_in_every_stride() {
    for stride in STRIDES {
        let failure = find_failure(500, |seed| {
            let map = HashMap::with_hasher(Keeps::LowBits);
            let history = record(seed, stride, &[Kind::Insert, Kind::Get], || {
                plant(Some(Bug::SkipsCopy));
                map.session()
            });
            assert_linearizable(&Cell::default(), &history);
        });
        assert!(failure.is_some(), "a skipped copy passes with a stride of {stride}");
    }
}
