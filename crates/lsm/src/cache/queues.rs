//! The three queues of one shard of the cache.

use std::collections::{HashSet, VecDeque};

use super::{Outcome, WeakShelf};

/// The small queue gets this share of the bytes: one in ten.
const SMALL_SHARE: usize = 10;

/// A cached block, by name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) shelf: WeakShelf,
    pub(super) table: u64,
    pub(super) at: usize,
    pub(super) bytes: usize,
}

/// The queues; see the module above.
#[derive(Debug, Default)]
pub(super) struct Queues {
    small: VecDeque<Entry>,
    small_bytes: usize,
    main: VecDeque<Entry>,
    main_bytes: usize,
    /// Blocks that left the small queue, in the order in which they did.
    ghost: VecDeque<(u64, usize)>,
    is_ghost: HashSet<(u64, usize)>,
}

impl Queues {
    /// Adds a block that was just cached.
    pub(super) fn push(&mut self, entry: Entry) {
        if self.is_ghost.remove(&(entry.table, entry.at)) {
            self.push_main(entry);
        } else {
            self.small_bytes += entry.bytes;
            self.small.push_back(entry);
        }
    }

    /// Looks at one block after the other until one leaves. False where none is left.
    pub(super) fn evict(&mut self, mut out: impl FnMut(&Entry) -> Outcome) -> bool {
        loop {
            let all = self.small_bytes + self.main_bytes;
            let small_first = self.small_bytes * SMALL_SHARE > all || self.main.is_empty();
            let entry = if small_first { self.pop_small() } else { self.pop_main() };
            let Some(entry) = entry else { return false };
            match out(&entry) {
                Outcome::Gone => {}
                Outcome::Used => self.push_main(entry),
                Outcome::Evicted(_) => {
                    if small_first {
                        self.remember(&entry);
                    }
                    return true;
                }
            }
        }
    }

    /// Drops what names a table.
    pub(super) fn forget(&mut self, table: u64) {
        let Self { small, small_bytes, main, main_bytes, ghost, is_ghost } = self;
        for (queue, bytes) in [(small, small_bytes), (main, main_bytes)] {
            queue.retain(|it| it.table != table);
            *bytes = queue.iter().map(|it| it.bytes).sum();
        }
        ghost.retain(|it| it.0 != table);
        is_ghost.retain(|it| it.0 != table);
    }

    /// Drops what names a place in which nothing is, or names it again.
    pub(super) fn thin(&mut self, is_there: impl Fn(&Entry) -> bool) {
        let Self { small, small_bytes, main, main_bytes, .. } = self;
        let mut seen = HashSet::new();
        for (queue, bytes) in [(main, main_bytes), (small, small_bytes)] {
            queue.retain(|it| is_there(it) && seen.insert((it.table, it.at)));
            *bytes = queue.iter().map(|it| it.bytes).sum();
        }
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.small.len() + self.main.len()
    }

    fn push_main(&mut self, entry: Entry) {
        self.main_bytes += entry.bytes;
        self.main.push_back(entry);
    }

    fn pop_small(&mut self) -> Option<Entry> {
        let entry = self.small.pop_front()?;
        self.small_bytes -= entry.bytes;
        Some(entry)
    }

    fn pop_main(&mut self) -> Option<Entry> {
        let entry = self.main.pop_front()?;
        self.main_bytes -= entry.bytes;
        Some(entry)
    }

    /// The ghost knows as many blocks as the main queue holds.
    fn remember(&mut self, entry: &Entry) {
        let name = (entry.table, entry.at);
        if self.is_ghost.insert(name) {
            self.ghost.push_back(name);
        }
        while self.ghost.len() > self.main.len().max(16) {
            if let Some(oldest) = self.ghost.pop_front() {
                self.is_ghost.remove(&oldest);
            }
        }
    }
}
