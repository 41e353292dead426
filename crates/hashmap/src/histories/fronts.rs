//! The maps and the set, as the histories call them.

use std::hash::BuildHasher;

use super::cell::{Answer, Call};
use super::{Handle, Kind};
use crate::entry::Entry;
use crate::guard::Operation;
use crate::raw::boxed::tests::Keeps;
use crate::set::PinnedSet;
use crate::{HashSet, Pinned, Session, WordMap, WordMapRef};

/// The boxed map, through a session and the pin that it holds.
impl Handle for Session<'_, u64, u64, Keeps> {
    const KINDS: &'static [Kind] = &[
        Kind::Insert,
        Kind::Remove,
        Kind::Get,
        Kind::Has,
        Kind::TryInsert,
        Kind::GetOrInsert,
        Kind::RemoveIf,
        Kind::Update,
        Kind::UpdateOrInsert,
        Kind::Compute,
        Kind::Exchange,
        Kind::InsertEntry,
        Kind::ReplaceEntry,
        Kind::RemoveEntry,
        Kind::GetMany,
        Kind::HasMany,
        Kind::CountMany,
        Kind::InsertMany,
        Kind::Walk,
        Kind::Batches,
        Kind::Retain,
        Kind::Drain,
        Kind::Clear,
    ];
    const SWEEPS_FOR_SURE: bool = false;

    fn perform(&self, kind: Kind, call: &Call) -> Answer {
        let value = match (kind, call) {
            (Kind::Get, Call::Get(key)) => self.get(key),
            (Kind::Has, Call::Has(key)) => return Answer::Is(self.contains_key(key)),
            (Kind::Insert, &Call::Insert(key, value)) => self.insert(key, value),
            (Kind::Remove, Call::Remove(key)) => self.remove(key),
            (Kind::Update, Call::Add(key, term)) => self.update(key, |it| it + term),
            _ => return self.with(|pinned| decide(pinned, kind, call)),
        };
        Answer::Value(value)
    }

    fn look(&self, kind: Kind, keys: &[u64]) -> Vec<Option<u64>> {
        self.with(|pinned| match kind {
            Kind::GetMany => {
                let mut found = vec![None; keys.len()];
                pinned.get_many(keys, |index, value| found[index] = value.copied());
                found
            }
            Kind::Walk => sighted(keys, pinned.iter().map(|(&key, &value)| (key, value))),
            _ => sighted(keys, pinned.map().batches(3).flatten()),
        })
    }

    fn has_many(&self, keys: &[u64]) -> Vec<bool> {
        self.with(|pinned| pinned.contains_many(keys))
    }

    fn count_many(&self, keys: &[u64]) -> usize {
        self.with(|pinned| pinned.count_many(keys))
    }

    fn insert_many(&self, entries: &[(u64, u64)]) -> usize {
        self.with(|pinned| pinned.insert_many(entries.iter().copied()))
    }

    fn sweep(&self, kind: Kind, visit: &mut dyn FnMut(u64, u64) -> bool) {
        self.with(|pinned| match kind {
            Kind::Retain => pinned.retain(|&key, &value| !visit(key, value)),
            Kind::Drain => pinned.drain_with(|&key, &value| {
                visit(key, value);
            }),
            _ => pinned.clear(),
        });
    }

    fn resize(&self, grows: bool) {
        let mut pinned = self.with(|pinned| pinned.map().pin());
        let resized = if grows { pinned.reserve(60) } else { pinned.shrink_to_fit() };
        resized.expect("memory for a few bins");
    }
}

/// What an operation of the boxed map answers that reads, decides and writes.
fn decide(pinned: &Pinned<'_, u64, u64, Keeps>, kind: Kind, call: &Call) -> Answer {
    let value = match (kind, *call) {
        (Kind::TryInsert, Call::TryInsert(key, value)) => {
            pinned.try_insert(key, value).err().map(|it| *it.current)
        }
        (Kind::GetOrInsert, Call::GetOrInsert(key, value)) => {
            Some(*pinned.get_or_insert_with(key, || value))
        }
        (Kind::InsertEntry, Call::GetOrInsert(key, value)) => {
            Some(*pinned.entry(key).or_insert(value))
        }
        (Kind::RemoveIf, Call::RemoveIfOdd(key)) => {
            let removed = pinned.remove_if(&key, |_, value| value % 2 == 1);
            assert!(!matches!(removed, Err(Some(odd)) if odd % 2 == 1), "{removed:?}");
            removed.ok().copied()
        }
        (Kind::UpdateOrInsert, Call::AddOrInsert(key, term)) => {
            Some(*pinned.update_or_insert_with(&key, |it| it + term, || term))
        }
        (Kind::Compute, Call::Toggle(key, value)) => {
            let mut former = None;
            pinned.compute(&key, |now| {
                former = now.copied();
                if now.is_some() { Operation::Remove } else { Operation::Put(value) }
            });
            former
        }
        (Kind::Exchange, Call::Exchange(key, expected, new)) => {
            return Answer::Value(exchange(pinned, key, expected, new));
        }
        (Kind::ReplaceEntry, Call::Replace(key, value)) => match pinned.entry(key) {
            Entry::Vacant(_) => None,
            Entry::Occupied(entry) => match entry.try_replace(value) {
                Ok(former) => Some(*former),
                Err(_) => return Answer::Silent,
            },
        },
        (Kind::RemoveEntry, Call::Remove(key)) => match pinned.entry(key) {
            Entry::Vacant(_) => None,
            Entry::Occupied(entry) => {
                let seen = *entry.get();
                if !entry.try_remove() {
                    return Answer::Silent;
                }
                Some(seen)
            }
        },
        (kind, call) => unreachable!("{kind:?} by {call:?}"),
    };
    Answer::Value(value)
}

/// What was found; by `compute` where it is about an absent key, which the map's own exchange has
/// not.
fn exchange(
    pinned: &Pinned<'_, u64, u64, Keeps>,
    key: u64,
    expected: Option<u64>,
    new: Option<u64>,
) -> Option<u64> {
    if let (Some(expected), Some(new)) = (expected, new) {
        return match pinned.compare_exchange(&key, &expected, new) {
            Ok(former) => Some(*former),
            Err(error) => error.current.copied(),
        };
    }
    let mut found = None;
    pinned.compute(&key, |now| {
        found = now.copied();
        match new {
            _ if found != expected => Operation::Keep,
            Some(new) => Operation::Put(new),
            None => Operation::Remove,
        }
    });
    found
}

/// The value of each key among the entries of a walk, none of which may come twice.
fn sighted(keys: &[u64], entries: impl Iterator<Item = (u64, u64)>) -> Vec<Option<u64>> {
    let mut found = vec![None; keys.len()];
    for (key, value) in entries {
        if let Some(index) = keys.iter().position(|&it| it == key) {
            assert_eq!(found[index].replace(value), None, "key {key} comes twice");
        }
    }
    found
}

/// The map of words.
pub(super) struct WordHandle<'m, S> {
    map: &'m WordMap<u64, u64, S>,
    pinned: WordMapRef<'m, u64, u64, S>,
}

impl<'m, S> WordHandle<'m, S> {
    pub(super) fn new(map: &'m WordMap<u64, u64, S>) -> Self {
        Self { map, pinned: map.pin() }
    }
}

impl<S: BuildHasher> Handle for WordHandle<'_, S> {
    const KINDS: &'static [Kind] = &[
        Kind::Insert,
        Kind::Remove,
        Kind::Get,
        Kind::Has,
        Kind::TryInsert,
        Kind::GetOrInsert,
        Kind::RemoveIf,
        Kind::Update,
        Kind::Compute,
        Kind::Exchange,
        Kind::GetMany,
        Kind::HasMany,
        Kind::InsertMany,
        Kind::Walk,
        Kind::Retain,
        Kind::Drain,
        Kind::Clear,
    ];
    const SWEEPS_FOR_SURE: bool = true;

    fn perform(&self, _kind: Kind, call: &Call) -> Answer {
        let map = &self.pinned;
        Answer::Value(match *call {
            Call::Get(key) => map.get(key),
            Call::Has(key) => return Answer::Is(map.contains_key(key)),
            Call::Insert(key, value) => map.insert(key, value),
            Call::TryInsert(key, value) => map.try_insert(key, value).err(),
            Call::GetOrInsert(key, value) => Some(map.get_or_insert_with(key, || value)),
            Call::Remove(key) => map.remove(key),
            Call::RemoveIfOdd(key) => map.remove_if(key, |value| value % 2 == 1),
            Call::Add(key, term) => map.update(key, |value| value + term),
            Call::Toggle(key, value) => {
                let (former, new) = map.compute(key, |now| now.is_none().then_some(value));
                assert_eq!(new, former.is_none().then_some(value));
                former
            }
            Call::Exchange(key, expected, new) => {
                map.compare_exchange(key, expected, new).map_or_else(|found| found, |()| expected)
            }
            _ => unreachable!("{call:?} of a map of words"),
        })
    }

    fn look(&self, kind: Kind, keys: &[u64]) -> Vec<Option<u64>> {
        match kind {
            Kind::GetMany => self.pinned.get_many(keys),
            _ => sighted(keys, self.map.iter()),
        }
    }

    fn has_many(&self, keys: &[u64]) -> Vec<bool> {
        self.pinned.contains_many(keys)
    }

    fn insert_many(&self, entries: &[(u64, u64)]) -> usize {
        self.pinned.insert_many(entries)
    }

    fn sweep(&self, kind: Kind, visit: &mut dyn FnMut(u64, u64) -> bool) {
        match kind {
            Kind::Retain => self.pinned.retain(|key, value| !visit(key, value)),
            Kind::Drain => self.map.drain().for_each(|(key, value)| {
                visit(key, value);
            }),
            _ => self.pinned.clear(),
        }
    }

    fn resize(&self, grows: bool) {
        if grows {
            self.pinned.reserve(60);
        } else {
            self.pinned.shrink_to_fit();
        }
    }
}

/// The set: a key is absent, or has the value 0.
pub(super) struct SetHandle<'s> {
    set: &'s HashSet<u64, Keeps>,
    pinned: PinnedSet<'s, u64, Keeps>,
}

impl<'s> SetHandle<'s> {
    pub(super) fn new(set: &'s HashSet<u64, Keeps>) -> Self {
        Self { set, pinned: set.pin() }
    }
}

impl Handle for SetHandle<'_> {
    const KINDS: &'static [Kind] = &[
        Kind::TryInsert,
        Kind::Remove,
        Kind::Get,
        Kind::Has,
        Kind::RemoveEntry,
        Kind::GetMany,
        Kind::HasMany,
        Kind::InsertMany,
        Kind::Walk,
        Kind::Clear,
    ];
    const VALUES: u64 = 1;
    const SWEEPS_FOR_SURE: bool = false;

    fn perform(&self, kind: Kind, call: &Call) -> Answer {
        let set = &self.pinned;
        let is_there = match call {
            Call::Get(key) => set.get(key).is_some(),
            Call::Has(key) => return Answer::Is(set.contains(key)),
            Call::TryInsert(key, _) => !set.insert(*key),
            Call::Remove(key) if kind == Kind::RemoveEntry => set.take(key).is_some(),
            Call::Remove(key) => set.remove(key),
            _ => unreachable!("{call:?} of a set"),
        };
        Answer::Value(is_there.then_some(0))
    }

    fn look(&self, kind: Kind, keys: &[u64]) -> Vec<Option<u64>> {
        if kind == Kind::Walk {
            return sighted(keys, self.pinned.iter().map(|&key| (key, 0)));
        }
        let mut found = vec![None; keys.len()];
        self.pinned.get_many(keys, |index, stored| found[index] = stored.map(|_| 0));
        found
    }

    fn has_many(&self, keys: &[u64]) -> Vec<bool> {
        self.pinned.contains_many(keys)
    }

    fn insert_many(&self, entries: &[(u64, u64)]) -> usize {
        self.pinned.insert_many(entries.iter().map(|&(key, _)| key))
    }

    fn sweep(&self, _kind: Kind, _visit: &mut dyn FnMut(u64, u64) -> bool) {
        self.pinned.clear();
    }

    fn resize(&self, grows: bool) {
        let mut pinned = self.set.pin();
        let resized = if grows { pinned.reserve(60) } else { pinned.shrink_to_fit() };
        resized.expect("memory for a few bins");
    }
}
