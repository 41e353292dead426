//! Every operation, done wrong: it looks, and acts later as if nothing had happened since.

use std::thread;

use harness::check::model::Specification;

use super::cell::{Answer, Call, Cell};
use super::{Handle, KEYS, Kind};
use crate::{RandomState, WordMap};

/// A map of words whose operations take two steps.
pub(super) struct Racy<'m>(pub(super) &'m WordMap<u64, u64, RandomState>);

impl Racy<'_> {
    /// The value of a key, of a while ago.
    fn look_at(&self, key: u64) -> Cell {
        let found = Cell::new(self.0.get(key));
        thread::yield_now();
        found
    }

    fn set(&self, key: u64, value: Option<u64>) {
        match value {
            Some(value) => self.0.insert(key, value),
            None => self.0.remove(key),
        };
    }
}

impl Handle for Racy<'_> {
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

    fn perform(&self, _kind: Kind, call: &Call) -> Answer {
        let key = Cell::key(call);
        let (after, answer) = self.look_at(key).after(call);
        self.set(key, after.value());
        answer
    }

    fn look(&self, _kind: Kind, keys: &[u64]) -> Vec<Option<u64>> {
        let found = keys.iter().map(|&key| {
            let value = self.look_at(key).value();
            self.set(key, value);
            value
        });
        found.collect()
    }

    fn has_many(&self, keys: &[u64]) -> Vec<bool> {
        self.look(Kind::GetMany, keys).iter().map(Option::is_some).collect()
    }

    fn count_many(&self, keys: &[u64]) -> usize {
        self.look(Kind::GetMany, keys).iter().flatten().count()
    }

    fn insert_many(&self, entries: &[(u64, u64)]) -> usize {
        let is_new = |&&(key, value): &&(u64, u64)| {
            let former = self.look_at(key).value();
            self.set(key, Some(value));
            former.is_none()
        };
        entries.iter().filter(is_new).count()
    }

    fn sweep(&self, kind: Kind, visit: &mut dyn FnMut(u64, u64) -> bool) {
        for key in KEYS {
            let Some(value) = self.0.get(key) else { continue };
            let goes = kind == Kind::Clear || visit(key, value);
            thread::yield_now();
            self.set(key, Some(value).filter(|_| !goes));
        }
    }

    fn resize(&self, grows: bool) {
        if grows {
            self.0.reserve(60);
        } else {
            self.0.shrink_to_fit();
        }
    }
}
