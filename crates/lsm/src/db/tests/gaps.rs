//! Walks over keys that are gone, which jump what others have walked.

use std::collections::BTreeSet;

use crossbeam_epoch as epoch;
use harness::sim::SimDisk;

use super::*;
use crate::gaps::Moment;
use crate::{Iter, Shape, Snapshot};

/// Keys of these tests: enough for runs of many that are gone.
const KEYS: u64 = 60;

/// A moment that is kept: what was there, and two ways to look at it.
struct Held {
    model: Model,
    snapshot: Snapshot,
    iter: Iter,
}

#[test]
fn walks_jump_what_is_gone_and_nothing_else() {
    walks_over_what_is_gone();
}

/// Whatever is put, removed, loaded, written out and merged: walks in both directions show what
/// there was at their moment.
pub(super) fn walks_over_what_is_gone() {
    let threads = Background::Threads;
    for (seed, options) in (0..).zip([
        tiny(),
        Options { memtable_size: 64 << 10, ..tiny() },
        Options { shape: Shape::Tiered { runs: NonZeroUsize::MIN.saturating_add(1) }, ..tiny() },
        Options { shape: Shape::Fifo { size: u64::MAX, age: None }, ..tiny() },
        Options { value_threshold: Some(32), ..tiny() },
        Options { background: threads, ..tiny() },
    ]) {
        for seed in [2 * seed, 2 * seed + 1] {
            walks_under(seed, &options);
        }
    }
}

fn walks_under(seed: u64, options: &Options) {
    let calendar = Arc::new(Calendar::default());
    let clock = Arc::<Calendar>::clone(&calendar);
    let db = open(&SimDisk::new(seed).mount(), &Options { clock, ..options.clone() });
    let db = db.expect("the disk is well");
    let mut pair = Pair { db, model: Model::new(), dates: BTreeMap::new(), calendar };
    let mut random = SplitMix64::new(seed);
    let mut held: Vec<Held> = Vec::new();
    for step in 0..1_500 {
        let key = key(random.below(KEYS));
        match random.below(40) {
            // Mostly a queue: new keys behind, old ones taken in front.
            0..8 => pair.put(super::key(step % KEYS)),
            8..22 => pair.take_first(),
            22..29 => pair.change(key, &mut random).expect("the disk is well"),
            // A date is for an iterator what it was when it began: held ones have none.
            29 if pair.dates.is_empty() => {
                held.truncate(4);
                let (snapshot, iter) = (pair.db.snapshot(), pair.db.iter());
                held.insert(0, Held { model: pair.model.clone(), snapshot, iter });
            }
            29..34 if !held.is_empty() => {
                let at = usize::try_from(random.below(held.len() as u64)).expect("few");
                let Held { model, snapshot, iter } = &mut held[at];
                walk(&mut snapshot.iter(), model, &key);
                walk(iter, model, &key);
            }
            _ => pair.look(&key),
        }
        pair.forget_what_is_over();
    }
    assert_eq!(contents(&pair.db).expect("the disk is well"), pair.model, "in the end");
}

/// A store, and what is in it.
struct Pair {
    db: Db,
    model: Model,
    /// Until when each value that has a date is there.
    dates: BTreeMap<Vec<u8>, u64>,
    calendar: Arc<Calendar>,
}

impl Pair {
    fn put(&mut self, key: Vec<u8>) {
        self.db.put(&key, b"item").expect("the disk is well");
        self.set(key, b"item".to_vec());
    }

    fn set(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.dates.remove(&key);
        self.model.insert(key, value);
    }

    fn take_first(&mut self) {
        let mut iter = self.db.iter();
        iter.seek_first().expect("the disk is well");
        let first = self.model.first_key_value().map(|(key, value)| (&**key, &**value));
        assert_eq!(iter.entry(), first, "the first of the queue");
        if let Some((first, _)) = self.model.pop_first() {
            self.db.delete(&first).expect("the disk is well");
            self.dates.remove(&first);
        }
    }

    /// A change of any other kind.
    fn change(&mut self, key: Vec<u8>, random: &mut SplitMix64) -> Result<()> {
        let value = vec![b'v'; if random.below(7) == 0 { 48 } else { 8 }];
        let end = super::key(random.below(KEYS + 9));
        match random.below(7) {
            0 => {
                self.db.put(&key, &value)?;
                self.set(key, value);
            }
            1 => {
                self.db.merge(&key, b"+")?;
                let value = [self.model.get(&key).map_or(&[][..], |it| it), b"+"].concat();
                self.set(key, value);
            }
            2 => {
                let time = random.below(8);
                self.db.put_for(&key, &value, Duration::from_secs(time))?;
                self.set(key.clone(), value);
                self.dates.insert(key, self.calendar.unix_time().as_secs() + time);
            }
            3 => {
                self.calendar.0.fetch_add(1, Ordering::Relaxed);
            }
            4 => {
                self.db.delete_range(&key, &end)?;
                self.model.retain(|it, _| *it < key || end <= *it);
            }
            5 => {
                let mut ingest = self.db.ingest();
                for key in [key, end].into_iter().collect::<BTreeSet<_>>() {
                    ingest.put(&key, &value)?;
                    self.set(key, value.clone());
                }
                ingest.finish()?;
            }
            _ => self.db.settle()?,
        }
        Ok(())
    }

    /// Walks from a key on over all and over a part.
    fn look(&self, key: &[u8]) {
        // The keys of the next ten numbers or fewer.
        let end = [&key[..key.len() - 1], b"~"].concat();
        let end = &end[..];
        let part = self.model.range(key.to_vec()..end.to_vec());
        let part: Model = part.map(|(key, value)| (key.clone(), value.clone())).collect();
        walk(&mut self.db.range(key..end), &part, key);
        walk(&mut self.db.iter(), &self.model, key);
    }

    fn forget_what_is_over(&mut self) {
        let now = self.calendar.unix_time().as_secs();
        self.model.retain(|key, _| self.dates.get(key).is_none_or(|date| now < *date));
        self.dates.retain(|_, date| now < *date);
    }
}

/// A few steps in each direction from a key on.
fn walk(iter: &mut Iter, model: &Model, key: &[u8]) {
    let mut expected = model.range(key.to_vec()..);
    iter.seek(key).expect("the disk is well");
    for _ in 0..3 {
        assert_eq!(iter.entry(), expected.next().map(|it| (&**it.0, &**it.1)), "from {key:?} on");
        iter.forward().expect("the disk is well");
    }
    let mut expected = model.range(..key.to_vec());
    iter.seek_below(key).expect("the disk is well");
    for _ in 0..3 {
        let before = expected.next_back().map(|it| (&**it.0, &**it.1));
        assert_eq!(iter.entry(), before, "below {key:?}");
        iter.backward().expect("the disk is well");
    }
}

/// What was taken from a queue is one gap, up to the last few keys, at whichever end it is taken
/// and while another family is written.
#[test]
fn a_queue_leaves_one_gap() {
    // Nothing is written out: a flush drops tombstones, and then there is less to walk over.
    let options = Options { memtable_size: 1 << 20, ..tiny() };
    for is_backward in [false, true] {
        let db = open(&SimDisk::new(1).mount(), &options).expect("the disk is well");
        let other = db.family("other").expect("the disk is well");
        let key = |number: u64| number.to_be_bytes();
        let (mut low, mut high) = (1_000, 1_000);
        for number in 0..500_u64 {
            if is_backward {
                low -= 1;
                db.put(&key(low), b"item").expect("the disk is well");
            } else {
                db.put(&key(high), b"item").expect("the disk is well");
                high += 1;
            }
            if number >= 20 {
                let mut iter = db.iter();
                let outcome = if is_backward { iter.seek_last() } else { iter.seek_first() };
                outcome.expect("the disk is well");
                let taken = iter.entry().map(|it| it.0.to_vec()).expect("there are some");
                let end = if is_backward { high - 1 } else { low };
                assert_eq!(taken, key(end), "in order");
                db.delete(&taken).expect("the disk is well");
                (low, high) = if is_backward { (low, high - 1) } else { (low + 1, high) };
                other.put(b"taken", &taken).expect("the disk is well");
            }
        }
        let state = db.default.core.share();
        let guard = epoch::pin();
        let now = Moment { sequence: db.default.shared_core().visible(), now: Duration::MAX };
        let gap = state.gaps.around(&key(if is_backward { 995 } else { 1_005 }), now, &guard);
        let gap = gap.expect("there is one");
        let near = |bound: &[u8], number: u64| {
            *bound >= key(number - 12)[..] && *bound <= key(number + 12)[..]
        };
        // Forward, a walk begins below all keys.
        assert!(if is_backward { near(&gap.start, high) } else { gap.start.is_empty() }, "{gap:?}");
        assert!(near(&gap.end, if is_backward { 1_000 } else { low }), "{gap:?}");
    }
}

/// Nobody writes any more, and yet walks become short.
#[test]
fn walks_alone_make_a_gap_known() {
    let db = open(&SimDisk::new(1).mount(), &tiny()).expect("the disk is well");
    for number in 0..50 {
        db.put(&key(number), b"item").and_then(|()| db.delete(&key(number))).expect("it is well");
    }
    assert_eq!(db.iter().count(), 0);
    assert!(db.default.core.share().gaps.is_empty());
    assert_eq!(db.iter().count(), 0);
    assert!(!db.default.core.share().gaps.is_empty());
}

/// Of a queue that goes through many memtables, tables hold little more than what is in it: a flush
/// drops tombstones whose key lies in no table.
#[test]
fn tombstones_that_hide_nothing_are_not_written() {
    let db = open(&SimDisk::new(1).mount(), &Options { level0_tables: 100, ..tiny() });
    let db = db.expect("the disk is well");
    let key = |number: u64| number.to_be_bytes();
    for number in 0..2_000 {
        db.put(&key(number), &[b'v'; 20]).expect("the disk is well");
        if number >= 10 {
            db.delete(&key(number - 10)).expect("the disk is well");
        }
    }
    db.settle().expect("the disk is well");
    let tables = db.default.tables();
    let entries: u64 = tables.iter().map(|it| it.entries).sum();
    assert!(tables.len() > 10, "there were many memtables: {}", tables.len());
    assert!(entries <= 21 * tables.len() as u64, "{entries} entries in {} tables", tables.len());
}
