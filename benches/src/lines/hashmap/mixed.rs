//! Mixes of operations on a map that holds its entries from the start.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use harness::contract::{ConcurrentMap, MapHandle, Unsupported};
use harness::duel::Subject;
use harness::rng::SplitMix64;
use harness::workload::{Mix, OperationKind, Size};
use parking_lot::Mutex;

use super::{Spec, WordMakers, for_each_map};
use crate::adapters::hashmap_word;

/// Operations drawn in advance, for each thread.
const DRAWN: usize = 1 << 20;

/// Threads that operations are drawn for; more threads share them.
const STREAMS: u64 = 2;

/// Keys of one batch.
const BATCH: usize = 64;

pub(super) fn makers<S: Spec>() -> WordMakers {
    for_each_map!(by_word, S)
}

pub(super) fn iterating<S: Spec>() -> WordMakers {
    for_each_map!(iterated, S)
}

/// Ours reads in batches, the peers in a loop: they have no other way.
pub(super) fn batched<S: Spec>() -> WordMakers {
    let mut makers = for_each_map!(by_word, S);
    makers[0] = batches::<S>;
    makers
}

/// What to do with which key, in eight bytes: reading it costs every contender the same little.
#[derive(Clone, Copy)]
struct Step(u64);

impl Step {
    const KIND_SHIFT: u32 = 56;

    fn new(kind: OperationKind, key: u64) -> Self {
        assert!(key >> Self::KIND_SHIFT == 0, "{key} leaves no room for the kind");
        let kind = match kind {
            OperationKind::Read => 0,
            OperationKind::Insert => 1,
            OperationKind::Remove => 2,
            OperationKind::Update => 3,
            other => unreachable!("no line of the maps has {other:?}"),
        };
        Self(kind << Self::KIND_SHIFT | key)
    }

    #[inline(always)]
    fn key(self) -> u64 {
        self.0 & ((1 << Self::KIND_SHIFT) - 1)
    }

    /// Performs the step; what it returns depends on nothing but the steps before it.
    #[inline(always)]
    fn by_word(self, handle: &impl MapHandle<u64, u64>) -> u64 {
        let key = self.key();
        match self.0 >> Self::KIND_SHIFT {
            0 => handle.get(&key).unwrap_or(0),
            1 => u64::from(handle.insert(key, key).is_some()),
            2 => u64::from(handle.remove(&key).is_some()),
            _ => handle.update(&key, |value| value.wrapping_add(1)).unwrap_or(0),
        }
    }

    /// As [`by_word`](Self::by_word) with the key's text, which only an insert copies.
    #[inline(always)]
    fn by_text(self, handle: &impl MapHandle<Box<str>, u64>, texts: &[Box<str>]) -> u64 {
        let number = self.key();
        let key = &texts[usize::try_from(number).expect("64-bit targets only")];
        match self.0 >> Self::KIND_SHIFT {
            0 => handle.get(key).unwrap_or(0),
            1 => u64::from(handle.insert(key.clone(), number).is_some()),
            2 => u64::from(handle.remove(key).is_some()),
            _ => handle.update(key, |value| value.wrapping_add(1)).unwrap_or(0),
        }
    }
}

/// The operations of each thread.
type Streams = Arc<Vec<Box<[Step]>>>;

/// The operations of each thread of a line. Drawing them takes longer than measuring does, so that
/// the contenders of a process share them.
fn steps<S: Spec>(size: Size) -> Streams {
    static DRAWN_BEFORE: Mutex<Vec<(TypeId, Size, Streams)>> = Mutex::new(Vec::new());
    let mut drawn = DRAWN_BEFORE.lock();
    let of = TypeId::of::<S>();
    if let Some((.., streams)) = drawn.iter().find(|it| (it.0, it.1) == (of, size)) {
        return Arc::clone(streams);
    }
    let streams = Arc::new((1..=STREAMS).map(|stream| draw::<S>(size, stream)).collect());
    drawn.push((of, size, Arc::clone(&streams)));
    streams
}

fn draw<S: Spec>(size: Size, stream: u64) -> Box<[Step]> {
    let count = S::ENTRIES.at(size) * S::KEYS_AN_ENTRY;
    let mut keys = S::KEYS.stream(count, stream).expect("the lines are legal");
    let mut rng = SplitMix64::new(stream + 100);
    (0..DRAWN).map(|_| Step::new(kind(S::MIX, &mut rng), keys.next_key())).collect()
}

/// The next kind of operation of a mix.
fn kind(mix: Mix, rng: &mut SplitMix64) -> OperationKind {
    let mut left = rng.below(100);
    for (kind, share) in OperationKind::ALL.into_iter().zip(mix.shares()) {
        if left < u64::from(share) {
            return kind;
        }
        left -= u64::from(share);
    }
    unreachable!("{mix:?} does not add up to 100")
}

/// A map with its entries: every key, or every other one.
fn loaded<K, M: ConcurrentMap<K, u64>, S: Spec>(size: Size, key: impl Fn(u64) -> K) -> M {
    let entries = S::ENTRIES.at(size);
    let room = if S::GROWN { 0 } else { entries };
    let map = M::with_capacity(usize::try_from(room).expect("64-bit targets only"));
    let handle = map.handle();
    for index in 0..entries {
        let number = index * S::KEYS_AN_ENTRY;
        assert!(handle.insert(key(number), number).is_none(), "{}: {number} is there", M::NAME);
    }
    drop(handle);
    map
}

/// Where a round begins, so that no cache learns the operations by heart.
fn start(round: u64, operations: u64) -> usize {
    let start = round.wrapping_mul(operations) % DRAWN as u64;
    usize::try_from(start).expect("64-bit targets only")
}

/// The steps of `thread` from `start` on, round and round.
fn turning(steps: &[Step], start: usize, operations: u64) -> impl Iterator<Item = Step> {
    let mut index = start;
    (0..operations).map(move |_| {
        let step = steps[index];
        index = if index + 1 == steps.len() { 0 } else { index + 1 };
        step
    })
}

/// A map and what each thread does to it. Where threads meet, what they find depends on who comes
/// first: then only the number of operations is compared.
struct Mixed<M, S> {
    map: M,
    steps: Streams,
    spec: PhantomData<fn() -> S>,
}

fn by_word<M: ConcurrentMap<u64, u64> + 'static, S: Spec>(
    size: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    let map = loaded::<u64, M, S>(size, |number| number);
    Ok(Box::new(Mixed::<M, S> { map, steps: steps::<S>(size), spec: PhantomData }))
}

impl<M: ConcurrentMap<u64, u64>, S: Spec> Subject for Mixed<M, S> {
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        let handle = self.map.handle();
        let stream = &self.steps[thread % self.steps.len()];
        let mut sum = 0_u64;
        for step in turning(stream, start(round, operations), operations) {
            sum = sum.wrapping_add(step.by_word(&handle));
        }
        let sum = std::hint::black_box(sum);
        if S::MIX == Mix::READ_ONLY { sum } else { operations }
    }
}

/// The same with short strings as keys, made beforehand.
struct ByText<M, S> {
    map: M,
    steps: Streams,
    texts: Vec<Box<str>>,
    spec: PhantomData<fn() -> S>,
}

pub(super) fn by_text<M: ConcurrentMap<Box<str>, u64> + 'static, S: Spec>(
    size: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    let text = |number: u64| format!("user{number:08}").into_boxed_str();
    let map = loaded::<Box<str>, M, S>(size, text);
    let texts = (0..S::ENTRIES.at(size) * S::KEYS_AN_ENTRY).map(text).collect();
    Ok(Box::new(ByText::<M, S> { map, steps: steps::<S>(size), texts, spec: PhantomData }))
}

impl<M: ConcurrentMap<Box<str>, u64>, S: Spec> Subject for ByText<M, S> {
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        let handle = self.map.handle();
        let stream = &self.steps[thread % self.steps.len()];
        let mut sum = 0_u64;
        for step in turning(stream, start(round, operations), operations) {
            sum = sum.wrapping_add(step.by_text(&handle, &self.texts));
        }
        std::hint::black_box(sum);
        operations
    }
}

/// Thread 0 visits all entries again and again, the others update.
struct Iterated<M, S> {
    mixed: Mixed<M, S>,
    entries: u64,
}

fn iterated<M: ConcurrentMap<u64, u64> + 'static, S: Spec>(
    size: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    let map = loaded::<u64, M, S>(size, |number| number);
    let mixed = Mixed::<M, S> { map, steps: steps::<S>(size), spec: PhantomData };
    Ok(Box::new(Iterated { mixed, entries: S::ENTRIES.at(size) }))
}

impl<M: ConcurrentMap<u64, u64>, S: Spec> Subject for Iterated<M, S> {
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        if thread > 0 {
            return self.mixed.run(thread, round, operations);
        }
        let handle = self.mixed.map.handle();
        for _ in 0..operations / self.entries {
            let mut visited = 0;
            handle.for_each(|_, value| {
                std::hint::black_box(value);
                visited += 1;
            });
            assert_eq!(visited, self.entries, "{}: nothing comes or goes", M::NAME);
        }
        operations
    }
}

/// Ours, which looks keys up in batches.
struct Batches<S>(Mixed<hashmap_word::Map, S>);

fn batches<S: Spec>(size: Size) -> Result<Box<dyn Subject>, Unsupported> {
    let map = loaded::<u64, hashmap_word::Map, S>(size, |number| number);
    Ok(Box::new(Batches(Mixed::<_, S> { map, steps: steps::<S>(size), spec: PhantomData })))
}

impl<S: Spec> Subject for Batches<S> {
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64 {
        let handle = self.0.map.handle();
        let stream = &self.0.steps[thread % self.0.steps.len()];
        let mut keys = Vec::with_capacity(BATCH);
        let mut sum = 0_u64;
        for step in turning(stream, start(round, operations), operations) {
            keys.push(step.key());
            if keys.len() == BATCH {
                sum = sum.wrapping_add(handle.sum_of(&keys));
                keys.clear();
            }
        }
        sum.wrapping_add(handle.sum_of(&keys))
    }
}
